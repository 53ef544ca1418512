"""A batch of a tracker's changes as bytes: what is true of each changed peer now.

A batch states facts (the tracker claims this peer; it does not claim that one), so hearing one
twice does no harm. Peers are records of fixed size one after another. The first byte is a version,
the rest MessagePack.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Final, NamedTuple

import msgspec
from msgspec import Meta, Struct

from trio_swarm.protocol.trackers.share_names import MAX_NAME_BYTES

VERSION: Final = 1

MAX_CHANGES: Final = 2_000
"""Peers in a batch: 60 KB or so, which the engine and its readers take in one piece."""

MAX_BATCH: Final = 2 * 1024 * 1024
"""Bytes of a batch that is read: the most that MAX_CHANGES peers with the longest names take."""

SEEDER: Final = 1
HAS_COMPLETED: Final = 2
HAS_STOPPED: Final = 4
IS_UNNAMED: Final = 8
"""Flags of a peer."""

Hash = Annotated[bytes, Meta(min_length=20, max_length=20)]
Compact = Annotated[bytes, Meta(min_length=6, max_length=18)]
Whole = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Key = Annotated[int, Meta(ge=0, le=2**32 - 1)]
NameText = Annotated[str, Meta(min_length=1, max_length=MAX_NAME_BYTES)]


class MalformedError(ValueError):
    """Bytes from the engine are not what they should be; the text is a short reason."""


class NamedPeer(NamedTuple):
    """A peer that announces a name."""

    info_hash: Hash
    address: Compact
    name: NameText
    size: Whole
    age: Whole
    """When the torrent was first announced under the name, microseconds since 1970."""
    key: Key


class ChangedPeer(NamedTuple):
    """A peer whose claim changed."""

    info_hash: bytes
    address: bytes
    flags: int


class Batch(Struct, array_like=True, frozen=True, gc=False):
    """A batch of changes; peers are packed: info-hash, compact address, a byte of flags."""

    claims: Whole
    """Peers that the tracker claims in all."""
    joined4: bytes = b""
    joined6: bytes = b""
    ended4: bytes = b""
    ended6: bytes = b""
    names: Annotated[list[NamedPeer], Meta(max_length=MAX_CHANGES)] = msgspec.field(
        default_factory=list
    )


_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(Batch).decode


def pack_batch(
    claims: int,
    joined: Iterable[ChangedPeer],
    ended: Iterable[ChangedPeer],
    names: list[NamedPeer],
) -> bytes:
    """Return a batch as bytes."""
    joined4, joined6 = _packed(joined)
    ended4, ended6 = _packed(ended)
    return bytes((VERSION,)) + _encode(Batch(claims, joined4, joined6, ended4, ended6, names))


def unpack_batch(blob: bytes) -> Batch:
    """Return the batch in `blob`; MalformedError if it is none, or too large."""
    if len(blob) > MAX_BATCH:
        raise MalformedError("too large")
    if blob[:1] != bytes((VERSION,)):
        raise MalformedError("another version")
    try:
        batch = _decode(memoryview(blob)[1:])
    except msgspec.DecodeError as error:
        raise MalformedError("malformed") from error
    sizes = ((batch.joined4, 27), (batch.ended4, 27), (batch.joined6, 39), (batch.ended6, 39))
    if any(len(packed) % size for packed, size in sizes) or (
        sum(len(packed) // size for packed, size in sizes) > MAX_CHANGES
    ):
        raise MalformedError("malformed")
    return batch


def joined_peers(batch: Batch) -> Iterator[ChangedPeer]:
    """Return the peers that the tracker claims."""
    yield from _unpacked(batch.joined4, 27)
    yield from _unpacked(batch.joined6, 39)


def ended_peers(batch: Batch) -> Iterator[ChangedPeer]:
    """Return the peers that it claims no more."""
    yield from _unpacked(batch.ended4, 27)
    yield from _unpacked(batch.ended6, 39)


def _packed(peers: Iterable[ChangedPeer]) -> tuple[bytes, bytes]:
    packed4: list[bytes] = []
    packed6: list[bytes] = []
    for info_hash, address, flags in peers:
        (packed4 if len(address) == 6 else packed6).append(
            info_hash + address + flags.to_bytes(1, "big")
        )
    return b"".join(packed4), b"".join(packed6)


def _unpacked(packed: bytes, size: int) -> Iterator[ChangedPeer]:
    last = size - 1
    for at in range(0, len(packed), size):
        yield ChangedPeer(packed[at : at + 20], packed[at + 20 : at + last], packed[at + last])
