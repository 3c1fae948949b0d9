"""What an account says, what it says by default, and what it must not say."""

from datetime import time, timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from worker.config.accounts import Config, load
from worker.config.sections import BulkDelete, Canary, Grace, Limits, Protect
from worker.config.values import DayReset
from worker.domain.calls import Seen, Target
from worker.domain.errors import InvalidInput
from worker.domain.limits import Window

ZOHO = """
[accounts.acme]
provider = "zoho_books"
base_url = "https://www.zohoapis.com/books/v4"
organization_id = "10234695"
"""
ACME = ZOHO + 'token = "env:ACME_TOKEN"\n'
CRM = """
[accounts.crm]
provider = "truto"
base_url = "https://api.truto.one"
integrated_account_id = "62f44730-dd91-461e-bd6a-aedd9e0ad79d"
token = "env:TRUTO_TOKEN"
"""
OAUTH = """
[accounts.acme.oauth]
client_id = "env:ACME_ID"
client_secret = "file:/run/secrets/acme"
refresh_token = "env:ACME_REFRESH"
token_url = "https://accounts.zoho.eu/oauth/v2/token"
"""


def read(folder: Path, text: str) -> Config:
    path = folder / "bulkdel.toml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def refusal(folder: Path, text: str) -> str:
    with pytest.raises(InvalidInput) as raised:
        read(folder, text)
    return raised.value.what


def test_every_default_of_a_zoho_account(tmp_path: Path) -> None:
    account = read(tmp_path, ACME).account("acme")

    assert account.model_dump(exclude={"limits"}) == {
        "name": "acme",
        "provider": "zoho_books",
        "base_url": "https://www.zohoapis.com/books/v4",
        "dialect": "v4",
        "organization_id": "10234695",
        "organization_param": "organization-id",
        "integrated_account_id": "",
        "token": "env:ACME_TOKEN",
        "oauth": None,
        "purse": None,
        "rate_share": 0.9,
        "day_share": 0.8,
        "bulk_delete": {"enabled": False, "parameter": "project_ids", "size": 25},
        "options": (),
        "lists_comments": True,
        "protect": {"ids": (), "names": ()},
        "max_items": 1000,
        "auto_confirm_max": 10,
        "grace": {"above": 500, "wait": timedelta(minutes=15)},
        "canary": {"above": 100, "percent": 1, "min": 5, "hold": timedelta()},
        "breakers": {
            "failed_percent": 50,
            "failed_after": 100,
            "failed_in_a_row": 20,
            "absent_percent": 20,
            "absent_first": 50,
        },
        "max_percent": None,
        "max_items_per_day": None,
        "approval_over": None,
        "hours": "",
        "call_timeout": timedelta(seconds=15),
    }
    assert account.limits == Limits(
        windows=(Window(calls=100, per=timedelta(seconds=60)),),
        per_day=1000,
        day_resets=DayReset(at=time(), zone="UTC"),
        in_flight=5,
    )


def test_every_default_of_a_truto_account(tmp_path: Path) -> None:
    account = read(tmp_path, CRM).account("crm")

    assert (account.dialect, account.organization_id, account.organization_param) == ("", "", "")
    assert account.limits == Limits(
        windows=(Window(calls=50, per=timedelta(seconds=10)),), per_day=0, in_flight=5
    )


def test_a_limit_that_is_set_leaves_the_defaults_of_the_others(tmp_path: Path) -> None:
    config = read(tmp_path, ACME + "limits.per_day = 5000\n" + CRM + "limits.in_flight = 9\n")

    assert config.account("acme").limits == Limits(per_day=5000)
    assert config.account("crm").limits.windows == (Window(calls=50, per=timedelta(seconds=10)),)


def test_the_dialect_is_read_off_the_end_of_the_address(tmp_path: Path) -> None:
    account = read(tmp_path, ACME.replace('/v4"', '/v3/"')).account("acme")

    assert account.base_url == "https://www.zohoapis.com/books/v3"
    assert (account.dialect, account.organization_param) == ("v3", "organization_id")


