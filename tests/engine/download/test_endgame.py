"""Which blocks get a second requester at the end."""

from collections.abc import Iterable

from trio_swarm.engine.download.endgame import TAIL_GAIN, Duplicate, find_duplicates
from trio_swarm.engine.download.source import Source
from trio_swarm.engine.lengths import BLOCK_LENGTH

NOW = 100.0
ALL = (1 << 32) - 1


def source(
    key: int, *, rate: float, blocks: int = 0, asked_at: float = NOW, pieces: int = 1
) -> Source:
    """Return a peer that sent at `rate` for five seconds, with blocks of piece 0 in flight."""
    made = Source(key, identity=str(key), order=key, now=NOW - 5)
    made.pieces = pieces
    made.choked = False
    made.review()
    made.resize(64)
    if rate:
        ask = made.ask(0, 1, NOW - 5)
        assert ask > NOW - 5
        for step in range(1, 251):
            made.rate.add(int(rate / 50), NOW - 5 + step / 50)
        made.last_delivery = NOW
        made.take_asked(0, 1)
        made.stop_clock(NOW)
    if blocks:
        made.ask(0, blocks, asked_at)
    return made


def duplicates(
    helpers: list[Source], holders: Iterable[Source], doublable: int = ALL
) -> list[Duplicate]:
    return list(
        find_duplicates(helpers, holders, lambda piece: doublable, min_gain=TAIL_GAIN, now=NOW)
    )


def test_the_end_of_a_slow_queue_goes_to_a_fast_peer() -> None:
    slow = source(1, rate=1 * BLOCK_LENGTH, blocks=0xFF)
    fast = source(2, rate=100 * BLOCK_LENGTH)
    [found] = duplicates([fast], [slow, fast])
    assert found.helper is fast
    assert found.piece == 0
    assert found.blocks & 0x80
    assert found.blocks == found.blocks & 0xFF
    assert found.blocks.bit_count() >= 6


def test_a_peer_that_is_only_a_little_faster_does_not_help() -> None:
    slow = source(1, rate=10 * BLOCK_LENGTH, blocks=0x3FF)  # a second's worth
    same = source(2, rate=1.5 * BLOCK_LENGTH)  # two thirds of a second for the first block
    assert duplicates([same], [slow, same]) == []


def test_blocks_that_come_soon_are_left_alone() -> None:
    holder = source(1, rate=100 * BLOCK_LENGTH, blocks=0x3FF)  # a tenth of a second's worth
    fast = source(2, rate=10_000 * BLOCK_LENGTH)
    assert duplicates([fast], [holder, fast]) == []


def test_blocks_with_two_requesters_and_peers_without_the_piece_are_left_out() -> None:
    slow = source(1, rate=1 * BLOCK_LENGTH, blocks=0xFF)
    fast = source(2, rate=100 * BLOCK_LENGTH)
    without = source(3, rate=100 * BLOCK_LENGTH, pieces=0b10)
    assert duplicates([fast], [slow], doublable=0) == []
    assert duplicates([without], [slow]) == []
    assert duplicates([slow], [slow]) == []


def test_two_helpers_take_different_blocks() -> None:
    slow = source(1, rate=0.1 * BLOCK_LENGTH, blocks=0xFFFF)
    helpers = [source(2, rate=10 * BLOCK_LENGTH), source(3, rate=10 * BLOCK_LENGTH)]
    for helper in helpers:
        helper.resize(8)
    first, second = duplicates(helpers, [slow])
    assert not first.blocks & second.blocks
    assert first.blocks | second.blocks == 0xFFFF


def test_a_peer_silent_from_the_start_is_helped_even_by_one_that_never_sent() -> None:
    silent = source(1, rate=0, blocks=0b11, asked_at=NOW - 2)
    unknown = source(2, rate=0)
    [found] = duplicates([unknown], [silent])
    assert found.blocks == 0b11
    just_asked = source(1, rate=0, blocks=0b11)
    assert duplicates([unknown], [just_asked]) == []
