"""Taking jobs in, finding them again and changing them, on both databases."""

import threading
import tracemalloc
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from itertools import islice

import pytest

from tests.stores import ACCOUNT, Store, a_new_job, ids_of, is_over
from worker.domain.audit import Event
from worker.domain.errors import InvalidInput, KeyReused, NotFound, Refused
from worker.domain.outcomes import Outcome
from worker.domain.states import JobState, Waiting
from worker.ports import Submitted
from worker.services import control

IDS = [(1, "p1"), (2, "p2"), (3, "p3")]


def keyed(store: Store, digest: str, *ids: tuple[int, str]) -> Submitted:
    return store.jobs.submit(a_new_job(key="k1"), ids, lambda: digest, 4)


def test_a_submitted_job_is_planning_and_its_account_is_due(store: Store) -> None:
    job = store.submit("p1", "p2", "p3")

    assert job.state is JobState.PLANNING
    assert job.waiting_on is not None
    assert job.waiting_on.code is Waiting.WORKER
    assert ids_of(store.jobs.items(job.id)) == ["p1", "p2", "p3"]
    assert store.accounts.due(timedelta(0)) == [(ACCOUNT, timedelta(0))]
    assert [entry.event for entry in store.log(job=job.id)] == [Event.JOB_SUBMITTED]


def test_duplicates_in_the_input_are_counted_and_are_no_items(store: Store) -> None:
    job = store.submit("p1", "p2", "p1", "p3", "p3", "p3")

    assert job.plan.duplicates == 3
    assert store.jobs.counts(job.id).total == 3
    assert [item.position for item in store.jobs.items(job.id)] == [1, 2, 4]
    assert store.log(job=job.id)[0].detail["duplicates"] == 3


def test_duplicates_far_apart_are_duplicates_too(store: Store) -> None:
    job = store.submit(*(str(number % 6_000) for number in range(12_001)))

    assert store.jobs.counts(job.id).total == 6_000
    assert job.plan.duplicates == 6_001


def test_the_same_ids_in_two_accounts_are_two_jobs_items(store: Store) -> None:
    one = store.submit("p1")
    two = store.submit("p1", account="crm")

    assert store.jobs.counts(one.id).total == store.jobs.counts(two.id).total == 1


def test_nothing_is_kept_of_a_stream_that_breaks(store: Store) -> None:
    def broken() -> Iterator[tuple[int, str]]:
        yield from ((number, str(number)) for number in range(6_000))
        raise InvalidInput("line 6000: that is no id")

    with pytest.raises(InvalidInput, match="line 6000"):
        store.jobs.submit(a_new_job(), broken(), lambda: "digest", 4)

    assert store.jobs.recent() == []
    assert store.log() == []


def test_ids_that_come_in_slowly_keep_nobody_from_writing(store: Store) -> None:
    lease, job = store.running()

    def slow() -> Iterator[tuple[int, str]]:
        yield 1, "p7"
        store.settle(lease, store.due(lease, job)[0])
        yield 2, "p8"

    other = store.jobs.submit(a_new_job(), slow(), lambda: "digest", 4).job

    assert store.outcomes(job) == {"p1": Outcome.DELETED}
    assert ids_of(store.jobs.items(other.id)) == ["p7", "p8"]


def test_the_digest_is_asked_for_when_the_ids_are_read(store: Store) -> None:
    read: list[str] = []

    def watched() -> Iterator[tuple[int, str]]:
        for line, external_id in IDS:
            read.append(external_id)
            yield line, external_id

    store.jobs.submit(a_new_job(key="k1"), watched(), lambda: ",".join(read), 4)

    again = store.jobs.submit(a_new_job(key="k1"), iter(IDS), lambda: "p1,p2,p3", 4)
    assert not again.is_new


def test_the_same_key_with_the_same_request_gives_the_job_there_is(store: Store) -> None:
    first = keyed(store, "d1", *IDS)

    again = keyed(store, "d1", *IDS)

    assert (first.is_new, again.is_new) == (True, False)
    assert again.job.id == first.job.id == store.jobs.by_key("k1").id
    assert len(store.jobs.recent()) == 1


def test_the_same_key_with_another_request_is_refused(store: Store) -> None:
    first = keyed(store, "d1", *IDS)

    with pytest.raises(KeyReused, match=first.job.id):
        keyed(store, "d2", *IDS[:2])

    assert len(store.jobs.recent()) == 1


