"""`hold`: objects that nobody may delete for a while."""

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import click

from worker.cli.output import Output, table, talks
from worker.cli.params import Duration, Instant

if TYPE_CHECKING:
    from collections.abc import Sequence

    from worker.domain.holds import Hold

HEAD = ("hold", "account", "id", "owner", "until", "reason")


@click.group()
@talks
def hold(out: Output) -> None:
    """Objects that nobody may delete: checked at the plan, at its confirmation, before each call.

    \b
    Examples:
      bulkdel hold add --account acme --ids 101,102 --owner legal \\
                       --reason "case 4711" --for 90d
      bulkdel hold list
      bulkdel hold remove 7 --reason "case closed"
    """  # noqa: D301  \b is click's mark for "keep these lines"


@hold.command(short_help="Hold objects by their ids.")
@click.option("--account", required=True, help="The account, as bulkdel.toml names it.")
@click.option("--ids", required=True, help="Ids of projects or of their children: 1,2,3.")
@click.option("--owner", required=True, help="Whose hold it is: who is to be asked.")
@click.option("--reason", required=True, help="Why, for those who meet it, and the audit log.")
@click.option("--until", type=Instant(), help="When it ends (ISO 8601; UTC if no zone).")
@click.option("--for", "lasts", type=Duration(), help="How long it lasts: 90d. Default: for ever.")
@talks
def add(
    out: Output,
    *,
    account: str,
    ids: str,
    owner: str,
    reason: str,
    until: datetime | None,
    lasts: timedelta | None,
) -> None:
    """Hold objects: no job deletes them, nor the project of a child that is held.

    \b
    Examples:
      bulkdel hold add --account acme --ids 101,102 --owner legal \\
                       --reason "case 4711" --for 90d
      bulkdel hold add --account acme --ids 103 --owner ada \\
                       --reason "asked for" --until 2027-01-01
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.cli.desk import open_desk
    from worker.services.selection import from_list

    if until is not None and lasts is not None:
        raise click.UsageError("give --until or --for, not both")
    desk = open_desk()
    wanted = [external_id for _, external_id in from_list(ids)]
    ends_at = until if until is None or until.tzinfo else until.replace(tzinfo=UTC)
    if lasts is not None:
        ends_at = desk.jobs.now() + lasts
    kept = desk.hold(account, wanted, owner=owner, reason=reason, until=ends_at)
    _show(out, kept)


@hold.command("list", short_help="List what is held.")
@click.option("--account", help="Of one account alone.")
@click.option("--all", "ended", is_flag=True, help="Those that ended or were removed, too.")
@talks
def list_(out: Output, *, account: str | None, ended: bool) -> None:
    """List what is held, by whom, until when and why.

    \b
    Examples:
      bulkdel hold list --account acme
      bulkdel hold list --all --json
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.cli.desk import open_desk

    found = open_desk().holds.all(account, ended=ended)
    if not found and not out.json:
        out.say("nothing is held")
    _show(out, found)


@hold.command(short_help="Let an object go again.")
@click.argument("number", type=click.IntRange(min=1))
@click.option("--reason", required=True, help="Why it is let go, for the audit log.")
@talks
def remove(out: Output, *, number: int, reason: str) -> None:
    """Remove a hold by its number; what a job left out for its sake is not taken up again.

    \b
    Examples:
      bulkdel hold remove 7 --reason "case closed"
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.cli.desk import open_desk

    desk = open_desk()
    _show(out, [desk.holds.remove(number, who=desk.who, why=reason)])


def _show(out: Output, holds: "Sequence[Hold]") -> None:
    from worker.services.views import hold_view

    if out.json:
        for one in holds:
            out.record(hold_view(one))
        return
    for line in table([_cells(one) for one in holds], head=HEAD) if holds else ():
        out.data(line)


def _cells(one: "Hold") -> tuple[str, ...]:
    ended = f"removed by {one.removed_by}" if one.removed_at else ""
    until = f"{one.expires_at:%Y-%m-%d %H:%M} UTC" if one.expires_at else "for ever"
    return (str(one.id), one.account, one.external_id, one.owner, ended or until, one.reason)