def test_a_dialect_that_is_set_wins_over_the_address(tmp_path: Path) -> None:
    account = read(tmp_path, ACME + 'dialect = "v3"\n').account("acme")

    assert (account.dialect, account.organization_param) == ("v3", "organization_id")


def test_an_organization_param_that_is_set_wins_over_the_dialect(tmp_path: Path) -> None:
    account = read(tmp_path, ACME + 'organization_param = "organization_id"\n').account("acme")

    assert (account.dialect, account.organization_param) == ("v4", "organization_id")


def test_a_dialect_that_cannot_be_read_off_is_needed(tmp_path: Path) -> None:
    what = refusal(tmp_path, ACME.replace("/v4", "/v5"))

    assert "`dialect` in [accounts.acme] (line 2) is needed" in what


def test_an_account_on_this_machine_has_no_grace_unless_set(tmp_path: Path) -> None:
    here = ACME.replace("https://www.zohoapis.com", "http://127.0.0.1:8080")

    account = read(tmp_path, here).account("acme")
    with_grace = read(tmp_path, here + "grace.above = 10\n").account("acme")

    assert account.is_loopback
    assert account.grace.wait == timedelta()
    assert with_grace.grace == Grace(above=10, wait=timedelta(minutes=15))
    assert not read(tmp_path, ACME).account("acme").is_loopback


def test_a_refresh_token_stands_in_for_a_token(tmp_path: Path) -> None:
    account = read(tmp_path, ZOHO + OAUTH).account("acme")

    assert account.token is None
    assert account.oauth is not None
    assert account.oauth.model_dump() == {
        "client_id": "env:ACME_ID",
        "client_secret": "file:/run/secrets/acme",
        "refresh_token": "env:ACME_REFRESH",
        "token_url": "https://accounts.zoho.eu/oauth/v2/token",
    }


@pytest.mark.parametrize("text", [ZOHO, ACME + OAUTH], ids=["neither", "both"])
def test_there_is_exactly_one_of_token_and_oauth(tmp_path: Path, text: str) -> None:
    assert "[accounts.acme] (line 2) needs exactly one of `token` and `oauth`" in refusal(
        tmp_path, text
    )


@pytest.mark.parametrize("key", ["client_id", "client_secret", "refresh_token"])
def test_no_part_of_oauth_is_a_literal_secret(tmp_path: Path, key: str) -> None:
    lines = [line for line in OAUTH.splitlines() if not line.startswith(key)]
    what = refusal(tmp_path, "\n".join([ZOHO, *lines, f'{key} = "pw-canary"']))

    assert f"`{key}` in [accounts.acme.oauth]" in what
    assert "a secret never stands in this file" in what
    assert "pw-canary" not in what


