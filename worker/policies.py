"""Policies at work: what is due is noticed by beat, decided by the database, run as a job."""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from worker.bootstrap import Desk
from worker.config.accounts import Config
from worker.config.lines import key_in_words
from worker.config.sections import Policy
from worker.config.values import did_you_mean
from worker.domain.catalogue import shown
from worker.domain.errors import InvalidInput, NotFound, Refused
from worker.domain.schedule import Schedule
from worker.ports import PolicyRow, Submitted, Who
from worker.services.choices import Choices, chosen_filters, chosen_options
from worker.services.policies import Due, changed_at, decide, first_since, overdue
from worker.services.submit import DeleteProjects, Firing, new_job
from worker.store.policies import Policies
from worker.telemetry import logger
from worker.wiring import checked_dialect

LOOK_EVERY = timedelta(seconds=5)
RING_AGAIN = 30.0
"""Seconds after which a message that came to nothing is sent again."""
log = logger("policies")


def schedule_of(policy: Policy) -> Schedule:
    """When a policy is due."""
    return Schedule(policy.schedule, policy.timezone)


def request_of(
    policy: Policy, *, slot: datetime | None = None, dry_run: bool = False
) -> DeleteProjects:
    """A run of a policy, as the request it is."""
    guard = policy.guard
    return DeleteProjects(
        account=policy.account,
        reason=f"policy {policy.name}: {policy.reason}",
        cascade=policy.cascade or None,
        cascade_mode=policy.cascade_mode,
        recheck_children=policy.recheck_children,
        on_child_refused=policy.on_child_refused,
        dry_run=dry_run,
        priority=policy.priority,
        filters=[f"{name}={value}" for name, value in policy.select.items()],
        provider_options=[f"{name}={value}" for name, value in policy.options],
        keep_projects=policy.keep_projects,
        firing=Firing(
            policy=policy.name,
            slot=slot,
            confirms_itself=policy.confirm == "auto",
            max_items=guard.max_items,
            max_percent=guard.max_percent,
            max_times_median=guard.max_times_median,
        ),
    )


def policy_of(config: Config, name: str) -> Policy:
    """The policy of that name; NotFound that says which ones there are."""
    if name in config.policies:
        return config.policies[name]
    raise NotFound(
        f"no policy {shown(name)} in {config.path}{did_you_mean(name, config.policies)}",
        fix=f"the policies are: {', '.join(config.policies) or 'none'}",
    )


def check_policy(config: Config, policy: Policy, now: datetime) -> None:
    """Raise InvalidInput, with its line, for what the account's provider does not take."""
    dialect = checked_dialect(config.account(policy.account))
    kinds = dialect.catalogue
    choices = Choices(filters=dialect.filters, options=dialect.options, now=now)
    pairs = [f"{name}={value}" for name, value in policy.options]
    tries: list[tuple[tuple[str, ...], Callable[[], object]]] = [
        (("select", name), partial(chosen_filters, [f"{name}={value}"], choices))
        for name, value in policy.select.items()
    ]
    tries.append((("options",), partial(chosen_options, pairs, choices)))
    if policy.cascade or kinds.children:
        tries.append((("cascade",), partial(kinds.choose, policy.cascade)))
    request, who = request_of(policy), Who(name=_actor(policy.name))
    tries.append(((), partial(new_job, request, catalogue=kinds, who=who, choices=choices)))
    for keys, attempt in tries:
        try:
            attempt()
        except InvalidInput as error:
            where = key_in_words(config.path, ("policies", policy.name, *keys))
            raise InvalidInput(f"{where}: {error.what}", fix=error.fix) from None


def _actor(name: str) -> str:
    return f"policy:{name}"


