"""fastest-first: a choker that gives the slots to the peers that download fastest from us."""

import random
from collections.abc import Iterable
from dataclasses import dataclass

from trio_swarm.schedulers.api import ChokePeerView, ChokeView


@dataclass
class FastestFirst:
    """Slots go to the peers that download fastest; one in `trial_every` tries the others in turn.

    A free slot is filled at once. This choker suits a seeder that should fill its uplink, or that
    should soon have other seeders beside it: while there are enough fast peers, a slow peer gets
    only its trials.
    """

    trial_every: int = 4
    """One slot in this many is for trials; there is always at least one."""
    trial_seconds: float = 10.0
    """Seconds for which an unchoked peer may show how fast it is."""

    def __post_init__(self) -> None:
        if self.trial_every < 1:
            raise ValueError("trial_every must be 1 or more")
        if self.trial_seconds < 0:
            raise ValueError("trial_seconds must be 0 or more")

    def unchoke(self, view: ChokeView, rng: random.Random) -> Iterable[int]:
        """Return the keys of the peers that hold the slots from now on, the fastest first."""
        peers = [peer for peer in view.peers if peer.interested]
        slots = view.slots
        if len(peers) <= slots:
            return [peer.key for peer in peers]
        # Sorting is stable: this shuffle breaks ties at random.
        rng.shuffle(peers)
        trials = min(slots, max(1, slots // self.trial_every))
        on_trial, proven, waiting = [], [], []
        for peer in peers:
            if not peer.unchoked:
                waiting.append(peer)
            elif self._is_on_trial(peer, view.now):
                on_trial.append(peer)
            else:
                proven.append(peer)
        proven.sort(key=lambda peer: -peer.upload_rate)
        waiting.sort(key=lambda peer: peer.waits_since(view.now))
        # A running trial is not ended early. The fastest peers get the remaining slots, except
        # those for further trials.
        chosen = on_trial[:slots]
        free = slots - len(chosen)
        tried = min(free, len(waiting), max(0, trials - len(chosen)))
        chosen += proven[: free - tried]
        chosen += waiting[: slots - len(chosen)]
        chosen.sort(key=lambda peer: -peer.upload_rate)
        return [peer.key for peer in chosen]

    def _is_on_trial(self, peer: ChokePeerView, now: float) -> bool:
        return peer.unchoked_at is None or now - peer.unchoked_at < self.trial_seconds
