"""Secrets are named by reference, read anew each time, and never repeated."""

from pathlib import Path

import pytest

from worker.domain.errors import CredentialsMissing
from worker.providers.secrets import digest, resolve


def test_a_secret_is_read_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ACME_TOKEN", "1000.abc\n")

    assert resolve("env:ACME_TOKEN") == "1000.abc"


def test_a_secret_is_read_from_its_file_each_time(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("old\n")
    first = resolve(f"file:{file}")
    file.write_text("new\r\n")

    assert (first, resolve(f"file:{file}")) == ("old", "new")


def test_a_home_folder_may_be_written_short(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "token").write_text("abc")

    assert resolve("file:~/token") == "abc"


@pytest.mark.parametrize("value", [None, "", " \n"])
def test_a_variable_that_is_missing_or_empty_is_said_with_the_fix(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv("ACME_TOKEN", raising=False)
    if value is not None:
        monkeypatch.setenv("ACME_TOKEN", value)

    with pytest.raises(CredentialsMissing, match="ACME_TOKEN is not set or empty") as missing:
        resolve("env:ACME_TOKEN")

    assert missing.value.fix.startswith("export ACME_TOKEN=")


def test_a_file_that_cannot_be_read_is_said_with_the_fix(tmp_path: Path) -> None:
    binary = tmp_path / "binary"
    binary.write_bytes(b"\xff\xfe\x00")
    empty = tmp_path / "empty"
    empty.touch()

    for place in (tmp_path / "nowhere", tmp_path, binary, empty, "with\x00null"):
        with pytest.raises(CredentialsMissing) as missing:
            resolve(f"file:{place}")
        assert missing.value.fix


@pytest.mark.parametrize("reference", ["", "1000.plain.secret", "env:", "file:", "vault:plain"])
def test_a_secret_in_place_of_a_reference_is_refused_and_not_repeated(reference: str) -> None:
    with pytest.raises(CredentialsMissing, match="not given by reference") as missing:
        resolve(reference)

    assert "plain" not in missing.value.what + missing.value.fix


def test_a_digest_tells_secrets_apart_and_gives_none_away() -> None:
    assert digest("abc") == "sha256:ba7816bf8f01cfea"
    assert digest("abc") != digest("abd")
