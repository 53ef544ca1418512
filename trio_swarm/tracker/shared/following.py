"""What a tracker makes of what the others wrote.

Each of the others is followed in its stream. Entries have numbers without gaps. Where one is
missing, the tracker's snapshot is loaded under a new bit and the stream followed from there; the
old bit's claims end when the new ones are whole. A tracker that is silent has its claims end one
lease later. What the engine holds is not believed blindly: what cannot be read is skipped and
counted.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Final

from trio_swarm.tracker.shared.changes import (
    HAS_COMPLETED,
    HAS_STOPPED,
    IS_UNNAMED,
    SEEDER,
    MalformedError,
    ended_peers,
    joined_peers,
    unpack_batch,
)
from trio_swarm.tracker.shared.claims import BITS, OwnName, SharedRegistry
from trio_swarm.tracker.shared.publishing import RecentCompletions
from trio_swarm.tracker.shared.snapshot import (
    Position,
    SnapshotMark,
    SwarmClaims,
    lists_of,
    names_of,
    unpack_shard,
)
from trio_swarm.tracker.store.compact_peers import is_loopback

MAX_TRACKERS: Final = 48
"""Others that are followed: each takes a bit of a peer, and a second one when loaded anew."""

SILENT: Final = 10.0
"""Seconds after which a tracker is taken to be gone: ten heartbeats."""

OUTAGE: Final = 1800.0
"""Seconds without the engine after which what others claimed is taken to be outdated: as long as a
peer stays, or so. Until then a tracker goes on with what it has."""

CATCH_UP: Final = 5.0
"""Seconds that the former claims of a tracker stay after its snapshot was loaded anew, while the
end of its stream is read."""

LOOK_AGAIN: Final = 0.5
LONGEST_RETRY: Final = 30.0
"""Seconds between two looks for a tracker's snapshot, doubled each time that it was loaded and
something was missing all the same: it is as large as all its peers."""

IN_ORDER: Final = 200
"""Entries without a gap after which all is well again: at least ten seconds."""

GONE: Final = 60.0
"""Seconds after which a tracker that never wrote anything is taken from the list."""

_SLICE = 256
"""Changes taken over between two turns of others: about 1 ms."""


class Place:
    """Another tracker: where we are in its stream, and which bit its claims have."""

    def __init__(self, name: str, now: float, *, is_near: bool) -> None:
        self.name = name
        self.is_near = is_near
        """It runs on this machine, so a peer of ours at a loopback address is one of its, too."""
        self.met = now
        self.bit: int | None = None
        """None: nothing of it is claimed."""
        self.position: Position | None = None
        """What is in there; None: nothing yet."""
        self.load_at: float | None = now
        """When to load its snapshot; None: everything is in there."""
        self.needs = Position(0, 0)
        """What a snapshot must be as new as to be of use."""
        self.former: int | None = None
        """The bit before this one, whose claims stay until the end of the stream is reached."""
        self.is_current = False
        """The end of its stream was reached since its claims were begun anew."""
        self.heard = now
        self.ends: float | None = None
        """When its claims end; None: not yet."""
        self.told = 0
        """Peers that it claims in all, as it said last."""
        self._loads = 0
        self._in_order = 0

    def look_again(self, now: float) -> None:
        """Let its snapshot be looked for, the later the more often it was loaded in vain."""
        self.load_at = now + min(LOOK_AGAIN * 2**self._loads, LONGEST_RETRY)

    def loaded(self) -> None:
        """Count a load; what follows in order makes up for it."""
        self._loads = min(self._loads + 1, 10)
        self._in_order = 0

    def follow(self, position: Position) -> bool:
        """Go to the place of a later entry; return whether none is missing before it."""
        before, self.position = self.position, position
        if before != Position(position.incarnation, position.sequence - 1):
            self.needs = Position(position.incarnation, position.sequence - 1)
            return False
        self._in_order += 1
        if self._in_order > IN_ORDER:
            self._loads = 0
        return True


class Follower:
    """Takes over what other trackers claim; `owns`: of which swarms, None: of all.

    `lease` (seconds) is how long claims of a silent tracker stay.
    """

    def __init__(
        self,
        registry: SharedRegistry,
        completions: RecentCompletions,
        *,
        lease: float,
        now: float,
        owns: Callable[[bytes], bool] | None = None,
    ) -> None:
        self._registry = registry
        self._completions = completions
        self._lease = lease
        self._owns = owns
        self.places: dict[str, Place] = {}
        self.skipped: Counter[str] = Counter()
        """What was skipped, by reason, since the start."""
        self._retired: dict[int, float] = {}
        """When the claims of former bits end."""
        self._connected: float | None = None
        """Since when the engine is there; None: it is not."""
        self._lost = now
        """Since when it is not."""

    # Whom to follow.

    def meet(self, found: Mapping[str, bool], now: float) -> None:
        """Take in which trackers there are, and whether each is on this machine."""
        for name in [name for name in self.places if name not in found]:
            if self.places[name].bit is None:
                del self.places[name]
        for name, is_near in found.items():
            if name in self.places:
                continue
            if len(self.places) >= MAX_TRACKERS:
                self.skipped["too many trackers"] += 1
                return
            self.places[name] = Place(name, now, is_near=is_near)

    def connected(self, now: float) -> None:
        """Note that the engine is there: from now on silence counts."""
        if self._connected is None:
            self._connected = now

    def disconnected(self, now: float) -> None:
        """Note that the engine is not there."""
        if self._connected is not None:
            self._connected, self._lost = None, now

    def silences(self, now: float) -> list[Place]:
        """Let claims of silent trackers end in time; return who is to be forgotten now."""
        gone = []
        since = self._connected
        for place in self.places.values():
            quiet = now - max(place.heard, since) if since is not None else 0.0
            if place.ends is None and (
                quiet > SILENT or (since is None and now - self._lost > OUTAGE)
            ):
                place.ends = now + self._lease
            if place.ends is not None and place.ends <= now and place.bit is not None:
                self._retired[place.bit] = now
                place.bit = None
            if place.bit is None and quiet > GONE:
                gone.append(place)
        return gone

    def ended_bits(self, now: float) -> list[int]:
        """Return the bits whose claims are over; `free` them when they have been dropped."""
        return [bit for bit, when in self._retired.items() if when <= now]

    def free(self, bit: int) -> None:
        """Let a bit without claims be used again."""
        self._retired.pop(bit, None)

    def _free_bit(self) -> int | None:
        used = {place.bit for place in self.places.values()} | self._retired.keys()
        return next((bit for bit in range(BITS) if bit not in used), None)

    # Snapshots.

    def due_loads(self, now: float) -> list[Place]:
        """Return the trackers whose snapshots are to be loaded now."""
        return [
            place
            for place in self.places.values()
            if place.load_at is not None and place.load_at <= now
        ]

    def load_again(self, now: float) -> None:
        """Let the snapshots of all trackers be loaded once more: more of them is taken now."""
        for place in self.places.values():
            if place.bit is not None and place.load_at is None:
                place.load_at = now

    def next_load(self, now: float, latest: float) -> float:
        """Return when a snapshot is to be loaded next, `latest` if none is before."""
        times = [place.load_at for place in self.places.values() if place.load_at is not None]
        return max(now, min([*times, latest]))

    def is_settled(self, now: float) -> bool:
        """Whether all that is there was loaded and read; what is missing is looked for later."""
        return not self.due_loads(now) and all(
            place.is_current for place in self.places.values() if place.bit is not None
        )

    def is_useful(self, place: Place, mark: SnapshotMark | None) -> bool:
        """Whether the snapshot with this mark gives what is missing."""
        return mark is not None and mark.since >= place.needs

    def begin_load(self, place: Place, mark: SnapshotMark, now: float) -> int | None:
        """Begin to take over a snapshot; return the bit of its claims, None if none is free."""
        bit = self._free_bit()
        if bit is None:
            self.skipped["no free bit"] += 1
            place.look_again(now)
            return None
        self._begin(place, bit, mark.since, now)
        place.told = mark.claims
        place.load_at = None
        place.loaded()
        return bit

    def take_shard(self, place: Place, bit: int, blob: bytes | None, now: float) -> Iterator[None]:
        """Take over a shard in steps; if it cannot be read, the snapshot is loaded again."""
        try:
            shard = unpack_shard(blob or b"")
        except MalformedError as error:
            self.skipped[f"shard: {error}"] += 1
            place.look_again(now)
            return
        yield from self._take_swarms(place, bit, shard.swarms)

    def _begin(self, place: Place, bit: int, position: Position, now: float) -> None:
        if place.bit is not None:
            before = place.position
            same = before is not None and before.incarnation == position.incarnation
            self._retired[place.bit] = now + (CATCH_UP if same else self._lease)
            place.former = place.bit if same else None
        place.bit, place.position = bit, position
        place.ends, place.is_current = None, False

    def _take_swarms(self, place: Place, bit: int, swarms: Iterable[SwarmClaims]) -> Iterator[None]:
        registry = self._registry
        taken = 0
        for swarm in swarms:
            if self._owns is not None and not self._owns(swarm.info_hash):
                continue
            for lists in lists_of(swarm):
                seeders, leechers = lists if place.is_near else map(_far, lists)
                registry.hold_all(bit, swarm.info_hash, seeders, leechers)
                taken += len(seeders) + len(leechers)
            registry.at_least_completed(swarm.info_hash, swarm.completed)
            for address, name in names_of(swarm):
                registry.hold_name(swarm.info_hash, address, name)
                taken += 1
            taken += 1
            if taken >= _SLICE:
                taken = 0
                yield

    def begin_at(self, place: Place, oldest: Position, now: float) -> None:
        """Follow a tracker without a snapshot from the oldest entry of its stream on."""
        bit = self._free_bit()
        if place.bit is not None or bit is None:
            place.look_again(now)
            return
        before = Position(oldest.incarnation, oldest.sequence - 1)
        self._begin(place, bit, before, now)
        place.load_at = None
        if before.sequence:
            place.needs = before
            place.look_again(now)

    # Entries of streams.

    def to_read(self) -> dict[str, Position]:
        """Return the trackers whose streams are read, and from where on."""
        return {
            name: place.position
            for name, place in self.places.items()
            if place.position is not None
        }

    def take(self, name: str, position: Position, blob: bytes, now: float) -> Iterator[None]:
        """Take over an entry of a tracker's stream in steps."""
        place = self.places.get(name)
        if place is None or place.position is None:
            return
        place.heard, place.ends = now, None
        if place.position.incarnation == position.incarnation and (
            position.sequence <= place.position.sequence
        ):
            return
        if not place.follow(position) and place.load_at is None:
            place.look_again(now)
        if place.bit is None:
            # Its claims had ended: it has been away.
            place.needs = max(place.needs, position)
            if place.load_at is None:
                place.look_again(now)
            bit = self._free_bit()
            if bit is None:
                return
            place.bit = bit
        yield from self._take_batch(place, place.bit, blob, now)

    def at_the_end(self, name: str, now: float) -> None:
        """Note that the end of a tracker's stream was reached: former claims of it are over."""
        place = self.places.get(name)
        if place is None:
            return
        place.is_current = True
        if place.former is not None:
            if place.former in self._retired:
                self._retired[place.former] = now
            place.former = None

    def _take_batch(self, place: Place, bit: int, blob: bytes, now: float) -> Iterator[None]:
        try:
            batch = unpack_batch(blob)
        except MalformedError as error:
            self.skipped[f"batch: {error}"] += 1
            assert place.position is not None
            place.needs = max(place.needs, place.position)
            place.look_again(now)
            return
        registry = self._registry
        place.told = batch.claims
        is_far = not place.is_near
        owns = self._owns
        for number, (info_hash, address, flags) in enumerate(joined_peers(batch), 1):
            if (owns is not None and not owns(info_hash)) or (is_far and is_loopback(address[:-2])):
                continue
            if registry.hold(bit, info_hash, address, is_seeder=bool(flags & SEEDER)):
                if flags & HAS_COMPLETED and self._completions.add(info_hash, address):
                    registry.add_completed(info_hash)
                if flags & IS_UNNAMED:
                    registry.drop_name(info_hash, address)
            if number % _SLICE == 0:
                yield
        for number, told in enumerate(batch.names, 1):
            registry.hold_name(told.info_hash, told.address, OwnName(*told[2:]))
            if number % _SLICE == 0:
                yield
        for number, (info_hash, address, flags) in enumerate(ended_peers(batch), 1):
            if flags & HAS_STOPPED:
                registry.stop_elsewhere(info_hash, address, now)
            registry.release(bit, info_hash, address)
            if number % _SLICE == 0:
                yield

    # What is known of it all.

    def completeness(self) -> float:
        """Return which part of what others claim is known here, as far as they told; 1.0: all."""
        told = held = 0
        for place in self.places.values():
            if place.bit is not None:
                told += place.told
                held += min(place.told, self._registry.claimed[place.bit])
        return held / told if told else 1.0


def _far(addresses: list[bytes]) -> list[bytes]:
    """Return those that are no loopback addresses of another machine."""
    return [address for address in addresses if not is_loopback(address[:-2])]
