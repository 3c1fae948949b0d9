"""What a job that goes by chunks asks of the database, on both of them."""

from dataclasses import replace

import pytest

from tests.stores import LENGTH, SEEN, Store, ids_of
from worker.domain.audit import Event
from worker.domain.bulk import Bulk, Stage
from worker.domain.calls import Answer
from worker.domain.errors import LeaseLost
from worker.domain.outcomes import Outcome, Verdict
from worker.domain.states import ItemState, JobState
from worker.domain.steps import TAKEN, GoOn, Progress, Step
from worker.ports import Batch, Item, Job, Lease, ListingProgress
from worker.services import control
from worker.store.chunks import Chunks

IDS = ("p1", "p2", "p3", "p4", "p5", "p6")
ON = Bulk(stage=Stage.ON)
PROOF = Bulk(stage=Stage.PROOF)
REFUSED = "the provider refuses the bulk delete as such"
DONE = Answer(verdict=Verdict.ACCEPTED, http_status=200)
TREE = {id_: [("task", f"t{id_}")] for id_ in IDS}
CHUNK, PROVE = (
    Progress(step=Step.CHUNK),
    Progress(step=Step.PROVE, source=TAKEN, lost=1, attempts=1),
)


@pytest.fixture
def chunks(store: Store) -> Chunks:
    return Chunks(store.db, LENGTH)


def by_chunks(store: Store, chunks: Chunks, bulk: Bulk = ON) -> tuple[Lease, Job]:
    """A running job of six projects that go by chunks."""
    lease, job = store.running(dict.fromkeys(IDS, ()))
    put(store, chunks, lease, job, bulk, dict.fromkeys(IDS, (ItemState.PENDING, CHUNK)))
    return lease, store.jobs.get(job.id)


def put(
    store: Store,
    chunks: Chunks,
    lease: Lease,
    job: Job,
    bulk: Bulk,
    items: dict[str, tuple[ItemState, Progress]] | None = None,
) -> None:
    there = {store.item(job, id_).id: at for id_, at in (items or {}).items()}
    chunks.write(lease, job.id, bulk, there)


def waits(*ids: str) -> dict[str, tuple[ItemState, Progress]]:
    return dict.fromkeys(ids, (ItemState.BLOCKED, PROVE))


def wake(store: Store, lease: Lease) -> float | None:
    """Seconds until the account is due again, once its lease is given back."""
    after = store.work.give_lease(lease, None)
    return None if after is None else after.total_seconds()


def open_together(store: Store, lease: Lease, items: list[Item]) -> None:
    store.work.commit(lease, Batch(opens=items), LENGTH)


# --- what is read -------------------------------------------------------------


def test_chunks_are_picked_in_order_from_an_offset(store: Store, chunks: Chunks) -> None:
    _, job = by_chunks(store, chunks)

    assert ids_of(chunks.pick(job.id, 1, 4)) == ["p2", "p3", "p4", "p5"]
    assert ids_of(chunks.pick(job.id, 5, 4)) == ["p6"]


def test_what_is_left_is_counted_by_what_it_waits_for(store: Store, chunks: Chunks) -> None:
    lease, job = by_chunks(store, chunks)
    look = (ItemState.PENDING, Progress(step=Step.LOOK, attempts=1, lost=1))
    put(store, chunks, lease, job, ON, {**waits("p1", "p2"), "p3": look})

    left = chunks.left(job.id)

    assert (left.unsent, left.unproven, left.in_doubt) == (3, 2, 1)
    assert ids_of(chunks.unproven(job.id)) == ["p1", "p2"]


def test_what_is_sent_by_chunks_or_lost_is_all_that_may_be_gone(
    store: Store, chunks: Chunks
) -> None:
    lease, job = by_chunks(store, chunks)
    put(store, chunks, lease, job, ON, waits(*IDS[:5]))
    assert chunks.has_unsent(job.id)

    look = (ItemState.PENDING, Progress(step=Step.LOOK, attempts=1, lost=1))
    put(store, chunks, lease, job, ON, {"p6": look})
    assert not chunks.has_unsent(job.id)

    blocked = (ItemState.BLOCKED, Progress(step=Step.DELETE, attempts=1))
    put(store, chunks, lease, job, ON, {"p6": blocked})
    assert chunks.has_unsent(job.id)


def test_children_that_go_with_a_sent_project_are_no_projects_left(
    store: Store, chunks: Chunks
) -> None:
    lease, job = store.running(TREE, background=True)

    put(store, chunks, lease, job, ON, waits(*IDS))

    assert not chunks.has_unsent(job.id)


def test_a_job_that_is_resumed_says_when_and_stands_where_it_stood(
    store: Store, chunks: Chunks
) -> None:
    _, job = by_chunks(store, chunks, replace(PROOF, tries=2))
    store.jobs.change(job.id, control.pause(actor="ann"))
    assert store.jobs.get(job.id).bulk.went_on_at is None

    resumed = store.jobs.change(job.id, control.resume(actor="ann"))

    moved = store.log(job=job.id, event=Event.JOB_MOVED)[-1]
    assert resumed.bulk == replace(PROOF, tries=2, went_on_at=moved.at)


