"""The file as a whole: the published example loads, and a mistake is shown where it stands."""

import json
import string
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest
from hypothesis import given
from hypothesis import strategies as st

from worker.config.accounts import Account, Config, File, load
from worker.config.fields import Section
from worker.config.sections import (
    BulkDelete,
    Canary,
    Grace,
    Guard,
    Limits,
    OAuth,
    Policy,
    Protect,
    SharedPurse,
)
from worker.domain.errors import InvalidInput, NotFound

EXAMPLE = """\
[accounts.acme]
provider = "zoho_books"                 # or "truto"
base_url = "https://www.zohoapis.com/books/v4"
dialect = "v4"                          # default: read off the end of base_url
organization_id = "10234695"
organization_param = "organization-id"
token = "env:ACME_TOKEN"
limits = { windows = [[100, "60s"]], per_day = 1000, day_resets = "00:00 UTC", in_flight = 5 }
rate_share = 0.9
day_share = 0.8
bulk_delete = { enabled = true, parameter = "project_ids", size = 25 }       # default: off
protect = { ids = ["460000000044019"], names = ["*KEEP*"] }
max_items = 1000
auto_confirm_max = 10
grace = { above = 500, wait = "15m" }
canary = { above = 100, percent = 1, min = 5, hold = "0s" }

[accounts.crm]
provider = "truto"
base_url = "https://api.truto.one"
integrated_account_id = "62f44730-dd91-461e-bd6a-aedd9e0ad79d"
token = "env:TRUTO_TOKEN"
purse = "truto-token"

[purses.truto-token]
windows = [[500, "10s"]]

[policies.stale-projects]
account = "acme"
schedule = "0 3 * * *"
timezone = "Europe/Berlin"
select = { status = "inactive", last_modified_before = "365d" }
cascade = ["comments", "documents", "tasks", "users"]
guard = { max_items = 500, max_percent = 10, max_times_median = 5 }
confirm = "auto"                        # or "ask"
"""
ACME = """\
[accounts.acme]
provider = "zoho_books"
base_url = "https://www.zohoapis.com/books/v4"
organization_id = "10234695"
token = "env:ACME_TOKEN"
"""

SECTIONS: dict[tuple[str, ...], type[Section]] = {
    (): File,
    ("accounts", "acme"): Account,
    ("accounts", "acme", "limits"): Limits,
    ("accounts", "acme", "bulk_delete"): BulkDelete,
    ("accounts", "acme", "protect"): Protect,
    ("accounts", "acme", "grace"): Grace,
    ("accounts", "acme", "canary"): Canary,
    ("accounts", "acme", "oauth"): OAuth,
    ("purses", "truto-token"): SharedPurse,
    ("policies", "stale-projects"): Policy,
    ("policies", "stale-projects", "guard"): Guard,
}

# A right file in dotted keys, so that one more line is the only thing wrong with it.
DOTTED = """\
accounts.acme.provider = "zoho_books"
accounts.acme.base_url = "https://www.zohoapis.com/books/v4"
accounts.acme.organization_id = "10234695"
accounts.acme.token = "env:ACME_TOKEN"
policies.stale-projects.account = "acme"
policies.stale-projects.schedule = "0 3 * * *"
policies.stale-projects.select.status = "inactive"
"""


def read(folder: Path, text: str) -> Config:
    path = folder / "bulkdel.toml"
    path.write_bytes(text.encode())
    return load(path)


def refusal(folder: Path, text: str) -> InvalidInput:
    with pytest.raises(InvalidInput) as raised:
        read(folder, text)
    return raised.value


