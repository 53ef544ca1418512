"""Swarms, their peers and their names: the whole state of a tracker.

Pure: time (`now`, monotonic seconds) and randomness come from the caller. A peer is an address and
port within a swarm. It is listed from its announce until it stops or its lease ends: never shorter,
and seldom a second longer. `leases` decides how long a lease is.

One host cannot fill the registry for others: the fuller it is, the fewer peers a host may add, so
the rest stays open to hosts that have few. A full registry refuses newcomers with a message and
keeps every listed peer. A peer whose name finds no room is listed without it. A name that is not
allowed is refused, and its peer with it.
"""

import random
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import Final

from trio_swarm.compiler_hints import mypyc_attr
from trio_swarm.protocol.peer_ids import PEER_ID_PREFIX, is_foreign_client, is_our_client
from trio_swarm.protocol.trackers.announces import (
    DEFAULT_NUM_WANT,
    AnnounceEvent,
    NameMatch,
    ScrapeCounts,
)
from trio_swarm.protocol.trackers.udp import MAX_PEERS, MAX_PEERS6
from trio_swarm.protocol.trackers.urls import UrlShare
from trio_swarm.tracker.networks import is_private
from trio_swarm.tracker.settings import RegistrySettings
from trio_swarm.tracker.store.compact_peers import (
    TICKS,
    CompactPeers,
    EndedLease,
    is_loopback,
    ticks,
)
from trio_swarm.tracker.store.expiry_calendar import ExpiryCalendar
from trio_swarm.tracker.store.host_counts import HostCounts
from trio_swarm.tracker.store.interface import (
    Admission,
    Announce,
    AnnounceRefusedError,
    Change,
    MatchPage,
    NoRoomError,
    StoreCounts,
    SwarmAnswer,
)
from trio_swarm.tracker.store.leases import FOREIGN_GAP, PROMPT, Lapsed, LeaseRule
from trio_swarm.tracker.store.names import (
    MARKS,
    MAX_HOLDERS_OF_NAME,
    SHARES_OF_PRIVATE,
    NameSearch,
    NameTable,
    SharedName,
    announcer_mark,
)
from trio_swarm.tracker.store.tracked_swarm import Sharing, TrackedSwarm

_STOPPED: Final = int(AnnounceEvent.STOPPED)
_COMPLETED: Final = int(AnnounceEvent.COMPLETED)
_STARTED: Final = int(AnnounceEvent.STARTED)

HOSTS_PER_NETWORK: Final = 4
"""Shares of a host that an IPv4 /24 or IPv6 /48 has: a rented /48 holds 65,536 /64s."""

_NETWORK_COUNTS: Final = 2**16
"""Counts of IPv4 /24s: two may have one, and which cannot be chosen. 256 KiB."""

LEAST_SHARE: Final = 64
"""Peers a host may have as long as there is any room: a household's, behind one address."""

_NOBODY: Final = bytearray()

_FEW_SWARMS: Final = 10_000
"""Swarms whose memory is at hand all the time: 7 MiB or so."""

_SWEPT_PER_SECOND: Final = 65_536
"""Leases of one swarm looked at: a huge swarm that loses a peer every moment must not take all the
time."""

_LONGEST_PAUSE: Final = 1.0
"""Seconds between two looks at a huge swarm, at most: so late is a peer taken out."""


MAX_BEGUN: Final = 4_096
"""Peers remembered that have begun, 250 bytes each. A client announces over both families within a
second or so; while more begin meanwhile, some of two families count twice."""

_NEVER = float("inf")
"""When leases end that are not in a list: those of peers that only other trackers claim."""

_STEP: Final = 256
"""Swarms, peers and names looked at between two turns of others, when a list was read again: about
0.5 ms."""


