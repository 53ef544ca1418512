"""Which blocks in flight are worth asking of a second peer, when none is left to give out.

Only where the second peer is clearly faster by estimated finish time, and from the end of the slow
peer's queue, so that what arrives twice stays a block or two.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final, NamedTuple

from trio_swarm.engine.download.source import Source
from trio_swarm.engine.lengths import BLOCK_LENGTH, BlockSet, highest_blocks

_CLEARLY: Final = 2.0
"""The second peer must be expected to finish in this part of the first one's time."""

TAIL_GAIN: Final = 0.2
"""Seconds it must gain at least near the end: less is within the error of the estimates."""

STALL_GAIN: Final = 3.0
"""Seconds it must gain at least while there is more to fetch, but no more pieces may be open."""


class Duplicate(NamedTuple):
    """Ask `helper` for `blocks` of `piece`, which are in flight from another peer."""

    helper: Source
    piece: int
    blocks: BlockSet


class _Tail(NamedTuple):
    seconds: float  # until the holder will have sent it all
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
    """Yield what idle peers should fetch too; no block twice.

    `doublable(piece)` returns the blocks of a piece that may get a second requester.
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
            continue  # it will have sent everything before there is anything to gain
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
            # Each block further from the end of its queue is one that the holder sends sooner.
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
