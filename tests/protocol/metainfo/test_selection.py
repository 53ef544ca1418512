"""Which files somebody wants: globs, numbers in links, and the pieces that hold those files."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_samples import make_info
from trio_swarm.errors import ConfigError, MetainfoError
from trio_swarm.piece_sets import full_set, iterate
from trio_swarm.protocol.metainfo.globs import MAX_GLOBS, check_globs
from trio_swarm.protocol.metainfo.info import Info
from trio_swarm.protocol.metainfo.magnet import parse_magnet
from trio_swarm.protocol.metainfo.selection import (
    Selection,
    read_numbers,
    unwanted_files,
    wanted_pieces,
)

PATHS = [
    ("README",),
    ("data", "a.json"),
    ("data", "raw", "b.json"),
    ("data", "raw", "b.bin"),
    ("docs", "data", "c.txt"),
    ("Data",),
]
INFO = make_info([10] * len(PATHS), paths=PATHS)


def wanted(**choice: object) -> set[str]:
    left_out = unwanted_files(INFO, Selection(**choice))
    return {"/".join(path) for number, path in enumerate(PATHS) if number not in left_out}


@pytest.mark.parametrize(
    ("glob", "chosen"),
    [
        ("*.json", {"data/a.json", "data/raw/b.json"}),
        ("README", {"README"}),
        ("readme", None),
        ("raw", {"data/raw/b.json", "data/raw/b.bin"}),
        ("data", {"data/a.json", "data/raw/b.json", "data/raw/b.bin", "docs/data/c.txt"}),
        ("/data", {"data/a.json", "data/raw/b.json", "data/raw/b.bin"}),
        ("data/", {"data/a.json", "data/raw/b.json", "data/raw/b.bin", "docs/data/c.txt"}),
        ("README/", None),
        ("data/*.json", {"data/a.json"}),
        ("data/**/*.json", {"data/a.json", "data/raw/b.json"}),
        ("**/raw/*", {"data/raw/b.json", "data/raw/b.bin"}),
        ("data/*/b.?in", {"data/raw/b.bin"}),
        ("[Dd]ata", {*(f"data/{name}" for name in ("a.json", "raw/b.json", "raw/b.bin")),
                     "docs/data/c.txt", "Data"}),
        ("torrent/README", None),
    ],
)  # fmt: skip
def test_a_glob_selects_what_its_rules_say(glob: str, chosen: set[str] | None) -> None:
    if chosen is None:
        with pytest.raises(MetainfoError, match="no file of torrent is wanted"):
            wanted(only=(glob,))
    else:
        assert wanted(only=(glob,)) == chosen


def test_what_is_skipped_is_not_wanted_though_it_was_chosen() -> None:
    assert wanted(only=("/data",), skip=("*.bin", "a.*")) == {"data/raw/b.json"}
    assert wanted(skip=("data",)) == {"README", "Data"}


@pytest.mark.parametrize("glob", ["", "/", "//", "a//b", "../a", "a/.", "x" * 5000])
def test_a_glob_that_is_no_path_is_refused(glob: str) -> None:
    with pytest.raises(ConfigError):
        check_globs([glob])


def test_too_many_globs_are_refused() -> None:
    with pytest.raises(ConfigError, match="1001 globs"):
        check_globs(["a"] * (MAX_GLOBS + 1))


def test_many_stars_take_no_time() -> None:
    info = make_info([10], paths=[("a" * 200,) * 40])
    with pytest.raises(MetainfoError):
        unwanted_files(info, Selection(only=("/".join(["**", "*a" * 40 + "b"] * 20),)))


def test_a_link_chooses_files_by_their_numbers() -> None:
    chosen = "so=0,2-3, 5,nonsense,4-1,-1,12345678"
    link = parse_magnet(f"magnet:?xt=urn:btih:{bytes(20).hex()}&{chosen}")
    assert link.files == ((0, 0), (2, 3), (5, 5))
    assert wanted(numbers=link.files) == {"README", "data/raw/b.json", "data/raw/b.bin", "Data"}


def test_globs_are_told_before_numbers_of_a_link() -> None:
    assert wanted(only=("README",), numbers=((3, 4),)) == {"README"}
    assert wanted(skip=("*.bin",), numbers=((3, 4),)) == {"docs/data/c.txt"}


def test_a_link_that_chooses_no_file_of_the_torrent_is_refused() -> None:
    with pytest.raises(MetainfoError, match="so=77"):
        wanted(numbers=((77, 80),))


@given(st.text("0123456789-,. ", max_size=40))
def test_any_text_gives_ranges_that_are_ranges(text: str) -> None:
    assert all(0 <= low <= high < 250_000 for low, high in read_numbers(text))


Case = tuple[Info, set[int]]


@st.composite
def torrents(draw: st.DrawFn) -> tuple[Info, set[int]]:
    lengths = draw(st.lists(st.integers(0, 70), min_size=1, max_size=12))
    padding = draw(st.sets(st.integers(1, 11)))
    if not any(lengths):
        lengths[0] = 1
    files = [n for n in range(len(lengths)) if n not in padding]
    unwanted = draw(st.sets(st.sampled_from(files)) if files else st.just(set()))
    return make_info(lengths, piece_length=16, padding=sorted(padding)), unwanted


@given(torrents())
def test_wanted_pieces_hold_every_wanted_byte_and_nothing_else(case: Case) -> None:
    info, unwanted = case
    pieces = wanted_pieces(info, unwanted)
    holders = {
        at // info.piece_length
        for number, entry in enumerate(info.files)
        if number not in unwanted and not entry.padding
        for at in range(entry.offset, entry.offset + entry.length)
    }
    if unwanted:
        assert set(iterate(pieces)) == holders
    else:
        assert pieces == full_set(info.piece_count)


@given(torrents())
def test_what_numbers_choose_is_what_is_not_left_out(case: Case) -> None:
    info, unwanted = case
    chosen = [n for n, e in enumerate(info.files) if not e.padding and n not in unwanted]
    if chosen:
        numbers = tuple((n, n) for n in chosen)
        assert unwanted_files(info, Selection(numbers=numbers)) == unwanted