def test_the_published_example_loads(tmp_path: Path) -> None:
    config = read(tmp_path, EXAMPLE)

    assert config.found
    assert [account.name for account in config.accounts.values()] == ["acme", "crm"]
    assert config.account("acme").bulk_delete.enabled
    assert [purse.name for purse in config.account("crm").purses(config)] == [
        "crm",
        "truto-token",
    ]
    policy = config.policies["stale-projects"]
    assert policy.model_dump(exclude_unset=True) == {
        "name": "stale-projects",
        "account": "acme",
        "schedule": "0 3 * * *",
        "timezone": "Europe/Berlin",
        "select": {"status": "inactive", "last_modified_before": "365d"},
        "cascade": ("comments", "documents", "tasks", "users"),
        "guard": {"max_items": 500, "max_percent": 10, "max_times_median": 5},
        "confirm": "auto",
    }


def test_an_unknown_key_is_refused_with_its_line_and_the_nearest(tmp_path: Path) -> None:
    error = refusal(tmp_path, EXAMPLE.replace("protect =", "proteck ="))

    assert error.what == (
        f"{tmp_path}/bulkdel.toml: unknown key `proteck` in [accounts.acme] (line 12): "
        "did you mean `protect`?"
    )
    assert "max_items" in error.fix


def test_an_unknown_table_is_refused_with_the_nearest(tmp_path: Path) -> None:
    error = refusal(tmp_path, EXAMPLE.replace("[accounts.crm]", "[account.crm]"))

    assert "unknown key `account` at the top level (line 18): did you mean `accounts`?" in (
        error.what
    )


def test_a_key_of_an_inner_table_is_found_too(tmp_path: Path) -> None:
    error = refusal(tmp_path, EXAMPLE.replace("max_percent", "max_procent"))

    assert "unknown key `max_procent` in [policies.stale-projects.guard] (line 34)" in error.what
    assert "did you mean `max_percent`?" in error.what


def test_a_mistyped_key_is_told_before_the_one_that_is_missing_for_it(tmp_path: Path) -> None:
    error = refusal(tmp_path, EXAMPLE.replace("base_url =", "base_uri ="))

    assert "unknown key `base_uri`" in error.what
    assert error.what.endswith("did you mean `base_url`? (and 3 more)")


@given(
    where=st.sampled_from(sorted(SECTIONS)),
    key=st.text(alphabet=string.ascii_letters + string.digits + "_- .é\\\"'#=[]\t", max_size=20),
)
def test_no_unknown_key_is_ever_overlooked(where: tuple[str, ...], key: str) -> None:
    unknown = json.dumps(f"{key}?")  # no key of ours has a question mark
    line = f"{'.'.join([*where, unknown])} = 'x'\n"

    with TemporaryDirectory() as folder, pytest.raises(InvalidInput) as raised:
        read(Path(folder), DOTTED + line)

    assert "unknown key `" in raised.value.what
    assert "(line 8)" in raised.value.what


@given(
    where_and_key=st.sampled_from(
        [(where, key) for where, section in SECTIONS.items() for key in section.known_keys()]
    )
)
def test_a_key_with_one_letter_too_many_is_led_back(
    where_and_key: tuple[tuple[str, ...], str],
) -> None:
    where, key = where_and_key

    with TemporaryDirectory() as folder, pytest.raises(InvalidInput) as raised:
        read(Path(folder), f"{DOTTED}{'.'.join([*where, key])}z = 'x'\n")

    assert f"did you mean `{key}`?" in raised.value.what


def test_the_name_of_a_table_is_no_key_of_it(tmp_path: Path) -> None:
    error = refusal(tmp_path, EXAMPLE.replace("provider =", "name = 'x'\nprovider =", 1))

    assert "unknown key `name` in [accounts.acme] (line 2)" in error.what


@pytest.mark.parametrize("name", ["Acme", "-a", "_a", "a b", "é", "", "a" * 64, "a.b", "a\x1bb"])
@pytest.mark.parametrize("table", ["accounts", "purses", "policies"])
def test_a_name_has_its_shape(tmp_path: Path, table: str, name: str) -> None:
    error = refusal(tmp_path, f"[{table}.{json.dumps(name)}]\n")

    assert f"in [{table}] (line 1)" in error.what or f"[{table}." in error.what
    assert "is not a name" in error.what
    assert "\x1b" not in error.what


