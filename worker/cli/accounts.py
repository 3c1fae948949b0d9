"""`accounts` and `accounts check`: what is configured and used, and whether it works."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import click

from worker.cli.desk import open_desk
from worker.cli.output import Output, printable, table, talks

if TYPE_CHECKING:
    from datetime import datetime

    from worker.bootstrap import Desk
    from worker.cli.accounts_check import Checked
    from worker.config.accounts import Account
    from worker.domain.limits import Purse, PurseBook
    from worker.ports import AccountRow

HEAD = (
    "ACCOUNT",
    "PROVIDER",
    "ORGANISATION",
    "WINDOW",
    "TODAY",
    "IN FLIGHT",
    "CORRECTED (UTC)",
    "STATE",
)


@click.group(invoke_without_command=True)
@talks
def accounts(out: Output) -> None:
    """List the accounts: their limits, what is used of our share, and whether one is parked.

    \b
    Examples:
      bulkdel accounts
      bulkdel accounts check acme
    """  # noqa: D301  \b is click's mark for "keep these lines"
    if click.get_current_context().invoked_subcommand is not None:
        return
    desk = open_desk()
    config = desk.config
    if not config.accounts:
        out.say(f"no accounts in {config.path}; bulkdel init writes the first")
        return
    rows = {row.name: row for row in desk.accounts.all()}
    purses = _purses(desk)
    books = asyncio.run(_books(desk, purses))
    if out.json:
        for account in config.accounts.values():
            row = rows.get(account.name)
            out.record(account_view(account, purses[account.name], row, books))
        return
    accounts = config.accounts.values()
    lines = [line for a in accounts for line in _lines(a, purses[a.name], rows, books)]
    head, *body = table(lines, head=HEAD)
    out.data(head, bold=True)
    out.data("\n".join(body))
    if books is None:
        out.say("books: not reachable (Redis does not answer), so what is used is not known")
    parked = [name for name in config.accounts if name in rows and rows[name].parked_code]
    for name in parked:
        out.say(f"{name} is parked: {rows[name].parked_text}")
        out.say(f"    fix: mend its credentials, then: bulkdel accounts check {name}")


@accounts.command()
@click.argument("account")
@talks
def check(out: Output, account: str) -> int:
    """Make a call that reads, show what came back, and let a parked account go on.

    Exits 4 if the provider says that the account may not delete projects.

    \b
    Examples:
      bulkdel accounts check acme
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.cli.accounts_check import check_account
    from worker.cli.exits import CREDENTIALS

    desk = open_desk()
    chosen = desk.config.account(account)
    checked = check_account(desk, chosen)
    code = CREDENTIALS if checked.may_delete is False else 0
    if out.json:
        out.record(_checked_view(checked))
        return code
    print_checked(out, chosen, checked)
    return code


def print_checked(out: Output, account: "Account", checked: "Checked") -> None:
    """What a check showed, for people."""
    out.data(f"{account.name}: {account.provider} answers, and the token is good")
    whose = printable(checked.name) or f"({checked.nameless})"
    out.data(f"  organisation  {selector_value(account)} {whose}")
    out.data(f"  rights        {rights_line(checked)}")
    first = f", the first is {checked.example}" if checked.example else ""
    more = "more than " if checked.more else ""
    out.data(f"  seen          {more}{checked.projects} projects{first}")
    for line in checked.quota:
        out.data(f"  quota         {line}")
    if checked.unparked:
        out.data(f"  {account.name} was parked, and goes on now")


def rights_line(checked: "Checked") -> str:
    """What the account may do, as far as the provider says it."""
    if checked.rights is None:
        return "may read projects; whether it may delete shows the first deletion"
    there = ", ".join(sorted(checked.rights))
    if checked.may_delete:
        return f"may {there}"
    return f"may {there}, but not delete: nothing can be deleted with this account"


def selector_value(account: "Account") -> str:
    """What names the organisation, or whatever the provider calls it."""
    return account.organization_id or account.integrated_account_id


def account_view(
    account: "Account",
    purses: "Sequence[Purse]",
    row: "AccountRow | None",
    books: "Mapping[str, PurseBook] | None",
) -> dict[str, Any]:
    """An account as `--json` prints it; `purses` shows limits beside our share of them."""
    parked = row is not None and bool(row.parked_code)
    return {
        "account": account.name,
        "provider": account.provider,
        "dialect": account.dialect or None,
        "organisation": selector_value(account),
        "base_url": account.base_url,
        "parked": {"code": row.parked_code, "text": row.parked_text} if row and parked else None,
        "purses": [_purse_view(purse, (books or {}).get(purse.name)) for purse in purses],
    }


