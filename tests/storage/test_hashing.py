"""Hashing many pieces on all cores."""

import hashlib
import os
import random
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_samples import make_info
from trio_swarm.errors import StorageError
from trio_swarm.piece_sets import from_pieces, full_set
from trio_swarm.storage.access import FileAccess
from trio_swarm.storage.hashing import HashingStopped, hash_pieces
from trio_swarm.storage.layout import Layout
from trio_swarm.storage.tree import Tree


def put(tmp_path: Path, lengths: list[int], piece_length: int) -> tuple[FileAccess, bytes]:
    info = make_info(lengths, piece_length=piece_length)
    data = random.Random(7).randbytes(info.length)
    for entry in info.files:
        path = tmp_path / entry.path[0]
        path.write_bytes(data[entry.offset : entry.offset + entry.length])
    return FileAccess(Layout(info), Tree(tmp_path)), data


def expected(data: bytes, piece_length: int) -> dict[int, bytes]:
    return {
        piece: hashlib.sha1(data[start : start + piece_length]).digest()
        for piece, start in enumerate(range(0, len(data), piece_length))
    }


@given(
    st.lists(st.integers(0, 9) | st.integers(0, 50_000), min_size=1, max_size=20),
    st.sampled_from([1024, 3000, 16384, 2**20]),
    st.integers(1, 3),
    st.randoms(use_true_random=False),
)
def test_any_pieces_of_any_files_hash_as_their_bytes(
    tmp_path_factory: pytest.TempPathFactory,
    lengths: list[int],
    piece_length: int,
    threads: int,
    rng: random.Random,
) -> None:
    access, data = put(tmp_path_factory.mktemp("hash"), lengths, piece_length)
    right = expected(data, piece_length)
    chosen = [piece for piece in right if rng.random() < 0.7]
    digests = hash_pieces(access.layout, access.open_to_hash, from_pieces(chosen), threads=threads)
    assert digests == {piece: right[piece] for piece in chosen}


def test_pieces_larger_than_the_buffer_that_span_files(tmp_path: Path) -> None:
    access, data = put(tmp_path, [3_000_000, 10, 2_500_000, 7_000_000], 5_000_000)
    digests = hash_pieces(access.layout, access.open_to_hash, full_set(3))
    assert digests == expected(data, 5_000_000)


def test_pad_files_hash_as_zeros(tmp_path: Path) -> None:
    for piece_length in (16384, 4_000_000):
        info = make_info([3_000_000, 3_000_000, 10], piece_length=piece_length, padding=[1])
        (tmp_path / "f0").write_bytes(b"a" * 3_000_000)
        (tmp_path / "f2").write_bytes(b"b" * 10)
        access = FileAccess(Layout(info), Tree(tmp_path))
        digests = hash_pieces(access.layout, access.open_to_hash, full_set(info.piece_count))
        data = b"a" * 3_000_000 + bytes(3_000_000) + b"b" * 10
        assert digests == expected(data, piece_length)


@pytest.mark.parametrize("piece_length", [16384, 2_000_000])
def test_pieces_a_file_is_too_short_for_are_left_out(tmp_path: Path, piece_length: int) -> None:
    access, data = put(tmp_path, [6_000_000, 6_000_000], piece_length)
    os.truncate(tmp_path / "f0", 3_000_001)
    digests = hash_pieces(
        access.layout, access.open_to_hash, full_set(access.layout.info.piece_count)
    )
    right = expected(data, piece_length)
    readable = {
        piece: digest
        for piece, digest in right.items()
        if (piece + 1) * piece_length <= 3_000_001 or piece * piece_length >= 6_000_000
    }
    assert digests == readable


def test_progress_counts_all_bytes_in_the_calling_thread(tmp_path: Path) -> None:
    access, data = put(tmp_path, [9_000_000], 16384)
    seen: list[tuple[int, int]] = []
    threads = set()

    def on_progress(done: int, total: int) -> None:
        seen.append((done, total))
        threads.add(threading.current_thread())

    hash_pieces(
        access.layout,
        access.open_to_hash,
        full_set(access.layout.info.piece_count),
        on_progress=on_progress,
    )
    assert [done for done, _ in seen] == sorted(done for done, _ in seen)
    assert {total for _, total in seen} == {len(data)}
    assert seen[-1] == (len(data), len(data))
    assert threads == {threading.current_thread()}


def test_hashing_stops_when_asked_and_leaves_no_thread(tmp_path: Path) -> None:
    access, _ = put(tmp_path, [50_000_000], 1_000_000)
    turns: list[int] = []
    with pytest.raises(HashingStopped):
        hash_pieces(
            access.layout,
            access.open_to_hash,
            full_set(50),
            on_progress=lambda done, _total: turns.append(done),
            should_stop=lambda: len(turns) == 2,
        )
    assert len(turns) == 2
    assert [thread for thread in threading.enumerate() if "hashing" in thread.name] == []


def test_an_error_of_a_file_or_callback_ends_hashing(tmp_path: Path) -> None:
    access, _ = put(tmp_path, [20_000_000, 5], 1_000_000)

    def break_down(_done: int, _total: int) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        hash_pieces(access.layout, access.open_to_hash, full_set(20), on_progress=break_down)
    (tmp_path / "f0").unlink()
    with pytest.raises(StorageError, match="f0: does not exist"):
        hash_pieces(access.layout, access.open_to_hash, full_set(21))
    assert [thread for thread in threading.enumerate() if "hashing" in thread.name] == []