class PolicyDesk:
    """The policies of the file, and what the database knows of them."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._good: Config | None = None
        self._rung: dict[str, tuple[datetime, float]] = {}
        self._alarmed: dict[str, datetime] = {}

    @property
    def store(self) -> Policies:
        """What the database knows."""
        return Policies(self._desk.db)

    def run(self, name: str, *, dry_run: bool = False) -> Submitted:
        """Have a policy run now, by a person; it stands for none of its slots."""
        policy = policy_of(self._desk.config, name)
        check_policy(self._desk.config, policy, self._desk.jobs.now())
        return self._desk.submit(request_of(policy, dry_run=dry_run), ())

    def look(self, ring: Callable[[str], object]) -> timedelta:
        """Ring for each policy with a slot to decide; returns when to look again.

        New policies are noted, those that left the file forgotten. While the file cannot be
        read, what it said before holds.
        """
        config = self._readable()
        now, rows = self.store.all()
        for gone in rows.keys() - config.policies.keys() if config.found else ():
            self.store.forget(gone)
            log.info("policy.gone", policy=gone)
        wait = LOOK_EVERY
        for policy in config.policies.values():
            schedule = schedule_of(policy)
            row = rows.get(policy.name) or self._note(policy, now)
            upcoming = next(schedule.after(now))
            if row.schedule != schedule or next(row.schedule.after(row.through)) <= now:
                self._ring(policy.name, upcoming, ring)
            self._alarm(row, now)
            wait = min(wait, upcoming - now)
        return wait

    def settle(self, name: str) -> None:
        """Decide what is due of a policy: the newest slot gets its job, older ones are missed.

        Whoever else does so at the same time: each slot has one row, and one job at most.
        """
        config = self._desk.config
        policy = config.policies.get(name)
        now, rows = self.store.all()
        row = rows.get(name)
        if policy is None or row is None:
            log.warning("policy.unknown", policy=name, file=str(config.path))
            return
        schedule, through = schedule_of(policy), row.through
        if row.schedule != schedule:
            at = changed_at(self._desk.book.written(), through, now)
            if not self._decide(policy, decide(row.schedule, through, at, policy.start_within)):
                return
            self.store.reschedule(row, schedule, at)
            log.info("policy.rescheduled", policy=name, schedule=schedule.words())
            through = at
        self._decide(policy, decide(schedule, through, now, policy.start_within))

    def watch(self) -> None:
        """Say which policies nobody runs, and record what cannot be run any more: by the sweep."""
        config = self._desk.config
        if not config.policies:
            return
        now, rows = self.store.all()
        for policy in config.policies.values():
            row = rows.get(policy.name)
            if row is None or row.schedule != schedule_of(policy):
                continue
            if self._alarm(row, now):
                due = decide(row.schedule, row.through, now, policy.start_within)
                self._decide(policy, replace(due, fire=None))

    def _readable(self) -> Config:
        try:
            self._good = self._desk.config
        except InvalidInput as error:
            if self._good is None:
                raise
            log.error("policies.file_unreadable", what=error.what, fix=error.fix)  # noqa: TRY400  what is wrong is in its words
        return self._good

    def _note(self, policy: Policy, now: datetime) -> PolicyRow:
        schedule = schedule_of(policy)
        since = first_since(self._desk.book.written(), now)
        self.store.note(policy.name, schedule, since)
        log.info("policy.noted", policy=policy.name, schedule=schedule.words())
        return PolicyRow(name=policy.name, schedule=schedule, since=since, through=since)

    def _ring(self, name: str, upcoming: datetime, ring: Callable[[str], object]) -> None:
        known, rung_at = self._rung.get(name, (None, 0.0))
        if known != upcoming or time.monotonic() - rung_at > RING_AGAIN:
            self._rung[name] = (upcoming, time.monotonic())
            ring(name)

    def _alarm(self, row: PolicyRow, now: datetime) -> bool:
        slot = overdue(row.schedule, row.through, now)
        if slot is not None and self._alarmed.get(row.name) != slot:
            self._alarmed[row.name] = slot
            log.error(
                "policy.not_fired", policy=row.name, slot=slot.isoformat(), fix="bulkdel doctor"
            )
        return slot is not None

    def _decide(self, policy: Policy, due: Due) -> bool:
        """Carry a decision out; False if there is more to decide before what follows."""
        self._miss(policy.name, due.missed)
        if due.fire is not None:
            self._fire(policy, due.fire)
        return due.is_all

    def _fire(self, policy: Policy, slot: datetime) -> None:
        desk = self._desk.acting_as(_actor(policy.name))
        try:
            check_policy(desk.config, policy, slot)
            kept = desk.submit(request_of(policy, slot=slot), ())
        except InvalidInput as error:
            self._miss(policy.name, [(slot, error.what)])
        except Refused as error:  # another worker has recorded it as missed
            log.info("policy.decided", policy=policy.name, what=error.what)
        else:
            if kept.is_new:
                log.info("policy.fired", policy=policy.name, job=kept.job.id)

    def _miss(self, name: str, missed: Sequence[tuple[datetime, str]]) -> None:
        written = self.store.miss(name, missed)
        if written:
            first, last = written[0].isoformat(), written[-1].isoformat()
            why = dict(missed)[written[-1]]
            log.error(
                "policy.missed", policy=name, slots=len(written), first=first, last=last, why=why
            )
