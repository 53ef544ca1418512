"""Few open files for many."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from trio_swarm.storage.descriptors import ReadDescriptors, SharedDescriptors


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