def test_a_literal_token_is_refused_and_kept_nowhere(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match=r"`token` in \[accounts.acme\] \(line 6\)") as raised:
        read(tmp_path, ZOHO + 'token = "pw-canary"\n')

    assert "env:NAME" in raised.value.fix
    assert "pw-canary" not in repr(raised.value) + raised.value.fix
    assert raised.value.__context__ is None
    assert raised.value.__cause__ is None


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ("rate_share = 0", "`rate_share` in [accounts.acme] (line 7)"),
        ("rate_share = 1.1", "`rate_share`"),
        ("rate_share = nan", "`rate_share`"),
        ("day_share = 0.0", "`day_share`"),
        ("day_share = 2", "`day_share`"),
        ('day_share = "0.5"', "must be a number"),
        ("max_items = 0", "`max_items`"),
        ('max_items = "5"', "must be a whole number"),
        ("max_items = true", "must be a whole number"),
        ("auto_confirm_max = -1", "`auto_confirm_max`"),
        ('call_timeout = "0s"', "must be above zero"),
        ("call_timeout = 15", "is not a duration: '15'"),
        ("limits.per_day = -1", "`per_day` in [accounts.acme.limits]"),
        ("limits.in_flight = 0", "`in_flight` in [accounts.acme.limits]"),
        ('limits.windows = [[0, "60s"]]', "must be a list of pairs"),
        ('limits.windows = [[1, "0s"]]', "must be a list of pairs"),
        ('limits.windows = [[1.5, "1s"]]', "must be a list of pairs"),
        ('limits.windows = [[true, "1s"]]', "must be a list of pairs"),
        ('limits.windows = [1, "60s"]', "must be a list of pairs"),
        ("limits.windows = [[1]]", "must be a list of pairs"),
        ('limits.windows = ["1", "60s"]', "must be a list of pairs"),
        ('limits.windows = "60s"', "must be a list of pairs"),
        ('limits.windows = [[1, "60"]]', "is not a duration"),
        ('limits.day_resets = "00:00 Mars"', "is not a time zone: 'Mars'"),
        ("limits = 5", "`limits` in [accounts.acme] (line 7) must be a table"),
        ("bulk_delete.enabled = 1", "must be true or false"),
        ("bulk_delete.size = 201", "`size` in [accounts.acme.bulk_delete]"),
        ("bulk_delete.size = 0", "`size`"),
        ('bulk_delete.parameter = "a&b"', "`parameter`"),
        ('protect.ids = "46"', "`ids` in [accounts.acme.protect] (line 7) must be a list"),
        ("protect.ids = [46]", "`ids[0]` in [accounts.acme.protect] (line 7) must be text"),
        ('protect.ids = ["46 "]', "`ids[0]`"),
        ('protect.names = ["a", " "]', "`names[1]`"),
        ("grace.above = -1", "`above` in [accounts.acme.grace]"),
        ('grace.wait = "soon"', "is not a duration"),
        ("canary.percent = 0", "`percent` in [accounts.acme.canary]"),
        ("canary.percent = 101", "`percent`"),
        ("canary.min = 0", "`min`"),
        ('dialect = "v5"', "`dialect`"),
        ('organization_param = "a b"', "`organization_param`"),
        ('integrated_account_id = "x"', "is a key of truto accounts alone"),
        ('purse = "nobody"', "`purse` in [accounts.acme] (line 7) names no purse"),
        ("lists_comments = 0", "must be true or false"),
    ],
)
def test_a_value_outside_its_rule_is_refused(tmp_path: Path, line: str, what: str) -> None:
    assert what in refusal(tmp_path, f"{ACME}{line}\n")


def test_values_at_the_edge_of_their_rule_are_taken(tmp_path: Path) -> None:
    lines = """
rate_share = 1
auto_confirm_max = 0
bulk_delete = { enabled = true, size = 200 }
protect = { ids = ["46"], names = ["*"] }
canary = { above = 0, percent = 100, min = 1, hold = "1h" }
lists_comments = false
call_timeout = "30s"
"""
    account = read(tmp_path, ACME + lines).account("acme")

    assert account.rate_share == 1
    assert account.auto_confirm_max == 0
    assert account.bulk_delete == BulkDelete(enabled=True, size=200)
    assert account.protect == Protect(ids=("46",), names=("*",))
    assert account.canary == Canary(above=0, percent=100, min=1, hold=timedelta(hours=1))
    assert not account.lists_comments
    assert account.call_timeout == timedelta(seconds=30)


@pytest.mark.parametrize("id_", ["", "a b", "é", "x" * 65, "../x"])
def test_an_organization_id_has_its_shape(tmp_path: Path, id_: str) -> None:
    assert "`organization_id`" in refusal(tmp_path, ACME.replace("10234695", id_))


def test_an_id_without_quotes_is_told_to_have_some(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="must be text") as raised:
        read(tmp_path, ACME.replace('"10234695"', "10234695"))

    assert raised.value.fix == "put it in double quotes"


