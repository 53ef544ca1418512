"""round-robin, for chokers: everybody who is interested gets a slot for the same time."""

import random
from collections.abc import Iterable
from dataclasses import dataclass

from trio_swarm.schedulers.api import ChokePeerView, ChokeView


@dataclass
class TakingTurns:
    """Slots go round: each interested peer keeps one for `turn_seconds`, if others wait.

    A free slot is filled at once. Turns are of time, not of bytes: so slow peers do not keep the
    uplink from the fast ones. It looks at nobody's speed and at nothing that was given to us, so it
    is for seeders whose leechers are all to finish at about the same time.
    """

    turn_seconds: float = 15.0
    """How long a peer keeps its slot if others wait."""

    def __post_init__(self) -> None:
        """Refuse impossible options."""
        if self.turn_seconds < 0:
            raise ValueError("turn_seconds must be 0 or more")

    def unchoke(self, view: ChokeView, rng: random.Random) -> Iterable[int]:
        """Return the keys of the peers that hold the slots from now on."""
        peers = [peer for peer in view.peers if peer.interested]
        if len(peers) > view.slots:
            # Sorting is stable: ties are broken at random.
            rng.shuffle(peers)
            peers.sort(key=lambda peer: self._claim(peer, view.now))
        return [peer.key for peer in peers[: view.slots]]

    def _claim(self, peer: ChokePeerView, now: float) -> tuple[int, float]:
        if not peer.unchoked:
            return (1, peer.waits_since(now))
        since = now if peer.unchoked_at is None else peer.unchoked_at
        # Whose turn is over goes on while nobody waits, the latest to come the longest.
        return (0, since) if now - since < self.turn_seconds else (2, -since)
