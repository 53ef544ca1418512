"""Sharing the piece buffers among peers, if their links could fill more buffers than there are.

Without shares the first peer that is asked would take all buffers, and the others would idle.
"""

import math
from collections.abc import Collection, Container, Iterable
from typing import Final

from trio_swarm.compiler_hints import mypyc_attr
from trio_swarm.engine.download.source import HAND_OUT, HORIZON, MIN_WINDOW, Source

PLENTY: Final = 2
"""While all windows together are less than one part in `PLENTY` of the buffers, no shares are
computed. A window at most doubles in a round trip, and is checked again before it is too large."""

SHARE_INTERVAL: Final = 0.1
"""Seconds between two computations of the shares."""

END_SECONDS: Final = 2.5
"""The end is near when all peers together would deliver the rest within these seconds."""

END_HORIZON: Final = 0.2
"""Seconds of work a peer is given ahead near the end, so that a peer that becomes faster, because
others are done, finds blocks left to fetch. With eight peers on shaped links (`make bench-swarm`,
column a) the last finished 2.7 % sooner than with `HORIZON` to the end, and almost nothing arrived
twice."""

_USUAL: Final = 0.8
"""A peer with at least this part of the mean speed does not count as slow."""


@mypyc_attr(acyclic=True)
class BufferShares:
    """Sets every peer's share of the buffers, at intervals."""

    __slots__ = (
        "_are_shared",
        "_blocks",
        "_blocks_per_piece",
        "_is_ending",
        "due_at",
        "is_far",
        "is_short",
    )

    def __init__(self, pieces: int, blocks_per_piece: int) -> None:
        self._blocks = pieces * blocks_per_piece
        self._blocks_per_piece = blocks_per_piece
        self._are_shared = False
        self._is_ending = False
        self.due_at = -math.inf
        """When to compute the shares again, seconds; -inf after a peer joined or left."""
        self.is_far = False
        """Whether the end was far at the last computation."""
        self.is_short = False
        """Whether some peer's link could use more than its share."""

    def divide(
        self,
        sources: Collection[Source],
        ready: Container[int],
        now: float,
        *,
        is_far: bool,
        remaining: int,
    ) -> bool:
        """Share the buffers among the peers that have blocks in flight or can be assigned some.

        `is_far` says that the end of the download is far, `remaining` is the number of bytes not
        yet received. Near the end each peer is given less work ahead. Returns whether any peer's
        limit may have changed.
        """
        self.due_at = now + SHARE_INTERVAL
        self.is_far = is_far
        sharers = [each for each in sources if each.in_flight or each.key in ready]
        speed = sum([each.speed for each in sharers])
        is_ending = len(sharers) > 1 and remaining <= END_SECONDS * speed
        is_other = is_ending or self._is_ending
        if is_other:
            self._is_ending = is_ending
            for source in sources:
                source.set_horizon(END_HORIZON if is_ending else HORIZON)
        windows = sum([each.window for each in sources if each.serves])
        are_plenty = windows * PLENTY < self._blocks
        if are_plenty and not self._are_shared:
            return is_other
        self._are_shared = not are_plenty
        share = share_of_each([each.window for each in sharers], self._blocks)
        usual_speed = speed / max(1, len(sharers))
        self.is_short = False
        for source in sources:
            most = share >> (1 if is_far else 2)
            if is_far and source.speed >= _USUAL * usual_speed > 0.0:
                # The peer delivers them before their buffers are needed elsewhere.
                ample = min(HAND_OUT, share * 4 // 5, share - source.blocks_a_round_trip())
                most = max(most, ample)
            hand_out = part_of_pieces(max(1, most), self._blocks_per_piece)
            source.set_share(share, hand_out, is_far=is_far)
            self.is_short |= source.window > share
        return True


def share_of_each(windows: Iterable[int], blocks: int) -> int:
    """Return how many of `blocks` each peer may use, if their links could use `windows`.

    A peer that could use less than an equal share leaves the rest to the others (max-min fairness).
    If all windows fit, the peers with the largest windows may use the rest, because their windows
    are growing.
    """
    ascending = sorted(windows)
    count = len(ascending)
    if not count:
        return blocks
    left = blocks
    for index, window in enumerate(ascending):
        equal = left // (count - index)
        if window > equal:
            return max(MIN_WINDOW, equal)
        left -= window
    largest = ascending[-1]
    growing = sum(2 * window >= largest for window in ascending)
    return largest + left // growing


def part_of_pieces(most: int, blocks_per_piece: int) -> int:
    """Return at most about `most` blocks: whole pieces, or 1/2, 1/4, 1/8 … of a piece.

    A chunk that does not divide pieces leaves a few blocks over, and assigning those costs as much
    as a large chunk.
    """
    if most >= blocks_per_piece:
        return most - most % blocks_per_piece
    part = blocks_per_piece
    while part > most:
        part = (part + 1) >> 1
    return part