@pytest.mark.parametrize("key", ["provider", "base_url", "organization_id"])
def test_what_zoho_needs_is_asked_for(tmp_path: Path, key: str) -> None:
    text = "".join(line + "\n" for line in ACME.splitlines() if not line.startswith(key))

    assert f"`{key}` in [accounts.acme]" in refusal(tmp_path, text)


def test_what_truto_needs_is_asked_for(tmp_path: Path) -> None:
    text = "".join(line + "\n" for line in CRM.splitlines() if not line.startswith("integrated"))

    assert "`integrated_account_id` in [accounts.crm]" in refusal(tmp_path, text)


@pytest.mark.parametrize(
    "line",
    [
        'organization_id = "1"',
        "bulk_delete.enabled = true",
        "lists_comments = true",
    ],
)
def test_a_key_of_zoho_is_refused_for_truto(tmp_path: Path, line: str) -> None:
    assert "is a key of zoho_books accounts alone" in refusal(tmp_path, f"{CRM}{line}\n")


def test_protection_is_handed_to_planning(tmp_path: Path) -> None:
    text = ACME + 'protect = { ids = ["460000000044019"], names = ["*KEEP*"] }\n'

    protection = read(tmp_path, text).account("acme").protection()

    spared = Seen(target=Target(kind="project", external_id="1"), name="do KEEP me")
    assert protection.ids == {"460000000044019"}
    assert protection.why(spared) == "protected name pattern *KEEP*"


def test_an_account_does_not_change(tmp_path: Path) -> None:
    account = read(tmp_path, ACME).account("acme")

    with pytest.raises(ValidationError, match="frozen"):
        account.max_items = 10**9  # type: ignore[misc]  # the test is that this is refused


TRACKLY = """
[accounts.boards]
provider = "trackly"
base_url = "http://127.0.0.1:8080/api"
organization_id = "team-7"
token = "env:TRACKLY_TOKEN"
"""


def test_a_provider_of_an_installed_package_needs_no_word_of_ours(tmp_path: Path) -> None:
    account = read(tmp_path, TRACKLY).account("boards")

    assert (account.provider, account.dialect, account.selector_value) == ("trackly", "", "team-7")
    assert account.grace.wait == timedelta(0)
    assert account.limits == Limits()


@pytest.mark.parametrize("name", ["", "No Such", "../x", "x" * 80])
def test_a_provider_has_the_shape_of_a_name(tmp_path: Path, name: str) -> None:
    assert "`provider`" in refusal(tmp_path, TRACKLY.replace("trackly", name, 1))


def test_the_selector_value_is_what_the_provider_goes_by(tmp_path: Path) -> None:
    config = read(tmp_path, ACME + CRM)

    assert config.account("acme").selector_value == "10234695"
    assert config.account("crm").selector_value == "62f44730-dd91-461e-bd6a-aedd9e0ad79d"


def test_the_options_of_an_account_become_pairs(tmp_path: Path) -> None:
    options = """
dialect = "capsule"

[accounts.crm.options]
truto_response_format = "raw"
truto_ignore_remote_data = true
truto_exclude_fields = ["id", "name"]
remote_query = { foo = "bar", page = 2 }
"""

    account = read(tmp_path, CRM + options).account("crm")

    assert account.dialect == "capsule"
    assert account.options == (
        ("truto_response_format", "raw"),
        ("truto_ignore_remote_data", "true"),
        ("truto_exclude_fields", "id,name"),
        ("remote_query.foo", "bar"),
        ("remote_query.page", "2"),
    )


@pytest.mark.parametrize("options", ['"raw"', '["a"]', '{ a = "" }', "{ a = 1.5 }"])
def test_options_that_are_none_are_refused(tmp_path: Path, options: str) -> None:
    assert "options" in refusal(tmp_path, f"{CRM}options = {options}\n")


def test_options_are_a_key_of_truto(tmp_path: Path) -> None:
    what = refusal(tmp_path, ACME + 'options = { a = "b" }\n')

    assert "is a key of truto accounts alone" in what
