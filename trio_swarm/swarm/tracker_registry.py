"""Who is in which swarm, for how long, and under which names: the tracker's only state.

Pure: time (`now`, monotonic seconds) and randomness come from the caller. A peer is an address and
port within a swarm; it is listed from its announce until it stops or its lease ends: never shorter,
and seldom a second longer. When the registry is full, newcomers are refused with a message and
nobody who is listed is put out.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

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
from trio_swarm.swarm.compact_peers import CompactPeers, is_loopback
from trio_swarm.swarm.expiry_calendar import ExpiryCalendar
from trio_swarm.swarm.host_counts import HostCounts
from trio_swarm.swarm.tracked_swarm import Sharing, TrackedSwarm
from trio_swarm.swarm.tracker_names import NameSearch, NameTable, SharedName

_STOPPED, _COMPLETED = int(AnnounceEvent.STOPPED), int(AnnounceEvent.COMPLETED)

_SWEPT_PER_SECOND = 65_536
"""Of one swarm, so that a huge one with a peer lost every moment is not looked through all day."""

_LONGEST_PAUSE = 1.0
"""Seconds between two looks at a huge swarm whose leases end: so late a peer may be taken out."""


class AnnounceRefusedError(TrioSwarmError):
    """The registry does not take this announce; the text goes to the peer. Nothing changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RegistryLimits:
    """How much strangers may make the tracker remember.

    A peer costs 30 to 180 bytes, most in a swarm of thousands, and a swarm 500.
    """

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


SwarmAnswer: TypeAlias = tuple[int, int, bytes | bytearray]
"""What an announce gets: the swarm's seeders and leechers, and others' compact addresses."""


