"""What a filter says of the texts that a list shows: so a filter that was ignored is noticed.

A provider that does not know a filter, or forgot it, shows every project. What each one shows of
itself is held against what was asked for, and what does not fit is not selected. What a list does
not show cannot be held against anything: there the provider is believed.
"""

from dataclasses import dataclass
from enum import Enum
from typing import assert_never

from worker.domain.calls import Seen


class Match(Enum):
    """How the value of a filter lies in the text that a project shows; case does not count."""

    WHOLE = "whole"
    BEGINS = "begins"
    WITHIN = "within"


@dataclass(frozen=True, slots=True, kw_only=True)
class Trait:
    """The text that a filter is about.

    `field` is a project's name or status, or one of what its dialect keeps `beside` them.
    `words` pairs values with the word that is shown for each, and says nothing of other values;
    empty: the value itself. `among`: the only words that say anything; empty: any word does.
    """

    field: str
    match: Match = Match.WHOLE
    words: tuple[tuple[str, str], ...] = ()
    among: frozenset[str] = frozenset()

    def of(self, value: str) -> "Shown | None":
        """What a project must show to be selected by this value; None if that is not known."""
        word = dict(self.words).get(value) if self.words else value
        return None if word is None else Shown(trait=self, word=_plain(word))


@dataclass(frozen=True, slots=True, kw_only=True)
class Shown:
    """A project shows this word, or nothing that speaks against it."""

    trait: Trait
    word: str

    def admits(self, seen: Seen) -> bool:
        """Whether a project may be selected."""
        shown = _plain(_text_of(seen, self.trait.field))
        speaks = shown and (not self.trait.among or shown in self.trait.among)
        return not speaks or _fits(self.trait.match, shown, self.word)


def _text_of(seen: Seen, field: str) -> str:
    texts = {"name": seen.name, "status": seen.status}
    return texts[field] if field in texts else dict(seen.beside).get(field, "")


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())


def _fits(match: Match, shown: str, word: str) -> bool:
    match match:
        case Match.WHOLE:
            return shown == word
        case Match.BEGINS:
            return shown.startswith(word)
        case Match.WITHIN:
            return word in shown
        case _:
            assert_never(match)
