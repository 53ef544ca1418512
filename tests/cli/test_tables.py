"""Tables of strategies: on narrow terminals, and what is said of those that decided alike."""

from pathlib import Path

import pytest

from command_line import run_here
from course_samples import large
from recording_samples import STORY_HEADER, file_of, told_story
from small_scenario import SMALL
from trio_swarm.cli.lab.simulation_table import sparks_of
from trio_swarm.cli.output.digests import alike
from trio_swarm.cli.output.tables import table_lines, widest, wrapped
from trio_swarm.cli.output.text import cell_width, count_text

ROWS = [
    ["scheduler", "last", "ratio", "digest"],
    ["rarest-first", "9.9 s", "1.000", "0123456789ab"],
    ["round-robin", "12.5 s", "1.200", "ba9876543210"],
]


def test_a_table_that_fits_stays_as_it_is() -> None:
    lines = table_lines(ROWS, left={0}, width=80)
    assert lines == table_lines(ROWS, left={0}, width=None)
    assert lines[0].split() == ROWS[0]


def test_a_table_too_wide_is_turned_round_with_nothing_lost() -> None:
    lines = table_lines(ROWS, left={0}, width=40)
    assert [line.split() for line in lines[1:2]] == [["last", "9.9", "s", "12.5", "s"]]
    assert widest(lines) <= 40
    assert all(cell in "\n".join(lines) for row in ROWS for cell in row)


def test_a_table_stays_as_it_is_where_turning_would_make_it_wider() -> None:
    rows = [["a", "b"], *(["x" * 9, "y"] for _ in range(9))]
    assert table_lines(rows, left={0}, width=5) == table_lines(rows, left={0}, width=None)


def test_sentences_end_their_lines_between_words() -> None:
    assert wrapped("one two-three", None) == ["one two-three"]
    assert wrapped("one two-three", 9) == ["one", "two-three"]
    assert wrapped("  one two", 6) == ["  one", "  two"]
    assert wrapped("one two", 6, indent=2) == ["one", "  two"]
    assert wrapped("magnet:?xt=urn:btih", 6) == ["magnet:?xt=urn:btih"]  # or it could not be copied


@pytest.mark.parametrize("width", [80, 60])
def test_curves_fit_a_narrow_terminal(width: int) -> None:
    course = large(8, 20)
    course.title = "bandwidth-weighted"
    rows = sparks_of([course], width)
    assert max(sum(map(cell_width, row)) + 4 for row in rows[1:]) <= width
    assert sum(map(cell_width, rows[0])) + 4 <= width + len(course.title)


def test_of_strategies_that_decided_alike_it_is_said() -> None:
    assert list(alike({"a": ["1", "2"], "b": ["1", "3"], "c": ["1"]})) == []
    assert list(alike({"a": ["1"], "b": ["2"], "c": ["1"], "d": ["1"]})) == [
        "a, c and d decided alike: the very same happened with all 3"
    ]


def test_simulate_says_which_strategies_decided_alike(tmp_path: Path) -> None:
    file = tmp_path / "small.toml"
    file.write_text(SMALL)
    simulate = ("simulate", file, "--workers", 1)
    same = ("--scheduler", "round-robin", "--scheduler", "round-robin:chunk_kib=1024")
    _, out, _ = run_here(*simulate, *same)
    said = "round-robin and round-robin:chunk_kib=1024 decided alike: the very same happened"
    assert f"{said} with both" in out
    assert "trio-swarm simulate --help" in out
    file.write_text(SMALL.replace("2MiB", "8MiB"))  # enough for decisions to differ
    _, out, _ = run_here(*simulate, *same[:2], "--scheduler", "rarest-first")
    assert "decided alike" not in out
    _, out, _ = run_here(*simulate, *same, "--quiet")
    assert out.count("\n") == 4  # what is simulated, and the table: that was asked for


def test_replay_says_which_strategies_decided_alike(tmp_path: Path) -> None:
    """Two pieces and one order to fetch them in: there is nothing to decide otherwise."""
    file = tmp_path / "story.rec"
    file.write_bytes(file_of(STORY_HEADER, [told_story()]))
    _, out, _ = run_here("replay", file, "--scheduler", "bandwidth-weighted")
    assert "rarest-first and bandwidth-weighted decided alike" in out
    assert "trio-swarm replay --help" in out


def test_counts_have_the_right_plural() -> None:
    assert [count_text(n, "copy") for n in (0, 1, 2)] == ["0 copies", "1 copy", "2 copies"]
    assert [count_text(n, "key") for n in (1, 2_000)] == ["1 key", "2,000 keys"]
