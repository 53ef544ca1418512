"""What a tracker writes for the others: batches of its changes, and snapshots of its claims."""

from collections import OrderedDict
from collections.abc import Iterator
from typing import Final, NamedTuple

from trio_swarm.tracker.shared.changed_peers import ChangedPeers
from trio_swarm.tracker.shared.changes import (
    HAS_COMPLETED,
    HAS_STOPPED,
    IS_UNNAMED,
    MAX_CHANGES,
    SEEDER,
    ChangedPeer,
    NamedPeer,
    pack_batch,
)
from trio_swarm.tracker.shared.claims import COMPLETED, STOPPED, UNNAMED, SharedRegistry
from trio_swarm.tracker.shared.snapshot import (
    SHARDS,
    Position,
    SwarmClaims,
    pack_mark,
    pack_shard,
    swarm_claims,
)

MAX_COMPLETIONS: Final = 16_384
"""Completions remembered, 150 bytes each, so that one told to two trackers counts once."""

_STEP = 256
"""Swarms looked at between two turns of others: about 0.3 ms if they are small."""

_STEP_BYTES = 128 * 1024
"""Bytes of peers copied between two turns of others."""


class RecentCompletions:
    """Peers that told some tracker lately that they have everything now."""

    def __init__(self) -> None:
        self._peers: OrderedDict[bytes, None] = OrderedDict()

    def add(self, info_hash: bytes, address: bytes) -> bool:
        """Remember a peer; return whether it was not remembered already."""
        peer = info_hash + address
        if peer in self._peers:
            return False
        self._peers[peer] = None
        if len(self._peers) > MAX_COMPLETIONS:
            self._peers.popitem(last=False)
        return True


class Entry(NamedTuple):
    """An entry of a tracker's stream: its place, and a batch as bytes."""

    position: Position
    batch: bytes


class Publisher:
    """Makes the entries of this tracker's stream, and its snapshots.

    An entry stays the next one until `written` is called, so one that may or may not have reached
    the engine is written again under the same id. `incarnation` is when the tracker started,
    milliseconds since 1970.
    """

    def __init__(
        self,
        registry: SharedRegistry,
        changed: ChangedPeers,
        completions: RecentCompletions,
        *,
        incarnation: int,
    ) -> None:
        self._registry = registry
        self._changed = changed
        self._completions = completions
        self._incarnation = incarnation
        self._sequence = 0
        self._pending: Entry | None = None
        self.gaps = 0
        """How often changes were forgotten, as there were too many to keep."""
        self.lacks_snapshot = False
        """Changes were forgotten since the latest snapshot began: others wait for a new one."""

    @property
    def waiting(self) -> int:
        """Changes that the engine has not got."""
        return len(self._changed) + (self._pending is not None)

    @property
    def has_batch(self) -> bool:
        """Whether there are as many changes as an entry takes."""
        return len(self._changed) >= MAX_CHANGES

    def next_entry(self, *, is_heartbeat: bool = False) -> Entry | None:
        """Return the entry to write next; None: nothing changed. A heartbeat may be empty."""
        if self._pending is None:
            self._leave_gap()
            taken = self._changed.take(MAX_CHANGES)
            if taken or is_heartbeat:
                self._sequence += 1
                self._pending = Entry(self._position(), self._pack(taken))
        return self._pending

    def written(self) -> None:
        """Note that the engine has the entry."""
        self._pending = None

    def _position(self) -> Position:
        return Position(self._incarnation, self._sequence)

    def _leave_gap(self) -> None:
        """Skip a number if changes were forgotten: who sees that begins with a snapshot."""
        if self._changed.are_lost:
            self._changed.are_lost = False
            self._sequence += 1
            self.gaps += 1
            self.lacks_snapshot = True

    def _pack(self, taken: list[tuple[bytes, bytes, int]]) -> bytes:
        registry = self._registry
        joined, ended, names = [], [], []
        for info_hash, address, noted in taken:
            claim = registry.own_claim(info_hash, address)
            if noted & COMPLETED:
                self._completions.add(info_hash, address)
            if claim is None:
                flags = HAS_STOPPED if noted & STOPPED else 0
                ended.append(ChangedPeer(info_hash, address, flags))
                continue
            flags = SEEDER if claim.is_seeder else 0
            if noted & COMPLETED:
                flags |= HAS_COMPLETED
            if claim.name is not None:
                names.append(NamedPeer(info_hash, address, *claim.name))
            elif noted & UNNAMED:
                flags |= IS_UNNAMED
            joined.append(ChangedPeer(info_hash, address, flags))
        return pack_batch(registry.own_claims, joined, ended, names)

    def snapshot(self) -> Iterator[tuple[int, bytes] | bytes | None]:
        """Make a snapshot in steps: shards by number, at last the mark that it is whole.

        None stands for a step without anything to write. Others may have their turn at each.
        """
        self._leave_gap()
        self.lacks_snapshot = False
        since = self._position()
        shards: list[list[bytes]] = [[] for _ in range(SHARDS)]
        for number, info_hash in enumerate(self._registry.swarm_hashes()):
            shards[hash(info_hash) % SHARDS].append(info_hash)
            if number % (16 * _STEP) == 0:
                yield None
        for shard, hashes in enumerate(shards):
            claims: list[SwarmClaims] = []
            size = 0
            for number, info_hash in enumerate(hashes, 1):
                own = self._registry.own_swarm(info_hash)
                if own is not None:
                    claims.append(swarm_claims(info_hash, own))
                    size += sum(map(len, own[1:5]))
                if number % _STEP == 0 or size > _STEP_BYTES:
                    size = 0
                    yield None
            yield shard, pack_shard(since, claims)
        yield pack_mark(since, self._registry.own_claims)
