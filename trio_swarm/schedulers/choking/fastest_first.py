"""fastest-first: slots go to the peers that take most, which can soon serve others."""

import random
from collections.abc import Iterable
from dataclasses import dataclass

from trio_swarm.schedulers.api import ChokePeerView, ChokeView


@dataclass
class FastestFirst:
    """Slots go to the peers that take fastest; one in `trial_every` tries out the others in turn.

    A free slot is filled at once. It is for seeders that are to fill their uplink, or to have
    further seeders soon: a slow peer gets no more than its trials while enough fast ones are there.
    """

    trial_every: int = 4
    """One slot of so many is for trials, and always at least one."""
    trial_seconds: float = 10.0
    """How long a peer that was unchoked may show how fast it is."""

    def __post_init__(self) -> None:
        """Refuse impossible options."""
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
        # Sorting is stable: ties are broken at random.
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
        # Nobody loses a trial. The fastest get what is left, but for the slots of further trials.
        chosen = on_trial[:slots]
        free = slots - len(chosen)
        tried = min(free, len(waiting), max(0, trials - len(chosen)))
        chosen += proven[: free - tried]
        chosen += waiting[: slots - len(chosen)]
        chosen.sort(key=lambda peer: -peer.upload_rate)
        return [peer.key for peer in chosen]

    def _is_on_trial(self, peer: ChokePeerView, now: float) -> bool:
        return peer.unchoked_at is None or now - peer.unchoked_at < self.trial_seconds
