"""Tables of any width: columns give way, then names."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from trio_swarm.cli.control.drawing import draw
from trio_swarm.cli.control.torrent_lines import torrent_table
from trio_swarm.cli.control.watched import Watched
from trio_swarm.cli.output.text import cell_width
from trio_swarm.control.answers import Session, Torrent, TorrentChanges

torrents = st.builds(
    Torrent,
    id=st.integers(1, 10**6),
    name=st.text(max_size=60),
    state=st.sampled_from(["downloading", "seeding", "paused", "failed"]),
    error=st.sampled_from(["", "a disk is full"]),
    info_hash=st.none() | st.just("ab" * 20),
    size=st.integers(0, 2**50),
    have=st.integers(0, 2**50),
    download_rate=st.floats(0, 1e10),
    upload_rate=st.floats(0, 1e10),
    eta=st.none() | st.floats(0, 1e9),
    peers=st.integers(0, 999),
    ratio=st.floats(0, 1000),
)


@given(st.lists(torrents, max_size=5), st.integers(40, 200))
def test_a_table_fits_terminals_of_forty_columns_and_more(shown: list[Torrent], width: int) -> None:
    lines = torrent_table(shown, width)
    assert len(lines) == len(shown) + 1
    assert all(cell_width(line) <= width for line in lines)
    assert all(line.isprintable() for line in lines)


def test_the_columns_that_matter_least_go_first() -> None:
    torrent = Torrent(
        id=1,
        name="holiday in the mountains.mkv",
        state="downloading",
        info_hash="ab" * 20,
        size=2**30,
        have=2**29,
        download_rate=2e6,
        upload_rate=1e6,
        eta=100.0,
        peers=3,
        ratio=0.5,
    )
    headings = {width: torrent_table([torrent], width)[0].split() for width in (120, 80, 60, 40)}
    assert headings[120][-1] == "INFO-HASH"
    assert headings[80] == ["NAME", "STATE", "DONE", "DOWN", "UP", "LEFT"]
    assert headings[60] == ["NAME", "STATE", "DONE", "DOWN"]
    assert headings[40] == ["NAME", "STATE"]
    assert torrent_table([torrent], 80)[1].startswith("holiday in the ")
    assert torrent_table([torrent], None)[1].startswith("holiday in the mountains.mkv  ")


@given(st.lists(torrents, max_size=30, unique_by=lambda each: each.id), st.integers(4, 30))
def test_the_live_table_never_has_more_rows_than_the_terminal(
    shown: list[Torrent], rows: int
) -> None:
    watched = Watched(Session(version="1"), shown, is_all=True)
    console = Console(width=80, file=io.StringIO())
    with console.capture() as capture:
        console.print(draw(watched, rows=rows, width=80))
    assert len(capture.get().splitlines()) <= rows


def test_torrents_that_move_come_first_and_the_rest_is_counted() -> None:
    shown = [
        Torrent(
            id=number, name=f"torrent {number}", state="seeding", upload_rate=float(number == 9)
        )
        for number in range(1, 31)
    ]
    console = Console(width=80, file=io.StringIO())
    with console.capture() as capture:
        watched = Watched(Session(version="1"), shown, is_all=True)
        console.print(draw(watched, rows=8, width=80))
    lines = capture.get().splitlines()
    assert lines[2].startswith("torrent 9 ")
    assert lines[-1] == "… and 25 more"


@pytest.mark.parametrize("is_all", [True, False])
def test_news_are_told_once(*, is_all: bool) -> None:
    one, other = (Torrent(id=number, name="a", state="seeding") for number in (1, 2))
    watched = Watched(Session(version="1"), [one], is_all=is_all)
    assert watched.news() == ([one], [])
    assert watched.news() == ([], [])
    watched.take(TorrentChanges(torrents=[other]))
    assert watched.news() == ([other] if is_all else [], [])
    watched.take(TorrentChanges(torrents=[one], removed=[1, 7]))
    assert watched.news() == ([], [one])
