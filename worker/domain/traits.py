"""What a filter says of the texts that a list shows: so a filter that was ignored is noticed.

A provider that does not know a filter, or forgot it, shows every project. What each one shows of
itself is held against what was asked for, and what does not fit is not selected: also where it
shows that there is nothing (no customer, no description). What a list leaves out cannot be held
against anything: there the provider is believed.
"""

import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import Enum
from operator import contains, eq
from typing import Final

from worker.domain.calls import Seen


class Match(Enum):
    """How the value of a filter lies in the text that a project shows; case does not count."""

    ID = "id"  # the text is the value, to the letter
    WHOLE = "whole"
    BEGINS = "begins"
    WITHIN = "within"
    ONE_OF = "one_of"  # the value is a list, and the text one of it
    NONE_OF = "none_of"  # the text is none of the list


@dataclass(frozen=True, slots=True, kw_only=True)
class Trait:
    """The text that a filter is about.

    `field` is a project's name or status, or one of what its dialect keeps `beside` them.
    `words` pairs values with the word that is shown for each, and says nothing of other values;
    empty: the value itself. `all_of` are values that keep nothing away.
    """

    field: str
    match: Match = Match.WHOLE
    words: tuple[tuple[str, str], ...] = ()
    all_of: frozenset[str] = frozenset()

    def of(self, value: str) -> "Shown | None":
        """What a project must show to be selected by this value; None if that is not known."""
        word = dict(self.words).get(value) if self.words else value
        return None if word is None else Shown(trait=self, word=word)


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A project shows this word, or nothing that speaks against it."""

    trait: Trait
    word: str

    @property
    def is_exact(self) -> bool:
        """The provider has selected already: this only catches what it ignored."""
        return False

    def admits(self, seen: Seen) -> bool:
        """Whether a project may be selected; of several texts one has to fit."""
        texts, match = _texts_of(seen, self.trait.field), self.trait.match
        if match is Match.ID:
            return not texts or self.word in texts
        word = _plain(self.word)
        return not texts or any(_FITS[match](_plain(text), word) for text in texts)

    def speaks(self, seen: Seen) -> bool:
        """Whether the list shows what it is about."""
        return bool(_texts_of(seen, self.trait.field))


def _texts_of(seen: Seen, field: str) -> list[str]:
    """What is shown of a field: an empty text where it is empty, none where it is left out."""
    own = {"name": seen.name, "status": seen.status}.get(field)
    return [own] if own else [text for name, text in seen.beside if name == field]


def _plain(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text.casefold()).split())


def _is_one_of(text: str, word: str) -> bool:
    return text in [one.strip() for one in word.split(",")]


def _is_none_of(text: str, word: str) -> bool:
    return not _is_one_of(text, word)


_FITS: Final[Mapping[Match, Callable[[str, str], bool]]] = {
    Match.WHOLE: eq,
    Match.BEGINS: str.startswith,
    Match.WITHIN: contains,
    Match.ONE_OF: _is_one_of,
    Match.NONE_OF: _is_none_of,
}