class TrackerRegistry:
    """All swarms, peers and names of a tracker. `lease` in seconds."""

    def __init__(
        self, *, lease: float, rng: random.Random, limits: RegistryLimits | None = None
    ) -> None:
        self._lease = lease
        self._random = rng.random
        self._limits = limits = limits or RegistryLimits()
        self._swarms: dict[bytes, TrackedSwarm] = {}
        self._names = NameTable(
            max_names=limits.max_names,
            max_name_length=limits.max_name_length,
            seeders_of=self._seeders_of,
        )
        self._calendar = ExpiryCalendar()
        self._peer_count = 0
        self._hosts4 = HostCounts(4, limits.max_peers)
        self._hosts6 = HostCounts(8, limits.max_peers)
        self.loopback_peers = 0
        """Peers listed under an address of this machine only (127.0.0.0/8, ::1)."""

    def announce(  # noqa: PLR0917  the hottest path: keywords take twice as long
        self,
        info_hash: bytes,
        address: bytes,
        now: float,
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
        # Nearly all announces are heartbeats that change nothing: they must be quick.
        stride = len(address)
        is_v4 = stride == 6
        swarm = self._swarms.get(info_hash)
        peers = None if swarm is None else swarm.peers4 if is_v4 else swarm.peers6
        if peers is None:
            position = -1
        elif peers.index is None:
            # Nearly all need no more than this of what `find` does, and no call for it.
            at = peers.packed.find(address)
            position = peers.find(address) if at % stride else at // stride
        else:
            position = peers.index.get(address, -1)
        if (
            swarm is not None
            and peers is not None
            and position >= 0
            and (position < peers.seeders) is (left == 0)
            and not event & 1  # completed, stopped
            and (
                (share is None and swarm.names is None)
                or self._keeps_name(swarm, address, share, now)
            )
        ):
            peers.expires[position] = now + self._lease
        else:
            position = self._change(
                info_hash, address, position, now, left=left, event=event, share=share
            )
            # Swarm and peers may have come or gone with it.
            swarm = self._swarms.get(info_hash)
            if swarm is None:
                return 0, 0, b""
            peers = swarm.peers4 if is_v4 else swarm.peers6
            if event == _STOPPED or peers is None:
                return swarm.seeders, len(swarm) - swarm.seeders, b""
        seeders = peers.seeders
        leechers = len(peers.expires) - seeders
        others = swarm.peers6 if is_v4 else swarm.peers4
        if others is not None:
            seeders += others.seeders
            leechers += others.leechers
        most = MAX_PEERS if is_v4 else MAX_PEERS6
        if not 0 <= num_want <= most:
            num_want = most if num_want > 0 else DEFAULT_NUM_WANT
        # A client with a magnet link may say that nothing is left because it does not know the size
        # yet (aria2 does), and then needs seeders. Whoever gives a name is no such client.
        first = peers.seeders if left == 0 and share is not None else 0
        return seeders, leechers, peers.choose(num_want, self._random, position, first)

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
        """Take out up to `limit` peers whose lease ended; return when to call it again.

        None: when somebody's lease can have ended. Bounded, so that a mass death is no pause; what
        it returns has passed already if there is more to do. Looking and finding nobody counts too.
        """
        calendar = self._calendar
        while (peers := calendar.take_due(now)) is not None:
            if limit <= 0:
                calendar.put_back(peers)
                break
            removed, ends = peers.sweep(now, limit)
            limit -= len(removed) or 1
            for address in removed:
                self._forget(peers.info_hash, address)
            if not peers:
                self._drop_if_empty(peers)
            elif ends is None:
                calendar.put_back(peers)
            else:
                pause = min(len(peers) / _SWEPT_PER_SECOND, _LONGEST_PAUSE)
                calendar.schedule(peers, max(ends, now + pause))
        return calendar.next_time()

    def counts(self) -> RegistryCounts:
        """Return how much the registry holds."""
        return RegistryCounts(len(self._swarms), self._peer_count, len(self._names))

    def _seeders_of(self, info_hash: bytes) -> int:
        swarm = self._swarms.get(info_hash)
        return swarm.seeders if swarm is not None else 0

    def _change(
        self,
        info_hash: bytes,
        address: bytes,
        position: int,
        now: float,
        *,
        left: int,
        event: int,
        share: UrlShare | None,
    ) -> int:
        """List a peer, renew its lease with all that is known of it, or take it out.

        `position` is where it was, -1: nowhere; where it is then is returned.
        """
        swarm = self._swarms.get(info_hash)
        peers = None if swarm is None else swarm.peers_like(address)
        if event == _STOPPED or address[-2:] == b"\0\0":
            if peers is not None and position >= 0:
                peers.remove(position)
                self._forget(info_hash, address)
                self._drop_if_empty(peers)
            return -1
        if share is not None:
            self._check_name(swarm, info_hash, address, share)
        expires = now + self._lease
        if swarm is None or peers is None or position < 0:
            self._admit(swarm, address)
            if swarm is None:
                swarm = self._swarms[info_hash] = TrackedSwarm()
            if peers is None:
                peers = swarm.open_peers_like(address, info_hash)
                self._calendar.schedule(peers, expires)
            position = peers.add(address, expires)
        was_seeder = position < peers.seeders
        position = peers.set_seeder(position, is_seeder=left == 0)
        peers.expires[position] = expires
        if event == _COMPLETED and not was_seeder:
            swarm.completed += 1
        if share is not None or swarm.names is not None:
            self._renew_name(swarm, info_hash, address, now, share=share)
        return position

    def _admit(self, swarm: TrackedSwarm | None, address: bytes) -> None:
        """Count a peer that is to be listed, or refuse it."""
        limits = self._limits
        hosts, host = self._host_of(address)
        if self._peer_count >= limits.max_peers:
            raise AnnounceRefusedError("the tracker has no room for another peer")
        if hosts[host] >= limits.max_peers_per_host:
            raise AnnounceRefusedError("too many announces from this address")
        if swarm is None:
            if len(self._swarms) >= limits.max_swarms:
                raise AnnounceRefusedError("the tracker has no room for another torrent")
        elif len(swarm) >= limits.max_peers_per_swarm:
            raise AnnounceRefusedError("the tracker has no room for another peer of this torrent")
        self._peer_count += 1
        hosts.add(host, 1)
        self.loopback_peers += is_loopback(address[:-2])

    def _forget(self, info_hash: bytes, address: bytes) -> None:
        """Undo what was done for a peer outside of the list it is no longer in."""
        self._peer_count -= 1
        hosts, host = self._host_of(address)
        hosts.add(host, -1)
        self.loopback_peers -= is_loopback(address[:-2])
        shared = self._swarms[info_hash].unshare(address)
        if shared is not None:
            self._names.release(shared)

    def _host_of(self, address: bytes) -> tuple[HostCounts, bytes]:
        """Return whom a peer counts for. Who has one IPv6 address has its /64 (2**64 of them)."""
        return (self._hosts4, address[:4]) if len(address) == 6 else (self._hosts6, address[:8])

    def _drop_if_empty(self, peers: CompactPeers) -> None:
        """Keep neither an empty list of peers nor a swarm without peers."""
        if peers:
            return
        self._calendar.forget(peers)
        swarm = self._swarms[peers.info_hash]
        if swarm.peers4 is peers:
            swarm.peers4 = None
        else:
            swarm.peers6 = None
        if swarm.peers4 is None and swarm.peers6 is None:
            del self._swarms[peers.info_hash]

    def _check_name(
        self, swarm: TrackedSwarm | None, info_hash: bytes, address: bytes, share: UrlShare
    ) -> None:
        """Refuse a name that this peer has not announced before and must not."""
        sharing = None if swarm is None else swarm.sharing(address)
        if sharing is None or sharing.shared.name != share.name:
            refusal = self._names.refusal(share.name, info_hash)
            if refusal is not None:
                raise AnnounceRefusedError(refusal)

    def _renew_name(
        self,
        swarm: TrackedSwarm,
        info_hash: bytes,
        address: bytes,
        now: float,
        *,
        share: UrlShare | None,
    ) -> None:
        """Let a peer hold the name it announces; one it no longer announces ends with its lease."""
        if self._keeps_name(swarm, address, share, now):
            return
        sharing = swarm.sharing(address)
        if share is not None:
            shared = self._names.hold(share.name, info_hash, share.size)
            swarm.share(address, Sharing(shared, now + self._lease))
        elif sharing is not None:
            swarm.unshare(address)
        if sharing is not None:
            self._names.release(sharing.shared)

    def _keeps_name(
        self, swarm: TrackedSwarm, address: bytes, share: UrlShare | None, now: float
    ) -> bool:
        """Whether a listed peer's name is as it was; if it has one, that counts for longer."""
        sharing = None if swarm.names is None else swarm.names.get(address)
        if share is None:
            return sharing is None or sharing.expires > now
        if sharing is None or sharing.shared.name != share.name:
            return False
        shared = sharing.shared
        # Every info-hash has one size; the first to tell it is believed.
        shared.size = shared.size or share.size
        sharing.expires = now + self._lease
        return True
