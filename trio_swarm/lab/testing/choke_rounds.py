"""Choke rounds on a virtual clock, for a choker that makes all decisions."""

import random
from collections import Counter

from msgspec.structs import replace

from trio_swarm.schedulers.api import ChokePeerView, Choker, ChokeView


def waiting(key: int, since: float = 0.0, *, rate: float = 0.0) -> ChokePeerView:
    """Return a peer that is interested and choked since `since`, seconds."""
    return ChokePeerView(
        key=key,
        interested=True,
        unchoked=False,
        unchoked_at=None,
        waiting_since=since,
        download_rate=rate,
        upload_rate=0.0,
        uploaded=0,
        snubbed=False,
        joined_at=0.0,
    )


def served(key: int, since: float = 0.0, *, rate: float = 0.0) -> ChokePeerView:
    """Return a peer that is interested and unchoked since `since`, seconds."""
    return replace(waiting(key, rate=rate), unchoked=True, unchoked_at=since, waiting_since=None)


def view(
    peers: list[ChokePeerView], *, slots: int = 4, now: float = 100.0, seeding: bool = False
) -> ChokeView:
    """Return a `ChokeView` of these peers at `now`."""
    return ChokeView(peers=peers, slots=slots, is_seeder=seeding, now=now)


class Round:
    """Plays rounds: applies a choker's decisions, and lets each peer upload and download."""

    def __init__(self, choker: Choker, gives: dict[int, float], *, slots: int) -> None:
        self.choker = choker
        self.slots = slots
        self.now = 0.0
        self.rng = random.Random(7)
        self.peers = {key: waiting(key, rate=rate) for key, rate in gives.items()}
        self.held: Counter[int] = Counter()
        """Peer key → number of rounds in which the peer held a slot."""

    def play(self, seconds: float, *, every: float = 10.0, seeding: bool = False) -> set[int]:
        """Play for `seconds`, a round each `every` seconds; return the keys unchoked at the end."""
        unchoked: set[int] = set()
        end = self.now + seconds
        while self.now < end:
            unchoked = self._decide(seeding=seeding)
            for key, peer in self.peers.items():
                if key in unchoked and not peer.unchoked:
                    self.peers[key] = replace(
                        peer, unchoked=True, unchoked_at=self.now, waiting_since=None, uploaded=0
                    )
                elif key not in unchoked and peer.unchoked:
                    self.peers[key] = replace(
                        peer, unchoked=False, unchoked_at=None, waiting_since=self.now
                    )
            self.now += every
            for key in unchoked:
                self.held[key] += 1
                peer = self.peers[key]
                self.peers[key] = replace(
                    peer, uploaded=peer.uploaded + int(peer.upload_rate * every)
                )
        return unchoked

    def _decide(self, *, seeding: bool) -> set[int]:
        """Return the keys that a host accepts of the decision: known peers, as many as slots."""
        given = view(list(self.peers.values()), slots=self.slots, now=self.now, seeding=seeding)
        chosen = [key for key in self.choker.unchoke(given, self.rng) if key in self.peers]
        return set(chosen[: self.slots])
