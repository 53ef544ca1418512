"""Which pieces the readers of a download want, and by when."""

from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.engine.download.readers import (
    AHEAD,
    MOST_AHEAD,
    MOST_READERS,
    PACE,
    STAYS,
    Readers,
)
from trio_swarm.piece_sets import full_set

MIB = 1024 * 1024


def test_what_a_reader_waits_for_comes_first_and_then_what_follows_at_its_pace() -> None:
    readers = Readers(MIB, 100)
    assert readers.begin(10 * MIB + 5, 12 * MIB, 50.0) is not None
    found = readers.deadlines(0)
    ahead = AHEAD // MIB
    assert list(found) == list(range(10, 12 + ahead))
    assert (found[10], found[11], found[12]) == (50.0, 50.0, 50.0)
    assert found[13] == 50.0 + MIB / PACE
    assert readers.deadlines(full_set(100)) == {}
    assert list(readers.deadlines(full_set(12))) == list(range(12, 12 + ahead))


def test_a_reader_that_has_its_bytes_is_expected_to_go_on_behind_them_for_a_while() -> None:
    readers = Readers(MIB, 100)
    reader = readers.begin(0, MIB, 0.0)
    assert reader is not None
    readers.got(reader, 5.0)
    found = readers.deadlines(0)
    assert min(found) == 1
    assert found[1] == 5.0
    readers.begin(50 * MIB, 51 * MIB, 5.0 + STAYS - 0.1)
    assert 1 in readers.deadlines(0)
    readers.begin(60 * MIB, 61 * MIB, 5.0 + STAYS)
    assert 1 not in readers.deadlines(0)


def test_a_reader_that_goes_on_is_the_same_reader() -> None:
    readers = Readers(MIB, 10_000)
    for number in range(1000):
        reader = readers.begin(number * MIB, (number + 1) * MIB, number / 100)
        assert reader is not None
        readers.got(reader, number / 100)
    assert min(readers.deadlines(0)) == 1000


def test_a_reader_that_gave_up_wants_nothing() -> None:
    readers = Readers(MIB, 100)
    reader = readers.begin(0, MIB, 0.0)
    assert reader is not None
    readers.leave(reader)
    assert readers.deadlines(0) == {}


def test_the_most_urgent_of_several_readers_comes_first() -> None:
    readers = Readers(MIB, 100)
    readers.begin(80 * MIB, 81 * MIB, 1.0)
    readers.begin(5 * MIB, 6 * MIB, 2.0)
    found = readers.deadlines(0)
    assert list(found)[:3] == [80, 81, 5] or list(found)[:3] == [80, 81, 82]
    times = list(found.values())
    assert times == sorted(times)


def test_readers_and_what_they_want_are_bounded() -> None:
    readers = Readers(1, 100_000)
    waiting = [
        readers.begin(number * 1000, number * 1000 + 1, 0.0) for number in range(MOST_READERS)
    ]
    assert None not in waiting
    assert readers.begin(99_000, 99_001, 0.0) is None
    assert len(readers.deadlines(0)) <= MOST_READERS * (MOST_AHEAD + 1)
    first = waiting[0]
    assert first is not None
    readers.got(first, 0.0)
    assert readers.begin(99_000, 99_001, 0.0) is not None


@given(st.integers(1, 40), st.lists(st.tuples(st.integers(0, 390), st.integers(1, 40)), max_size=5))
def test_only_missing_pieces_of_the_torrent_are_wanted(
    piece_length: int, reads: list[tuple[int, int]]
) -> None:
    count = -(-400 // piece_length)
    readers = Readers(piece_length, count)
    have = 0b1011
    for begin, length in reads:
        readers.begin(begin, min(400, begin + length), 0.0)
    wanted = readers.deadlines(have)
    assert all(0 <= piece < count and not have >> piece & 1 for piece in wanted)
    for begin, length in reads:
        last = (min(400, begin + length) - 1) // piece_length
        for piece in range(begin // piece_length, last + 1):
            assert have >> piece & 1 or wanted[piece] == 0.0
