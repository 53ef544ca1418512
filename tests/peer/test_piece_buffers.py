"""Where pieces are put together: blocks that arrive in place or are copied, memory taken back."""

from pathlib import Path

from trio_swarm.peer.piece_buffers import MOST_IN_MEMORY, PieceBuffers
from trio_swarm.storage.disk_memory import map_file

LENGTH = 100_000


def test_a_lent_place_is_the_memory_of_its_piece() -> None:
    buffers = PieceBuffers(LENGTH)
    place = buffers.lend(3, 1000, 50)
    assert place is not None
    place.view[:] = b"x" * 50
    buffers.end_loan(place)
    assert place.is_lent
    assert buffers.of(3)[999:1051] == b"\0" + b"x" * 50 + b"\0"


def test_a_place_is_lent_to_one_at_a_time() -> None:
    buffers = PieceBuffers(LENGTH)
    place = buffers.lend(0, 1000, 1000)
    assert place is not None
    assert buffers.lend(0, 0, 1001) is None
    assert buffers.lend(0, 1999, 1) is None
    assert buffers.lend(0, 0, 1000) is not None
    assert buffers.lend(0, 2000, 1) is not None
    assert buffers.lend(1, 1000, 1000) is not None
    buffers.end_loan(place)
    assert buffers.lend(0, 1000, 1000) is not None


def test_what_is_written_to_a_lent_place_stays_whatever_its_borrower_does() -> None:
    buffers = PieceBuffers(LENGTH)
    place, other = buffers.lend(0, 0, 100), buffers.lend(0, 200, 100)
    assert place is not None
    assert other is not None
    place.view[:40] = b"a" * 40
    buffers.write(0, 50, memoryview(b"b" * 40), [memoryview(b"b" * 60)])
    place.view[40:] = b"c" * 60
    assert not place.is_lent
    assert place.view == b"a" * 40 + b"c" * 60
    assert other.is_lent
    assert buffers.of(0)[50:150] == b"b" * 100


def test_a_released_buffer_is_used_again_and_never_by_who_borrowed_it() -> None:
    buffers = PieceBuffers(LENGTH)
    place = buffers.lend(0, 0, 100)
    assert place is not None
    place.view[:10] = b"a" * 10
    buffers.release(0)
    again = buffers.of(7)
    again[:100] = b"z" * 100
    place.view[10:] = b"b" * 90
    assert place.view == b"a" * 10 + b"b" * 90
    assert again[:100] == b"z" * 100
    buffers.end_loan(place)


def test_clearing_gives_all_memory_back_and_ends_every_loan() -> None:
    buffers = PieceBuffers(LENGTH)
    place = buffers.lend(0, 0, 100)
    assert place is not None
    buffers.clear()
    assert not place.is_lent
    assert buffers.lend(0, 0, 100) is not None


def anonymous_bytes() -> int:
    """Return the memory of this process that no file holds and the system cannot give to others."""
    lines = Path("/proc/self/status").read_text().splitlines()
    sizes = [line.split()[1] for line in lines if line.startswith(("RssAnon", "RssShmem"))]
    return sum(map(int, sizes)) * 1024


def test_a_large_piece_lies_in_a_file_that_nobody_sees(tmp_path: Path) -> None:
    """A piece of 512 MiB, as libtorrent reads, does not take 512 MiB of a machine's memory."""
    length = MOST_IN_MEMORY + 1
    if map_file(length, tmp_path) is None:
        return  # a file system in memory
    buffers = PieceBuffers(length, tmp_path)
    before = anonymous_bytes()
    block = b"x" * 16384
    for begin in range(0, length - len(block), len(block)):
        buffers.write(0, begin, memoryview(block))
    assert bytes(buffers.of(0)[length - 20_000 : length - 19_000]) == b"x" * 1000
    assert anonymous_bytes() - before < length // 4
    assert list(tmp_path.iterdir()) == []
    buffers.clear()


def test_a_large_piece_lies_in_memory_where_no_file_can_be(tmp_path: Path) -> None:
    assert map_file(MOST_IN_MEMORY, tmp_path / "missing") is None
    assert map_file(2**60, tmp_path) is None
    buffers = PieceBuffers(MOST_IN_MEMORY + 1, tmp_path / "missing")
    buffers.of(0)[-1:] = b"x"
    assert buffers.of(0)[-1] == ord("x")
