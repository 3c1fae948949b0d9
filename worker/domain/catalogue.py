"""What a provider has to delete: its kinds, how their ids look, and where each is found."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from worker.domain.calls import PROJECT
from worker.domain.errors import InvalidInput

SHOWN = 60
"""Characters of a bad id that an error repeats."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of object. `source` is the read that lists it: the project, or its own list."""

    name: str
    id_pattern: str
    source: str = PROJECT


@dataclass(frozen=True, slots=True, kw_only=True)
class Catalogue:
    """A provider's kinds; `children` stand in the order in which they are deleted.

    `blind` is a sentence for the plan: what hangs on a project that this provider never shows.
    """

    provider: str
    project: Kind
    children: tuple[Kind, ...] = ()
    has_timer: bool = False  # whether the caller may have a running timer, which can be stopped
    blind: str = ""

    def kind(self, name: str) -> Kind:
        """The kind of that name; KeyError if the provider has none."""
        for kind in (self.project, *self.children):
            if kind.name == name:
                return kind
        raise KeyError(name)

    def rank(self, name: str) -> int:
        """Place in the order of deletion; the project comes last."""
        names = [kind.name for kind in self.children]
        return names.index(name) if name in names else len(names)

    @property
    def ranks(self) -> Mapping[str, int]:
        """The place of every kind in the order of deletion."""
        return {kind.name: self.rank(kind.name) for kind in (*self.children, self.project)}

    def sources(self, names: Iterable[str]) -> tuple[str, ...]:
        """The reads that together list these child kinds; the project's own always first.

        It is read even where no wanted kind lies in it: it carries the project's print, and
        the children that may protect it.
        """
        others = {self.kind(name).source for name in names} - {PROJECT}
        return (PROJECT, *sorted(others))

    def choose(self, cascade: Sequence[str]) -> tuple[str, ...]:
        """Turn `--cascade` words (plural or singular, `all`, `none`) into kinds, in order.

        Raises InvalidInput naming the kinds there are.
        """
        names = tuple(kind.name for kind in self.children)
        words = [word.strip().lower() for word in cascade if word.strip()]
        if words == ["none"]:
            return ()
        if words == ["all"]:
            return names
        chosen = {word.removesuffix("s"): word for word in words}
        strange = sorted(word for name, word in chosen.items() if name not in names)
        if strange or not chosen:
            there = ", ".join(f"{name}s" for name in names) or "none"
            raise InvalidInput(
                f"{self.provider} has no kind {', '.join(map(shown, strange)) or '(empty)'}",
                fix=f"--cascade takes all, none, or a list of: {there}",
            )
        return tuple(name for name in names if name in chosen)


def is_id(kind: Kind, text: str) -> bool:
    """Whether a text has the shape of this kind's ids."""
    return re.fullmatch(kind.id_pattern, text, flags=re.ASCII) is not None


def check_id(kind: Kind, external_id: str) -> str:
    """The id, if it has the shape of this kind's ids; InvalidInput otherwise."""
    if is_id(kind, external_id):
        return external_id
    raise InvalidInput(
        f"not a {kind.name} id: {shown(external_id)}",
        fix=f"ids of a {kind.name} match {kind.id_pattern}",
    )


def shown(text: str) -> str:
    """Text of somebody else, safe to print: escaped and cut."""
    escaped = text.encode("unicode_escape").decode("ascii")
    return f"'{escaped[:SHOWN]}'…" if len(escaped) > SHOWN else f"'{escaped}'"
