"""tit-for-tat: a choker that uploads to the peers that upload to us, and tries new ones."""

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from trio_swarm.schedulers.api import ChokePeerView, ChokeView


@dataclass
class TitForTat:
    """Slots go to the peers that upload most to us; some slots rotate, so that new peers get one.

    Only interested peers hold slots, and a free slot is filled at once.

    While we download, regular slots go to the peers that upload fastest to us. Optimistic slots go
    to the peers that have waited longest, for `optimistic_seconds` each (BEP 3, "choking"). A
    snubbed peer owes us blocks and sends none: it holds a regular slot only if no other peer wants
    it.

    While we seed, all slots rotate. After `turn_seconds` a peer gives its slot to the peer that has
    waited longest; a peer that has downloaded nothing does so after `minimum_seconds`. Slots that
    no other peer waits for stay with the fastest peers. Turns are measured in time and not in
    bytes, so slow peers do not keep the uplink from fast ones.

    A free rider has pieces that we want and uploads nothing. While we download and any other peer
    is interested, all free riders together get one slot, in turn, even if other slots are free:
    what we upload to a free rider gains us nothing.
    """

    optimistic_every: int = 4
    """One slot in this many is optimistic; there is always at least one."""
    optimistic_seconds: float = 30.0
    """Seconds for which a peer keeps an optimistic slot."""
    minimum_seconds: float = 10.0
    """Seconds after being unchoked before an interested peer may be choked, unless it is
    snubbed."""
    turn_seconds: float = 30.0
    """While seeding: seconds for which a peer keeps its slot while others wait."""
    rider_seconds: float = 10.0
    """Seconds without a block from a peer that has pieces we want, after which it is a free
    rider."""
    _optimistic: dict[int, float] = field(default_factory=dict, init=False, repr=False)
    """Peers in optimistic slots: key → since when, seconds."""

    def __post_init__(self) -> None:
        if self.optimistic_every < 1:
            raise ValueError("optimistic_every must be 1 or more")
        for name in ("optimistic_seconds", "minimum_seconds", "turn_seconds", "rider_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must be 0 or more")

    def unchoke(self, view: ChokeView, rng: random.Random) -> Iterable[int]:
        """Return the keys of the peers that hold the slots from now on, the best first."""
        peers = [peer for peer in view.peers if peer.interested]
        if not view.is_seeder:
            peers = self._without_riders(view, peers)
        if len(peers) <= view.slots:
            self._optimistic.clear()
            return [peer.key for peer in peers]
        # Sorting is stable: this shuffle breaks every tie below at random.
        rng.shuffle(peers)
        if view.is_seeder:
            self._optimistic.clear()
            return [peer.key for peer in self._in_turn(view, peers)[: view.slots]]
        return self._reciprocate(view, peers)

    def _without_riders(self, view: ChokeView, peers: list[ChokePeerView]) -> list[ChokePeerView]:
        """Return the peers that may be unchoked: at most one free rider, unless all of them are."""
        riders = [peer for peer in peers if self._is_rider(peer, view.now)]
        if len(riders) < 2 or len(riders) == len(peers):
            return peers
        lucky = min(riders, key=lambda peer: self._turn_of_rider(peer, view))
        others = {peer.key for peer in riders if peer is not lucky}
        return [peer for peer in peers if peer.key not in others]

    def _is_rider(self, peer: ChokePeerView, now: float) -> bool:
        """Whether `peer` has pieces we want and has sent no block for `rider_seconds`."""
        since = peer.joined_at if peer.gave_at is None else peer.gave_at
        keeps_it = peer.choking_us or peer.snubbed
        return peer.is_interesting and keeps_it and now - since >= self.rider_seconds

    def _turn_of_rider(self, peer: ChokePeerView, view: ChokeView) -> tuple[int, float]:
        if not peer.unchoked:
            return (1, peer.waits_since(view.now))
        since = view.now if peer.unchoked_at is None else peer.unchoked_at
        return (0 if view.now - since < self.optimistic_seconds else 2, since)

    def _is_protected(self, peer: ChokePeerView, view: ChokeView) -> bool:
        """Whether `peer` was unchoked too recently to be choked."""
        return (
            peer.unchoked
            and (view.is_seeder or not peer.snubbed)
            and (peer.unchoked_at is None or view.now - peer.unchoked_at < self.minimum_seconds)
        )

    def _reciprocate(self, view: ChokeView, peers: Sequence[ChokePeerView]) -> list[int]:
        """Choose among more interested peers than slots, while we download."""
        by_key = {peer.key: peer for peer in peers}
        optimistic_slots = min(view.slots, max(1, view.slots // self.optimistic_every))
        optimistic = [
            key
            for key, since in self._optimistic.items()
            if key in by_key and by_key[key].unchoked and view.now - since < self.optimistic_seconds
        ][:optimistic_slots]
        # Peers that may not be choked yet come first, whatever they upload: they keep their slots.
        chosen = dict.fromkeys(optimistic)
        protected = [peer for peer in peers if self._is_protected(peer, view)]
        protected.sort(key=lambda peer: (-peer.download_rate, peer.unchoked_at or 0.0))
        for peer in protected:
            if len(chosen) < view.slots:
                chosen.setdefault(peer.key)
        regular = sorted(
            (peer for peer in peers if peer.key not in chosen and not peer.snubbed),
            key=lambda peer: (-peer.download_rate, not peer.unchoked),
        )
        free = view.slots - optimistic_slots - (len(chosen) - len(optimistic))
        chosen.update(dict.fromkeys(peer.key for peer in regular[: max(0, free)]))
        # The remaining slots go to the peers that waited longest: the optimistic slots, and any
        # slot that no peer has earned.
        waiting = sorted(
            (peer for peer in peers if peer.key not in chosen),
            key=lambda peer: (peer.unchoked, peer.waits_since(view.now)),
        )
        hopeful = [peer.key for peer in waiting[: view.slots - len(chosen)]]
        chosen.update(dict.fromkeys(hopeful))
        started = {key: self._optimistic[key] for key in optimistic}
        for key in hopeful[: optimistic_slots - len(optimistic)]:
            started[key] = view.now
        self._optimistic = started
        return list(chosen)

    def _in_turn(self, view: ChokeView, peers: Sequence[ChokePeerView]) -> list[ChokePeerView]:
        """Return more interested peers than slots in the order of their claims, while we seed."""

        def claim(peer: ChokePeerView) -> tuple[int, float]:
            if self._is_protected(peer, view):
                return (0, -peer.upload_rate)
            if peer.unchoked and not peer.uploaded:
                return (3, 0.0)  # It requests nothing, and may never do so.
            if peer.unchoked:
                held = view.now - (view.now if peer.unchoked_at is None else peer.unchoked_at)
                return (1 if held < self.turn_seconds else 3, -peer.upload_rate)
            return (2, peer.waits_since(view.now))

        return sorted(peers, key=claim)
