"""Kinds and ids: what may be asked for, and what never reaches a path."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.builders import CATALOGUE, CHILDLESS
from worker.domain.catalogue import check_id, shown
from worker.domain.errors import InvalidInput

BAD_IDS = [
    "",
    " ",
    "42 ",
    "42\n",
    "42\r\nHost: evil",
    "..",
    ".",
    "42/../../users/7",
    "%2e%2e",
    "42%2f7",
    "42?x=1",
    "42#",
    "-1",
    "0",
    "042",  # 42 to a provider that reads numbers, and to no protection of 42
    "00000000000000042",
    "٤٢",
    "４２",  # noqa: RUF001  digits, but not ours
    "4\x002",
    "\ud800",
    "9" * 20,
    "9" * 10_240,
]


@pytest.mark.parametrize("bad", BAD_IDS)
def test_what_cannot_be_an_id_is_refused(bad: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        check_id(CATALOGUE.project, bad)

    assert len(refused.value.what) < 100
    assert refused.value.what.isprintable()


@given(good=st.from_regex(r"[1-9][0-9]{0,18}", fullmatch=True))
def test_an_id_passes_as_it_is(good: str) -> None:
    assert check_id(CATALOGUE.project, good) == good


@given(text=st.text())
def test_what_is_shown_of_others_is_short_and_printable(text: str) -> None:
    assert shown(text).removesuffix("…").isascii()
    assert shown(text).isprintable()
    assert len(shown(text)) <= 63


def test_children_go_before_their_project() -> None:
    assert CATALOGUE.ranks == {"comment": 0, "task": 1, "user": 2, "project": 3}
    assert CHILDLESS.ranks == {"project": 0}


def test_every_kind_is_found_by_its_name() -> None:
    assert [CATALOGUE.kind(name).name for name in CATALOGUE.ranks] == list(CATALOGUE.ranks)
    with pytest.raises(KeyError):
        CATALOGUE.kind("invoice")


@pytest.mark.parametrize(
    ("wanted", "reads"),
    [
        ((), ("project",)),
        (("task", "user"), ("project",)),
        (("comment",), ("project", "comment")),
        (("comment", "task"), ("project", "comment")),
    ],
)
def test_the_project_itself_is_always_read_first(
    wanted: tuple[str, ...], reads: tuple[str, ...]
) -> None:
    assert CATALOGUE.sources(wanted) == reads


@pytest.mark.parametrize(
    ("words", "kinds"),
    [
        (["none"], ()),
        (["all"], ("comment", "task", "user")),
        (["users", "Tasks"], ("task", "user")),
        (["task", " task ", ""], ("task",)),
    ],
)
def test_cascade_words_become_kinds_in_order(words: list[str], kinds: tuple[str, ...]) -> None:
    assert CATALOGUE.choose(words) == kinds


@pytest.mark.parametrize("words", [[], [""], ["invoices"], ["all", "tasks"], ["none", "tasks"]])
def test_other_words_are_refused_with_the_choices(words: list[str]) -> None:
    with pytest.raises(InvalidInput) as refused:
        CATALOGUE.choose(words)

    assert "comments, tasks, users" in refused.value.fix


def test_a_provider_without_children_says_so() -> None:
    assert CHILDLESS.choose(["all"]) == ()
    with pytest.raises(InvalidInput) as refused:
        CHILDLESS.choose(["tasks"])

    assert refused.value.fix.endswith("none")
