"""bandwidth-weighted: a download strategy; all peers deliver their last block together."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from trio_swarm.piece_sets import PieceSet, lowest
from trio_swarm.schedulers.api import Assignment, PeerView, SwarmView
from trio_swarm.schedulers.draft import Draft, Levels, Urgent, begun_first

_JOINT_SECONDS = 0.1
"""Seconds for which the joint rate of all peers is assumed to stay the same, so that it is not
computed for every call."""

_LEAST_RATE = 1.0
"""Bytes/s below which a peer's rate counts as unknown: it keeps every estimated time finite."""


@dataclass
class BandwidthWeighted:
    """Blocks go to the peer that is estimated to deliver them soonest; all peers finish together.

    While much is missing, every peer's room is filled; the room follows from the peer's rate. Near
    the end the free blocks are divided among *all* peers, also those without room, so that the last
    block of each arrives at the same moment. A slow peer is not asked for blocks that it would
    deliver later than that; a faster peer is asked for them as soon as it has room. Pieces that
    somebody waits for who reads the files come before all others.
    """

    pieces: Literal["random", "rarest", "in-order"] = "random"
    """Which piece to start next; started pieces are always finished first."""
    _joint: "_Joint | None" = field(default=None, init=False, repr=False)
    """The latest estimate for all peers together."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        """Fill each peer's room; near the end give each peer its part of the remaining blocks."""
        draft = Draft(view)
        if self._joint is not None and self._joint.is_far(view):
            quotas = _rooms(view)
        else:
            finish = _Finish(view)
            self._joint = finish.joint()
            quotas = finish.quotas()
        urgent = Urgent(view) if view.deadlines else None
        levels = Levels(view) if self.pieces == "rarest" else None
        for peer, quota, only_here in quotas:
            left = quota
            while left > 0 and (candidates := draft.candidates(peer)):
                if urgent is not None:
                    first = urgent.first(peer, candidates)
                    if first is not None:
                        left -= draft.give(peer, first, left)
                        continue
                    candidates = urgent.others(peer, candidates)
                candidates = (candidates & only_here) or candidates
                if self.pieces == "in-order":
                    piece = lowest((candidates & draft.started) or candidates)
                else:
                    if peer.suggested:
                        candidates = (candidates & peer.suggested) or candidates
                    if levels is not None:
                        candidates = levels.rarest(candidates)
                    piece = begun_first(candidates, draft.started, rng)
                left -= draft.give(peer, piece, left)
        return draft.assignments


class _Joint(NamedTuple):
    """The estimated rate of all peers of a view together, which is nearly constant for a while."""

    at: float
    peers: int
    rate: float  # blocks/s
    unknown_rate: float  # bytes/s, assumed for peers of unknown rate

    def is_far(self, view: SwarmView) -> bool:
        """Whether the end is so far away that the peers need not all be looked at again.

        False also if the estimate is too old, or if peers joined or left. "Far" here is twice as
        far as `_Finish` requires: no estimate changes by more in so short a time.
        """
        if (
            self.rate <= 0.0
            or not self.at <= view.now < self.at + _JOINT_SECONDS
            or self.peers != len(view.peers) + len(view.busy)
        ):
            return False
        left = view.remaining / view.block_length / self.rate
        for peer in view.peers:
            rate = peer.rate if peer.rate >= _LEAST_RATE else self.unknown_rate
            blocks = peer.in_flight + peer.room
            if 2.0 * (peer.rtt + blocks * view.block_length / rate) > left:
                return False
        return True


def _rooms(view: SwarmView) -> list[tuple[PeerView, int, PieceSet]]:
    """Return quotas that let every peer fill its room."""
    return [(peer, peer.room, 0) for peer in view.peers]


