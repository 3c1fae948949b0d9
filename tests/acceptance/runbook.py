"""The commands of a page of the documentation, and what they are said to print, for tests.

    ```console
    $ bulkdel explain j-7f3k2m9a
    Job j-7f3k2m9a is running.
    …
    $ bulkdel doctor            # exit 9
    ```

`…` stands for any text, and alone on a line for any lines. A test puts its own job in the place
of the one in the page, and so on; it is as long, as lines are folded. What a command says on
stderr follows what it prints on stdout.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ANY = "…"
_BLOCK = re.compile(r"^```console\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_EXIT = re.compile(r"\s+# exit (\d+)$")


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """One command, the exit code it has, and the lines it prints."""

    command: str
    code: int
    lines: tuple[str, ...]

    def filled(self, words: Mapping[str, str]) -> "Step":
        """The same with the words of a test in it."""
        return Step(
            command=_filled(self.command, words),
            code=self.code,
            lines=tuple(_filled(line, words) for line in self.lines),
        )

    def fits(self, printed: str) -> bool:
        """Whether a command printed what it is said to."""
        lines = "\n".join(line.rstrip() for line in printed.splitlines())
        return re.fullmatch(_pattern(self.lines), lines) is not None


def steps_of(page: Path) -> dict[str, list[Step]]:
    """The steps of a page by the heading they stand under, in their order."""
    found: dict[str, list[Step]] = {}
    for part in re.split(r"^## ", page.read_text(encoding="utf-8"), flags=re.MULTILINE)[1:]:
        title, _, body = part.partition("\n")
        steps = [step for block in _BLOCK.findall(body) for step in _steps(block)]
        if steps:
            found[title.strip()] = steps
    return found


def _steps(block: str) -> Iterator[Step]:
    for text in re.split(r"^\$ ", block, flags=re.MULTILINE)[1:]:
        first, *lines = text.rstrip("\n").split("\n")
        said = _EXIT.search(first)
        yield Step(
            command=_EXIT.sub("", first),
            code=int(said[1]) if said else 0,
            lines=tuple(line.rstrip() for line in lines),
        )


def _pattern(lines: Sequence[str]) -> str:
    """Lines as one pattern; a line that may be any is none, one or several."""
    parts = []
    for number, line in enumerate(lines):
        end = r"(\n|\Z)" if number < len(lines) - 1 else ""
        if line.strip() == ANY:
            parts.append(r"(.*\n)*?" if end else r"(.|\n)*")
        else:
            parts.append(".*".join(re.escape(part) for part in line.split(ANY)) + end)
    return "".join(parts)


def _filled(text: str, words: Mapping[str, str]) -> str:
    for word, value in words.items():
        text = re.sub(rf"\b{word}\b", value.replace("\\", r"\\"), text)
    return text
