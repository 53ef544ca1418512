"""What is known of shares is kept in one file, and not believed where it is damaged."""

import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.storage import share_hashes
from trio_swarm.storage.share_hashes import MAX_INDEXED, ShareHashes
from trio_swarm.storage.state import StateFolder

KEYS = st.integers(0, 9).map(lambda number: bytes([number]) * 20)
CONTENTS = st.binary(min_size=1, max_size=60)


def hashes_in(folder: Path) -> ShareHashes:
    return ShareHashes(StateFolder(folder))


def index_of(folder: Path) -> Path:
    return folder / "hashes" / "index"


@given(kept=st.lists(st.tuples(KEYS, CONTENTS)), saves=st.sets(st.integers(0, 30)), data=st.data())
def test_what_was_kept_last_is_found_after_any_number_of_starts(
    tmp_path_factory: pytest.TempPathFactory,
    kept: list[tuple[bytes, bytes]],
    saves: set[int],
    data: st.DataObject,
) -> None:
    folder = tmp_path_factory.mktemp("state")
    hashes = hashes_in(folder)
    expected: dict[bytes, bytes] = {}
    for number, (key, content) in enumerate(kept):
        hashes.keep(key, content)
        expected[key] = content
        assert hashes.find(key) == content
        if number in saves:
            hashes.save()
            if data.draw(st.booleans()):
                hashes = hashes_in(folder)
    hashes.save()
    for found in (hashes, hashes_in(folder)):
        assert {key: found.find(key) for key in expected} == expected
        assert found.find(b"?" * 20) is None


@given(
    cut=st.integers(0, 400), rubbish=st.binary(max_size=80), kept=st.dictionaries(KEYS, CONTENTS)
)
def test_of_a_damaged_index_what_comes_before_counts_and_nothing_is_made_up(
    tmp_path_factory: pytest.TempPathFactory,
    cut: int,
    rubbish: bytes,
    kept: dict[bytes, bytes],
) -> None:
    folder = tmp_path_factory.mktemp("state")
    first = hashes_in(folder)
    for key, content in kept.items():
        first.keep(key, content)
    first.save()
    path = index_of(folder)
    if path.exists():
        path.write_bytes(path.read_bytes()[:cut] + rubbish)
    again = hashes_in(folder)
    for key, content in kept.items():
        assert again.find(key) in {content, None}
    # It is whole again with the next thing that is kept.
    before = {key: again.find(key) for key in kept}
    again.keep(b"n" * 20, b"new")
    again.save()
    third = hashes_in(folder)
    assert third.find(b"n" * 20) == b"new"
    assert {key: third.find(key) for key in kept} == before


def test_a_thousand_shares_are_read_by_one_opening(tmp_path: Path) -> None:
    keys = [number.to_bytes(20, "big") for number in range(1000)]
    first = hashes_in(tmp_path)
    for key in keys:
        first.keep(key, key * 10)
    first.save()
    opened: list[str] = []

    def note(event: str, arguments: tuple[object, ...]) -> None:
        if event in {"open", "os.scandir"} and str(tmp_path) in str(arguments[0]):
            opened.append(event)

    sys.addaudithook(note)
    again = hashes_in(tmp_path)
    assert all(again.find(key) == key * 10 for key in keys)
    # The index, and the names of what is beside it.
    assert sorted(opened) == ["open", "os.scandir"]
    opened.clear()
    assert again.find(b"?" * 20) is None
    assert opened == []


def test_what_is_large_has_a_file_of_its_own(tmp_path: Path) -> None:
    large = bytes(MAX_INDEXED + 1)
    first = hashes_in(tmp_path)
    first.keep(b"k" * 20, large)
    again = hashes_in(tmp_path)
    assert again.find(b"k" * 20) == large
    assert not index_of(tmp_path).exists()
    path = tmp_path / "hashes" / (b"k" * 20).hex()
    path.write_bytes(path.read_bytes()[:-1])
    assert again.find(b"k" * 20) is None


def test_two_processes_add_to_one_index(tmp_path: Path) -> None:
    one, other = hashes_in(tmp_path), hashes_in(tmp_path)
    assert one.find(b"a" * 20) is other.find(b"b" * 20) is None
    one.keep(b"a" * 20, b"of one")
    one.save()
    other.keep(b"b" * 20, b"of the other")
    other.save()
    third = hashes_in(tmp_path)
    assert (third.find(b"a" * 20), third.find(b"b" * 20)) == (b"of one", b"of the other")


def test_an_index_of_outdated_records_is_written_anew(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share_hashes, "MOST_WASTE", 1000)
    sizes = []
    for number in range(100):
        hashes = hashes_in(tmp_path)
        hashes.keep(b"k" * 20, bytes([number]) * 100)
        hashes.keep(bytes([number]) * 20, b"another")
        hashes.save()
        sizes.append(index_of(tmp_path).stat().st_size)
    assert max(sizes) < 100 * 50 + 3000
    found = hashes_in(tmp_path)
    assert found.find(b"k" * 20) == bytes([99]) * 100
    assert all(found.find(bytes([number]) * 20) == b"another" for number in range(100))


def test_of_an_index_that_is_too_long_the_oldest_are_dropped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share_hashes, "MAX_INDEX", 2000)
    keys = [number.to_bytes(20, "big") for number in range(100)]
    for key in keys:
        hashes = hashes_in(tmp_path)
        hashes.keep(key, b"x" * 50)
        hashes.save()
        assert index_of(tmp_path).stat().st_size <= 2000 + 110
    found = hashes_in(tmp_path)
    assert found.find(keys[-1]) == b"x" * 50
    assert found.find(keys[0]) is None
