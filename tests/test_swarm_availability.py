"""Counts of holders, compared with counting."""

from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.piece_sets import full_set
from trio_swarm.swarm.availability import Availability

COUNT = 40
piece_sets = st.one_of(st.just(full_set(COUNT)), st.integers(0, full_set(COUNT)))


@given(st.lists(st.one_of(piece_sets, st.tuples(st.integers(0, 9), st.integers(0, COUNT - 1)))))
def test_rarity_is_what_counting_gives(steps: list[int | tuple[int, int]]) -> None:
    availability = Availability(COUNT)
    peers: list[int] = []
    for step in steps:
        if isinstance(step, int):
            availability.add_peer()
            availability.add(step)
            peers.append(step)
            if len(peers) > 9:
                availability.remove_peer(peers.pop(0))
        elif peers:
            which, piece = step[0] % len(peers), step[1]
            if not peers[which] >> piece & 1:
                peers[which] |= 1 << piece
                availability.add(1 << piece)
            else:
                peers[which] ^= 1 << piece
                availability.remove(1 << piece)
        assert len(availability) == len(peers) + 1 == len(list(availability))
        for piece in range(COUNT):
            holders = sum(pieces >> piece & 1 for pieces in peers)
            assert [n for n, held in enumerate(availability) if held >> piece & 1] == [holders]