def _purse_view(purse: "Purse", book: "PurseBook | None") -> dict[str, Any]:
    ours = purse.window_limits()
    return {
        "purse": purse.name,
        "windows": [
            {"calls": window.calls, "seconds": window.per.total_seconds(), "ours": share}
            for window, share in zip(purse.windows, ours, strict=True)
        ],
        "per_day": purse.per_day,
        "per_day_ours": purse.day_limit(),
        "in_flight": purse.in_flight,
        "used": None
        if book is None
        else {
            "windows": list(book.used_windows),
            "today": book.used_today,
            "in_flight": book.in_flight,
            "resets_at": _iso(book.resets_at),
            "closed_until": _iso(book.closed_until),
            "closed_reason": book.closed_reason or None,
            "corrected_at": _iso(book.corrected_at),
            "pace": book.pace,
        },
    }


def _iso(at: "datetime | None") -> str | None:
    from worker.services.views import iso

    return iso(at)


def _lines(
    account: "Account",
    purses: "Sequence[Purse]",
    rows: "Mapping[str, AccountRow]",
    books: "Mapping[str, PurseBook] | None",
) -> list[tuple[str, ...]]:
    own, *shared = purses
    row = rows.get(account.name)
    parked = f"parked ({row.parked_code})" if row is not None and row.parked_code else ""
    named = f"{account.provider} {account.dialect}".strip()
    first = (account.name, named, selector_value(account))
    lines: list[tuple[str, ...]] = []
    lines.append((*first, *used_cells(own, (books or {}).get(own.name), parked)))
    lines += [
        (f"  {purse.name}", "(shared)", "", *used_cells(purse, (books or {}).get(purse.name), ""))
        for purse in shared
    ]
    return lines


def used_cells(purse: "Purse", book: "PurseBook | None", parked: str) -> tuple[str, ...]:
    """Window, day, in flight, last correction and state of a purse: used of our share.

    `-` stands for what is unknown.
    """
    from worker.config.values import duration_text

    used = ["-"] * len(purse.windows) if book is None else [*map(str, book.used_windows)]
    used += ["0"] * (len(purse.windows) - len(used))
    windows = ", ".join(
        f"{count}/{ours} in {duration_text(window.per)}"
        for count, ours, window in zip(used, purse.window_limits(), purse.windows, strict=False)
    )
    day = purse.day_limit()
    today = "-" if book is None else str(book.used_today)
    flying = "-" if book is None else str(book.in_flight)
    closed = corrected = ""
    if book is not None and book.closed_until is not None:
        closed = f"closed until {book.closed_until:%m-%d %H:%M:%S} UTC"
    elif book is not None and book.resets_at and day is not None and book.used_today >= day:
        closed = f"day used until {purse.local(book.resets_at)}"
    elif book is not None and book.pace < 1:
        closed = f"slowed to {book.pace:.0%}"
    if book is not None and book.corrected_at is not None:
        corrected = f"{book.corrected_at:%m-%d %H:%M:%S}"
    return (
        windows or "no limit",
        "no limit" if day is None else f"{today}/{day}",
        f"{flying}/{purse.in_flight}",
        corrected or "-",
        parked or closed or "ok",
    )


def _checked_view(checked: "Checked") -> dict[str, Any]:
    return {
        "account": checked.account,
        "organisation_name": checked.name or None,
        "ok": checked.may_delete is not False,
        "rights": None if checked.rights is None else sorted(checked.rights),
        "projects": checked.projects,
        "more": checked.more,
        "unparked": checked.unparked,
        "quota": list(checked.quota),
    }


def _purses(desk: "Desk") -> "Mapping[str, Sequence[Purse]]":
    """The purses of each account, with the shares that go for it now."""
    from worker.services.permits import shared

    config, knobs = desk.config, desk.accounts.knobs()
    return {
        account.name: shared(account.purses(config), knobs.get(account.name, ()))
        for account in config.accounts.values()
    }


async def _books(
    desk: "Desk", purses_of: "Mapping[str, Sequence[Purse]]"
) -> "Mapping[str, PurseBook] | None":
    """What every purse has paid out, by its name; None if Redis does not say."""
    from worker.cli.desk import gate_of
    from worker.domain.errors import Unreachable
    from worker.ratelimit.port import GateClosed

    try:
        gate = gate_of(desk)
    except Unreachable:
        return None
    try:
        purses = {purse.name: purse for each in purses_of.values() for purse in each}
        return {book.name: book for book in await gate.books(list(purses.values()))}
    except GateClosed:
        return None
    finally:
        await gate.aclose()
