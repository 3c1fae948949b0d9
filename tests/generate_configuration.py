"""Prints docs/configuration.md: python -m tests.generate_configuration > docs/configuration.md."""

from collections.abc import Iterator, Sequence

from worker.config.describe import Described, describe

INTRO = """\
# Configuration

Every setting, with its default. This page is generated from the code:
`python -m tests.generate_configuration > docs/configuration.md`; a test compares the two.

Variables come from the environment, and a blank one counts as not set. Accounts, shared purses and
policies stand in `bulkdel.toml` (`BULKDEL_CONFIG`); workers read it again when it changes. An
unknown name is an error that names the nearest. Secrets never stand in the file, only where they
are: `env:NAME` or `file:PATH`; they are read at each call, so a file may be replaced at any time.

```toml
[accounts.acme]
provider = "zoho_books"
base_url = "https://www.zohoapis.com/books/v4"
organization_id = "10234695"
token = "file:/run/secrets/acme-token"
limits = { windows = [[100, "60s"]], per_day = 1000, day_resets = "00:00 UTC", in_flight = 5 }
protect = { ids = ["460000000044019"], names = ["*KEEP*"] }
max_items = 1000
auto_confirm_max = 10
grace = { above = 500, wait = "15m" }
canary = { above = 100, percent = 1, min = 5, hold = "0s" }
breakers = { failed_percent = 50, failed_after = 100, failed_in_a_row = 20 }

[policies.stale-projects]
account = "acme"
schedule = "0 3 * * *"
timezone = "Europe/Berlin"
select = { status = "inactive", last_modified_before = "365d" }
cascade = ["comments", "documents", "tasks", "users"]
guard = { max_items = 500 }
confirm = "auto"
```

What follows the table's name is yours to choose: `[accounts.acme]` is the account `acme`. Accounts
on this machine (loopback) have no grace unless it is set.
"""

TITLES = {
    "BULKDEL": "Variables of the environment",
    "accounts": "`[accounts.NAME]`",
    "purses": "`[purses.NAME]`: limits that accounts share",
    "policies": "`[policies.NAME]`: scheduled cleanups",
}


def page() -> str:
    """The whole page."""
    rows = describe()
    parts = [INTRO]
    for start, title in TITLES.items():
        wanted = [row for row in rows if row.name.startswith(start)]
        parts.append(f"\n## {title}\n\n" + "\n".join(_table(wanted)) + "\n")
    return "".join(parts)


def _table(rows: Sequence[Described]) -> Iterator[str]:
    yield "| setting | type | default | means |"
    yield "|---|---|---|---|"
    for row in rows:
        cells = (f"`{_name(row.name)}`", row.type, row.default, row.meaning)
        yield "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _name(name: str) -> str:
    """A key without the table it stands under."""
    return name.partition(".NAME.")[2] or name


if __name__ == "__main__":
    print(page(), end="")
