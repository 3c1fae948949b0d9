"""Acceptance point 4: a provider that fails a quarter of all calls does not lead us astray."""

from collections import Counter
from typing import Any

import pytest

from tests.acceptance.site import CHILDREN, Site

pytestmark = pytest.mark.number(4)

FAULTS = (
    {"kind": "error_before", "probability": 0.05},
    {"kind": "error_after", "probability": 0.05},
    {"kind": "lost_after", "probability": 0.10},
    {"kind": "garbage", "probability": 0.05},
)


@pytest.mark.timeout(1800)
def test_errors_lost_answers_and_garbage_make_no_outcome_false(site: Site, full: bool) -> None:
    ids = site.seed(1000, **CHILDREN) if full else site.seed(100, tasks=1, comments=1)
    site.faults(*FAULTS)
    job = site.planned(ids)

    ended = site.confirm(job, wait="25m").json

    assert ended["counts"]["unknown"] == 0
    assert ended["counts"]["open"] == 0
    assert ended["counts"]["total"] == len(ids) * (11 if full else 3)
    assert sum(row["fault"] is not None for row in site.ledger()) > len(ids) / 2
    site.judge(job)


def test_an_answer_that_says_nothing_is_looked_up_and_not_guessed(site: Site) -> None:
    kinds = ("error_after", "lost_after", "garbage", "wrong_type", "oversize")
    gone, kept = site.seed(len(kinds)), site.seed(len(kinds))
    site.faults(
        *(_once(kind, "after", one) for kind, one in zip(kinds, gone, strict=True)),
        *(_once(kind, "before", one) for kind, one in zip(kinds, kept, strict=True)),
    )
    job = site.planned([*gone, *kept], "--cascade", "none")

    ended = site.confirm(job, wait="2m").json

    assert ended["counts"]["by_outcome"] == {"deleted": 10}
    asked = Counter(row["id"] for row in site.deletions())
    assert asked == dict.fromkeys(gone, 1) | dict.fromkeys(kept, 2)
    site.judge(job)


def _once(kind: str, when: str, external_id: str) -> dict[str, Any]:
    """A deletion that goes wrong the first time, and was carried out or not."""
    match = {"method": "DELETE", "ids": [external_id]}
    return {"kind": kind.replace("after", when), "when": when, "count": 1, "match": match}
