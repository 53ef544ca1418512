"""The documents of the project, taken apart: blocks, tables, links, code within lines."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]


class Block(NamedTuple):
    """A fenced block."""

    page: str
    language: str
    text: str

    @property
    def label(self) -> str:
        """Its first line without the comment's mark: what the block is."""
        return self.text.partition("\n")[0].removeprefix("#").strip()


class Page:
    """One Markdown file."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.name = str(path.relative_to(ROOT))
        self.text = path.read_text(encoding="utf-8")
        self._outside = re.sub(r"^```.*?^```$", "", self.text, flags=re.MULTILINE | re.DOTALL)

    def blocks(self, *languages: str) -> list[Block]:
        """Return the fenced blocks in one of these languages; "" is a block without one."""
        found = re.findall(r"^```(\w*)\n(.*?)^```$", self.text, re.MULTILINE | re.DOTALL)
        return [Block(self.name, kind, text) for kind, text in found if kind in languages]

    def inline_code(self) -> list[str]:
        """Return all code within lines."""
        return re.findall(r"`([^`\n]+)`", self._outside)

    def links(self) -> list[str]:
        """Return the targets of links that stay in the project."""
        return re.findall(r"\]\((?!https?:)([^)]+)\)", self._outside)

    def anchors(self) -> set[str]:
        """Return the headings as GitHub makes anchors of them."""
        headings = re.findall(r"^#+ (.*)$", self._outside, re.MULTILINE)
        return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}

    def section(self, heading: str) -> str:
        """Return the text below a heading, up to the next of its rank or above."""
        lines = self.text.splitlines(keepends=True)
        (start,) = [
            at for at, line in enumerate(lines) if re.fullmatch(rf"#+ {re.escape(heading)}\n", line)
        ]
        rank = len(lines[start].partition(" ")[0])
        found: list[str] = []
        is_in_block = False
        for line in lines[start + 1 :]:
            is_in_block ^= line.startswith("```")
            if not is_in_block and re.match(rf"#{{1,{rank}}} ", line):
                break
            found.append(line)
        return "".join(found)

    def rows(self, heading: str, *, first: str = "") -> list[list[str]]:
        """Return the rows of the tables below a heading, without those that head them.

        `first` chooses the tables whose first column has that heading.
        """
        rows: list[list[str]] = []
        is_chosen = False
        lines = self.section(heading).splitlines()
        for line, after in zip(lines, [*lines[1:], ""], strict=True):
            cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip())[1:-1]]
            if re.fullmatch(r"[|\- ]+", after) and cells:
                is_chosen = not first or cells[0] == first
            elif cells and is_chosen and not re.fullmatch(r"[|\- ]+", line):
                rows.append(cells)
        return rows


PAGES = {
    path.name: Page(path)
    for path in (
        *(ROOT / name for name in ("README.md", "CONTRIBUTING.md", "CHANGELOG.md")),
        *sorted((ROOT / "docs").glob("*.md")),
    )
}


def blocks(*languages: str) -> list[Block]:
    """Return the fenced blocks of all pages in one of these languages."""
    return [block for page in PAGES.values() for block in page.blocks(*languages)]


def commands(program: str) -> list[tuple[list[str], bool]]:
    """Return each command of a program as its arguments, and whether it is a line of its own.

    Others stand within a sentence, where what they need may be left out.
    """
    found = [(line, True) for line in command_lines()]
    found += [(code, False) for page in PAGES.values() for code in page.inline_code()]
    split = [(shlex.split(line, comments=True), whole) for line, whole in found if program in line]
    return [
        (words[1:], whole)
        for words, whole in split
        if words[:1] == [program] and words[1:] and "…" not in words
    ]


def command_lines() -> Iterator[str]:
    """Yield each line that a person is to type: those of blocks without a language."""
    for block in blocks(""):
        for line in block.text.splitlines():
            if line.strip():
                yield from line.split(" && ")


def quoted_names(cell: str) -> set[str]:
    """Return what is written as code in a cell of a table."""
    return set(re.findall(r"`([^`]+)`", cell))
