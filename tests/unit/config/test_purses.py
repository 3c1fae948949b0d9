"""What every call of an account is taken from: its own purse, and the one it shares."""

from datetime import time, timedelta
from pathlib import Path

from worker.config.accounts import Account, Config, load
from worker.config.sections import Limits
from worker.config.values import DayReset
from worker.domain.limits import Purse, Window

ACME = """
[accounts.acme]
provider = "zoho_books"
base_url = "https://www.zohoapis.com/books/v4"
organization_id = "10234695"
token = "env:ACME_TOKEN"
"""
CRM = """
[accounts.crm]
provider = "truto"
base_url = "https://api.truto.one"
integrated_account_id = "62f44730-dd91-461e-bd6a-aedd9e0ad79d"
token = "env:TRUTO_TOKEN"
"""


def read(folder: Path, text: str) -> Config:
    path = folder / "bulkdel.toml"
    path.write_text(text, encoding="utf-8")
    return load(path)


def test_an_account_has_a_purse_of_its_own() -> None:
    account = Account(
        name="acme",
        provider="zoho_books",
        base_url="https://www.zohoapis.com/books/v4",
        organization_id="1",
        token="env:T",
        rate_share=0.5,
        limits=Limits(day_resets=DayReset(at=time(7), zone="Europe/Berlin")),
    )

    assert account.purses(Config(path=Path("bulkdel.toml"))) == (
        Purse(
            name="acme",
            windows=(Window(calls=100, per=timedelta(seconds=60)),),
            per_day=1000,
            day_reset=time(7),
            day_zone="Europe/Berlin",
            in_flight=5,
            rate_share=0.5,
            day_share=0.8,
        ),
    )


def test_no_windows_and_no_calls_a_day_mean_no_limit(tmp_path: Path) -> None:
    config = read(tmp_path, ACME + "limits = { windows = [], per_day = 0 }\n")

    (purse,) = config.account("acme").purses(config)

    assert (purse.windows, purse.per_day) == ((), None)


def test_a_shared_purse_comes_after_the_own_one(tmp_path: Path) -> None:
    shared = '\n[purses.truto-token]\nwindows = [[500, "10s"]]\n'
    config = read(tmp_path, CRM + 'purse = "truto-token"\n' + shared)

    own, token = config.account("crm").purses(config)

    assert own.name == "crm"
    assert token == Purse(
        name="truto-token",
        windows=(Window(calls=500, per=timedelta(seconds=10)),),
        per_day=None,
        in_flight=100,
        rate_share=0.9,
        day_share=0.8,
    )


def test_the_most_modest_sharer_decides_on_the_share(tmp_path: Path) -> None:
    one = CRM + 'purse = "token"\nrate_share = 0.4\n'
    other = CRM.replace("crm", "crm2") + 'purse = "token"\nday_share = 0.3\n'
    config = read(tmp_path, one + other + "[purses.token]\nper_day = 10\n")

    purses = {config.account(name).purses(config)[1] for name in ("crm", "crm2")}

    (token,) = purses
    assert (token.rate_share, token.day_share) == (0.4, 0.3)
