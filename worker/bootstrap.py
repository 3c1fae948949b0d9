"""The composition root: settings in, adapters chosen, one object for each way in."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

from worker.config.accounts import Config
from worker.config.settings import Settings
from worker.domain.calls import TIMER
from worker.domain.catalogue import Catalogue
from worker.domain.errors import Refused
from worker.domain.holds import Hold
from worker.domain.outcomes import Outcome
from worker.domain.states import FINAL
from worker.ports import DoorBell, HoldBook, Job, NewHold, Submitted, Who
from worker.services import control
from worker.services.adjusting import Wanted, adjust
from worker.services.choices import EPOCH, Choices
from worker.services.holds import new_hold
from worker.services.submit import DeleteProjects, submit
from worker.store.accounts import Accounts
from worker.store.confirmations import Confirmations
from worker.store.engine import Database, Tell
from worker.store.holds import SqlHolds
from worker.store.jobs import Jobs
from worker.wiring import (
    Accountbook,
    catalogue_of,
    checked_dialect,
    confirm_rules,
    place_of,
    who_am_i,
)


@dataclass(frozen=True)
class Desk:
    """What a person or another service can do: submit, read, confirm, stop. Needs the database.

    Anything that changes a job rings the doorbell after the commit; a doorbell that cannot be
    heard delays the work until the next sweep and loses nothing.
    """

    settings: Settings
    who: Who
    bell: DoorBell
    tell: Tell | None = None

    @classmethod
    def open(cls, environ: Mapping[str, str], bell: DoorBell, tell: Tell | None = None) -> "Desk":
        """A desk by the environment's settings; `tell` hears of every audit entry committed."""
        settings = Settings.load(environ)
        return cls(settings=settings, who=who_am_i(settings), bell=bell, tell=tell)

    def close(self) -> None:
        """Let go of the database's connections, if any were made; the next use makes new ones."""
        if "db" in vars(self):
            self.db.dispose()

    @cached_property
    def book(self) -> Accountbook:
        """The configuration file."""
        return Accountbook(self.settings.config)

    @property
    def config(self) -> Config:
        """The accounts, as the file has them now."""
        return self.book.now()

    @property
    def db(self) -> Database:
        """The database, with the tables this release needs; the same one for all threads."""
        known: Database | None = vars(self).get("db")
        if known is not None:
            return known
        fresh = Database(self.settings.database_url, self.tell)
        fresh.check_schema()
        # A cached property has no lock since Python 3.12: the first one is kept, at one stroke.
        kept: Database = vars(self).setdefault("db", fresh)
        if kept is not fresh:
            fresh.dispose()
        return kept

    @cached_property
    def jobs(self) -> Jobs:
        """The jobs."""
        return Jobs(self.db)

    @cached_property
    def accounts(self) -> Accounts:
        """The accounts' rows."""
        return Accounts(self.db)

    @cached_property
    def confirmations(self) -> Confirmations:
        """What is confirmed, and approved by a second person."""
        return Confirmations(self.db)

    @cached_property
    def holds(self) -> HoldBook:
        """What nobody may delete for a while."""
        return SqlHolds(self.db)

    def hold(
        self,
        account: str,
        ids: Iterable[str],
        *,
        owner: str,
        reason: str,
        until: datetime | None = None,
    ) -> Sequence[Hold]:
        """Hold objects of an account; InvalidInput says what is wrong with the request."""
        new = NewHold(
            account=account,
            external_ids=list(ids),
            owner=owner,
            reason=reason,
            who=self.who,
            expires_at=until,
        )
        checked = new_hold(new, catalogue=self.catalogue(account), now=self.jobs.now())
        return self.holds.add(checked)

    def catalogue(self, account: str) -> Catalogue:
        """What the account's provider has to delete."""
        return catalogue_of(self.config.account(account))

    def acting_as(self, name: str) -> "Desk":
        """The same desk, used by somebody else; its connections are shared."""
        other = replace(self, who=replace(self.who, name=name))
        # What is kept once it was made: each database would open connections of its own.
        vars(other).update(book=self.book, db=self.db, jobs=self.jobs, accounts=self.accounts)
        return other

    def submit(self, request: DeleteProjects, ids: Iterable[tuple[int, str]]) -> Submitted:
        """Keep a job and ring; `ids` may be a stream of (line, id), empty if there are filters."""
        account = self.config.account(request.account)
        dialect = checked_dialect(account)
        now = self.jobs.now() if request.filters is not None else EPOCH
        kept = submit(
            request,
            ids,
            catalogue=dialect.catalogue,
            who=self.who,
            store=self.jobs,
            choices=Choices(
                filters=dialect.filters,
                options=dialect.options,
                now=now,
                place=place_of(account),
                hours=account.hours,
            ),
        )
        self.bell.ring(request.account)
        return kept

    def retry(self, job_id: str, outcomes: Iterable[Outcome]) -> Submitted:
        """A new job from the projects of a finished one whose items ended so."""
        old = self.jobs.get(job_id)
        if old.state not in FINAL:
            raise Refused(
                f"job {old.id} is {old.state}: only a finished job can be retried",
                fix=f"wait for it (bulkdel watch {old.id}) or bulkdel cancel {old.id}",
            )
        outcomes = list(outcomes)
        first = next(iter(self.jobs.items(job_id, outcomes=outcomes)), None)
        request = DeleteProjects(
            account=old.account,
            reason=f"retry of {old.id}: {old.reason}"[:500],
            cascade=old.options.cascade or ("none",),
            cascade_mode="background" if old.options.background else "foreground",
            recheck_children=old.options.recheck,
            on_child_refused=old.options.on_child_refused,
            max_items=old.options.max_items,
            priority=old.priority,
            parent_job_id=old.id,
            provider_options=[f"{name}={value}" for name, value in old.options.provider_options],
            keep_projects=old.options.keep_projects,
            stop_timer=first is not None and first.seen.target.kind == TIMER,
        )
        wanted = self.jobs.projects_of(job_id, outcomes)
        return self.submit(request, enumerate(wanted, start=1))

    def confirm(self, job_id: str, *, word: str | None, yes: bool = False) -> Job:
        """Let a plan run; Refused says what it takes."""
        account = self.config.account(self.jobs.get(job_id).account)
        rules = confirm_rules(account)
        decide = control.confirm(rules, actor=self.who.name, word=word, yes=yes)
        return self._rung(self.confirmations.confirm(job_id, decide))

    def approve(self, job_id: str, *, why: str = "") -> Job:
        """Agree to a confirmed plan as the second person; Refused if one is not."""
        rules = confirm_rules(self.config.account(self.jobs.get(job_id).account))
        decide = control.approve(rules, actor=self.who.name)
        second = self.confirmations.second
        return self._rung(second(job_id, decide, decision="approved", who=self.who, why=why))

    def reject(self, job_id: str, *, why: str = "") -> Job:
        """Say no to a confirmed plan as the second person; Refused if one is not."""
        decide = control.reject(actor=self.who.name, why=why)
        self.jobs.get(job_id)
        second = self.confirmations.second
        return self._rung(second(job_id, decide, decision="rejected", who=self.who, why=why))

    def pause(self, job_id: str) -> Job:
        """Stop a job between calls."""
        return self._change(job_id, control.pause(actor=self.who.name))

    def resume(self, job_id: str) -> Job:
        """Go on with a paused job."""
        return self._change(job_id, control.resume(actor=self.who.name))

    def cancel(self, job_id: str) -> Job:
        """Stop a job for good."""
        return self._change(job_id, control.cancel(actor=self.who.name))

    def adjust(self, job_id: str, wanted: Wanted) -> Job:
        """Set a job's priority, hours or shares anew; a running one goes by them at once."""
        return self._change(job_id, adjust(actor=self.who.name, wanted=wanted))

    def _change(self, job_id: str, decide: control.Decide) -> Job:
        return self._rung(self.jobs.change(job_id, decide))

    def _rung(self, job: Job) -> Job:
        self.bell.ring(job.account)
        return job
