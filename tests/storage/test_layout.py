"""Byte ranges of a torrent and the files they lie in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from storage_samples import make_info
from trio_swarm.storage.layout import Layout

file_lengths = st.lists(st.integers(0, 100) | st.integers(0, 100_000), min_size=1, max_size=30)


@given(file_lengths, st.data())
def test_spans_cover_any_range_once_and_in_order(lengths: list[int], data: st.DataObject) -> None:
    layout = Layout(make_info(lengths))
    total = sum(lengths)
    start = data.draw(st.integers(0, total))
    length = data.draw(st.integers(0, total - start))

    at = start
    for span in layout.spans(start, length):
        entry = layout.info.files[span.file]
        assert span.length > 0
        assert span.offset >= 0
        assert span.offset + span.length <= entry.length
        assert entry.offset + span.offset == at
        at += span.length
    assert at == start + length


@given(file_lengths, st.integers(100, 5000))
def test_the_pieces_of_a_file_are_those_whose_spans_name_it(
    lengths: list[int], piece_length: int
) -> None:
    layout = Layout(make_info(lengths, piece_length=piece_length))
    pieces_of: dict[int, set[int]] = {file: set() for file in range(len(lengths))}
    for piece in range(layout.info.piece_count):
        files = [span.file for span in layout.piece_spans(piece)]
        assert list(layout.files_of(piece)) == files
        for file in files:
            pieces_of[file].add(piece)
    for file, pieces in pieces_of.items():
        assert set(layout.pieces_of(file)) == pieces


def test_pad_files_are_no_files_on_the_disk() -> None:
    layout = Layout(make_info([10, 16374, 5], padding={1}))
    assert list(layout.files_of(0)) == [0]
    assert [span.file for span in layout.piece_spans(0)] == [0, 1]


@pytest.mark.parametrize(
    ("piece", "begin", "length"),
    [(-1, 0, 1), (2, 0, 1), (0, -1, 1), (0, 0, 16385), (1, 3616, 1), (0, 1, -1)],
)
def test_a_block_outside_its_piece_is_refused(piece: int, begin: int, length: int) -> None:
    layout = Layout(make_info([20_000]))
    with pytest.raises(ValueError, match=r"piece|bytes"):
        layout.block_spans(piece, begin, length)


def test_bytes_of_pieces_count_the_short_last_piece() -> None:
    layout = Layout(make_info([20_000]))
    assert layout.count_bytes(0b11) == 20_000
    assert layout.count_bytes(0b01) == 16384
    assert layout.count_bytes(0b10) == 20_000 - 16384
