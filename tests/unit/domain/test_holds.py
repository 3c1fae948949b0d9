"""What is held, by any spelling of its id."""

import pytest

from tests.builders import EPOCH
from worker.domain.holds import Hold, Holds
from worker.domain.text import same_id

HOLD = Hold(
    id=1,
    account="crm",
    external_id="007",
    owner="legal",
    reason="case",
    actor="a",
    created_at=EPOCH,
)


@pytest.mark.parametrize("spelled", ["007", "7", "07"])
def test_an_object_is_held_however_its_id_is_spelled(spelled: str) -> None:
    holds = Holds(by_id={"007": HOLD})

    assert holds.why(spelled) == HOLD.said
    assert not holds.why("70")


@pytest.mark.parametrize(
    ("external_id", "same"), [("0", "000"), ("7", "007"), ("a-B", "A-b"), ("0a", "0A")]
)
def test_spellings_of_one_id_are_told_to_be_one(external_id: str, same: str) -> None:
    assert same_id(external_id) == same_id(same)


@pytest.mark.parametrize(("external_id", "other"), [("7", "70"), ("0", ""), ("a", "0a")])
def test_other_ids_stay_others(external_id: str, other: str) -> None:
    assert same_id(external_id) != same_id(other)