@mypyc_attr(allow_interpreted_subclasses=True)
class TrackerRegistry:
    """All swarms, peers and names of a tracker.

    `watch` gets each change. `new_age` gives names their age, by default a number that counts up.
    """

    def __init__(
        self,
        settings: RegistrySettings,
        *,
        rng: random.Random,
        watch: Callable[[Change], None] | None = None,
        new_age: Callable[[], int] | None = None,
    ) -> None:
        self._settings = settings
        self._leases = LeaseRule(lease=settings.lease_seconds, interval=settings.interval)
        self._lengths, self._fresh = self._leases.lengths, self._leases.fresh
        self._lapsed = Lapsed(FOREIGN_GAP)
        self._begun: OrderedDict[int, bytes] = OrderedDict()
        """Addresses of peers that began last, by a hash of info-hash, peer id, key and family."""
        self._random_bytes = rng.randbytes
        self._watch = watch
        self._swarms: dict[bytes, TrackedSwarm] = {}
        self._names = NameTable(
            settings, rng=rng, seeders_of=self._seeders_of, new_age=new_age or count().__next__
        )
        self._calendar = ExpiryCalendar()
        self._peer_count = 0
        self._hosts4 = HostCounts(4, settings.max_peers)
        self._hosts6 = HostCounts(8, settings.max_peers)
        self._networks4 = array("I", bytes(4 * _NETWORK_COUNTS))
        self._networks6 = HostCounts(6, settings.max_peers)
        self.admission: Admission | None = None
        """Says which new torrents and names are refused; None: none is. It is asked about what is
        listed in `drop_refused` only."""
        self.loopback_peers = 0
        """Peers listed under an address of this machine only (127.0.0.0/8, ::1)."""

    def announce(  # noqa: PLR0917  as an Announce has them
        self,
        info_hash: bytes,
        address: bytes,
        now: float,
        left: int,
        event: int = 0,
        num_want: int = -1,
        share: UrlShare | None = None,
        peer_id: bytes = PEER_ID_PREFIX,
        key: int = 0,
    ) -> SwarmAnswer:
        """Take one announce, as `announce_all` does; AnnounceRefusedError if it is refused."""
        announce = (info_hash, address, left, event, num_want, share, peer_id, key)
        (answer,) = self.announce_all([announce], now)
        if isinstance(answer, AnnounceRefusedError):
            raise answer
        return answer

    def announce_all(  # noqa: PLR0912 - one loop without calls, see there
        self, announces: Sequence[Announce], now: float
    ) -> list[SwarmAnswer | AnnounceRefusedError]:
        """Take announces in their order; answer each, or say why it is refused.

        `left` 0 makes a seeder; one that announces a name gets leechers only. `event` is
        AnnounceEvent's number (unknown ones are none). Port 0 cannot be reached: it gets an answer
        and is not listed. `peer_id` tells our own peers from others, whose leases differ; `key` is
        the peer's secret, 0 if it has none.
        """
        # Nearly all announces are heartbeats that change nothing. They must be quick, so this is
        # one loop without calls.
        lengths, fresh = self._lengths, self._fresh
        batch = list(announces)
        draws: list[int] = memoryview(self._random_bytes(4 * len(batch))).cast("I").tolist()
        answers: list[SwarmAnswer | AnnounceRefusedError] = []
        changed: set[bytes] = set()
        renewed: dict[int, int] = {}
        swarms, peers_of, found = self._places(batch)
        most4, most6, usual = MAX_PEERS, MAX_PEERS6, DEFAULT_NUM_WANT
        # The compiler makes a plain loop of a `zip` without keywords only.
        for announce, draw, swarm_then, peers_then, at_then in zip(  # noqa: B905
            batch, draws, swarms, peers_of, found
        ):
            info_hash, address, left, event, num_want, share, _, _ = announce
            stride, swarm, peers, at = len(address), swarm_then, peers_then, at_then
            if info_hash in changed:
                # An announce before this one may have moved its peers.
                (swarm,), (peers,), (at,) = self._places([announce])
            habit, position = PROMPT, -1
            if peers is not None:
                if peers.index is not None:
                    position = peers.index.get(address, -1)
                else:
                    position = peers.find(address) if at % stride else at // stride
                if peers.habits is not None and position >= 0:
                    habit = peers.habits[position]
            expires = now + lengths[habit]
            if (
                swarm is not None
                and peers is not None
                and position >= 0
                and (position < peers.seeders) is (left == 0)
                and not event
                and peers.ends[position] > (now + fresh[habit]) * TICKS
                and (
                    (share is None and swarm.names is None)
                    or self._keeps_name(swarm, address, share, now, expires)
                )
            ):
                ends = renewed.get(habit) or renewed.setdefault(habit, ticks(expires))
                peers.ends[position] = ends
            else:
                changed.add(info_hash)
                try:
                    swarm, peers, position = self._change(announce, position, now)
                except AnnounceRefusedError as refused:
                    answers.append(refused)
                    continue
                if swarm is None or peers is None or event == _STOPPED:
                    answers.append(_counts_alone(swarm))
                    continue
            seeders = peers.seeders
            leechers = len(peers.ends) - seeders
            others = swarm.peers6 if stride == 6 else swarm.peers4
            if others is not None:
                seeders += others.seeders
                leechers += others.leechers
                pairs = peers.pairs
                if pairs is not None:
                    seeders -= pairs.both.seeders
                    leechers -= pairs.both.leechers
            most = most4 if stride == 6 else most6
            if not 0 <= num_want <= most:
                num_want = most if num_want > 0 else usual
            # A client with a magnet link may say that nothing is left because it does not know the
            # size yet (aria2 does), and then needs seeders. Who gives a name knows the size.
            first = peers.seeders if left == 0 and share is not None else 0
            answers.append((seeders, leechers, peers.choose(num_want, draw, position, first)))
        return answers

    def _places(
        self, announces: list[Announce]
    ) -> tuple[list[TrackedSwarm | None], list[CompactPeers | None], list[int]]:
        """Return the swarm of each announce, its peers, and at which byte of them its address is.

        What is no multiple of the address's length is to be looked for with `find`. One step is
        taken for all announces before the next one: with many swarms, each step waits for memory,
        and so the processor waits for several of them at once.
        """
        # As above of `zip`.
        known = self._swarms
        swarms = [known.get(announce[0]) for announce in announces]
        addresses = [announce[1] for announce in announces]
        peers = [
            None if swarm is None else swarm.peers4 if len(address) == 6 else swarm.peers6
            for swarm, address in zip(swarms, addresses)  # noqa: B905
        ]
        packed = [
            each.packed if each is not None and each.index is None else _NOBODY for each in peers
        ]
        if len(self._swarms) > _FEW_SWARMS:
            _await_memory(packed)
        found = [each.find(address) for each, address in zip(packed, addresses)]  # noqa: B905
        return swarms, peers, found

    def scrape(self, info_hash: bytes) -> ScrapeCounts:
        """Return a swarm's counts; all 0 for an unknown one."""
        swarm = self._swarms.get(info_hash)
        if swarm is None:
            return ScrapeCounts(seeders=0, completed=0, leechers=0)
        seeders, leechers = swarm.counts()
        return ScrapeCounts(seeders=seeders, completed=swarm.completed, leechers=leechers)

    def swarm_hashes(self) -> list[bytes]:
        """Return the info-hashes of all swarms as of now."""
        return list(self._swarms)

    def size(self, info_hash: bytes) -> int:
        """Return how many peers a swarm has; 0 for an unknown one."""
        swarm = self._swarms.get(info_hash)
        return 0 if swarm is None else len(swarm)

    def a_name(self, info_hash: bytes) -> str:
        """Return one of the names that peers of a swarm announce; empty: none."""
        swarm = self._swarms.get(info_hash)
        if swarm is None or swarm.names is None:
            return ""
        return next((each.shared.name for each in swarm.names.values() if each.shared.name), "")

    def resolve(self, name: str, offset: int = 0, most: int = MAX_HOLDERS_OF_NAME) -> MatchPage:
        """Return holders of exactly `name`, after `offset`: most seeders first, then oldest."""
        holders = self._names.holders(name)
        return self.page_of(len(holders), holders[offset : offset + most])

    def search(self, pattern: str) -> NameSearch:
        """Begin a glob search; show what it found with `matches`."""
        return self._names.search(pattern)

    def page_of(self, total: int, found: Sequence[SharedName]) -> MatchPage:
        """Return some of so many matches, with the counts of the swarms as of now."""
        marks = [shared.mark for shared in found if shared.name]
        return MatchPage(total, self.matches(found), marks)

    def matches(self, found: Sequence[SharedName]) -> list[NameMatch]:
        """Return the matches of a search, with the counts of the swarms as of now."""
        matches = []
        for shared in found:
            if not shared.name:
                continue  # it went since it was found
            counts = self.scrape(shared.info_hash)
            matches.append(
                NameMatch(
                    shared.info_hash, shared.size, counts.seeders, counts.leechers, shared.name
                )
            )
        return matches

    def expire(self, now: float, limit: int) -> float | None:
        """Take out up to `limit` peers whose lease ended; return when to call it again.

        None: when a new lease can have ended. The bound keeps a mass death from being a pause; a
        look at leases that finds none ended counts as one peer. If there is more to do, the time
        returned has passed.
        """
        calendar = self._calendar
        while (peers := calendar.take_due(now)) is not None:
            if limit <= 0:
                calendar.put_back(peers)
                break
            removed, ends = peers.sweep(now, limit)
            limit -= len(removed) or 1
            for ended in removed:
                self._lease_ended(peers.info_hash, ended)
            if not peers:
                self._drop_if_empty(peers)
            elif ends is None:
                calendar.put_back(peers)
            elif ends < _NEVER:
                pause = min(len(peers) / _SWEPT_PER_SECOND, _LONGEST_PAUSE)
                calendar.schedule(peers, max(ends, now + pause))
        return calendar.next_time()

    def drop_refused(self) -> Iterator[None]:
        """Take out what `admission` refuses now, in steps; others may have turns between them."""
        for number, _ in enumerate(self._look_again(), 1):
            if number % _STEP == 0:
                yield

    def _look_again(self) -> Iterator[None]:
        """Take out what is refused now: a swarm, a peer of it or a name at a time."""
        admission = self.admission
        if admission is None:
            return
        for info_hash in self.swarm_hashes():
            swarm = self._swarms.get(info_hash)
            if swarm is None:
                continue
            yield
            if admission.hash_refusal(info_hash) is not None:
                for peers in (swarm.peers4, swarm.peers6):
                    while peers is not None and len(peers) > 0:
                        self._drop_peer(peers, len(peers) - 1)
                        yield
                continue
            for address, sharing in list((swarm.names or {}).items()):
                if swarm.sharing(address) is sharing and self._is_name_refused(address, sharing):
                    self._drop_name(swarm, info_hash, address)
                yield

    def _drop_peer(self, peers: CompactPeers, position: int) -> None:
        """Take out a peer of a swarm that is refused."""
        address = peers.remove(position)
        self._forget(peers.info_hash, address)
        self._drop_if_empty(peers)
        self._tell("expired", peers.info_hash, address)

    def _drop_name(self, swarm: TrackedSwarm, info_hash: bytes, address: bytes) -> None:
        """Take its name, which is refused, from a peer."""
        sharing = swarm.unshare(address)
        if sharing is not None:
            self._tell("name_dropped", info_hash, address, sharing.shared.name)
            self._release_name(sharing, address)

    def _is_name_refused(self, address: bytes, sharing: Sharing) -> bool:
        """Whether a peer may not have the name it has any more."""
        admission, name = self.admission, sharing.shared.name
        if admission is None or not name:
            return False
        if sharing.expires == _NEVER:
            # Another tracker has judged who may register it.
            return admission.name_refusal(name) is not None
        share = UrlShare(name, 0, sharing.token)
        return admission.share_refusal(share, address[:-2]) is not None

    def counts(self) -> StoreCounts:
        """Return how much the registry holds."""
        return StoreCounts(len(self._swarms), self._peer_count, len(self._names))

    def _seeders_of(self, info_hash: bytes) -> int:
        swarm = self._swarms.get(info_hash)
        return swarm.counts()[0] if swarm is not None else 0

    def _lease_ended(self, info_hash: bytes, ended: EndedLease) -> None:
        """Forget a peer that was taken from its list as its lease ended."""
        self._lapsed.add(info_hash + ended.address, ended.ended - self._lengths[ended.habit])
        self._forget(info_hash, ended.address)
        self._tell("expired", info_hash, ended.address)

    def _change(
        self, announce: Announce, position: int, now: float
    ) -> tuple[TrackedSwarm | None, CompactPeers | None, int]:
        """List a peer, renew its lease with all that is known of it, or take it out.

        `position` is where it was, -1: nowhere. Return the swarm and the peers of its family as
        they are then, None where there are none, and where it is then.
        """
        info_hash, address, left, event, _, share, peer_id, key = announce
        swarm = self._swarms.get(info_hash)
        peers = None if swarm is None else swarm.peers_like(address)
        self._check_new(swarm, info_hash, event)
        if event == _STOPPED or address[-2:] == b"\0\0":
            self._stop(peers, info_hash, address, position)
            swarm = self._swarms.get(info_hash)
            return swarm, None if swarm is None else swarm.peers_like(address), -1
        if share is not None and (fault := self._names.fault(share.name)):
            raise AnnounceRefusedError(fault)
        is_new = swarm is None or peers is None or position < 0
        if is_new or peers is None:
            habit = self._first_habit(info_hash, address, now, peer_id)
        elif event == _STARTED or is_our_client(peer_id):
            habit = self._leases.foreign if is_foreign_client(peer_id) else PROMPT
        else:
            habit = peers.habit(position)
            if not event:
                habit = self._leases.after(habit, peers.end(position) - now)
        expires = now + self._lengths[habit]
        if is_new:
            self._admit(swarm, address)
            if swarm is None:
                swarm = self._swarms[info_hash] = TrackedSwarm()
            if peers is None:
                peers = swarm.open_peers_like(address, info_hash)
                self._calendar.schedule(peers, expires)
            position = peers.add(address, expires)
            self._tell("registered", info_hash, address, "" if share is None else share.name)
        assert swarm is not None
        assert peers is not None
        was_seeder = position < peers.seeders
        position = peers.set_seeder(position, is_seeder=left == 0)
        peers.renew(position, expires, habit)
        self._calendar.hasten(peers, expires)
        self._note_begin(swarm, announce, is_new=is_new)
        if event == _COMPLETED and not was_seeder:
            swarm.completed += 1
            if not is_new:
                self._tell("completed", info_hash, address)
        if share is not None or swarm.names is not None:
            self._renew_name(
                swarm, info_hash, address, now, expires, share=share, is_new=is_new, key=key
            )
        return swarm, peers, position

    def _note_begin(self, swarm: TrackedSwarm, announce: Announce, *, is_new: bool) -> None:
        """Count a peer that begins once, if it began under an address of the other family as well.

        It is known by what is its secret (BEP 7: "key"), so nobody else can be counted with it.
        """
        info_hash, address, _, event, _, _, peer_id, key = announce
        if not key or not (is_new or event == _STARTED):
            return
        begun, stride = self._begun, len(address)
        # Keyed, as Python hashes bytes: nobody can look for a peer with the same.
        other = begun.get(hash((info_hash, peer_id, key, 24 - stride)))
        if other is not None:
            swarm.pair(address, other)
        identity = hash((info_hash, peer_id, key, stride))
        begun.pop(identity, None)
        begun[identity] = address
        if len(begun) > MAX_BEGUN:
            begun.popitem(last=False)

    def _check_new(self, swarm: TrackedSwarm | None, info_hash: bytes, event: int) -> None:
        """Raise AnnounceRefusedError if a torrent that is not listed is refused."""
        if swarm is None and self.admission is not None and event != _STOPPED:
            refusal = self.admission.hash_refusal(info_hash)
            if refusal is not None:
                raise AnnounceRefusedError(refusal)

    def _stop(
        self, peers: CompactPeers | None, info_hash: bytes, address: bytes, position: int
    ) -> None:
        """Take out a peer, if it is listed."""
        if peers is not None and position >= 0:
            peers.remove(position)
            self._forget(info_hash, address)
            self._drop_if_empty(peers)
            self._tell("stopped", info_hash, address)

    def _tell(
        self, kind: str, info_hash: bytes, address: bytes, name: str = "", reason: str = ""
    ) -> None:
        if self._watch is not None:
            self._watch(Change(kind, info_hash, address, name, reason))

    def _first_habit(self, info_hash: bytes, address: bytes, now: float, peer_id: bytes) -> int:
        """Return the habit of a peer that is not listed."""
        if is_our_client(peer_id):
            return PROMPT
        gap = self._lapsed.take(info_hash + address, now)
        if gap is not None:
            return self._leases.returned(gap)
        return self._leases.foreign if is_foreign_client(peer_id) else PROMPT

    def _admit(self, swarm: TrackedSwarm | None, address: bytes) -> None:
        """Count a peer that is to be listed, or refuse it."""
        hosts, host = self._host_of(address)
        if (refusal := self._no_room(swarm, hosts, host)) is not None:
            raise NoRoomError(refusal)
        self._peer_count += 1
        self._count(hosts, host, 1)
        if swarm is not None:
            swarm.count_host(host, 1)
        self.loopback_peers += is_loopback(address[:-2])

    def _no_room(  # noqa: PLR0911 - one per limit
        self, swarm: TrackedSwarm | None, hosts: HostCounts, host: bytes
    ) -> str | None:
        """Return why there is no room for a peer, with the setting that says so; None: there is."""
        settings = self._settings
        private = is_private(host)
        if self._peer_count >= settings.max_peers:
            return _full("another peer", settings.max_peers, "max_peers")
        limit, share = "max_peers", self._share(self._peer_count, settings.max_peers, private)
        if swarm is None:
            most = settings.max_swarms
            if len(self._swarms) >= most:
                return _full("another torrent", most, "max_swarms")
            # Who opened so many has as many peers at least.
            of_swarms = self._share(len(self._swarms), most, private)
            if of_swarms < share:
                limit, share = "max_swarms", of_swarms
        else:
            most = settings.max_peers_per_swarm
            if len(swarm) >= most:
                return _full("another peer of this torrent", most, "max_peers_per_swarm")
            of_swarm = self._share(len(swarm), most, private)
            # Only of a host with so many peers in all swarms may there be too many in this one.
            if (
                2 * len(swarm) > most
                and hosts[host] >= of_swarm
                and (count := swarm.peers_of(host)) >= of_swarm
            ):
                return (
                    f"too many announces of this torrent from this address: {count:,} are listed, "
                    f"and it has {len(swarm):,} of {most:,} peers (max_peers_per_swarm)"
                )
        if (count := hosts[host]) >= share:
            is_whole = share >= settings.max_peers_per_host
            why = "max_peers_per_host" if is_whole else f"the tracker fills up, {limit}"
            return f"too many announces from this address: {count:,} are listed ({why})"
        if not private and (count := self._of_network(host)) >= HOSTS_PER_NETWORK * share:
            network = "/24" if len(host) == 4 else "/48"
            return (
                f"too many announces from this {network} network: {count:,} are listed, "
                f"{HOSTS_PER_NETWORK} times what an address may have (max_peers_per_host)"
            )
        return None

    def _of_network(self, host: bytes) -> int:
        """Return how many peers the network of a host has, at most."""
        if len(host) == 8:
            return self._networks6[host[:6]]
        return self._networks4[hash(host[:3]) % _NETWORK_COUNTS]

    def _count(self, hosts: HostCounts, host: bytes, change: int) -> None:
        hosts.add(host, change)
        if len(host) == 8:
            self._networks6.add(host[:6], change)
        else:
            self._networks4[hash(host[:3]) % _NETWORK_COUNTS] += change

    def _share(self, used: int, most: int, private: bool) -> float:  # noqa: FBT001 - of a hot path
        """Return how many places a host may have while `used` of at most `most` are taken."""
        times = SHARES_OF_PRIVATE if private else 1
        per_host = times * self._settings.max_peers_per_host
        # A quarter, so that a limit set low is not one host's either.
        return min(per_host, max(times * LEAST_SHARE, min(per_host, most / 4) * (1 - used / most)))

    def _forget(self, info_hash: bytes, address: bytes) -> None:
        """Stop counting a peer that was taken from its list, and release its name."""
        self._peer_count -= 1
        hosts, host = self._host_of(address)
        self._count(hosts, host, -1)
        self.loopback_peers -= is_loopback(address[:-2])
        swarm = self._swarms[info_hash]
        swarm.count_host(host, -1)
        if 4 * len(swarm) < self._settings.max_peers_per_swarm:
            swarm.hosts = None
        sharing = swarm.unshare(address)
        if sharing is not None:
            self._release_name(sharing, address)

    def _host_of(self, address: bytes) -> tuple[HostCounts, bytes]:
        """Return the host that a peer counts for: an IPv4 address, or an IPv6 /64.

        A network that has one IPv6 address has all 2**64 of its /64.
        """
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

    def name_refusal(self, name: str, info_hash: bytes, address: bytes) -> str | None:
        """Return why `info_hash` does not hold `name`, as a peer at `address` would be told.

        None: it does, or would as soon as that peer announces it. `address` is a packed IP address,
        or a compact one.
        """
        return self._names.place(name, info_hash, _prefix(address))[0]

    def _take_name(
        self,
        swarm: TrackedSwarm,
        info_hash: bytes,
        address: bytes,
        share: UrlShare,
        *,
        expires: float,
        key: int,
    ) -> str | None:
        """Let a listed peer hold a name if there is or can be room; return why not, if not."""
        host = _prefix(address)
        refusal, loser = self._names.place(share.name, info_hash, host)
        if refusal is not None:
            return refusal
        if loser is not None:
            self._tell("name_dropped", loser.info_hash, address, loser.name)
            self._names.drop(loser)
        shared = self._names.hold(share.name, info_hash, share.size, host)
        sharing = Sharing(shared, expires, key, share.token)
        swarm.share(address, sharing)
        self._pair(sharing, address, 1)
        return None

    def _pair(self, sharing: Sharing, address: bytes, change: int) -> None:
        """Pair a peer's name here with the same name that the peer announces in other swarms."""
        shared = sharing.shared
        if not shared.name:
            return
        mark = announcer_mark(address, sharing.key, shared.info_hash)
        shared.mark = (shared.mark + change * mark) % MARKS
        if not sharing.key:
            return
        for other in self._names.others(shared):
            twin = self._swarms[other.info_hash].sharing(address)
            if twin is not None and twin.shared is other and twin.key == sharing.key:
                shared.pair(other.info_hash, change)
                other.pair(shared.info_hash, change)

    def _release_name(self, sharing: Sharing, address: bytes) -> None:
        """Let go of a name that a peer announced and that its swarm no longer has of it."""
        self._pair(sharing, address, -1)
        self._names.release(sharing.shared)

    def _renew_name(
        self,
        swarm: TrackedSwarm,
        info_hash: bytes,
        address: bytes,
        now: float,
        expires: float,
        *,
        share: UrlShare | None,
        is_new: bool,
        key: int,
    ) -> None:
        """Give a peer the name it announces; a name it announces no more ends with its lease."""
        if self._keeps_name(swarm, address, share, now, expires):
            return
        refusal: str | None = None
        if share is not None and self.admission is not None:
            refusal = self.admission.share_refusal(share, address[:-2])
        if refusal is not None and self._keeps_name(swarm, address, None, now, expires):
            # As if it announced none.
            if is_new and share is not None:
                self._tell("name_refused", info_hash, address, share.name, refusal)
            return
        if share is not None and refusal is None:
            held = swarm.sharing(address)
            if held is not None and held.shared.name == share.name:
                # With another token, which is as good.
                held.token, held.expires = share.token, expires
                held.shared.size = held.shared.size or share.size
                return
        before = swarm.unshare(address)
        if before is not None:
            self._release_name(before, address)
        if share is not None:
            if refusal is None:
                refusal = self._take_name(
                    swarm, info_hash, address, share, expires=expires, key=key
                )
            # A heartbeat tries again each time; it is told once.
            if refusal is None or is_new or before is not None:
                kind = "name_taken" if refusal is None else "name_refused"
                self._tell(kind, info_hash, address, share.name, refusal or "")

    def _keeps_name(
        self,
        swarm: TrackedSwarm,
        address: bytes,
        share: UrlShare | None,
        now: float,
        expires: float,
    ) -> bool:
        """Whether a listed peer's name is as it was; if it has one, that counts until `expires`."""
        sharing = None if swarm.names is None else swarm.names.get(address)
        if share is None:
            return sharing is None or sharing.expires > now
        if (
            sharing is None
            or sharing.shared.name != share.name
            or sharing.token != share.token
            or sharing.expires == _NEVER
        ):
            return False
        shared = sharing.shared
        # Every info-hash has one size; the first to tell it is believed.
        shared.size = shared.size or share.size
        sharing.expires = expires
        return True


def _full(what: str, most: int, setting: str) -> str:
    return f"the tracker has no room for {what}: it has {most:,} ({setting})"


def _counts_alone(swarm: TrackedSwarm | None) -> SwarmAnswer:
    """Return the answer to who gets no peers."""
    if swarm is None:
        return 0, 0, b""
    return (*swarm.counts(), b"")


def _prefix(address: bytes) -> bytes:
    """Return the host that a name counts for: an IPv4 address, or an IPv6 /64."""
    return address[:4] if len(address) in {4, 6} else address[:8]


def _await_memory(packed: list[bytearray]) -> int:
    """Look at all these, so that their memory is at hand for the steps that need it.

    In loops as short as possible, for then the processor waits for many of them at once.
    """
    seen = 0
    for each in packed:
        seen += len(each)
    for each in packed:
        if each:
            seen += each[0]
    return seen