@pytest.mark.parametrize("name", ["a", "0", "acme-eu_2", "a" * 63])
def test_a_name_of_that_shape_is_taken(tmp_path: Path, name: str) -> None:
    config = read(tmp_path, EXAMPLE.replace("truto-token", name))

    assert config.account("crm").purse == name


@pytest.mark.parametrize("text", ["accounts = 3", "accounts.acme = 3", "policies = []"])
def test_a_table_is_a_table(tmp_path: Path, text: str) -> None:
    assert "(line 1) must be a table" in refusal(tmp_path, text).what


def test_a_purse_cannot_have_the_name_of_an_account(tmp_path: Path) -> None:
    error = refusal(tmp_path, EXAMPLE.replace("truto-token", "acme"))

    assert "[purses.acme] (line 25) has the name of an account" in error.what


def test_a_shared_purse_that_is_not_there_is_refused_with_the_nearest(tmp_path: Path) -> None:
    error = refusal(tmp_path, EXAMPLE.replace('"truto-token"', '"truto-tokens"'))

    assert "`purse` in [accounts.crm] (line 23) names no purse" in error.what
    assert "did you mean `truto-token`?" in error.what


def test_the_account_of_a_policy_must_be_there(tmp_path: Path) -> None:
    error = refusal(tmp_path, EXAMPLE.replace('account = "acme"', 'account = "acne"'))

    assert "`account` in [policies.stale-projects] (line 29) names no account" in error.what
    assert "did you mean `acme`?" in error.what
    assert error.fix == "there are: acme, crm"


def test_every_default_of_a_shared_purse(tmp_path: Path) -> None:
    config = read(tmp_path, "[purses.p]\n")

    assert config.shared["p"].model_dump(exclude={"day_resets"}) == {
        "name": "p",
        "windows": (),
        "per_day": 0,
        "in_flight": 100,
    }


def test_a_missing_file_has_no_accounts_and_says_where_it_looked(tmp_path: Path) -> None:
    path = tmp_path / "bulkdel.toml"

    config = load(path)

    assert config == Config(path=path, found=False)
    with pytest.raises(InvalidInput, match=f"there is no file {path}") as raised:
        config.account("acme")
    assert "bulkdel init" in raised.value.fix


def test_an_unknown_account_is_told_the_ones_there_are(tmp_path: Path) -> None:
    config = read(tmp_path, EXAMPLE)

    with pytest.raises(NotFound, match=r"no account 'acne' .*: did you mean `acme`") as raised:
        config.account("acne")
    assert raised.value.fix == "the accounts are: acme, crm"


def test_an_empty_file_has_no_accounts(tmp_path: Path) -> None:
    with pytest.raises(NotFound) as raised:
        read(tmp_path, "").account("acme")

    assert raised.value.fix == "the accounts are: none"


def test_what_is_no_toml_is_refused_with_the_line(tmp_path: Path) -> None:
    error = refusal(tmp_path, ACME + "token\n")

    assert "bulkdel.toml cannot be read: " in error.what
    assert "at line 6" in error.what
    assert error.__context__ is None


def test_a_key_written_twice_is_refused(tmp_path: Path) -> None:
    assert "cannot be read" in refusal(tmp_path, ACME + 'token = "env:OTHER"\n').what


def test_what_is_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "bulkdel.toml"
    path.write_bytes(b"a = '\xff'")

    with pytest.raises(InvalidInput, match="not UTF-8 at byte 5"):
        load(path)


def test_a_folder_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read: Is a directory"):
        load(tmp_path)


def test_a_byte_order_mark_and_other_line_ends_do_no_harm(tmp_path: Path) -> None:
    config = read(tmp_path, "\ufeff" + EXAMPLE.replace("\n", "\r\n"))

    assert list(config.accounts) == ["acme", "crm"]


@pytest.mark.parametrize("where", sorted(SECTIONS), ids=".".join)
def test_every_key_says_what_it_means(where: tuple[str, ...]) -> None:
    assert all(field.description for field in SECTIONS[where].model_fields.values())
