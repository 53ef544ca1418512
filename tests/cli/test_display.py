"""The display on terminals of 80 columns, with many shares, and while its width changes."""

import io
import re

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.text import Text

from command_line import read_event
from shown_events import Shown, drawn, peer_of, progress_of
from trio_swarm import events
from trio_swarm.cli.commands.ls import _lines as ls_lines
from trio_swarm.cli.failures import MESSAGE_LENGTH, complain
from trio_swarm.cli.output import redrawing
from trio_swarm.cli.output.describe import describe
from trio_swarm.cli.output.progress_lines import LONGEST_NAME, aligned, progress_line, shares_line
from trio_swarm.cli.output.redrawing import Redrawn, Size
from trio_swarm.cli.output.text import cell_width, cells_text, safe_text

GIB = 2**30


def plain(text: str) -> list[str]:
    return [Text.from_ansi(line).plain for line in text.splitlines()]


def test_80_columns_hold_the_line_of_a_download_and_pieces_go_first() -> None:
    state = progress_of(
        size=100 * GIB,
        have=37 * GIB,
        download_rate=118.0 * 2**20,
        upload_rate=9.5 * 2**20,
        eta=3723.0,
        pieces=102_400,
        pieces_have=37_888,
        peers=12,
        seeders=3,
    )
    for width in (80, 60):
        lines = plain(drawn([Shown("film", state, [])], width=width))
        assert all(cell_width(line) <= width for line in lines)
        assert "…" not in lines[1]
        assert "37 % of 100 GiB · 118 MiB/s" in lines[1]
        assert "pieces" not in lines[1]
    assert (
        "1:02 h left · 12 peers (3 seeders)" in plain(drawn([Shown("f", state, [])], width=80))[1]
    )
    assert "37,888/102,400 pieces" in plain(drawn([Shown("f", state, [])], width=130))[1]


@pytest.mark.parametrize("width", [20, 30, 40, 79, 80, 200])
@pytest.mark.parametrize("state", ["downloading", "checking", "seeding", "metadata", "finishing"])
def test_no_line_is_wider_than_the_terminal(width: int, state: str) -> None:
    names = ["a" * 500, "日本語" * 90, "e\u0301\u0301" * 100, "👩\u200d💻" * 50]
    torrents = [Shown(name, progress_of(state=state), [peer_of(client=name)]) for name in names]
    for line in plain(drawn(torrents, width=width, rows=60)):
        assert cell_width(line) <= width


def test_many_shares_have_a_summary_and_stand_below_each_other() -> None:
    shares = [
        Shown("x" * (index * 3 + 1), progress_of(state="seeding", upload_rate=index * 1024.0), [])
        for index in range(12)
    ]
    lines = plain(drawn(shares, rows=10, width=80))
    assert len(lines) <= 10
    assert lines[0].startswith("seeding 12 shares, 11 of them busy · 66 KiB/s up · 24 peers")
    rows = [line for line in lines[1:] if "ratio" in line]
    assert len({line.index("ratio") for line in rows}) == 1
    assert rows[0].strip().startswith("x" * 34)  # the busiest first
    assert "… and 4 more" in lines[-1]


def test_plain_lines_align_names_and_tell_many_shares_in_one() -> None:
    assert aligned(["a", "日本", "abcdef"]) == ["a     ", "日本  ", "abcdef"]
    (cut,) = aligned(["x" * 500])
    assert len(cut) == LONGEST_NAME
    line = progress_line(cut, progress_of())
    assert len(line) < 100
    shares = [progress_of(state="seeding", upload_rate=1024.0) for _ in range(9)]
    assert shares_line(shares) == "9 shares: 9 busy, seeding 9 KiB/s to 18 peers"
    assert shares_line([progress_of(state="seeding", upload_rate=0.0)]) == ""


