"""Piece and block arithmetic, whatever the sizes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.engine.lengths import BLOCK_LENGTH, Lengths, highest_blocks, lowest_blocks
from trio_swarm.piece_sets import from_pieces, iterate

sizes = st.tuples(st.integers(1, 5_000_000), st.integers(1, 200_000)).filter(
    lambda pair: pair[0] // pair[1] < 5_000
)


@given(sizes)
def test_blocks_cover_every_byte_exactly_once(pair: tuple[int, int]) -> None:
    length, piece_length = pair
    lengths = Lengths(length=length, piece_length=piece_length)
    total = 0
    for piece in range(lengths.piece_count):
        size = lengths.piece_size(piece)
        count = lengths.block_count(piece)
        assert 0 < size <= piece_length
        assert 0 < lengths.block_size(piece, count - 1) <= BLOCK_LENGTH
        assert sum(lengths.block_size(piece, block) for block in range(count)) == size
        assert lengths.size_of(piece, lengths.all_blocks(piece)) == size
        assert lengths.blocks_between(piece, 0, size) == lengths.all_blocks(piece)
        total += size
    assert total == length


@pytest.mark.parametrize(
    ("length", "piece_length", "pieces", "last", "blocks_of_last"),
    [
        (65536, 32768, 2, 32768, 2),
        (65537, 32768, 3, 1, 1),
        (1, 32768, 1, 1, 1),
        (40_000, 20_000, 2, 20_000, 2),
        (300, 100, 3, 100, 1),
        (0, 16384, 0, 0, 0),
    ],
)
def test_last_pieces(
    length: int, piece_length: int, pieces: int, last: int, blocks_of_last: int
) -> None:
    lengths = Lengths(length=length, piece_length=piece_length)
    assert lengths.piece_count == pieces
    if pieces:
        assert lengths.piece_size(pieces - 1) == last
        assert lengths.block_count(pieces - 1) == blocks_of_last


@given(sizes, st.data())
def test_runs_are_whole_blocks_and_make_up_the_set(
    pair: tuple[int, int], data: st.DataObject
) -> None:
    lengths = Lengths(length=pair[0], piece_length=pair[1])
    piece = data.draw(st.integers(0, lengths.piece_count - 1))
    blocks = data.draw(st.integers(0, lengths.all_blocks(piece)))
    seen = 0
    end = -1
    for run in lengths.runs(piece, blocks):
        assert run.piece == piece
        assert run.begin > end, "neighbouring runs would be one"
        end = run.begin + run.length
        part = lengths.blocks_between(*run)
        assert part
        assert not part & seen
        seen |= part
    assert seen == blocks
    assert lengths.size_of(piece, blocks) == sum(run.length for run in lengths.runs(piece, blocks))


@pytest.mark.parametrize(
    ("piece", "begin", "length"),
    [
        (0, 1, 16384),
        (0, 0, 0),
        (0, 0, 100),
        (0, 16384, 32768),
        (2, 0, 16384),
        (-1, 0, 1),
        (0, -16384, 16384),
    ],
)
def test_what_is_not_whole_blocks_is_no_blocks(piece: int, begin: int, length: int) -> None:
    assert Lengths(length=65536, piece_length=32768).blocks_between(piece, begin, length) == 0


@given(st.integers(0, 2**40), st.integers(0, 50))
def test_lowest_and_highest_blocks(blocks: int, count: int) -> None:
    ordered = list(iterate(blocks))
    assert lowest_blocks(blocks, count) == from_pieces(ordered[:count])
    assert highest_blocks(blocks, count) == from_pieces(ordered[-count:] if count else [])


def test_impossible_lengths_are_refused() -> None:
    with pytest.raises(ValueError, match="impossible"):
        Lengths(length=1, piece_length=0)
    with pytest.raises(IndexError):
        Lengths(length=1, piece_length=1).piece_size(1)


@given(st.data())
def test_pieces_that_end_with_padding_count_without_it(data: st.DataObject) -> None:
    piece_length = data.draw(st.integers(1, 3 * 16384))
    count = data.draw(st.integers(1, 20))
    short = data.draw(
        st.dictionaries(st.integers(0, count - 1), st.integers(1, max(1, piece_length - 1)))
        if piece_length > 1
        else st.just({})
    )
    lengths = Lengths(length=count * piece_length, piece_length=piece_length, short_pieces=short)
    sizes = [short.get(piece, piece_length) for piece in range(count)]
    assert [lengths.piece_size(piece) for piece in range(count)] == sizes
    assert lengths.length == sum(sizes)
    some = data.draw(st.integers(0, (1 << count) - 1))
    assert lengths.bytes_in(some) == sum(
        sizes[piece] for piece in range(count) if some >> piece & 1
    )
    for piece in range(count):
        runs = lengths.runs(piece, lengths.all_blocks(piece))
        assert [(run.begin, run.length) for run in runs] == [(0, sizes[piece])]


@pytest.mark.parametrize("short", [{2: 5}, {0: 0}, {0: 10}, {1: 8}, {-1: 5}])
def test_impossible_ends_of_pieces_are_refused(short: dict[int, int]) -> None:
    with pytest.raises(ValueError, match="impossible lengths"):
        Lengths(length=18, piece_length=10, short_pieces=short)
