"""Rules about what has to happen again and again, and what this machine allows."""

from collections.abc import Iterator
from datetime import timedelta

from worker.services.doctor_facts import Check, Facts, Level, ok
from worker.services.report import duration

OVERDUE_AFTER = timedelta(seconds=60)
VERIFIED_WITHIN = timedelta(days=7)
FILES_NEEDED = 1024


def sweep(facts: Facts) -> Iterator[Check]:
    """Whether work that is due is found: nobody else takes up what was lost."""
    database = facts.database
    if database.fault is not None:
        return
    if database.overdue:
        yield Check(
            name="sweep",
            level=Level.MISSING,
            text=f"work is due for over a minute, and nobody takes it: "
            f"{', '.join(database.overdue)}",
            fix="start a worker (bulkdel worker), or restart those there are",
        )
    elif facts.workers and (database.swept_ago is None or database.swept_ago > OVERDUE_AFTER):
        ago = f"for {duration(database.swept_ago)}" if database.swept_ago else "yet"
        yield Check(
            name="sweep",
            level=Level.MISSING,
            text=f"workers are alive, and none of them has swept {ago}",
            fix="restart the workers, and let BULKDEL_SWEEP_SECONDS not be 0 for all of them",
        )
    else:
        yield ok("sweep", "no work is overdue")


def files(facts: Facts) -> Iterator[Check]:
    """Whether a process here may open as many files as a busy worker needs."""
    if facts.open_files is not None and facts.open_files < FILES_NEEDED:
        yield Check(
            name="open files",
            level=Level.UNSAFE,
            text=f"a process here may open {facts.open_files} files; a busy worker needs "
            f"{FILES_NEEDED:,}",
            fix="ulimit -n 4096 before it starts (LimitNOFILE= in a systemd unit)",
        )


def chains(facts: Facts) -> Iterator[Check]:
    """Whether somebody looks at the audit log now and then: it shows tampering if asked."""
    database = facts.database
    oldest, verified = database.ended_ago, database.verified_ago
    if oldest is None or oldest <= VERIFIED_WITHIN:
        return
    if verified is None or verified > VERIFIED_WITHIN:
        when = f"for {duration(verified)}" if verified else "yet"
        yield Check(
            name="audit log",
            level=Level.NOTE,
            text=f"its chains were not verified {when}",
            fix="bulkdel audit verify, every night for example",
        )
