"""The display on terminals of 80 columns, with many shares, and while its width changes."""

import io
import re

import pytest
from rich.text import Text

from test_cli_text import Shown, drawn, peer_of, progress_of
from trio_swarm.cli import redrawing
from trio_swarm.cli.progress_lines import LONGEST_NAME, aligned, progress_line, shares_line
from trio_swarm.cli.redrawing import Redrawn, Size
from trio_swarm.cli.text import cell_width

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