class Screen(io.StringIO):
    """A terminal that breaks long lines, and anew when it gets narrower, as tmux and VTE do."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.columns = columns
        self.lines = [""]

    def resize(self, columns: int) -> None:
        self.columns = columns

    def write(self, text: str) -> int:
        for part in re.split(r"(\x1b\[[0-9;?]*[A-Za-z]|\r|\n)", text):
            if part == "\n":
                self.lines.append("")
            elif part == "\x1b[A":
                self._up()
            elif part == "\x1b[2K":
                self._erase()
            elif part == "\r" or part.startswith("\x1b"):
                continue
            else:
                self.lines[-1] += part
        return len(text)

    def _erase(self) -> None:
        """Erase the row of the screen, which is a part of a line or all of it."""
        self.lines[-1] = self.lines[-1][: (self._rows(self.lines[-1]) - 1) * self.columns]

    def _up(self) -> None:
        if not self.lines[-1]:
            self.lines.pop()

    def _rows(self, line: str) -> int:
        return max(1, -(-cell_width(line) // self.columns))


@pytest.fixture
def screen(monkeypatch: pytest.MonkeyPatch) -> Screen:
    made = Screen(100)
    monkeypatch.setattr(redrawing, "size_of", lambda _stream: Size(made.columns, 24))
    return made


def test_a_terminal_that_shrinks_keeps_no_remnants(screen: Screen) -> None:
    redrawn = Redrawn(screen)
    redrawn.print_above("above")
    redrawn.draw(Text("a" * 100 + "\n" + "b" * 90 + "\n" + "c" * 40))
    screen.resize(60)
    redrawn.draw(Text("d" * 60))
    assert screen.lines == ["above", "d" * 60]
    screen.resize(30)
    redrawn.print_above("more")
    assert screen.lines == ["above", "more", "d" * 60]
    screen.resize(25)
    redrawn.close()
    assert screen.lines == ["above", "more", ""]


def test_a_terminal_that_grows_loses_nothing_above(screen: Screen) -> None:
    redrawn = Redrawn(screen)
    redrawn.print_above("above")
    redrawn.draw(Text("\n".join(["a" * 100] * 3)))
    screen.resize(200)
    redrawn.draw(Text("b"))
    redrawn.draw(Text("c"))
    assert screen.lines == ["above", "c"]


HOSTILE = "\x1b[2J\r\n\u202e\u2066\u200b\ue000\U000e0041" + "\u0301" * 5_000 + "日" * 10**6
HOSTILE_TABLES = {"renamed": [{"name": HOSTILE, "here": HOSTILE}]}
KINDS = [
    kind
    for kind in vars(events).values()
    if isinstance(kind, type) and issubclass(kind, events.Event) and kind is not events.Event
]


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_what_strangers_say_is_bounded_and_escaped_in_every_line(kind: type[events.Event]) -> None:
    values: dict[str, object] = {
        field.name: [HOSTILE] if field.type == list[str] else HOSTILE
        for field in msgspec.structs.fields(kind)
        if field.type in (str, list[str]) or "str" in str(field.type)
    }
    others: dict[str, object] = {
        field.name: HOSTILE_TABLES.get(field.name, {}) if "dict" in str(field.type) else 1
        for field in msgspec.structs.fields(kind)
        if field.name not in values or "dict" in str(field.type)
    }
    line = describe(kind(**(values | others)))
    assert len(line) < 6_000
    assert safe_text(line) == safe_text(safe_text(line))
    assert safe_text(line).isprintable()


def test_an_error_is_bounded_in_both_forms(capsys: pytest.CaptureFixture[str]) -> None:
    complain(HOSTILE, exit_code=1, as_json=True)
    told = capsys.readouterr()
    assert len(told.err) < 12 * MESSAGE_LENGTH
    assert told.err.rstrip("\n").isprintable()
    assert len(read_event(told.out)["message"]) <= MESSAGE_LENGTH + 1


@given(st.text(), st.integers(min_value=1, max_value=60))
def test_a_cell_of_a_table_is_never_wider_than_its_limit(text: str, limit: int) -> None:
    shown = cells_text(text, limit)
    assert cell_width(shown) <= limit
    assert "\u200d" not in shown
    assert safe_text(shown) == shown


def test_marks_are_not_stacked_over_the_lines_around() -> None:
    assert safe_text("e\u0301\u0302x") == "e\u0301\u0302x"
    assert safe_text("e" + "\u0301" * 50 + "x") == "e" + "\u0301" * 3 + "x"


def test_a_list_of_names_fits_80_columns_with_the_beginnings_of_info_hashes() -> None:
    rows = [(f"holiday-{number}.mkv", "47.7 MiB", "1", "0", f"{number}" * 40) for number in (1, 2)]
    assert max(map(len, ls_lines(rows, None))) > 80
    assert ls_lines(rows, 100) == ls_lines(rows, None)
    short = ls_lines(rows, 80)
    assert max(map(len, short)) <= 80
    assert [line.split()[-1] for line in short] == ["INFO-HASH", "1" * 12, "2" * 12]
    alike = [(*rows[0][:-1], "a" * 39 + digit) for digit in "bc"]
    assert ls_lines(alike, 80) == ls_lines(alike, None)


@pytest.mark.parametrize("name", ["a" * 80, "漢" * 40, "e\u0301" * 80, "\x1b" * 20])
def test_a_stranger_s_long_name_does_not_break_the_lines_of_a_list(name: str) -> None:
    rows = [
        ("film.mkv", "47.7 MiB", "1", "0", "1" * 40),
        (cells_text(name, 80), "16 EiB", "4294967295", "4294967295", "2" * 40),
    ]
    lines = ls_lines(rows, 80)
    assert max(map(cell_width, lines)) <= 80
    assert lines[1].startswith("film.mkv ")
    assert "…" in lines[2]
    assert cells_text(name, 80) in ls_lines(rows, 160)[2]
    assert len(ls_lines([], 20)) == 1
