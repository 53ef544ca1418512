"""Where pieces are put together: blocks that arrive in place or are copied, memory taken back."""

from trio_swarm.peer.piece_buffers import PieceBuffers

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
