"""Which dialects there are, and how a package adds one."""

import sys
from dataclasses import replace
from pathlib import Path

import pytest

from worker.domain.errors import InvalidInput
from worker.providers.registry import OURS, dialect_of, providers
from worker.providers.truto import CAPSULE, UNIFIED
from worker.providers.zoho_books import V3, V4

MODULE = """
from dataclasses import replace
from worker.providers.zoho_books import V4
ONE = replace(V4, provider="acme_crm", name="v1")
TWO = (ONE, replace(ONE, name="v2"))
TEXT = "not a dialect"
"""


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, entries: dict[str, str]) -> None:
    """Put a distribution with these entry points where Python looks for packages."""
    name = f"crm_{folder.name.replace('-', '_')}"
    (folder / f"{name}.py").write_text(MODULE)
    meta = folder / f"{name}-1.0.dist-info"
    meta.mkdir()
    (meta / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
    lines = [f"{key} = {value.format(module=name)}" for key, value in entries.items()]
    (meta / "entry_points.txt").write_text("\n".join(["[bulkdel.providers]", *lines, ""]))
    monkeypatch.syspath_prepend(str(folder))
    sys.modules.pop(name, None)


def test_ours_are_there() -> None:
    assert dialect_of("zoho_books", "v4") is V4
    assert dialect_of("zoho_books", "v3") is V3
    assert dialect_of("truto", "unified") is UNIFIED
    assert dialect_of("truto", "capsule") is CAPSULE
    assert {"truto", "zoho_books"} <= set(providers())


def test_a_provider_may_have_a_default() -> None:
    assert dialect_of("truto", "") is UNIFIED
    with pytest.raises(InvalidInput, match="no dialect ''"):
        dialect_of("zoho_books", "")


def test_names_are_unique() -> None:
    names = [(dialect.provider, dialect.name) for dialect in OURS]

    assert len(set(names)) == len(names)
    assert all(dialect.provider == dialect.catalogue.provider for dialect in OURS)


def test_an_unknown_provider_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidInput, match="did you mean zoho_books") as refused:
        dialect_of("zoho_book", "v4")

    assert "zoho_books" in refused.value.fix


def test_an_unknown_dialect_is_refused_with_those_there_are() -> None:
    with pytest.raises(InvalidInput, match="no dialect 'v9'") as refused:
        dialect_of("zoho_books", "v9")

    assert "v4" in refused.value.fix


def test_a_package_adds_a_provider(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(tmp_path, monkeypatch, {"acme_crm": "{module}:ONE"})

    assert dialect_of("acme_crm", "v1") == replace(V4, provider="acme_crm", name="v1")
    assert dialect_of("acme_crm", "").name == "v1"
    assert "acme_crm" in providers()


def test_a_package_may_bring_several_dialects(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, {"acme_crm": "{module}:TWO"})

    assert dialect_of("acme_crm", "v2").name == "v2"
    with pytest.raises(InvalidInput, match="no dialect ''"):
        dialect_of("acme_crm", "")


def test_a_package_cannot_replace_a_provider_of_ours(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    install(tmp_path, monkeypatch, {"zoho_books": "{module}:ONE"})

    assert dialect_of("zoho_books", "v4") is V4


@pytest.mark.parametrize("place", ["{module}:TEXT", "{module}:NOWHERE", "no_such_module:X"])
def test_a_package_that_does_not_load_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, place: str
) -> None:
    install(tmp_path, monkeypatch, {"acme_crm": place})

    with pytest.raises(InvalidInput, match="acme_crm"):
        dialect_of("acme_crm", "v1")
    assert dialect_of("zoho_books", "v4") is V4
