"""Text of somebody else, made fit to keep and to compare."""


def clean(text: str, length: int) -> str:
    """The text without control characters and surrogates, cut: as it is stored."""
    if text.isprintable():
        return text[:length]
    plain = "".join(char if char.isprintable() else " " for char in text[: length * 2])
    return plain.encode("utf-8", "replace").decode("utf-8")[:length]
