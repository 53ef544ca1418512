"""A registry that lists the peers of other trackers beside its own.

A peer that announces here has a lease here, which is this tracker's claim. Each other tracker is a
bit: the peers that it claims carry the bit. A peer without a lease here has the habit HELD and a
lease without end, and is taken out with its last bit.

`note` is told of each peer whose claim here began, changed or ended, so that others can be told. A
heartbeat that changes nothing costs what it costs without all this.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from typing import Final, NamedTuple

from trio_swarm.protocol.trackers.announces import AnnounceEvent
from trio_swarm.protocol.trackers.urls import UrlShare
from trio_swarm.tracker.settings import RegistrySettings
from trio_swarm.tracker.store.compact_peers import CompactPeers, EndedLease, is_loopback
from trio_swarm.tracker.store.interface import Announce, Change
from trio_swarm.tracker.store.leases import HELD
from trio_swarm.tracker.store.names import SharedName
from trio_swarm.tracker.store.registry import TrackerRegistry
from trio_swarm.tracker.store.tracked_swarm import Sharing, TrackedSwarm

BITS: Final = 64
"""Other trackers, and copies of their claims that are replaced, that a peer can be claimed by."""

STOPPED: Final = 1
COMPLETED: Final = 2
UNNAMED: Final = 4
"""Flags of what is noted: the peer said that it stops, or that it has everything now, or its name
ended before its claim."""

NEWER_THAN_A_STOP: Final = 1.0
"""Seconds: a peer that announced here so short a time before another tracker tells that it stopped
has begun again, and stays."""

MAX_UNWANTED: Final = 10_000
"""Torrents and names of others, refused here, that are remembered: some 1 MiB. When a list is read
again that refused more than that, what others list is loaded again in any case."""

_NEVER = float("inf")
_STOPPED = int(AnnounceEvent.STOPPED)
_STEP = 512
"""Peers looked at between two turns of others, when all claims of a tracker end: about 0.2 ms."""
_PASSES = 8
"""Looks through one huge swarm, whose peers change places meanwhile; the next load of the bit's
tracker repairs what is left."""


class OwnName(NamedTuple):
    """The name of a peer that announces here."""

    name: str
    size: int
    """Bytes; 0: unknown."""
    age: int
    """When its torrent was first announced under it, microseconds since 1970."""
    key: int


class OwnClaim(NamedTuple):
    """What a tracker claims of a peer that announces to it."""

    is_seeder: bool
    name: OwnName | None


class OwnSwarm(NamedTuple):
    """All that this tracker claims in a swarm: compact addresses, packed."""

    completed: int
    seeders4: bytes
    leechers4: bytes
    seeders6: bytes
    leechers6: bytes
    names: list[tuple[bytes, OwnName]]


class SharedRegistry(TrackerRegistry):
    """A registry with claims of other trackers; see the module.

    `wall_clock` (seconds since 1970) gives names their age: the earliest holds it first, wherever
    it was announced.
    """

    def __init__(
        self,
        settings: RegistrySettings,
        *,
        rng: random.Random,
        note: Callable[[bytes, bytes, int], None],
        wall_clock: Callable[[], float],
        watch: Callable[[Change], None] | None = None,
    ) -> None:
        super().__init__(
            settings, rng=rng, watch=watch, new_age=lambda: int(wall_clock() * 1_000_000)
        )
        self._note = note
        self.load_again: Callable[[], None] | None = None
        """Is called when something is taken now that others told of and that was refused."""
        self._unwanted: set[bytes | str] = set()
        """Info-hashes, and names, of others that were refused."""
        self.held = 0
        """Peers listed that have no lease here."""
        self.claimed = [0] * BITS
        """Peers that carry each bit."""
        self.refused = 0
        """Claims of others for which there was no room, since the start."""

    @property
    def own_claims(self) -> int:
        """Peers with a lease here."""
        return self._peer_count - self.held

    # What happens here is noted.

    def _change(
        self, announce: Announce, position: int, now: float
    ) -> tuple[TrackedSwarm | None, CompactPeers | None, int]:
        info_hash, address, _, event, _, share, peer_id, _ = announce
        swarm = self._swarms.get(info_hash)
        peers = None if swarm is None else swarm.peers_like(address)
        before = self._claim_at(swarm, peers, address, position)
        completed = 0 if swarm is None else swarm.completed
        is_taken = event != _STOPPED and (share is None or not self._names.fault(share.name))
        if peers is not None and position >= 0 and before is None and is_taken:
            self._begin_lease(peers, address, position, now, peer_id)
            self._tell("registered", info_hash, address, "" if share is None else share.name)
        swarm, peers, position = super()._change(announce, position, now)
        if swarm is not None and peers is not None and position >= 0:
            if peers not in peers.bucket:
                # Until now there were only peers without a lease here.
                self._calendar.schedule(peers, peers.end(position))
            after = self._claim_at(swarm, peers, address, position)
            if after != before:
                flags = COMPLETED if swarm.completed > completed else 0
                if before is not None and before.name and after is not None and not after.name:
                    flags |= UNNAMED
                self._note(info_hash, address, flags)
        return swarm, peers, position

    def _begin_lease(
        self, peers: CompactPeers, address: bytes, position: int, now: float, peer_id: bytes
    ) -> None:
        """Give a peer that only others claim a lease here."""
        habit = self._first_habit(peers.info_hash, address, now, peer_id)
        peers.renew(position, now + self._lengths[habit], habit)
        self.held -= 1

    def _stop(
        self, peers: CompactPeers | None, info_hash: bytes, address: bytes, position: int
    ) -> None:
        if peers is not None and position >= 0:
            self._uncount(peers, position)
            self._note(info_hash, address, STOPPED)
        super()._stop(peers, info_hash, address, position)

    def _lease_ended(self, info_hash: bytes, ended: EndedLease) -> None:
        if ended.is_held:
            self.held += 1
        else:
            super()._lease_ended(info_hash, ended)
        self._note(info_hash, ended.address, 0)

    def _uncount(self, peers: CompactPeers, position: int) -> None:
        """Stop counting a peer, which is to be taken out, among those of others."""
        self.held -= peers.habit(position) == HELD
        if peers.claims is not None and (mask := peers.claims[position]):
            for bit in range(BITS):
                self.claimed[bit] -= mask >> bit & 1

    # What others are told.

    def own_claim(self, info_hash: bytes, address: bytes) -> OwnClaim | None:
        """Return this tracker's claim of a peer, None if it has none."""
        swarm = self._swarms.get(info_hash)
        peers = None if swarm is None else swarm.peers_like(address)
        position = -1 if peers is None else peers.find(address)
        return self._claim_at(swarm, peers, address, position)

    def _claim_at(
        self,
        swarm: TrackedSwarm | None,
        peers: CompactPeers | None,
        address: bytes,
        position: int,
    ) -> OwnClaim | None:
        if swarm is None or peers is None or position < 0 or peers.habit(position) == HELD:
            return None
        return OwnClaim(position < peers.seeders, _own_name(swarm.sharing(address)))

    def own_swarm(self, info_hash: bytes) -> OwnSwarm | None:
        """Return all claims of this tracker in a swarm, None if it has none there."""
        swarm = self._swarms.get(info_hash)
        if swarm is None:
            return None
        seeders4, leechers4 = _own_peers(swarm.peers4)
        seeders6, leechers6 = _own_peers(swarm.peers6)
        if not (seeders4 or leechers4 or seeders6 or leechers6):
            return None
        names = []
        for address, sharing in (swarm.names or {}).items():
            peers = swarm.peers_like(address)
            claim = self._claim_at(
                swarm, peers, address, -1 if peers is None else peers.find(address)
            )
            name = _own_name(sharing)
            if claim is not None and name is not None:
                names.append((address, name))
        return OwnSwarm(swarm.completed, seeders4, leechers4, seeders6, leechers6, names)

    # What others tell.

    def hold(self, bit: int, info_hash: bytes, address: bytes, *, is_seeder: bool) -> bool:
        """List a peer as another tracker claims it; False: there is no room, or no such port."""
        swarm = self._swarms.get(info_hash)
        peers = None if swarm is None else swarm.peers_like(address)
        position = -1 if peers is None else peers.find(address)
        if peers is None or position < 0:
            if self._is_unwanted(info_hash):
                return False
            if address[-2:] == b"\0\0" or not self._has_room(swarm, 1):
                self.refused += 1
                return False
            if swarm is None:
                swarm = self._swarms[info_hash] = TrackedSwarm()
            if peers is None:
                peers = swarm.open_peers_like(address, info_hash)
            self._count_held(swarm, address)
            position = peers.add(address, _NEVER)
            peers.renew(position, _NEVER, HELD)
        position = peers.set_seeder(position, is_seeder=is_seeder)
        self.claimed[bit] += peers.claim(position, 1 << bit)
        return True

    def hold_all(
        self, bit: int, info_hash: bytes, seeders: Sequence[bytes], leechers: Sequence[bytes]
    ) -> None:
        """List peers of one address family as another tracker claims them."""
        if self._is_unwanted(info_hash) or not (seeders or leechers):
            return
        addresses = [*seeders, *leechers]
        swarm = self._swarms.get(info_hash)
        is_simple = (
            (swarm is None or swarm.peers_like(addresses[0]) is None)
            and self._has_room(swarm, len(addresses))
            and len(set(addresses)) == len(addresses)
            and all(address[-2:] != b"\0\0" for address in addresses)
        )
        if not is_simple:
            for address in addresses[len(seeders) :]:
                self.hold(bit, info_hash, address, is_seeder=False)
            for address in seeders:
                self.hold(bit, info_hash, address, is_seeder=True)
            return
        if swarm is None:
            swarm = self._swarms[info_hash] = TrackedSwarm()
        peers = swarm.open_peers_like(addresses[0], info_hash)
        for address in addresses:
            self._count_held(swarm, address)
        peers.fill(addresses, seeders=len(seeders), bit=1 << bit)
        self.claimed[bit] += len(addresses)

    def _has_room(self, swarm: TrackedSwarm | None, count: int) -> bool:
        """Whether so many peers more keep the bounds of the registry.

        What one host may have was checked by the tracker that claims its peers.
        """
        settings = self._settings
        if self._peer_count + count > settings.max_peers:
            return False
        if swarm is None:
            return len(self._swarms) < settings.max_swarms and (
                count <= settings.max_peers_per_swarm
            )
        return len(swarm) + count <= settings.max_peers_per_swarm

    def _count_held(self, swarm: TrackedSwarm, address: bytes) -> None:
        self._peer_count += 1
        self.held += 1
        hosts, host = self._host_of(address)
        self._count(hosts, host, 1)
        swarm.count_host(host, 1)
        self.loopback_peers += is_loopback(address[:-2])

    def hold_name(self, info_hash: bytes, address: bytes, told: OwnName) -> None:
        """Let a listed peer have the name that it announces to another tracker.

        What it announces here, if it does, counts for more.
        """
        swarm = self._swarms.get(info_hash)
        peers = None if swarm is None else swarm.peers_like(address)
        position = -1 if peers is None else peers.find(address)
        if swarm is None or peers is None or position < 0:
            return
        before = swarm.sharing(address)
        if before is not None and before.shared.name == told.name:
            before.shared.age = min(before.shared.age, told.age)
            before.shared.size = before.shared.size or told.size
            return
        if before is not None and before.shared.name and peers.habit(position) != HELD:
            return
        if self._is_unwanted(told.name):
            return
        if self._names.fault(told.name) is not None:
            self.refused += 1
            return
        if before is not None:
            swarm.unshare(address)
            self._release_name(before, address)
        self._names.make_room(told.name, info_hash, told.age)
        share = UrlShare(name=told.name, size=told.size)
        if self._take_name(swarm, info_hash, address, share, expires=_NEVER, key=told.key):
            self.refused += 1
            return
        shared = swarm.names[address].shared if swarm.names is not None else None
        if shared is not None:
            is_first = shared.announcers == 1
            shared.age = told.age if is_first else min(shared.age, told.age)

    def _is_unwanted(self, told: bytes | str) -> bool:
        """Whether an info-hash, or a name, that another tracker told of is refused here."""
        if not self._is_refused(told):
            return False
        self._remember(told)
        return True

    def _is_refused(self, told: bytes | str) -> bool:
        admission = self.admission
        if admission is None:
            return False
        if isinstance(told, bytes):
            return admission.hash_refusal(told) is not None
        return admission.name_refusal(told) is not None

    def _remember(self, told: bytes | str) -> None:
        if len(self._unwanted) <= MAX_UNWANTED:
            self._unwanted.add(told)

    # What lists of this tracker refuse since they were read again.

    def drop_refused(self) -> Iterator[None]:
        """As TrackerRegistry; what others told of, and is taken now, is asked for."""
        yield from super().drop_refused()
        unwanted = self._unwanted
        if len(unwanted) <= MAX_UNWANTED and all(map(self._is_refused, unwanted)):
            return
        unwanted.clear()
        if self.load_again is not None:
            self.load_again()

    def _drop_peer(self, peers: CompactPeers, position: int) -> None:
        self._remember(peers.info_hash)
        self._uncount(peers, position)
        is_own = peers.habit(position) != HELD
        address = peers.address(position)
        super()._drop_peer(peers, position)
        if is_own:
            self._note(peers.info_hash, address, 0)

    def _drop_name(self, swarm: TrackedSwarm, info_hash: bytes, address: bytes) -> None:
        sharing = swarm.sharing(address)
        if sharing is not None:
            self._remember(sharing.shared.name)
        super()._drop_name(swarm, info_hash, address)
        if self.own_claim(info_hash, address) is not None:
            self._note(info_hash, address, UNNAMED)

    def drop_name(self, info_hash: bytes, address: bytes) -> None:
        """Take its name from a peer without a lease here: it announces it no more."""
        swarm = self._swarms.get(info_hash)
        peers = None if swarm is None else swarm.peers_like(address)
        position = -1 if peers is None else peers.find(address)
        if swarm is None or peers is None or position < 0 or peers.habit(position) != HELD:
            return
        before = swarm.unshare(address)
        if before is not None:
            self._release_name(before, address)

    def add_completed(self, info_hash: bytes) -> None:
        """Count a peer that has told another tracker that it has everything now."""
        swarm = self._swarms.get(info_hash)
        if swarm is not None:
            swarm.completed += 1

    def at_least_completed(self, info_hash: bytes, completed: int) -> None:
        """Take over another tracker's count of completions if it is the greater one."""
        swarm = self._swarms.get(info_hash)
        if swarm is not None:
            swarm.completed = max(swarm.completed, completed)

    def release(self, bit: int, info_hash: bytes, address: bytes) -> None:
        """End another tracker's claim of a peer, if there is one."""
        swarm = self._swarms.get(info_hash)
        peers = None if swarm is None else swarm.peers_like(address)
        position = -1 if peers is None else peers.find(address)
        if peers is not None and position >= 0:
            self._release_at(peers, bit, position)
            self._drop_if_empty(peers)

    def _release_at(self, peers: CompactPeers, bit: int, position: int) -> None:
        if not peers.unclaim(position, 1 << bit):
            return
        self.claimed[bit] -= 1
        assert peers.claims is not None
        if not peers.claims[position] and peers.habit(position) == HELD:
            self.held -= 1
            self._forget(peers.info_hash, peers.remove(position))

    def stop_elsewhere(self, info_hash: bytes, address: bytes, now: float) -> None:
        """End this tracker's claim of a peer that told another one that it stops."""
        swarm = self._swarms.get(info_hash)
        peers = None if swarm is None else swarm.peers_like(address)
        position = -1 if peers is None else peers.find(address)
        if peers is None or position < 0 or (habit := peers.habit(position)) == HELD:
            return
        # Whoever told of the stop has forgotten our claim: one that stays is told again.
        self._note(info_hash, address, 0)
        if now - (peers.end(position) - self._lengths[habit]) < NEWER_THAN_A_STOP:
            return
        if peers.claims is not None and peers.claims[position]:
            peers.renew(position, _NEVER, HELD)
            self.held += 1
            return
        peers.remove(position)
        self._forget(info_hash, address)
        self._drop_if_empty(peers)
        self._tell("stopped", info_hash, address)

    def drop(self, bit: int) -> Iterator[None]:
        """End all claims of another tracker, in steps; others may have their turn between them."""
        mask = 1 << bit
        looked_at = 0
        for info_hash in self.swarm_hashes():
            swarm = self._swarms.get(info_hash)
            if swarm is None or not self.claimed[bit]:
                continue
            for peers in (swarm.peers4, swarm.peers6):
                if peers is None or peers.claims is None:
                    continue
                for _ in range(_PASSES):
                    paused, found, at = False, False, len(peers)
                    while at > 0 and peers.claims is not None:
                        at = min(at, len(peers)) - 1
                        looked_at += 1
                        if at >= 0 and peers.claims[at] & mask:
                            found = True
                            self._release_at(peers, bit, at)
                        if looked_at % _STEP == 0:
                            paused = True
                            yield
                    # What changed places in a pause may have been missed.
                    if not (paused and found):
                        break
                now = self._swarms.get(info_hash)
                if now is not None and (now.peers4 is peers or now.peers6 is peers):
                    self._drop_if_empty(peers)


def _own_name(sharing: Sharing | None) -> OwnName | None:
    if sharing is None or not sharing.shared.name:
        return None
    shared: SharedName = sharing.shared
    return OwnName(shared.name, shared.size, shared.age, sharing.key)


def _own_peers(peers: CompactPeers | None) -> tuple[bytes, bytes]:
    """Return the addresses of seeders and of leechers that have a lease here, packed."""
    if peers is None:
        return b"", b""
    stride = len(peers.packed) // len(peers)
    habits, border = peers.habits, peers.seeders
    if habits is None or HELD not in habits:
        packed = peers.packed
        return bytes(packed[: border * stride]), bytes(packed[border * stride :])
    own = [at for at, habit in enumerate(habits) if habit != HELD]
    seeders = b"".join(peers.address(at) for at in own if at < border)
    return seeders, b"".join(peers.address(at) for at in own if at >= border)
