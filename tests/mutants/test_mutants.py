"""The mutants are kept as patches; each must fit the code as it is (`make mutants` runs them)."""

import pytest

from tests.mutants.__main__ import REPOSITORY, Mutant, apply, mutants, verdict_on

EACH = pytest.mark.parametrize("mutant", mutants(), ids=lambda mutant: mutant.path.stem)


@EACH
def test_a_mutant_fits_the_code_and_names_tests_that_exist(mutant: Mutant) -> None:
    assert apply(mutant, REPOSITORY, "--check") == ""
    named = [word for word in mutant.caught_by if word.endswith(".py")]
    assert named
    assert all((REPOSITORY / path).is_file() for path in named)


@pytest.mark.number("trust-2", full=True)
@pytest.mark.timeout(1200)
@EACH
def test_a_mutant_is_caught(mutant: Mutant, full: bool) -> None:
    if not full:
        pytest.skip("`make mutants`, or --full")

    is_caught, by = verdict_on(mutant)

    assert is_caught, by
