"""What a page of the listing proves, and when it is asked for no more."""

import pytest

from tests.builders import CATALOGUE, a_job, an_answer
from worker.domain.bulk import Bulk, Stage
from worker.domain.calls import Action, Answer, Call
from worker.domain.outcomes import Verdict
from worker.domain.plan import Protection
from worker.domain.retry import RetryPolicy
from worker.services.choose import Work
from worker.services.proof import RUBBISH_TRIES, proof_of
from worker.services.results import Rules

RULES = Rules(catalogue=CATALOGUE, protection=Protection(), policy=RetryPolicy())
PAGE = Work(job_id="j-1", call=Call(action=Action.LIST))
RUBBISH = an_answer(Verdict.UNAVAILABLE, error_class="unreadable", provider_code="0")
PROXY = an_answer(Verdict.UNAVAILABLE, error_class="unreadable")
OUTAGE = an_answer(Verdict.UNAVAILABLE, http_status=503)


@pytest.mark.parametrize(
    ("answer", "tries", "gives_up"),
    [
        (RUBBISH, RUBBISH_TRIES, True),
        (RUBBISH, RUBBISH_TRIES - 1, False),
        (PROXY, 1_000, False),
        (OUTAGE, 1_000, False),
    ],
)
def test_a_listing_that_nobody_can_read_is_given_up_and_an_outage_waited_for(
    answer: Answer, tries: int, *, gives_up: bool
) -> None:
    job = a_job(bulk=Bulk(stage=Stage.PROOF), list_tries=tries)

    done = proof_of(PAGE, answer, job=job, unproven=(), rules=RULES)

    assert done.listing is not None
    bulk = done.listing.bulk or job.bulk
    assert (bulk.stage, bulk.is_refused) == (Stage.PROOF, gives_up)
    assert done.listing.tries == (0 if gives_up else tries + 1)
