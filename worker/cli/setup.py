"""`init` and `db upgrade`: a first bulkdel.toml, and a database with its tables."""

import contextlib
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import click

from worker.cli.answers import PROVIDERS
from worker.cli.output import Output, talks

if TYPE_CHECKING:
    from worker.config.settings import Settings
    from worker.domain.errors import BulkdelError

BASE_URLS = {
    "zoho_books": "https://www.zohoapis.com/books/v4",
    "truto": "https://api.truto.one",
}
LIMITS = {
    "zoho_books": 'limits = { windows = [[100, "60s"]], per_day = 1000, in_flight = 5 }',
    "truto": 'limits = { windows = [[50, "10s"]], per_day = 0, in_flight = 5 }',
}
SELECTORS = {"zoho_books": "organization_id", "truto": "integrated_account_id"}
QUESTIONS = {
    "zoho_books": "Organisation id (Zoho Books, Settings > Organisations)",
    "truto": "Integrated account id (a UUID)",
}

TEMPLATE = """\
# What bulkdel may reach, how fast, and what it must never delete.
# Secrets never stand in this file, only where they are: "env:NAME" or "file:PATH".
# An unknown key is an error that names the nearest one.

[accounts.{name}]
provider = {provider}
base_url = {base_url}{url_note}
{selector} = {selected}
token = {token}
{login_note}
# What the provider allows. Put in what your plan allows; these are the defaults:
# {limits}

# Our share of that; the rest is left to people and other programs:
# rate_share = 0.9
# day_share = 0.8

# What no job may delete, by id or by a shell pattern of its name:
# protect = {{ ids = ["460000000044019"], names = ["*KEEP*"] }}

# A plan with more items is refused, unless --max-items raises it:
# max_items = 1000

# Up to this many items --yes is enough; above, the plan's word is needed:
# auto_confirm_max = 10
"""
ELSEWHERE = "check the rights on its folder, or name another file with BULKDEL_CONFIG"
LOGIN_NOTE = """
# A token of Zoho lasts an hour. This in its place has new ones fetched in time:
# oauth = {{ client_id = "env:{prefix}_ID", client_secret = "env:{prefix}_SECRET", \
refresh_token = "env:{prefix}_REFRESH" }}
"""
URL_NOTE = "  # your data centre: .com, .eu, .in, .com.au, .jp, .ca, .sa"


@click.command()
@click.option("--provider", type=click.Choice(PROVIDERS), help="Whose API it is.")
@click.option("--name", help="The account's name: a-z, 0-9, - and _.")
@click.option("--base-url", help="Where the API is.")
@click.option("--organization-id", help="Zoho Books: the organisation.")
@click.option("--integrated-account-id", help="Truto: the connected account.")
@click.option("--token", help="Where the token is: env:NAME or file:PATH. Never the token.")
@click.option("--yes", is_flag=True, help="Take the default of all that is not given.")
@click.option(
    "--check/--no-check",
    default=True,
    show_default=True,
    help="Make a call that reads, at the end.",
)
@talks
def init(
    out: Output,
    provider: str | None,
    name: str | None,
    base_url: str | None,
    organization_id: str | None,
    integrated_account_id: str | None,
    token: str | None,
    yes: bool,
    check: bool,
) -> None:
    """Write a first bulkdel.toml, make the database, and check the account if that can be done.

    \b
    Examples:
      bulkdel init
      bulkdel init --name acme --organization-id 10234695 \\
                   --token env:ACME_TOKEN --yes
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.cli import answers
    from worker.config.settings import Settings
    from worker.domain.errors import InvalidInput, Refused

    settings = Settings.load(os.environ)
    if settings.config.exists():
        raise InvalidInput(
            f"{settings.config} is there already, and is not overwritten",
            fix="add to it by hand, or name another file with BULKDEL_CONFIG",
        )
    asked = answers.Answers(out, asks=out.can_ask and not yes)
    choices = f"Provider ({' or '.join(PROVIDERS)})"
    provider = asked.get(provider, choices, answers.provider, default=PROVIDERS[0])
    name = asked.get(name, "Name of the account", answers.name, default="acme")
    url = answers.base_url(provider)
    base_url = asked.get(base_url, "Base URL", url, default=BASE_URLS[provider])
    given = {"zoho_books": organization_id, "truto": integrated_account_id}[provider]
    flag = f"--{SELECTORS[provider].replace('_', '-')}"
    selected = asked.get(given, QUESTIONS[provider], answers.selected(flag))
    where, default = "Where the token is (env:NAME or file:PATH)", f"env:{prefix_of(name)}_TOKEN"
    token = asked.get(token, where, answers.token, default=default)
    text = render(name, provider, base_url=base_url, selected=selected, token=token)
    write_config(settings.config, text)
    with _undone(settings.config):
        is_made = _make_database(settings)
    fault = _checked(out, name) if check else Refused("as told", fix="")
    if out.json:
        config = str(settings.config)
        out.record({"config": config, "account": name, "checked": fault is None})
    else:
        _tell(out, settings.config, name, token, fault, is_made=is_made)


def render(name: str, provider: str, *, base_url: str, selected: str, token: str) -> str:
    """The text of a bulkdel.toml with one account."""
    return TEMPLATE.format(
        name=name,
        provider=json.dumps(provider),
        base_url=json.dumps(base_url),
        url_note=URL_NOTE if base_url == BASE_URLS["zoho_books"] else "",
        selector=SELECTORS[provider],
        selected=json.dumps(selected),
        token=json.dumps(token),
        login_note=LOGIN_NOTE.format(prefix=prefix_of(name)) if provider == "zoho_books" else "",
        limits=LIMITS[provider],
    )


def prefix_of(name: str) -> str:
    """What the variables of an account's secrets begin with."""
    prefix = name.upper().replace("-", "_")
    return prefix if prefix[:1].isalpha() and not prefix.startswith("BULKDEL") else f"A_{prefix}"


