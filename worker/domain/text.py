"""Text of somebody else, made fit to keep and to compare."""

from datetime import datetime


def same_id(external_id: str) -> str:
    """One spelling for ids that a provider may take for one: case, and zeros before a number.

    Whoever is to be spared is spared by any of its spellings.
    """
    plain = external_id.casefold()
    return plain.lstrip("0") or "0" if plain.isdecimal() else plain


def count_of(count: int, thing: str) -> str:
    """So many of a thing: 1 item, 1,284 items."""
    return f"{count:,} {thing}{'' if count == 1 else 's'}"


def clean(text: str, length: int) -> str:
    """The text without control characters and surrogates, cut: as it is stored."""
    if text.isprintable():
        return text[:length]
    plain = "".join(char if char.isprintable() else " " for char in text[: length * 2])
    return plain.encode("utf-8", "replace").decode("utf-8")[:length]


def time_of(text: str) -> datetime | None:
    """A provider's own text as an instant; None if it is none, or says no zone."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo else None
