"""What a torrent tells of its files, compared with counting byte by byte."""

from hypothesis import given
from hypothesis import strategies as st

from storage_samples import make_info
from trio_swarm.peer.torrent_parts import file_states_of
from trio_swarm.piece_sets import full_set, to_bytes_each

PIECE_LENGTH = 8


@given(st.lists(st.integers(0, 40), min_size=1, max_size=12).filter(any), st.data())
def test_the_bytes_of_each_file_that_are_here_are_what_counting_gives(
    lengths: list[int], data: st.DataObject
) -> None:
    padding = data.draw(st.sets(st.integers(0, len(lengths) - 1)))
    info = make_info(lengths, piece_length=PIECE_LENGTH, padding=sorted(padding))
    have = data.draw(st.integers(0, full_set(info.piece_count)))
    states = file_states_of(info, have, 0, None)
    assert [state.index for state in states] == [
        index for index in range(len(lengths)) if index not in padding
    ]
    for state in states:
        entry = info.files[state.index]
        of_file = range(entry.offset, entry.offset + entry.length)
        pieces = [byte // PIECE_LENGTH for byte in of_file]
        assert (state.path, state.length) == (f"f{state.index}", entry.length)
        assert state.have == sum(have >> piece & 1 for piece in pieces)
        assert set(range(state.first_piece, state.end_piece)) == set(pieces)
    first, count = data.draw(st.integers(0, 14)), data.draw(st.integers(0, 14))
    assert file_states_of(info, have, first, count) == [
        state for state in states if first <= state.index < first + count
    ]


@given(st.integers(0, 90), st.data())
def test_a_byte_for_each_piece_says_whether_it_is_in_the_set(
    count: int, data: st.DataObject
) -> None:
    pieces = data.draw(st.integers(0, full_set(count)))
    assert list(to_bytes_each(pieces, count)) == [pieces >> piece & 1 for piece in range(count)]
