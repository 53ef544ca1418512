"""Who is in which swarm, for how long, and under which names: the tracker's only state.

Pure: time (`now`, monotonic seconds) and randomness come from the caller. A peer is an address and
port within a swarm; it is listed from its announce until it stops or its lease ends. When the
registry is full, newcomers are refused with a message and nobody who is listed is put out.
"""

import random
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from trio_swarm.errors import TrioSwarmError
from trio_swarm.protocol.announces import (
    DEFAULT_NUM_WANT,
    AnnounceEvent,
    NameMatch,
    ScrapeCounts,
)
from trio_swarm.protocol.share_names import MAX_NAME_BYTES
from trio_swarm.protocol.tracker_urls import UrlShare
from trio_swarm.protocol.udp_tracker import MAX_PEERS, MAX_PEERS6
from trio_swarm.swarm.compact_peers import CompactPeers, ListedPeer
from trio_swarm.swarm.tracker_names import NameSearch, NameTable, SharedName

_STOPPED, _COMPLETED = int(AnnounceEvent.STOPPED), int(AnnounceEvent.COMPLETED)


class AnnounceRefusedError(TrioSwarmError):
    """The registry does not take this announce; the text goes to the peer. Nothing changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryLimits:
    """How much strangers may make the tracker remember. A peer costs about 350 bytes."""

    max_swarms: int = 100_000
    max_peers: int = 500_000
    """In all swarms."""
    max_peers_per_swarm: int = 50_000
    max_peers_per_host: int = 20_000
    """Ports in swarms of one IPv4 address or IPv6 /64, so that no one host can fill the rest."""
    max_names: int = 50_000
    max_name_length: int = MAX_NAME_BYTES
    """Bytes of UTF-8."""


class RegistryCounts(NamedTuple):
    """How much the registry holds now."""

    swarms: int
    peers: int
    names: int


class SwarmAnswer(NamedTuple):
    """What an announce gets: the swarm's counts, and other peers' compact addresses."""

    seeders: int
    leechers: int
    peers: bytes | bytearray


class _Swarm:
    __slots__ = ("completed", "info_hash", "peers4", "peers6")

    def __init__(self, info_hash: bytes) -> None:
        self.info_hash = info_hash
        self.completed = 0
        self.peers4: CompactPeers[_Peer] = CompactPeers(6)
        self.peers6: CompactPeers[_Peer] = CompactPeers(18)

    def __len__(self) -> int:
        return len(self.peers4.index) + len(self.peers6.index)

    @property
    def seeders(self) -> int:
        return self.peers4.seeders + self.peers6.seeders


class _Peer(ListedPeer):
    """A peer in one swarm, with its lease and the name it announces."""

    __slots__ = ("expires", "shared", "shared_expires", "swarm")

    def __init__(self, address: bytes, swarm: _Swarm) -> None:
        super().__init__(address)
        self.swarm = swarm
        self.expires = 0.0
        self.shared: SharedName | None = None
        self.shared_expires = 0.0


class TrackerRegistry:
    """All swarms, peers and names of a tracker. `lease` in seconds."""

    def __init__(
        self, *, lease: float, rng: random.Random, limits: RegistryLimits | None = None
    ) -> None:
        self._lease = lease
        self._rng = rng
        self._limits = limits = limits or RegistryLimits()
        self._swarms: dict[bytes, _Swarm] = {}
        self._names = NameTable(
            max_names=limits.max_names,
            max_name_length=limits.max_name_length,
            seeders_of=self._seeders_of,
        )
        # All leases are equally long, so the order of renewal is the order of expiry.
        self._leases: OrderedDict[_Peer, None] = OrderedDict()
        self._peers_by_host: dict[bytes, int] = {}

    def announce(
        self,
        info_hash: bytes,
        address: bytes,
        now: float,
        *,
        left: int,
        event: int = 0,
        num_want: int = -1,
        share: UrlShare | None = None,
    ) -> SwarmAnswer:
        """Take an announce from `address` (6 or 18 bytes, compact); AnnounceRefusedError if full.

        `left` 0 makes a seeder; one that announces a name gets leechers only. `event` is
        AnnounceEvent's number (unknown ones are none). Port 0 cannot be reached: it gets an answer
        and is not listed.
        """
        swarm = self._swarms.get(info_hash)
        is_v4 = len(address) == 6
        peer: _Peer | None = None
        if swarm is not None:
            peer = (swarm.peers4 if is_v4 else swarm.peers6).index.get(address)
        if event == _STOPPED or address[-2:] == b"\0\0":
            if peer is not None:
                self._remove(peer)
                peer = None
            if event == _STOPPED:
                num_want = 0
        else:
            peer = self._renew(
                peer, info_hash, address, now, is_seeder=left == 0, event=event, share=share
            )
            swarm = peer.swarm
        if swarm is None:
            return SwarmAnswer(0, 0, b"")
        # As in scrape(), but without calls: this is the tracker's hottest path.
        peers4, peers6 = swarm.peers4, swarm.peers6
        seeders = peers4.seeders + peers6.seeders
        leechers = len(peers4.index) + len(peers6.index) - seeders
        if num_want < 0:
            num_want = DEFAULT_NUM_WANT
        # A client with a magnet link may say that nothing is left because it does not know the size
        # yet (aria2 does), and then needs seeders. Whoever gives a name is no such client.
        leechers_only = left == 0 and share is not None
        if is_v4:
            chosen = peers4.choose(
                min(num_want, MAX_PEERS), self._rng, asker=peer, leechers_only=leechers_only
            )
        else:
            chosen = peers6.choose(
                min(num_want, MAX_PEERS6), self._rng, asker=peer, leechers_only=leechers_only
            )
        return SwarmAnswer(seeders, leechers, chosen)

    def scrape(self, info_hash: bytes) -> ScrapeCounts:
        """Return a swarm's counts; all 0 for an unknown one."""
        swarm = self._swarms.get(info_hash)
        if swarm is None:
            return ScrapeCounts(seeders=0, completed=0, leechers=0)
        seeders = swarm.seeders
        return ScrapeCounts(
            seeders=seeders, completed=swarm.completed, leechers=len(swarm) - seeders
        )

    def resolve(self, name: str) -> list[NameMatch]:
        """Return who holds exactly `name`: most seeders first, then oldest."""
        return self.matches(self._names.holders(name))

    def search(self, pattern: str) -> NameSearch:
        """Begin a glob search; show what it found with `matches`."""
        return self._names.search(pattern)

    def matches(self, found: Sequence[SharedName]) -> list[NameMatch]:
        """Return what a search found, with the counts of the swarms as of now."""
        matches = []
        for shared in found:
            counts = self.scrape(shared.info_hash)
            matches.append(
                NameMatch(
                    shared.info_hash, shared.size, counts.seeders, counts.leechers, shared.name
                )
            )
        return matches

    def expire(self, now: float, limit: int) -> float | None:
        """Take out up to `limit` peers whose lease ended; return when the next lease ends.

        None: no peer is listed. Bounded, so that a mass death is no pause: call it again when what
        it returns has passed.
        """
        leases = self._leases
        while leases:
            peer = next(iter(leases))
            if peer.expires > now or limit <= 0:
                return peer.expires
            self._remove(peer)
            limit -= 1
        return None

    def counts(self) -> RegistryCounts:
        """Return how much the registry holds."""
        return RegistryCounts(len(self._swarms), len(self._leases), len(self._names))

    def _seeders_of(self, info_hash: bytes) -> int:
        swarm = self._swarms.get(info_hash)
        return swarm.seeders if swarm is not None else 0

    def _renew(
        self,
        peer: _Peer | None,
        info_hash: bytes,
        address: bytes,
        now: float,
        *,
        is_seeder: bool,
        event: int,
        share: UrlShare | None,
    ) -> _Peer:
        """List the peer, or renew its lease, and bring everything known of it up to date."""
        if share is not None and (
            peer is None or peer.shared is None or peer.shared.name != share.name
        ):
            refusal = self._names.refusal(share.name, info_hash)
            if refusal is not None:
                raise AnnounceRefusedError(refusal)
        if peer is None:
            peer = self._admit(info_hash, address)
        swarm = peer.swarm
        peers = swarm.peers4 if len(address) == 6 else swarm.peers6
        was_seeder = peer.position < peers.seeders
        if was_seeder != is_seeder:
            peers.set_seeder(peer, is_seeder=is_seeder)
        if event == _COMPLETED and not was_seeder:
            swarm.completed += 1
        peer.expires = now + self._lease
        self._leases.move_to_end(peer)
        if share is not None or peer.shared is not None:
            self._renew_name(peer, share, now)
        return peer

    def _admit(self, info_hash: bytes, address: bytes) -> _Peer:
        limits = self._limits
        swarm = self._swarms.get(info_hash)
        host = _host(address)
        of_host = self._peers_by_host.get(host, 0)
        if len(self._leases) >= limits.max_peers:
            raise AnnounceRefusedError("the tracker has no room for another peer")
        if of_host >= limits.max_peers_per_host:
            raise AnnounceRefusedError("too many announces from this address")
        if swarm is None:
            if len(self._swarms) >= limits.max_swarms:
                raise AnnounceRefusedError("the tracker has no room for another torrent")
            swarm = self._swarms[info_hash] = _Swarm(info_hash)
        elif len(swarm) >= limits.max_peers_per_swarm:
            raise AnnounceRefusedError("the tracker has no room for another peer of this torrent")
        peer = _Peer(address, swarm)
        (swarm.peers4 if len(address) == 6 else swarm.peers6).add(peer, is_seeder=False)
        self._leases[peer] = None
        self._peers_by_host[host] = of_host + 1
        return peer

    def _remove(self, peer: _Peer) -> None:
        swarm = peer.swarm
        (swarm.peers4 if len(peer.address) == 6 else swarm.peers6).remove(peer)
        if not swarm:
            del self._swarms[swarm.info_hash]
        del self._leases[peer]
        host = _host(peer.address)
        of_host = self._peers_by_host[host] - 1
        if of_host:
            self._peers_by_host[host] = of_host
        else:
            del self._peers_by_host[host]
        if peer.shared is not None:
            self._names.release(peer.shared)
            peer.shared = None

    def _renew_name(self, peer: _Peer, share: UrlShare | None, now: float) -> None:
        """Let `peer` hold the name it announces; one it no longer announces ends with its lease."""
        shared = peer.shared
        if share is not None:
            peer.shared_expires = now + self._lease
            if shared is not None and shared.name == share.name:
                shared.size = shared.size or share.size
                return
            peer.shared = self._names.hold(share.name, peer.swarm.info_hash, share.size)
        elif peer.shared_expires <= now:
            peer.shared = None
        else:
            return
        if shared is not None:
            self._names.release(shared)


def _host(address: bytes) -> bytes:
    # An IPv6 host has a /64 to itself, and with it as many addresses as it likes.
    return address[:4] if len(address) == 6 else address[:8]