def test_items_come_in_order_of_their_ids(store: Store, chunks: Chunks) -> None:
    _, job = by_chunks(store, chunks)
    wanted = [store.item(job, "p4").id, store.item(job, "p2").id]

    assert ids_of(chunks.items(wanted)) == ["p2", "p4"]


# --- what is due --------------------------------------------------------------


@pytest.mark.parametrize(
    ("bulk", "due"),
    [
        (ON, list(IDS)),
        (Bulk(stage=Stage.CANARY), []),
        (PROOF, []),
        (Bulk(stage=Stage.PROVEN), []),
        (Bulk(stage=Stage.ON, refusal=REFUSED), []),
    ],
)
def test_chunks_leave_once_the_canary_is_through_and_none_was_refused(
    store: Store, chunks: Chunks, bulk: Bulk, due: list[str]
) -> None:
    lease, job = by_chunks(store, chunks, bulk)

    assert ids_of(store.due(lease, job)) == due


@pytest.mark.parametrize(
    "bulk",
    [
        ON,
        Bulk(stage=Stage.CANARY),
        PROOF,
        Bulk(stage=Stage.PROVEN),
        Bulk(stage=Stage.ON, refusal=REFUSED),
        Bulk(stage=Stage.CANARY, refusal=REFUSED),
    ],
)
def test_a_job_with_chunks_to_send_is_due_at_once(
    store: Store, chunks: Chunks, bulk: Bulk
) -> None:
    lease, _ = by_chunks(store, chunks, bulk)

    assert wake(store, lease) == 0


def test_a_job_whose_chunks_are_all_sent_is_due_for_its_proof(
    store: Store, chunks: Chunks
) -> None:
    lease, job = by_chunks(store, chunks)
    put(store, chunks, lease, job, ON, waits(*IDS))

    assert wake(store, lease) == 0


def test_a_proof_whose_page_cannot_be_read_is_due_when_it_is_tried_again(
    store: Store, chunks: Chunks
) -> None:
    lease, job = by_chunks(store, chunks, PROOF)
    put(store, chunks, lease, job, PROOF, waits(*IDS))
    a_page_later(store, lease, job)

    seconds = wake(store, lease)

    assert seconds is not None
    assert 50 < seconds <= 60


def a_page_later(store: Store, lease: Lease, job: Job) -> None:
    """The page of the proof did not come: it is read again in a minute."""
    store.work.commit(lease, Batch(listing=[job.id]), LENGTH)
    listing = ListingProgress(cursor="", pages=1, tries=1, after=2 * LENGTH, bulk=PROOF)
    item = store.item(job, "p1")
    done = store.done(item, GoOn(progress=PROVE), SEEN, changes=(), listing=listing)
    store.work.commit(lease, Batch(done=[done]), LENGTH)


def test_a_stopping_job_is_due_for_the_proof_of_what_it_sent(store: Store, chunks: Chunks) -> None:
    lease, job = by_chunks(store, chunks)
    put(store, chunks, lease, job, ON, waits("p1", "p2"))
    store.cancel(job)
    store.stop(lease, job)

    assert store.outcomes(job)["p1"] is None
    assert store.outcomes(job)["p3"] is Outcome.UNPROCESSED
    lease = store.taken_over()
    assert wake(store, lease) == 0


@pytest.mark.parametrize("bulk", [PROOF, ON])
def test_a_paused_job_sleeps(store: Store, chunks: Chunks, bulk: Bulk) -> None:
    lease, job = by_chunks(store, chunks, bulk)
    store.work.give_lease(lease, None)
    store.jobs.change(job.id, control.pause(actor="ann"))

    assert wake(store, store.lease()) is None


def test_no_chunk_leaves_that_was_loaded_before_the_refusal(store: Store, chunks: Chunks) -> None:
    lease, job = by_chunks(store, chunks)
    loaded = list(store.due(lease, job))
    put(store, chunks, lease, job, Bulk(stage=Stage.ON, refusal=REFUSED))

    committed = store.work.commit(lease, Batch(opens=loaded), LENGTH)

    assert committed.opened == frozenset()


# --- what is written ----------------------------------------------------------


def test_a_holder_whose_lease_was_lost_writes_nothing(store: Store, chunks: Chunks) -> None:
    old, job = by_chunks(store, chunks)
    put(store, chunks, old, job, ON, waits("p1"))
    store.taken_over()

    with pytest.raises(LeaseLost):
        chunks.write(old, job.id, PROOF, {})
    with pytest.raises(LeaseLost):
        chunks.turn_back(old, job, REFUSED)
    with pytest.raises(LeaseLost):
        chunks.settle_gone(old, job, "gone")

    assert store.jobs.get(job.id).bulk == ON
    assert store.outcomes(job)["p1"] is None


