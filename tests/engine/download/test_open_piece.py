"""Who sent which blocks of a piece, compared with a note for each block."""

from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.engine.download.open_piece import OpenPiece

BLOCKS = 6
FULL = (1 << BLOCKS) - 1


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(1, FULL)), max_size=8))
def test_each_block_is_of_whom_it_came_from_last(arrivals: list[tuple[str, int]]) -> None:
    piece = OpenPiece(3, FULL)
    sent_by: dict[int, str] = {}
    for identity, blocks in arrivals:
        piece.receive(identity, blocks)
        sent_by |= {block: identity for block in range(BLOCKS) if blocks >> block & 1}
        assert piece.received == sum(1 << block for block in sent_by)
        assert piece.senders() == {
            identity: sum(1 << block for block, sender in sent_by.items() if sender == identity)
            for identity in sent_by.values()
        }
    piece.forget_received()
    assert not piece.received
    assert piece.senders() == {}
