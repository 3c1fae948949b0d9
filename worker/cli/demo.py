"""`demo`: a whole job on this machine, from its submission to the proof of what happened."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import click

from worker.cli.errors import Detached
from worker.cli.output import Output, talks

if TYPE_CHECKING:
    from worker.bootstrap import Desk
    from worker.cli.demo_stage import Stage
    from worker.ports import Job

REASON = "demo"
DIFFERENT = 1


@click.command()
@click.option(
    "--projects",
    type=click.IntRange(1, 5_000),
    default=200,
    show_default=True,
    help="Projects, each with 3 tasks, 2 users, 2 documents and 3 comments.",
)
@click.option(
    "--dir",
    "folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="An empty folder to work in, which is kept; else a temporary one.",
)
@talks
def demo(out: Output, projects: int, folder: Path | None) -> int:
    """Delete made-up projects of a made-up provider, and prove what happened.

    A sandbox, a Valkey and a worker are started on this machine; a job is submitted, planned,
    confirmed and run; then what the sandbox saw is compared with the audit log, item by item.
    No other machine is spoken to, and everything that was started is ended.

    \b
    Examples:
      bulkdel demo
      bulkdel demo --projects 20 --dir look-inside
    """  # noqa: D301  \b is click's mark for "keep these lines"
    out.say(
        f"1. A sandbox that speaks as Zoho Books does: {projects} projects, each with "
        "3 tasks, 2 users,\n   2 documents and 3 comments"
    )
    from worker.cli.demo_stage import on_stage  # it takes longer to import than to say that

    try:
        with on_stage(out, projects=projects, folder=folder) as stage:
            return _play(out, stage)
    except Detached:
        raise click.Abort from None


def _play(out: Output, stage: "Stage") -> int:
    from worker.bootstrap import Desk
    from worker.cli.demo_stage import ACCOUNT
    from worker.cli.exits import exit_code_of
    from worker.cli.follow import follow, is_over
    from worker.cli.params import FOR_EVER
    from worker.cli.steps import print_report

    # It reads the environment when it is imported, and the stage has just set that.
    from worker.app import CeleryBell  # isort: skip
    from worker.config.settings import Settings

    desk = Desk.open(os.environ, CeleryBell(Settings.load(os.environ)))
    click.get_current_context().call_on_close(desk.close)
    out.say(
        f"3. bulkdel submit --account {ACCOUNT} --ids-file {stage.ids.name} --cascade all "
        f"--reason {REASON}"
    )
    job = _planned(out, desk, stage)
    out.say(f'4. bulkdel confirm {job.id} --word "{job.plan.word}"   (the demo types it for you)')
    desk.confirm(job.id, word=job.plan.word)
    followed = follow(out, desk, job.id, is_over, within=FOR_EVER)
    if not out.json:
        print_report(out, desk, followed.job)
    agrees = _proved(out, desk, stage, followed.job)
    code = exit_code_of(followed.job, followed.counts)
    return code or (0 if agrees else DIFFERENT)


def _planned(out: Output, desk: "Desk", stage: "Stage") -> "Job":
    """The job, submitted, with its plan shown."""
    from worker.cli.demo_stage import ACCOUNT, READY_WITHIN
    from worker.cli.exits import is_refused
    from worker.cli.follow import follow, is_planned
    from worker.cli.params import FOR_EVER
    from worker.cli.polling import poll
    from worker.cli.steps import print_plan
    from worker.domain.errors import Refused, Unreachable
    from worker.services.selection import from_file
    from worker.services.submit import DeleteProjects

    _, is_there = poll(stage.worker_is_there(desk), bool, READY_WITHIN)
    if not is_there:
        raise Unreachable(
            f"the worker did not start in time: {stage.last_words()}",
            fix="bulkdel demo --dir FOLDER keeps the whole log",
        )
    request = DeleteProjects(account=ACCOUNT, reason=REASON, cascade=("all",))
    kept = desk.submit(request, from_file(str(stage.ids), None))
    followed = follow(out, desk, kept.job.id, is_planned, within=FOR_EVER, needs_worker=True)
    if not out.json:
        print_plan(out, desk, followed.job)
    if followed.job.state is not followed.job.state.AWAITING_CONFIRMATION or is_refused(
        followed.job
    ):
        raise Refused(f"the plan is not to be confirmed: {followed.job.state}")
    return followed.job


def _proved(out: Output, desk: "Desk", stage: "Stage", job: "Job") -> bool:
    """Compare what the sandbox saw with what we say; True if there is no difference."""
    from worker.cli.demo_stage import deletions, endings
    from worker.services.demo import adds_up, compare
    from worker.services.views import counts_view
    from worker.store.verify import verify

    ledger, items = deletions(stage.control), endings(desk, job.id)
    counts, chains = desk.jobs.counts(job.id), verify(desk.db)
    left = stage.left()
    problems = [*compare(ledger, items), *adds_up(counts, len(items)), *chains.problems]
    problems += [f"project {one} is still there" for one in left[:5]]
    if out.json:
        facts = {"calls_that_delete": len(ledger), "audit_entries": chains.entries}
        view = counts_view(counts)
        out.record({"job": job.id, "ok": not problems, "counts": view, **facts, "why": problems})
        return not problems
    gone = sum(line.took_effect for line in ledger)
    out.say("5. What the sandbox saw, beside what the audit log says")
    out.data(
        f"  sandbox    {len(ledger):,} calls that delete, {gone:,} things went, {len(left):,} left"
    )
    out.data(f"  audit log  {len(items):,} items ended, each once; {chains.entries:,} entries")
    for problem in problems:
        out.data(f"  DIFFERENT  {problem}", fg="red")
    if not problems:
        out.data(
            "  compared   item by item, no difference: each went exactly once, children first"
        )
        out.data("  verified   the chain of hashes is whole, and the outcomes add up")
    return not problems
