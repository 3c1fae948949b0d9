"""What the audit log is asked from Python, before any database is."""

import pytest

from worker.audit import filter_of
from worker.domain.errors import InvalidInput
from worker.domain.outcomes import Bucket, Outcome


def test_a_filter_may_be_named_as_the_command_names_it() -> None:
    assert filter_of(id="42", item=7) == filter_of(external_id="42", item_id=7)


def test_an_empty_id_narrows_like_any_other() -> None:
    assert filter_of(external_id="").external_id == ""
    with pytest.raises(InvalidInput, match="no item has the number 0"):
        filter_of(item=0)


@pytest.mark.parametrize("words", ["skipped", ["skipped"]])
def test_a_bucket_is_each_outcome_in_it(words: str | list[str]) -> None:
    skipped = {one for one in Outcome if one.bucket is Bucket.SKIPPED}

    assert set(filter_of(outcome=words).outcome) == skipped


def test_a_word_that_is_neither_is_refused() -> None:
    with pytest.raises(InvalidInput, match="no outcome 'gone'"):
        filter_of(outcome=["gone"])