def test_of_two_submissions_of_one_key_at_once_one_is_kept(store: Store) -> None:
    assert store.jobs.recent() == []
    all_there = threading.Barrier(4)

    def submit() -> Submitted:
        all_there.wait(timeout=20)
        return keyed(store, "d1", *IDS)

    with ThreadPoolExecutor(4) as pool:
        submitted = [future.result() for future in [pool.submit(submit) for _ in range(4)]]

    assert sorted(one.is_new for one in submitted) == [False, False, False, True]
    assert len({one.job.id for one in submitted}) == 1
    assert len(store.jobs.recent()) == 1


def test_a_job_that_is_not_there_is_not_found(store: Store) -> None:
    with pytest.raises(NotFound):
        store.jobs.get("j-00000000")
    with pytest.raises(NotFound):
        store.jobs.by_key("k1")
    with pytest.raises(NotFound):
        store.jobs.item(1)
    with pytest.raises(NotFound, match="no item has the number 9"):
        store.jobs.item(int("9" * 30))


def test_a_change_is_decided_on_what_is_there_and_rings_the_bell(store: Store) -> None:
    job = store.submit("p1")
    lease = store.lease()

    paused = store.jobs.change(job.id, control.pause(actor="ann"))

    assert (paused.state, paused.paused_from) == (JobState.PAUSED, JobState.PLANNING)
    assert store.log(job=job.id)[-1].event == Event.JOB_MOVED
    assert store.work.give_lease(lease, timedelta(hours=1)) == timedelta(0)


def test_a_change_that_is_refused_leaves_no_trace(store: Store) -> None:
    job = store.submit("p1")
    lease = store.lease()

    with pytest.raises(Refused, match="not paused"):
        store.jobs.change(job.id, control.resume(actor="ann"))

    assert len(store.log(job=job.id)) == 1
    assert store.work.give_lease(lease, timedelta(hours=1)) == timedelta(hours=1)


def test_a_cancel_is_written_down_and_takes_effect_later(store: Store) -> None:
    job = store.submit("p1")

    cancelled = store.cancel(job)

    assert (cancelled.state, cancelled.stopping) == (JobState.PLANNING, "cancelled")
    assert store.log(job=job.id)[-1].event == Event.JOB_CHANGED
    assert store.cancel(job).stopping == "cancelled"
    assert len(store.log(job=job.id)) == 2


def test_a_cancelled_pause_goes_back_to_where_a_worker_ends_it(store: Store) -> None:
    job = store.submit("p1")
    store.jobs.change(job.id, control.pause(actor="ann"))

    store.cancel(job)
    lease = store.lease()
    store.stop(lease, job)
    store.close(lease, job)

    assert store.jobs.get(job.id).state is JobState.CANCELLED
    assert is_over(store.jobs.get(job.id))


def test_jobs_are_listed_the_newest_first(store: Store) -> None:
    jobs = [store.submit(f"p{number}") for number in range(3)]
    other = store.submit("p1", account="crm")

    assert [job.id for job in store.jobs.recent(account=ACCOUNT)] == [j.id for j in jobs[::-1]]
    assert [job.id for job in store.jobs.recent(limit=1)] == [other.id]


def test_plans_that_wait_too_long_are_overdue(store: Store) -> None:
    job = store.submit("p1")

    assert [one.id for one in store.jobs.overdue(timedelta(0))] == [job.id]
    assert store.jobs.overdue(timedelta(hours=1)) == []


def test_projects_to_retry_are_those_with_a_failed_item_below(store: Store) -> None:
    tree = {"p1": [("task", "t1")], "p2": [("task", "t2")], "p3": ()}
    lease, job = store.running(tree)
    store.settle(lease, store.item(job, "t1"))
    store.cancel(job)
    store.stop(lease, job)

    assert list(store.jobs.projects_of(job.id, [Outcome.UNPROCESSED])) == ["p1", "p2", "p3"]
    assert list(store.jobs.projects_of(job.id, [Outcome.DELETED])) == ["p1"]


@pytest.mark.integration
def test_two_hundred_thousand_ids_come_in_and_memory_stays_flat(
    postgresql_store: Store,
) -> None:
    store = postgresql_store
    ids = ((number, str(460_000_000_000 + number)) for number in range(200_000))
    tracemalloc.start()

    job = store.jobs.submit(a_new_job(), ids, lambda: "digest", 4).job

    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert store.jobs.counts(job.id).total == 200_000
    assert peak < 25_000_000


def test_items_can_be_read_until_the_reader_has_enough(store: Store) -> None:
    job = store.submit(*(f"p{number}" for number in range(3_000)))

    first = next(store.jobs.items(job.id))

    assert first.position == 1
    assert [item.position for item in islice(store.jobs.items(job.id), 2)] == [1, 2]
