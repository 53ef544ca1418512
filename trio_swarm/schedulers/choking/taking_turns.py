"""round-robin for chokers: every interested peer gets a slot for the same time."""

import random
from collections.abc import Iterable
from dataclasses import dataclass

from trio_swarm.schedulers.api import ChokePeerView, ChokeView


@dataclass
class TakingTurns:
    """Slots rotate: each interested peer keeps a slot for `turn_seconds` while others wait.

    A free slot is filled at once. A turn is measured in time and not in bytes, so slow peers do not
    keep the uplink from fast ones. Neither a peer's speed nor what it uploaded to us counts. So
    this choker suits a seeder whose leechers should all finish at about the same time.
    """

    turn_seconds: float = 15.0
    """Seconds for which a peer keeps its slot while others wait."""

    def __post_init__(self) -> None:
        if self.turn_seconds < 0:
            raise ValueError("turn_seconds must be 0 or more")

    def unchoke(self, view: ChokeView, rng: random.Random) -> Iterable[int]:
        """Return the keys of the peers that hold the slots from now on."""
        peers = [peer for peer in view.peers if peer.interested]
        if len(peers) > view.slots:
            # Sorting is stable: this shuffle breaks ties at random.
            rng.shuffle(peers)
            peers.sort(key=lambda peer: self._claim(peer, view.now))
        return [peer.key for peer in peers[: view.slots]]

    def _claim(self, peer: ChokePeerView, now: float) -> tuple[int, float]:
        if not peer.unchoked:
            return (1, peer.waits_since(now))
        since = now if peer.unchoked_at is None else peer.unchoked_at
        # A peer whose turn is over keeps its slot while no other waits; the last to get one keeps
        # it longest.
        return (0, since) if now - since < self.turn_seconds else (2, -since)
