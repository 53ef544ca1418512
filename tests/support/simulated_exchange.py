"""Trackers that share by an engine in memory: what is written, read, lost and forgotten by hand."""

import random
from collections.abc import Iterator

from trio_swarm.protocol.peer_ids import PEER_ID_PREFIX
from trio_swarm.protocol.trackers.announces import AnnounceEvent
from trio_swarm.protocol.trackers.urls import UrlShare
from trio_swarm.tracker.settings import RegistrySettings
from trio_swarm.tracker.shared.changed_peers import ChangedPeers
from trio_swarm.tracker.shared.claims import SharedRegistry
from trio_swarm.tracker.shared.following import Follower, Place
from trio_swarm.tracker.shared.publishing import Publisher, RecentCompletions
from trio_swarm.tracker.shared.snapshot import SHARDS, Position, unpack_mark
from trio_swarm.tracker.store.interface import Admission

HASHES = [bytes([number]) * 20 for number in range(3)]


def address(number: int) -> bytes:
    """A compact address; every fourth is IPv6."""
    return (bytes(15) + b"\2" if number % 4 == 3 else b"\n\0\0\2") + bytes([27, number])


class Engine:
    """What Redis keeps: a stream and a snapshot of each tracker, and who is there."""

    def __init__(self, kept: int = 1000) -> None:
        self.kept = kept
        self.streams: dict[str, list[tuple[Position, bytes]]] = {}
        self.snapshots: dict[str, dict[int | str, bytes]] = {}
        self.trackers: set[str] = set()

    def empty(self) -> None:
        self.streams.clear()
        self.snapshots.clear()
        self.trackers.clear()


class SimulatedTracker:
    """The pure parts of a tracker that shares, and the loops around them in plain calls."""

    def __init__(
        self, name: str, engine: Engine, *, most: int = 1000, now: float = 0.0, **settings: int
    ) -> None:
        self.name = name
        self.engine = engine
        self.is_linked = True
        limits = RegistrySettings(**settings)  # type: ignore[arg-type]
        self.changed = ChangedPeers(most)
        self.clock = 1000.0
        self.registry = SharedRegistry(
            limits,
            rng=random.Random(1),
            note=self.changed.note,
            wall_clock=lambda: self.clock,
        )
        completions = RecentCompletions()
        self.publisher = Publisher(self.registry, self.changed, completions, incarnation=7)
        self.follower = Follower(self.registry, completions, lease=limits.lease_seconds, now=now)
        self.now = now
        self.registry.load_again = lambda: self.follower.load_again(self.now)

    def refuse(self, admission: Admission | None, now: float) -> None:
        """Take nothing that `admission` refuses, as if lists had been read again."""
        self.now = now
        self.registry.admission = admission
        _run(self.registry.drop_refused())

    def announce(
        self,
        info_hash: bytes,
        peer: bytes,
        now: float,
        *,
        left: int = 1,
        event: AnnounceEvent = AnnounceEvent.NONE,
        name: str = "",
    ) -> None:
        self.clock = 1000.0 + now
        share = UrlShare(name=name, size=5) if name else None
        self.registry.announce(info_hash, peer, now, left, int(event), -1, share, PEER_ID_PREFIX)

    def write(self, *, is_heartbeat: bool = True, answer_is_lost: bool = False) -> None:
        """Write what changed, as far as the engine can be reached."""
        if not self.is_linked:
            return
        engine = self.engine
        engine.trackers.add(self.name)
        while (entry := self.publisher.next_entry(is_heartbeat=is_heartbeat)) is not None:
            stream = engine.streams.setdefault(self.name, [])
            if not stream or entry.position > stream[-1][0]:
                stream.append(entry)
                del stream[: -engine.kept]
            if answer_is_lost:
                return
            self.publisher.written()
            is_heartbeat = False

    def write_snapshot(self) -> None:
        if self.is_linked:
            _run(self.snapshot_steps())

    def snapshot_steps(self) -> Iterator[None]:
        kept = self.engine.snapshots.setdefault(self.name, {})
        for step in self.publisher.snapshot():
            if isinstance(step, tuple):
                kept[step[0]] = step[1]
            elif step is not None:
                kept["mark"] = step
            yield

    def read(self, now: float) -> None:
        """Read what the others wrote, as far as the engine can be reached."""
        follower, engine = self.follower, self.engine
        if not self.is_linked:
            follower.disconnected(now)
        else:
            follower.connected(now)
            follower.meet(dict.fromkeys(engine.trackers - {self.name}, True), now)
            for place in follower.due_loads(now):
                self._load(place, now)
            for name, position in follower.to_read().items():
                for at, batch in list(engine.streams.get(name, ())):
                    if at > position:
                        _run(follower.take(name, at, batch, now))
                follower.at_the_end(name, now)
        follower.silences(now)
        for bit in follower.ended_bits(now):
            _run(self.registry.drop(bit))
            follower.free(bit)

    def _load(self, place: Place, now: float) -> None:
        follower, engine = self.follower, self.engine
        kept = engine.snapshots.get(place.name, {})
        mark = unpack_mark(kept.get("mark"))
        if mark is not None and follower.is_useful(place, mark):
            bit = follower.begin_load(place, mark, now)
            assert bit is not None
            for number in range(SHARDS):
                _run(follower.take_shard(place, bit, kept.get(number), now))
        elif place.bit is None and engine.streams.get(place.name):
            follower.begin_at(place, engine.streams[place.name][0][0], now)
        else:
            place.look_again(now)

    def listed(self) -> dict[bytes, tuple[set[bytes], set[bytes]]]:
        """Return the seeders and leechers of each swarm."""
        found = {}
        for info_hash, swarm in self.registry._swarms.items():
            lists = [each for each in (swarm.peers4, swarm.peers6) if each is not None]
            seeders = {each.address(at) for each in lists for at in range(each.seeders)}
            peers = {each.address(at) for each in lists for at in range(len(each))}
            found[info_hash] = (seeders, peers - seeders)
        return found

    def claims(self) -> set[tuple[bytes, bytes]]:
        """Return the peers that this tracker claims itself."""
        return {
            (info_hash, peer)
            for info_hash, (seeders, leechers) in self.listed().items()
            for peer in seeders | leechers
            if self.registry.own_claim(info_hash, peer) is not None
        }

    def names(self) -> dict[str, list[bytes]]:
        """Return who holds each name, in order."""
        search = self.registry.search("*")
        while not search.step(100):
            pass
        return {
            found.name: [match.info_hash for match in self.registry.resolve(found.name).matches]
            for found in search.matches
        }


def _run(steps: Iterator[None]) -> None:
    for _ in steps:
        pass


def settle(trackers: list[SimulatedTracker], now: float, rounds: int = 4) -> float:
    """Let all trackers exchange until nothing is left to be told; return when that is."""
    for _ in range(rounds):
        for tracker in trackers:
            tracker.is_linked = True
            tracker.write()
        for tracker in trackers:
            tracker.write_snapshot()
        for tracker in trackers:
            tracker.read(now)
        now += 6.0  # more than former claims stay when a snapshot was loaded anew
    return now
