"""Help at the widths of terminals: whole paragraphs, examples that can be pasted, columns told."""

import itertools
import re
import shlex

import pytest

from command_line import run_here
from documents import PAGES
from trio_swarm.cli.command_table import COMMANDS, GROUPS
from trio_swarm.cli.lab import column_words
from trio_swarm.cli.output.help_texts import broken, unwrapped

EVERY = [
    *((name,) for name in COMMANDS),
    *((name, inner) for name, group in GROUPS.items() for inner in group.commands),
]


def help_of(words: tuple[str, ...], width: int, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    code, out, err = run_here(*words, "--help")
    assert (code, err) == (0, "")
    return out


def stray_breaks(lines: list[str], width: int) -> list[str]:
    """Return the lines after which the next word would have had room."""
    return [
        line
        for line, after in itertools.pairwise(lines)
        if line.strip()
        and after.strip()
        and len(line.rstrip()) + 1 + len(after.split(maxsplit=1)[0]) <= width
    ]


@pytest.mark.parametrize("width", [80, 120])
@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_no_line_ends_before_it_must(
    words: tuple[str, ...], width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = help_of(words, width, monkeypatch)
    assert not stray_breaks(out[: out.index("╭─")].splitlines(), width)
    for box in re.findall(r"╭─.*?╯", out, re.DOTALL):
        rows = [line[2:-2] for line in box.splitlines()[1:-1]]
        # What describes a flag stands in one column, where lines that go on are blank before it.
        blank = [len(row) - len(row.lstrip()) for row in rows if row.startswith("   ")]
        column = max(blank, default=0)
        if column:
            described = [row[column:] if row[:column].strip() == "" else "" for row in rows]
            assert not stray_breaks(described, width - 4 - column)


@pytest.mark.parametrize("words", EVERY, ids=" ".join)
def test_examples_fit_and_can_be_pasted(
    words: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = COMMANDS[words[0]] if len(words) == 1 else GROUPS[words[0]].commands[words[1]]
    out = help_of(words, 80, monkeypatch)
    shown = out[out.index("Examples:") :].replace("\\\n", "")
    assert max(map(len, out.splitlines())) <= 80
    pasted = [shlex.split(line) for line in shown.splitlines()[1:] if line]
    assert pasted == [shlex.split(example) for example in command.examples]


def test_a_long_example_is_broken_where_a_flag_begins() -> None:
    assert broken("a --b") == ["  a --b"]
    line = "x" * 56 + " --first one --second two"
    assert broken(line) == [f"  {'x' * 56} --first one \\", "    --second two"]
    assert broken("y" * 100) == [f"  {'y' * 100}"]


def test_only_prose_is_unwrapped() -> None:
    assert unwrapped("one\ntwo\n\nthree\n") == "one two\n\nthree"
    assert unwrapped("do:\n\n  this\n  that") == "do:\n\n  this\n  that"


@pytest.mark.parametrize(
    ("words", "columns", "page"),
    [
        (("simulate",), column_words.SIMULATED, "laboratory.md"),
        (("replay",), column_words.REPLAYED, "laboratory.md"),
        (("explain",), column_words.EXPLAINED, None),
        (("plugin", "check"), column_words.CHECKED, "strategies.md"),
    ],
)
def test_the_columns_of_tables_are_told_in_the_help_and_the_documents(
    words: tuple[str, ...],
    columns: column_words.Words,
    page: str | None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out = " ".join(help_of(words, 80, monkeypatch).split())
    for title, meaning in columns.items():
        assert f"{title} {meaning}" in out
        assert page is None or f"| `{title}` | {meaning} |" in PAGES[page].text
