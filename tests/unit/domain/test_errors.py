"""Our errors: each has the exit code that its picture promises."""

import re

import pytest

from worker.domain import errors
from worker.domain.errors import BulkdelError

PICTURE = dict(re.findall(r"──\s+(\w+) .*exit (\d+)", errors.__doc__ or ""))
OURS = [
    error
    for error in vars(errors).values()
    if isinstance(error, type) and issubclass(error, BulkdelError) and error is not BulkdelError
]


@pytest.mark.parametrize("error", OURS)
def test_the_picture_shows_every_error(error: type[BulkdelError]) -> None:
    assert error.__name__ in (errors.__doc__ or "")
    assert error.exit_code == int(PICTURE.get(error.__name__, 1))


def test_an_error_says_what_and_how_to_mend_it() -> None:
    error = errors.Refused("no", fix="ask")

    assert (error.what, error.fix, str(error)) == ("no", "ask", "no")
    assert BulkdelError("bare").fix == ""
