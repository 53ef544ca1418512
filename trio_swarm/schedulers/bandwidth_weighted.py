"""bandwidth-weighted: all sources finish together."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from trio_swarm.piece_sets import PieceSet, lowest
from trio_swarm.schedulers.api import Assignment, PeerView, SwarmView
from trio_swarm.schedulers.draft import Draft, Levels, begun_first

_JOINT_SECONDS = 0.1
"""For how long the joint rate of all peers is taken as it was."""

_LEAST_RATE = 1.0
"""Bytes/s below which nothing is known of a peer: keeps every time below finite."""


@dataclass
class BandwidthWeighted:
    """Blocks go to whoever is estimated to deliver them soonest; all sources finish together.

    While much is left, every peer's room is filled: it is sized by the peer's rate. Near the end
    the free blocks are spread over *all* peers, those without room too, so that the last block of
    each arrives at the same moment; what a slow peer would deliver later than that, it is not
    asked for, and a faster one is asked as soon as it has room.
    """

    pieces: Literal["random", "rarest", "in-order"] = "random"
    """Which piece to begin next; those begun are finished first."""
    _joint: "_Joint | None" = field(default=None, init=False, repr=False)
    """The latest look at all peers."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        """Fill each peer's room, or near the end its part of what is left."""
        draft = Draft(view)
        if self._joint is not None and self._joint.is_far(view):
            quotas = _rooms(view)
        else:
            finish = _Finish(view)
            self._joint = finish.joint()
            quotas = finish.quotas()
        levels = Levels(view) if self.pieces == "rarest" else None
        for peer, quota, only_here in quotas:
            left = quota
            while left > 0 and (candidates := draft.candidates(peer)):
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
    """What all peers of a snapshot give together: nearly the same for a while."""

    at: float
    peers: int
    rate: float  # blocks/s
    unknown_rate: float  # bytes/s, of those nothing is known of

    def is_far(self, view: SwarmView) -> bool:
        """Whether the end is so far off that it is not worth looking at every peer again.

        False also if this was too long ago, or if peers came or left. Twice as far as near is:
        no estimate is off by more in so short a time.
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
    """Let every peer fill its room."""
    return [(peer, peer.room, 0) for peer in view.peers]


class _Finish:
    """When the peers of a snapshot would finish, and what part of the rest each should get."""

    def __init__(self, view: SwarmView) -> None:
        self.view = view
        self.peers: Sequence[PeerView] = (*view.peers, *view.busy) if view.busy else view.peers
        known = [peer.rate for peer in self.peers if peer.rate >= _LEAST_RATE]
        self.unknown_rate = min(known, default=0.0)
        """Assumed of peers nothing is known of: the least known rate, so that near the end they
        get little that others would deliver sooner. 0.0 if nothing is known of anybody."""

    def rate(self, peer: PeerView) -> float:
        """Return the peer's rate in blocks/s."""
        return (
            peer.rate if peer.rate >= _LEAST_RATE else self.unknown_rate
        ) / self.view.block_length

    def start(self, peer: PeerView) -> float:
        """Return in how many seconds a block asked of `peer` now would begin to arrive."""
        return max(peer.rtt, peer.in_flight / self.rate(peer))

    def quotas(self) -> list[tuple[PeerView, int, PieceSet]]:
        """Return (peer, most blocks to give it, pieces nobody else holds), the soonest first.

        The set of pieces is empty while the end is far: it is only of use near it.
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
            # Nobody else can deliver these, however slow this peer is.
            alone = self._blocks_in(only_here, peer.room)
            result.append((peer, min(peer.room, max(shares[peer.key], alone)), only_here))
        return result

    def joint(self) -> "_Joint":
        """Return what is worth remembering of all peers."""
        joint = sum(map(self.rate, self.peers))
        return _Joint(self.view.now, len(self.peers), joint, self.unknown_rate)

    def _is_far(self) -> bool:
        """Whether every peer would deliver a full room before all is done at the joint rate."""
        joint = sum(map(self.rate, self.peers))
        left = self.view.remaining / self.view.block_length / joint
        return all(
            self.start(peer) + peer.room / self.rate(peer) <= left for peer in self.view.peers
        )

    def _shares(self, holders: Sequence[PeerView]) -> dict[int, int]:
        """Spread the free blocks over `holders` so that the last of each arrives together.

        By water-filling: peer i takes blocks from `start` on at `rate`; the level is the moment by
        which they have taken all. Blocks that rounding leaves go one each to whoever is soonest.
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
        """Return how many free blocks `pieces` have, counting no further than `most`."""
        blocks = 0
        while pieces and blocks < most:
            piece = lowest(pieces)
            pieces &= pieces - 1
            blocks += self.view.blocks_of(piece)
        return blocks