def test_a_step_of_the_canary_is_audited_if_it_says_why(store: Store, chunks: Chunks) -> None:
    lease, job = by_chunks(store, chunks)

    chunks.write(lease, job.id, ON, {}, why="the first two are gone")
    chunks.write(lease, job.id, PROOF, {})

    changed = store.log(event=Event.JOB_CHANGED)
    assert [entry.detail for entry in changed] == [{"why": "the first two are gone", "bulk": "on"}]


def test_what_the_listing_shows_no_more_is_deleted_with_its_children(
    store: Store, chunks: Chunks
) -> None:
    lease, job = store.running(TREE, background=True)
    put(store, chunks, lease, job, ON, waits("p1", "p2"))

    assert chunks.settle_gone(lease, job, "gone") == 2
    assert chunks.settle_gone(lease, job, "gone") == 0

    ends = store.outcomes(job)
    assert {ends["p1"], ends["p2"]} == {Outcome.DELETED}
    assert {ends["tp1"], ends["tp2"]} == {Outcome.DELETED_WITH_PARENT}
    assert [ends["p3"], ends["tp3"]] == [None, None]


def test_a_job_that_turns_back_is_planned_anew_one_by_one(store: Store, chunks: Chunks) -> None:
    lease, job = by_chunks(store, chunks)
    canary = (ItemState.BLOCKED, Progress(step=Step.CANARY))
    put(store, chunks, lease, job, ON, {"p2": canary, "p3": canary})

    chunks.turn_back(lease, store.jobs.get(job.id), REFUSED)

    again = store.jobs.get(job.id)
    assert (again.state, again.bulk) == (
        JobState.PLANNING,
        Bulk(stage=Stage.OFF, refusal=REFUSED),
    )
    assert set(store.states(job).values()) == {"pending"}
    assert {store.item(job, id_).progress.step for id_ in IDS} == {Step.READY}
    frozen = store.freeze(lease, again)
    assert frozen.state is JobState.AWAITING_CONFIRMATION
    assert {store.item(job, id_).progress.step for id_ in IDS} == {Step.DELETE}


def test_a_job_that_a_person_moved_does_not_turn_back(store: Store, chunks: Chunks) -> None:
    lease, job = by_chunks(store, chunks)
    store.jobs.change(job.id, control.pause(actor="ann"))

    chunks.turn_back(lease, job, REFUSED)

    assert store.jobs.get(job.id).state is JobState.PAUSED
    assert store.jobs.get(job.id).bulk == ON


# --- what a dead holder leaves ------------------------------------------------


def test_a_chunk_whose_holder_died_waits_for_the_proof(store: Store, chunks: Chunks) -> None:
    old, job = by_chunks(store, chunks)
    open_together(store, old, list(store.due(old, job))[:4])

    lease = store.taken_over("w2")

    item = store.item(job, "p1")
    assert item.progress == Progress(step=Step.PROVE, attempts=1, lost=1, takeovers=1)
    assert item.state == "blocked"
    assert ids_of(store.due(lease, job)) == ["p5", "p6"]
    assert len(store.log(event=Event.ATTEMPT_LOST)) == 4


def test_a_canary_whose_holder_died_is_looked_at(store: Store, chunks: Chunks) -> None:
    old, job = by_chunks(store, chunks)
    ready = (ItemState.PENDING, Progress(step=Step.CANARY))
    pair = tuple(store.item(job, id_).id for id_ in ("p2", "p3"))
    trial = Bulk(stage=Stage.CANARY, canary=pair, tries=1)
    put(store, chunks, old, job, trial, {"p2": ready, "p3": ready})
    open_together(store, old, list(store.due(old, job)))

    lease = store.taken_over("w2")

    assert ids_of(store.due(lease, job)) == ["p2", "p3"]
    looks = {store.item(job, id_).progress for id_ in ("p2", "p3")}
    assert looks == {Progress(step=Step.LOOK, attempts=1, lost=1, takeovers=1)}


def test_a_neighbour_whose_holder_died_is_read_again(store: Store, chunks: Chunks) -> None:
    old, job = by_chunks(store, chunks)
    seen_once = Progress(step=Step.WITNESS, source=1)
    trial = Bulk(stage=Stage.CANARY, witnesses=(store.item(job, "p1").id,), tries=1)
    put(store, chunks, old, job, trial, {"p1": (ItemState.PENDING, seen_once)})
    open_together(store, old, list(store.due(old, job)))

    lease = store.taken_over("w2")

    assert store.item(job, "p1").progress == replace(seen_once, takeovers=1)
    assert ids_of(store.due(lease, job)) == ["p1"]


def test_a_page_of_the_proof_that_was_lost_is_read_again(store: Store, chunks: Chunks) -> None:
    old, job = by_chunks(store, chunks, PROOF)
    put(store, chunks, old, job, PROOF, waits(*IDS))
    store.work.commit(old, Batch(listing=[job.id]), LENGTH)

    lease = store.taken_over("w2")

    assert len(store.log(event=Event.ATTEMPT_LOST)) == 1
    assert store.work.commit(lease, Batch(listing=[job.id]), LENGTH).listing == {job.id}
