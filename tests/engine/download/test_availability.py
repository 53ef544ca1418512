"""Counts of holders, compared with counting."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.engine.download.availability import Availability
from trio_swarm.piece_sets import full_set
from trio_swarm.schedulers.rarity import Rarity

COUNT = 40
piece_sets = st.one_of(st.just(full_set(COUNT)), st.integers(0, full_set(COUNT)))


@given(
    st.lists(
        st.tuples(
            st.one_of(piece_sets, st.tuples(st.integers(0, 9), st.integers(0, COUNT - 1))),
            st.booleans(),
        )
    )
)
def test_rarity_is_what_counting_gives_however_seldom_it_is_looked_at(
    steps: list[tuple[int | tuple[int, int], bool]],
) -> None:
    availability = Availability(COUNT)
    peers: list[int] = []
    for step, is_looked_at in [*steps, (0, True)]:
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
        if not is_looked_at:
            continue
        rarity = availability.rarity
        assert len(rarity) == len(peers) + 1 == len(list(rarity))
        for piece in range(COUNT):
            holders = sum(pieces >> piece & 1 for pieces in peers)
            assert [n for n, held in enumerate(rarity) if held >> piece & 1] == [holders]


@given(st.lists(piece_sets, max_size=9), piece_sets)
def test_the_rarest_and_each_item_are_what_looking_through_all_gives(
    peers: list[int], candidates: int
) -> None:
    rarity = counted(peers)
    levels = list(counted(peers))
    assert [rarity[n] for n in range(len(rarity))] == levels == [*rarity[:2], *rarity[2:]]
    assert [rarity[n - len(rarity)] for n in range(len(rarity))] == levels
    for beyond in (len(rarity), -len(rarity) - 1):
        with pytest.raises(IndexError):
            rarity[beyond]
    rarest = next((held & candidates for held in levels if held & candidates), 0)
    assert rarity.rarest(candidates) == rarest


@given(st.lists(piece_sets, max_size=9), piece_sets)
def test_what_a_strategy_was_given_does_not_change_with_the_swarm(
    peers: list[int], more: int
) -> None:
    availability = Availability(COUNT)
    for pieces in peers:
        availability.add_peer()
        availability.add(pieces)
    rarity = availability.rarity
    assert availability.rarity is rarity
    availability.add_peer()
    availability.add(more)
    assert rarity == counted(peers)
    assert list(rarity) == list(counted(peers))
    assert availability.rarity == counted([*peers, more]) != rarity


def counted(peers: list[int]) -> Rarity:
    availability = Availability(COUNT)
    for pieces in peers:
        availability.add_peer()
        availability.add(pieces)
    return availability.rarity


@given(st.lists(piece_sets, max_size=9))
def test_counts_of_all_pieces_are_what_counting_gives(peers: list[int]) -> None:
    availability = Availability(COUNT)
    for pieces in peers:
        availability.add_peer()
        availability.add(pieces)
    counts = [sum(pieces >> piece & 1 for pieces in peers) for piece in range(COUNT)]
    assert list(availability.rarity.counts()) == counts


@pytest.mark.parametrize("count", [254, 255, 256, 700])
def test_a_count_of_more_than_a_byte_holds_is_the_most_that_one_holds(count: int) -> None:
    availability = Availability(COUNT)
    for _ in range(count):
        availability.add_peer()
        availability.add(0b101)
    availability.add_peer()
    availability.add(0b10)
    most = min(255, count)
    assert list(availability.rarity.counts()) == [most, 1, most] + [0] * (COUNT - 3)