def write_config(path: Path, text: str) -> None:
    """Write a new file and read it back; one that cannot be read does not stay."""
    from worker.config.accounts import load
    from worker.domain.errors import InvalidInput

    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(text)
    except OSError as error:
        why = error.strerror or type(error).__name__
        raise InvalidInput(f"{path} cannot be written: {why}", fix=ELSEWHERE) from None
    with _undone(path):
        load(path)


@contextlib.contextmanager
def _undone(path: Path) -> Iterator[None]:
    """A file that was just written does not stay if something in here goes wrong."""
    from worker.domain.errors import BulkdelError

    try:
        yield
    except BulkdelError:
        with contextlib.suppress(OSError):
            path.unlink()
        raise


def _make_database(settings: "Settings") -> bool:
    """The default database is a file, so there is nobody to ask; another one is left alone."""
    from worker.store.migrate import upgrade

    is_ours = settings.database_url.startswith("sqlite")
    if is_ours:
        upgrade(settings.database_url)
    return is_ours


def _checked(out: Output, name: str) -> "BulkdelError | None":
    """Check the account; what stands in the way, or None. The file stays in any case."""
    from worker.cli.accounts import print_checked
    from worker.cli.accounts_check import check_account
    from worker.cli.desk import open_desk
    from worker.domain.errors import BulkdelError

    try:
        desk = open_desk()
        account = desk.config.account(name)
        checked = check_account(desk, account)
    except BulkdelError as error:
        return error
    if not out.json:
        print_checked(out, account, checked)
    return None


def _tell(
    out: Output, path: Path, name: str, token: str, fault: "BulkdelError | None", *, is_made: bool
) -> None:
    scheme, _, place = token.partition(":")
    how = f"export {place}=…" if scheme == "env" else f"write the token into {place} (chmod 600)"
    out.say(f"{path} is written. Next:")
    if os.environ.get(place) is None and not Path(place).exists():
        out.say(f"  {how}")
    if not is_made:
        out.say("  bulkdel db upgrade               # once: makes the tables")
    out.say("  bulkdel up                       # in a terminal of its own: all that runs")
    if fault is not None:
        out.say(f"  bulkdel accounts check {name:<9} # not checked yet: {fault.what}")
    out.say(f'  bulkdel submit --account {name} --ids-file ids.csv --cascade all --reason "…"')


@click.group()
@talks
def db(_out: Output, /) -> None:
    """Bring the database up to date.

    \b
    Examples:
      bulkdel db upgrade
    """  # noqa: D301  \b is click's mark for "keep these lines"


@db.command()
@talks
def upgrade(out: Output) -> None:
    """Make the tables of this release, or bring them up to it. Doing it again does no harm.

    Workers of the release before go on while it runs.

    \b
    Examples:
      bulkdel db upgrade
      bulkdel db upgrade --json
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.config.settings import Settings
    from worker.store import migrate

    url = Settings.load(os.environ).database_url
    before = migrate.current(url)
    after = migrate.upgrade(url)
    if out.json:
        out.record({"from": before, "to": after})
    elif before == after:
        out.data(f"the database is up to date: {after}")
    else:
        out.data(f"the database went from {before or 'empty'} to {after}")
