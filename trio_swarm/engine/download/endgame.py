"""Which blocks in flight to request from a second peer, when no block is left to assign.

Only if the second peer is clearly faster by estimated finish time, and from the end of the slow
peer's queue, so that only a block or two arrive twice.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from trio_swarm.engine.download.source import Source
from trio_swarm.engine.lengths import BLOCK_LENGTH, BlockSet, highest_blocks

_CLEARLY: Final = 2.0
"""How many times faster than the first peer the second one must be expected to finish."""

TAIL_GAIN: Final = 0.2
"""Least seconds to gain near the end: less is within the error of the estimates."""

STALL_GAIN: Final = 3.0
"""Least seconds to gain while untouched pieces remain, but no more pieces may be open."""


class Duplicate(NamedTuple):
    """Blocks of `piece` to request from `helper`, although they are in flight from another peer."""

    helper: Source
    piece: int
    blocks: BlockSet


class _Tail(NamedTuple):
    seconds: float  # until the holder will have sent all of it
    holder: Source
    piece: int
    blocks: BlockSet


def find_duplicates(
    helpers: Sequence[Source],
    holders: Iterable[Source],
    doublable: Callable[[int], BlockSet],
    *,
    min_gain: float,
    now: float,
) -> Iterator[Duplicate]:
    """Yield the blocks that idle peers should fetch, too; each block once.

    `doublable(piece)` returns the blocks of a piece that may get a second requester. `min_gain` is
    the least time to gain, in seconds.
    """
    tails: list[_Tail] = []
    for holder in holders:
        if not holder.asks:
            continue
        speed = holder.measure(now)
        if (
            speed > 0.0
            and holder.in_flight * BLOCK_LENGTH < min_gain * speed
            and now - holder.asks[0].at < min_gain
        ):
            continue  # it will have sent everything within the least gain
        ahead = 0
        for ask in holder.asks:
            ahead += ask.blocks.bit_count()
            blocks = ask.blocks & doublable(ask.piece)
            if blocks:
                tails.append(_Tail(holder.seconds_left(ask, ahead, now), holder, ask.piece, blocks))
    tails.sort(key=lambda tail: -tail.seconds)
    taken: dict[tuple[int, int], BlockSet] = {}
    for helper in sorted(helpers, key=lambda source: -source.measure(now)):
        room = helper.room
        extra = 0
        askable = helper.askable()
        for seconds, holder, piece, all_blocks in tails:
            if room <= extra or not _gains(helper.seconds_for(extra + 1), seconds, min_gain):
                break
            if holder is helper or not askable >> piece & 1:
                continue
            blocks = all_blocks & ~taken.get((holder.key, piece), 0)
            most = min(room - extra, blocks.bit_count())
            count = 0
            # The holder sends a block this much sooner for each place that it is further from the
            # end of its queue.
            per_block = BLOCK_LENGTH / holder.speed if holder.speed > 0.0 else 0.0
            while count < most and _gains(
                helper.seconds_for(extra + count + 1), seconds - count * per_block, min_gain
            ):
                count += 1
            if count <= 0:
                continue
            chosen = highest_blocks(blocks, count)
            extra += count
            key = (holder.key, piece)
            taken[key] = taken.get(key, 0) | chosen
            yield Duplicate(helper, piece, chosen)


def _gains(mine: float, theirs: float, min_gain: float) -> bool:
    return mine * _CLEARLY <= theirs and theirs - mine >= min_gain
