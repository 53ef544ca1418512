"""The pages of help: lines end where the terminal does, and examples can be pasted."""

import re
from itertools import pairwise

import pytest

from command_line import run_here
from trio_swarm.cli.commands import COMMANDS, GROUPS

PAGES = [
    (),
    *((name,) for name in COMMANDS),
    *((group, name) for group, each in GROUPS.items() for name in each.commands),
    *((group,) for group in GROUPS),
]


def cells(page: str) -> list[tuple[int, list[str]]]:
    """Return each running text of a page: how wide it may be, and its lines."""
    texts: list[tuple[int, list[str]]] = []
    lines: list[str] = []
    start = 0
    for line in [*page.partition("Examples:")[0].splitlines(), ""]:
        boxed = re.fullmatch(r"│ (.*) │", line)
        inner = boxed[1] if boxed else line
        indent = len(inner) - len(inner.lstrip())
        if boxed and lines and indent > 8:  # it goes on in its column
            start = indent
            lines.append(inner[start:].rstrip())
            continue
        if lines and start:
            lines[0] = lines[0][start:]
        if len(lines) > 1:
            texts.append((len(inner) - start if boxed else 0, lines))
        lines, start = ([inner.rstrip()] if boxed else []), 0
    return texts


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("words", PAGES)
def test_no_line_of_help_ends_before_it_must(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...], width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    code, page, _ = run_here(*words, "--help")
    assert code == 0
    assert max(map(len, page.splitlines())) <= width
    for _, lines in cells(page):
        longest = max(map(len, lines))
        for line, following in pairwise(lines):
            # The longest line of the same text shows how wide its column is at least.
            assert len(line) + 1 + len(following.split()[0]) > longest, (line, following)
    # Running text outside of the boxes, up to them.
    for paragraph in page.partition("╭")[0].split("\n\n"):
        lines = paragraph.splitlines()
        for line, following in pairwise(lines):
            assert len(line.rstrip()) + 1 + len(following.split()[0]) > width, (line, following)


@pytest.mark.parametrize("words", PAGES)
def test_examples_fit_80_columns_and_can_be_pasted(
    monkeypatch: pytest.MonkeyPatch, words: tuple[str, ...]
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    _, page, _ = run_here(*words, "--help")
    examples = page.partition("Examples:\n")[2].splitlines()
    for line, following in pairwise([*examples, ""] if examples else []):
        assert line.startswith("  ")
        assert line.endswith(" \\") == following.startswith("     "), (line, following)


@pytest.mark.parametrize("words", [page for page in PAGES if page and page != ("plugin",)])
def test_o_is_where_to_write_on_every_command_that_has_it(words: tuple[str, ...]) -> None:
    """As in cc, sort and curl."""
    _, page, _ = run_here(*words, "--help")
    flags = re.findall(r"│ \*? *((?:--?[a-z-]+ )+)", page)
    with_o = [each.split()[0] for each in flags if "-o" in each.split()]
    assert set(with_o) <= {"--out", "--dir", "--torrent-out"}, with_o
    assert with_o or words[0] not in {"create", "init", "plot", "seed", "get"}
