"""`policies` and `policy`: the scheduled cleanups, what they did, and what they would do."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import click

from worker.cli.output import Output, everywhere, talks
from worker.cli.params import plan_options

if TYPE_CHECKING:
    from worker.standing import Run, Standing


@click.command(short_help="List the policies: next runs, last run, misses.")
@talks
def policies(out: Output) -> None:
    """List the policies of bulkdel.toml: their next five runs, their last one, and misses.

    Times are those of the policy's own time zone.

    \b
    Examples:
      bulkdel policies
      bulkdel policies --json | jq -r 'select(.alarm) | .name'
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.cli.desk import open_desk
    from worker.standing import standings

    found = False
    for number, one in enumerate(standings(open_desk())):
        found = True
        if out.json:
            out.record(policy_view(one))
            continue
        out.data("\n" * bool(number) + one.policy.name, bold=True)
        for line in standing_lines(one):
            out.data(f"  {line}")
    if not found:
        out.say("no policies: a table [policies.NAME] in bulkdel.toml makes one")


@click.group(short_help="Preview a policy, or have it run now.")
@everywhere
def policy() -> None:
    """See what a policy would delete now, or have it run now.

    \b
    Examples:
      bulkdel policy preview stale-projects
      bulkdel policy run stale-projects --wait=30m
    """  # noqa: D301  \b is click's mark for "keep these lines"


@policy.command(short_help="Plan a policy's run, and delete nothing.")
@click.argument("name")
@talks
def preview(out: Output, name: str) -> int:
    """Plan what a policy would delete now, as a dry run: its guard is checked, nothing goes.

    \b
    Examples:
      bulkdel policy preview stale-projects
      bulkdel policy preview stale-projects --json | jq .plan.findings
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.cli.desk import open_desk
    from worker.cli.steps import How, see_through
    from worker.policies import PolicyDesk

    desk = open_desk(changes=True)
    kept = PolicyDesk(desk).run(name, dry_run=True)
    return see_through(out, desk, kept.job, How())


@policy.command(short_help="Have a policy run now, beside its schedule.")
@click.argument("name")
@plan_options
@talks
def run(out: Output, name: str, *, yes: bool, no_wait_plan: bool, wait: timedelta | None) -> int:
    """Have a policy run now: a job like that of its schedule, submitted by you.

    It stands for no slot: the next one is run as if this had not been. It confirms itself if
    the policy does, within the same guard.

    \b
    Examples:
      bulkdel policy run stale-projects
      bulkdel policy run stale-projects --wait=30m
    """  # noqa: D301  \b is click's mark for "keep these lines"
    from worker.cli.desk import open_desk
    from worker.cli.steps import How, see_through
    from worker.policies import PolicyDesk

    how = How.checked(yes=yes, no_plan=no_wait_plan, wait=wait)
    desk = open_desk(changes=True)
    kept = PolicyDesk(desk).run(name)
    return see_through(out, desk, kept.job, how)


def policy_view(one: "Standing") -> dict[str, Any]:
    """A policy as `--json` prints it."""
    from worker.services.views import iso

    given, last = one.policy, one.last
    states = {run.job.id: run.job.state.value for run in one.runs}
    return {
        "name": given.name,
        "account": given.account,
        "schedule": given.schedule,
        "timezone": given.timezone,
        "words": one.words,
        "confirm": given.confirm,
        "next": [iso(slot) for slot in one.next],
        "last": None
        if last is None
        else {
            "slot": iso(last.slot),
            "ended": last.ended.value,
            "job_id": last.job_id,
            "state": states.get(last.job_id or ""),
            "why": last.why or None,
        },
        "last_run": next((_run_view(run) for run in one.runs), None),
        "missed": one.missed,
        "alarm": one.alarm or None,
    }


def standing_lines(one: "Standing") -> Iterator[str]:
    """A policy for people, in lines."""
    given, zone = one.policy, ZoneInfo(one.policy.timezone)
    confirms = "confirms itself within its guard" if given.confirm == "auto" else "asks a person"
    yield f"does     {given.account}: {_selects(one)}; {confirms}"
    yield f"cascade  {', '.join(given.cascade) or 'not set'}"
    yield f"guard    {_guards(one) or 'none of its own: those of the account alone'}"
    yield f"when     {one.words}"
    for number, slot in enumerate(one.next):
        yield f"{'next' if not number else '':<8} {local(slot, zone)}"
    for number, last in enumerate(_last_runs(one, zone)):
        yield f"{'last' if not number else '':<8} {last}"
    if one.last_missed is not None:
        missed = one.last_missed
        yield f"missed   {one.missed} in all; {local(missed.slot, zone)}: {missed.why}"
    if one.alarm:
        yield f"ALARM    {one.alarm}"


def _run_view(run: "Run") -> dict[str, Any]:
    from worker.services.views import iso

    return {
        "job_id": run.job.id,
        "state": run.job.state.value,
        "at": iso(run.job.created_at),
        "slot": iso(run.slot),
        "actor": run.job.who.name,
    }


def _last_runs(one: "Standing", zone: ZoneInfo) -> Iterator[str]:
    for run in one.runs:
        came = f" ({run.outcomes})" if run.outcomes else ""
        said = f"job {run.job.id}: {run.job.state.value}{came}"
        if run.slot is None:
            yield f"{local(run.job.created_at, zone)}  {said}, by hand, by {run.job.who.name}"
        else:
            yield f"{local(run.slot, zone)}  {said}"
    if not any(run.slot for run in one.runs):
        by_itself = "by its schedule never" if one.runs else "never"
        yield by_itself if one.known else f"{by_itself}: no beat has seen it yet"


def _selects(one: "Standing") -> str:
    return ", ".join(f"{name} {value}" for name, value in one.policy.select.items())


def _guards(one: "Standing") -> str:
    guard = one.policy.guard
    shown = (
        (guard.max_items, "at most {:,} items"),
        (guard.max_percent, "{:g} % of the account's projects"),
        (guard.max_times_median, "{:g} times its usual run"),
    )
    return ", ".join(words.format(limit) for limit, words in shown if limit is not None)


def local(slot: datetime, zone: ZoneInfo) -> str:
    """An instant by the clock of a zone."""
    return f"{slot.astimezone(zone):%a %Y-%m-%d %H:%M:%S %Z}"