class _Finish:
    """The time at which each peer would finish, and the part of the rest that it should get."""

    def __init__(self, view: SwarmView) -> None:
        self.view = view
        self.peers: Sequence[PeerView] = (*view.peers, *view.busy) if view.busy else view.peers
        known = [peer.rate for peer in self.peers if peer.rate >= _LEAST_RATE]
        self.unknown_rate = min(known, default=0.0)
        """Rate assumed for a peer of unknown rate: the lowest known rate, so that near the end it
        gets few blocks that others would deliver sooner. 0.0 if no rate is known."""

    def rate(self, peer: PeerView) -> float:
        """Return the peer's known or assumed rate in blocks/s."""
        return (
            peer.rate if peer.rate >= _LEAST_RATE else self.unknown_rate
        ) / self.view.block_length

    def start(self, peer: PeerView) -> float:
        """Return after how many seconds a block requested from `peer` now would begin to arrive."""
        return max(peer.rtt, peer.in_flight / self.rate(peer))

    def quotas(self) -> list[tuple[PeerView, int, PieceSet]]:
        """Return (peer, most blocks to assign, pieces no other peer has), the soonest peer first.

        The set of pieces is empty while the end is far away, because it is used only near the end.
        """
        view = self.view
        if self.unknown_rate <= 0.0 or self._is_far():
            return _rooms(view)
        holders = [peer for peer in self.peers if view.wanted & peer.pieces]
        once = twice = 0
        for peer in holders:
            twice |= once & peer.pieces
            once |= peer.pieces
        shares = self._shares(holders)
        result = []
        for peer in sorted(
            (peer for peer in view.peers if peer.key in shares),
            key=lambda peer: self.start(peer) + 1.0 / self.rate(peer),
        ):
            only_here = view.wanted & peer.pieces & ~twice
            # No other peer can deliver these pieces, however slow this one is.
            alone = self._blocks_in(only_here, peer.room)
            result.append((peer, min(peer.room, max(shares[peer.key], alone)), only_here))
        return result

    def joint(self) -> "_Joint":
        """Return the estimate for all peers together, for the next calls."""
        joint = sum(map(self.rate, self.peers))
        return _Joint(self.view.now, len(self.peers), joint, self.unknown_rate)

    def _is_far(self) -> bool:
        """Whether every peer would deliver a full room before the end at the joint rate."""
        joint = sum(map(self.rate, self.peers))
        left = self.view.remaining / self.view.block_length / joint
        return all(
            self.start(peer) + peer.room / self.rate(peer) <= left for peer in self.view.peers
        )

    def _shares(self, holders: Sequence[PeerView]) -> dict[int, int]:
        """Divide the free blocks among `holders` so that the last block of each arrives together.

        This is water-filling: peer i delivers `rate` blocks/s from `start` on, and the level is the
        moment at which all blocks are delivered. Blocks left over by rounding go one each to the
        peers that would deliver them soonest.
        """
        view = self.view
        in_flight = sum(peer.in_flight for peer in self.peers)
        free = max(1, -(-view.remaining // view.block_length) - in_flight)
        by_start = sorted((self.start(p), self.rate(p), p.key) for p in holders)
        level = rates = taken = 0.0
        for index, (start, rate, _) in enumerate(by_start):
            rates += rate
            taken += start * rate
            level = (free + taken) / rates
            if index + 1 == len(by_start) or level <= by_start[index + 1][0]:
                break
        shares: dict[int, int] = {}
        next_at: list[tuple[float, int]] = []
        for start, rate, key in by_start:
            share = max(0, int((level - start) * rate))
            shares[key] = share
            free -= share
            next_at.append((start + (share + 1) / rate, key))
        for _, key in sorted(next_at)[: max(0, free)]:
            shares[key] += 1
        return shares

    def _blocks_in(self, pieces: PieceSet, most: int) -> int:
        """Return the number of free blocks of `pieces`; counting ends once it reaches `most`."""
        blocks = 0
        while pieces and blocks < most:
            piece = lowest(pieces)
            pieces &= pieces - 1
            blocks += self.view.blocks_of(piece)
        return blocks
