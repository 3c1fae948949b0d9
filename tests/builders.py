"""One function per record, with defaults that do no harm; a test names what it is about."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from worker.domain.calls import PROJECT, Answer, Reading, Seen, Target
from worker.domain.catalogue import Catalogue, Kind
from worker.domain.limits import Purse, Window
from worker.domain.outcomes import Verdict
from worker.domain.plan import Protection
from worker.domain.states import ItemState, JobState
from worker.domain.steps import Case, Progress, Step
from worker.ports import Counts, Item, Job, JobOptions, Lease, PlanFacts, PlannedItems, Who
from worker.providers.requests import Connection
from worker.providers.zoho_books import ID, V4
from worker.services.control import ConfirmRules
from worker.services.submit import DeleteProjects
from worker.services.tools import AccountFacts

EPOCH = datetime(2026, 11, 21, 10, tzinfo=UTC)
CATALOGUE = Catalogue(
    provider="zoho_books",
    project=Kind(name=PROJECT, id_pattern=ID),
    children=(
        Kind(name="comment", id_pattern=ID, source="comment"),
        Kind(name="task", id_pattern=ID),
        Kind(name="user", id_pattern=ID),
    ),
    has_timer=True,
)
CHILDLESS = Catalogue(provider="plain", project=Kind(name=PROJECT, id_pattern=ID))
ME = Who(name="ada")


def a_target(external_id: str = "42", kind: str = PROJECT, parent: str = "") -> Target:
    return Target(kind=kind, external_id=external_id, parent_external_id=parent)


def a_seen(external_id: str = "42", **fields: Any) -> Seen:  # noqa: ANN401  any field of the record
    shown = Seen(target=a_target(external_id), name="Bridge", created="2026-01-01T00:00:00Z")
    return replace(shown, **fields)


def a_child(external_id: str = "7", kind: str = "task", **fields: Any) -> Seen:  # noqa: ANN401  any field of the record
    return replace(Seen(target=a_target(external_id, kind, "42"), name="Nail"), **fields)


def a_progress(step: Step = Step.DELETE, **fields: Any) -> Progress:  # noqa: ANN401  any field of the record
    return Progress(step=step, **fields)


def a_case(**fields: Any) -> Case:  # noqa: ANN401  any field of the record
    return replace(Case(seen=a_seen()), **fields)


def an_answer(verdict: Verdict = Verdict.DELETED, **fields: Any) -> Answer:  # noqa: ANN401  any field of the record
    return replace(Answer(verdict=verdict, http_status=200), **fields)


def shows(*projects: Seen, children: tuple[Seen, ...] = (), **fields: Any) -> Answer:  # noqa: ANN401  any field of a reading
    reading = Reading(projects=projects, children=children, **fields)
    return an_answer(Verdict.SEEN, reading=reading)


def an_item(item_id: int = 1, **fields: Any) -> Item:  # noqa: ANN401  any field of the record
    item = Item(
        id=item_id,
        job_id="j-1",
        position=item_id,
        seen=a_seen(str(41 + item_id)),
        progress=a_progress(),
        state=ItemState.PENDING,
        read_at=EPOCH,
    )
    return replace(item, **fields)


def a_plan(**fields: Any) -> PlanFacts:  # noqa: ANN401  any field of the record
    plan = PlanFacts(
        hash="0" * 60 + "9f3a",
        word="delete 3 acme 9f3a",
        items=3,
        by_kind={PROJECT: 3},
        calls=3,
        complete=True,
    )
    return replace(plan, **fields)


def a_job(state: JobState = JobState.RUNNING, **fields: Any) -> Job:  # noqa: ANN401  any field of the record
    job = Job(
        id="j-1",
        key=None,
        account="acme",
        provider="zoho_books",
        action="delete_projects",
        options=JobOptions(),
        dry_run=False,
        state=state,
        waiting_on=None,
        reason="closed",
        who=ME,
        priority=5,
        parent_job_id=None,
        created_at=EPOCH,
        started_at=None,
        finished_at=None,
        planned_at=EPOCH,
        start_at=None,
        plan=a_plan(),
    )
    return replace(job, **fields)


def some_counts(**fields: Any) -> Counts:  # noqa: ANN401  any field of the record
    return replace(Counts(total=3, open=3, by_outcome={}), **fields)


def a_lease(**fields: Any) -> Lease:  # noqa: ANN401  any field of the record
    until = EPOCH + timedelta(seconds=30)
    lease = Lease(account="acme", owner="w1", token=1, until=until, now=EPOCH, bell=0)
    return replace(lease, **fields)


def a_purse(**fields: Any) -> Purse:  # noqa: ANN401  any field of the record
    window = Window(calls=100, per=timedelta(seconds=60))
    return replace(Purse(name="acme", windows=(window,), rate_share=1.0, day_share=1.0), **fields)


def some_facts(**fields: Any) -> AccountFacts:  # noqa: ANN401  any field of the record
    facts = AccountFacts(
        name="acme",
        catalogue=CATALOGUE,
        purses=(a_purse(),),
        sharing={"acme": ("acme",)},
        protection=Protection(),
        max_items=1000,
        canary_above=100,
        canary_percent=1,
        canary_least=5,
        call_timeout=timedelta(seconds=10),
        confirm=some_rules(),
    )
    return replace(facts, **fields)


def some_rules(**fields: Any) -> ConfirmRules:  # noqa: ANN401  any field of the record
    rules = ConfirmRules(auto_confirm_max=10, grace_above=500, grace=timedelta(minutes=15))
    return replace(rules, **fields)


def planned(**fields: Any) -> PlannedItems:  # noqa: ANN401  any field of the record
    items = PlannedItems(
        digest="ab" * 30 + "9f3a",
        by_kind={PROJECT: 3},
        own={PROJECT: 3},
        unlisted=0,
        skipped={},
        spent=1,
    )
    return replace(items, **fields)


def a_request(**fields: Any) -> DeleteProjects:  # noqa: ANN401  any field of the record
    return replace(DeleteProjects(account="acme", reason="closed", cascade=("none",)), **fields)


def a_connection(**fields: Any) -> Connection:  # noqa: ANN401  any field of the record
    """How an account reaches Zoho Books; its token is never asked for."""
    usual: dict[str, Any] = {
        "name": "acme",
        "base_url": "https://www.zohoapis.com/books/v4",
        "dialect": V4,
        "selector_value": "10234695",
        "token": lambda: "never asked for",
        "in_flight": 5,
    }
    return Connection(**(usual | fields))
