"""All that a tracker claims, as bytes in shards: who has missed changes begins with these.

A swarm's shard is chosen by a hash that is this process's own, so strangers cannot fill one with
swarms of their choice. A shard names the place in the tracker's stream that it is as new as at
least: what the stream says after it makes it whole.
"""

from collections.abc import Iterator
from typing import Final

import msgspec
from msgspec import Struct

from trio_swarm.tracker.shared.changes import Compact, Hash, Key, MalformedError, NameText, Whole
from trio_swarm.tracker.shared.claims import OwnName, OwnSwarm

VERSION: Final = 1

SHARDS: Final = 1_024
"""Of a million peers, each has a thousand."""

MAX_SHARD: Final = 32 * 1024 * 1024
"""Bytes of a shard that is read: a swarm as large as can be (50,000 peers, IPv6, with names)."""


class Position(msgspec.Struct, array_like=True, frozen=True, order=True):
    """A place in a tracker's stream: everything up to it is in there."""

    incarnation: Whole
    """When the tracker started, milliseconds since 1970."""
    sequence: Whole
    """Of the entry, from 1 on; 0: before all."""

    def text(self) -> str:
        """Return the id of the entry there."""
        return f"{self.incarnation}-{self.sequence}"


class PeersName(Struct, array_like=True, frozen=True, gc=False):
    """The name that a peer of a swarm announces."""

    address: Compact
    name: NameText
    size: Whole
    age: Whole
    key: Key


class SwarmClaims(Struct, array_like=True, frozen=True, gc=False):
    """What a tracker claims in a swarm: compact addresses, packed."""

    info_hash: Hash
    completed: Whole
    seeders4: bytes = b""
    leechers4: bytes = b""
    seeders6: bytes = b""
    leechers6: bytes = b""
    names: list[PeersName] = msgspec.field(default_factory=list)


class Shard(Struct, array_like=True, frozen=True, gc=False):
    """A shard: swarms, and the place in the stream that they are as new as."""

    since: Position
    swarms: list[SwarmClaims]


class SnapshotMark(Struct, array_like=True, frozen=True, gc=False):
    """Says that all shards are there and at least as new as a place in the stream."""

    since: Position
    claims: Whole
    """Peers that the tracker claims in all."""


_encode = msgspec.msgpack.Encoder().encode
_decode_shard = msgspec.msgpack.Decoder(Shard).decode
_decode_mark = msgspec.msgpack.Decoder(SnapshotMark).decode


def swarm_claims(info_hash: bytes, own: OwnSwarm) -> SwarmClaims:
    """Return a swarm as a shard has it."""
    names = [PeersName(address, *name) for address, name in own.names]
    return SwarmClaims(info_hash, *own[:5], names)


def pack_shard(since: Position, swarms: list[SwarmClaims]) -> bytes:
    """Return a shard as bytes."""
    return bytes((VERSION,)) + _encode(Shard(since, swarms))


def unpack_shard(blob: bytes) -> Shard:
    """Return the shard in `blob`; MalformedError if it is none, or too large."""
    if len(blob) > MAX_SHARD:
        raise MalformedError("too large")
    if blob[:1] != bytes((VERSION,)):
        raise MalformedError("another version")
    try:
        shard = _decode_shard(memoryview(blob)[1:])
    except msgspec.DecodeError as error:
        raise MalformedError("malformed") from error
    for swarm in shard.swarms:
        if (len(swarm.seeders4) % 6 or len(swarm.leechers4) % 6) or (
            len(swarm.seeders6) % 18 or len(swarm.leechers6) % 18
        ):
            raise MalformedError("malformed")
    return shard


def pack_mark(since: Position, claims: int) -> bytes:
    """Return the mark of a whole snapshot as bytes."""
    return bytes((VERSION,)) + _encode(SnapshotMark(since, claims))


def unpack_mark(blob: bytes | None) -> SnapshotMark | None:
    """Return the mark in `blob`, None if there is none that can be read."""
    if blob is None or blob[:1] != bytes((VERSION,)):
        return None
    try:
        return _decode_mark(memoryview(blob)[1:])
    except msgspec.DecodeError:
        return None


def split(packed: bytes, stride: int) -> list[bytes]:
    """Return the compact addresses in packed ones."""
    return [packed[at : at + stride] for at in range(0, len(packed), stride)]


def lists_of(swarm: SwarmClaims) -> Iterator[tuple[list[bytes], list[bytes]]]:
    """Return seeders and leechers of a swarm, for IPv4 and for IPv6."""
    yield split(swarm.seeders4, 6), split(swarm.leechers4, 6)
    yield split(swarm.seeders6, 18), split(swarm.leechers6, 18)


def names_of(swarm: SwarmClaims) -> Iterator[tuple[bytes, OwnName]]:
    """Return who announces which name in a swarm."""
    for each in swarm.names:
        yield each.address, OwnName(each.name, each.size, each.age, each.key)
