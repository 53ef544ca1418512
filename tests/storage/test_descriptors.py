"""Few open files for many."""

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from trio_swarm.storage.descriptors import (
    KEPT_FREE,
    OpenFiles,
    ReadDescriptors,
    SharedDescriptors,
    shares_of,
)


@pytest.fixture
def open_file(tmp_path: Path) -> Callable[[int], int]:
    def open_numbered(file: int) -> int:
        path = tmp_path / str(file)
        path.write_bytes(b"%d" % file)
        return os.open(path, os.O_RDONLY)

    return open_numbered


def is_open(descriptor: int, file: int) -> bool:
    try:
        return os.pread(descriptor, 9, 0) == b"%d" % file
    except OSError:
        return False


def test_a_descriptor_in_use_is_never_closed(open_file: Callable[[int], int]) -> None:
    shared = SharedDescriptors(open_file, 2)
    used = [shared.acquire(file) for file in range(5)]
    assert [is_open(descriptor, file) for file, descriptor in enumerate(used)] == [True] * 5
    for file in range(5):
        shared.release(file)
    shared.close()
    assert not any(is_open(descriptor, file) for file, descriptor in enumerate(used))


def test_the_least_recently_used_descriptor_goes(open_file: Callable[[int], int]) -> None:
    shared = SharedDescriptors(open_file, 2)
    opened = {}
    for file in (0, 1, 0, 2):
        opened[file] = shared.acquire(file)
        shared.release(file)
    assert is_open(opened[0], 0)
    assert is_open(opened[2], 2)
    assert opened[2] == opened[1], "the descriptor of file 1 was closed, and its number used again"
    shared.close()


def test_two_users_of_one_file_share_its_descriptor(open_file: Callable[[int], int]) -> None:
    shared = SharedDescriptors(open_file, 1)
    first = shared.acquire(7)
    assert shared.acquire(7) == first
    shared.release(7)
    other = shared.acquire(8)
    assert is_open(first, 7)
    assert is_open(other, 8)
    shared.release(7)
    shared.release(8)
    shared.close()


def test_reading_keeps_descriptors_until_the_next_trim(open_file: Callable[[int], int]) -> None:
    reading = ReadDescriptors(open_file, 2)
    opened = [reading.get(file) for file in range(5)]
    assert [is_open(descriptor, file) for file, descriptor in enumerate(opened)] == [True] * 5
    reading.get(0)
    reading.trim()
    assert [is_open(descriptor, file) for file, descriptor in enumerate(opened)] == [
        True,
        False,
        False,
        False,
        True,
    ]
    reading.close()
    assert not any(is_open(descriptor, file) for file, descriptor in enumerate(opened))


def test_pools_close_files_of_others_beyond_what_they_have_together(
    open_file: Callable[[int], int],
) -> None:
    together = OpenFiles(3)
    first, second = (SharedDescriptors(open_file, 16, together=together) for _ in range(2))
    held = first.acquire(0)
    idle = first.acquire(1)
    first.release(1)
    for file in (2, 3, 4):
        second.acquire(file)
        second.release(file)
    assert is_open(held, 0), "it is in use"
    assert not is_open(idle, 1)
    first.release(0)
    assert together.free()
    assert not is_open(held, 0)
    assert not together.free(), "there is nothing left to close"
    second.close()
    first.close()


def test_whoever_sends_closes_files_of_the_torrent_that_opened_none_for_longest(
    open_file: Callable[[int], int],
) -> None:
    together = OpenFiles(2)
    old, new, asking = (ReadDescriptors(open_file, 16, lambda: together) for _ in range(3))
    opened = [old.get(0), new.get(1)]
    asking.get(2)
    assert [is_open(descriptor, file) for file, descriptor in enumerate(opened)] == [False, True]
    for pool in (old, new, asking):
        pool.close()
    assert not together.free()


def test_a_process_without_descriptors_closes_files_for_one_more(tmp_path: Path) -> None:
    """In a process of its own: its limit is 64."""
    script = """
import os, resource
from pathlib import Path
from trio_swarm.storage.access import FileAccess
from trio_swarm.storage.layout import Layout
from trio_swarm.storage.tree import Tree
from trio_swarm.protocol.metainfo.torrent import build_info

resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
info = build_info(name="x", piece_length=16384, piece_hashes=bytes(20), files=None, length=9)
torrents = []
for number in range(40):
    path = Path(str(number))
    path.write_bytes(b"%09d" % number)
    torrents.append(FileAccess(Layout(info), Tree(path)))
for _ in range(2):
    for number, access in enumerate(torrents):
        assert access.read(0, 0, 9) == b"%09d" % number
        (part,) = access.slices(0, 0, 9)
        assert os.pread(part.fd, 9, 0) == b"%09d" % number
        assert len(os.listdir("/proc/self/fd")) < 48
# Whatever else has taken the rest, a file can still be opened.
taken = []
try:
    while True:
        taken.append(os.open("/dev/null", os.O_RDONLY))
except OSError:
    pass
for number, access in enumerate(torrents):
    assert access.read(0, 0, 9) == b"%09d" % number
"""
    subprocess.run([sys.executable, "-c", script], cwd=tmp_path, check=True, timeout=60)


@pytest.mark.parametrize("limit", [16, 64, 256, 1024, 1 << 16])
def test_descriptors_are_shared_out_so_that_some_are_left(limit: int) -> None:
    shares = shares_of(limit)
    assert min(shares) >= 4
    if limit >= 64:
        assert sum(shares) + KEPT_FREE <= limit
