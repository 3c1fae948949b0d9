"""What a body shows of a project that filters alone are about, so that they can be held to it."""

from collections.abc import Iterator, Mapping

from worker.providers.dialect import Fields, Keys

LARGEST = 10**40
"""Beyond it a number is absurd, and Python may refuse to write it."""


def beside(item: object, fields: Fields, texts: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    """What is shown, by the filter's name; what is shown to be empty is an empty text.

    `texts` are what is kept of the project anyway: a name or status that is empty there counts
    as shown only where the body says so. Never makes a body unreadable.
    """
    own = (("name", fields.name), ("status", fields.status)) if fields.beside else ()
    empty = ((name, keys) for name, keys in own if not texts[name])
    return tuple(
        (name, text) for name, keys in (*empty, *fields.beside) for text in _texts(item, keys)
    )


def _texts(item: object, keys: Keys) -> Iterator[str]:
    """The texts and numbers there; what is left out, or is neither, says nothing."""
    if item is None or item == []:
        yield ""
    elif isinstance(item, list):
        for one in item:
            yield from _texts(one, keys)
    elif keys:
        if isinstance(item, Mapping) and keys[0] in item:
            yield from _texts(item[keys[0]], keys[1:])
    elif isinstance(item, str):
        yield item
    elif isinstance(item, int) and not isinstance(item, bool) and abs(item) < LARGEST:
        yield str(item)
