"""What a torrent tells about its parts: files, pieces, and who has which."""

from collections.abc import Iterable
from itertools import islice

from trio_swarm.engine.download.ledger import Ledger
from trio_swarm.peer.connection import PeerConnection
from trio_swarm.piece_sets import PieceSet, full_set, to_bitfield, to_bytes_each
from trio_swarm.progress import (
    PIECE_BEGUN,
    PIECE_HAD,
    PIECE_NOWHERE,
    FileState,
    PeerPieces,
    PieceMap,
)
from trio_swarm.protocol.metainfo.torrent import Info

MAPPED_PEERS = 250
"""Most peers whose pieces are told in one map: as many as a node has by default, 100 KiB each for
the largest torrents there are."""


def file_states_of(info: Info, have: PieceSet, first: int, count: int | None) -> list[FileState]:
    """Return the state of `count` files (None: all) from number `first` on; padding is left out."""
    pieces = None if have == full_set(info.piece_count) else to_little(have, info.piece_count)
    end = len(info.files) if count is None else min(len(info.files), first + count)
    states = []
    for index in range(max(0, first), end):
        entry = info.files[index]
        if entry.padding:
            continue
        begin, length = entry.offset, entry.length
        first_piece = begin // info.piece_length
        states.append(
            FileState(
                index=index,
                path="/".join(entry.path) or info.name,
                length=length,
                have=length
                if pieces is None
                else _bytes_had(pieces, info.piece_length, begin, length),
                first_piece=first_piece,
                end_piece=-(-(begin + length) // info.piece_length) if length else first_piece,
            )
        )
    return states


def to_little(pieces: PieceSet, count: int) -> bytes:
    """Return a set as bytes of which parts can be counted without looking at all of it."""
    return pieces.to_bytes((count + 7) // 8, "little")


def _bytes_had(pieces: bytes, piece_length: int, begin: int, length: int) -> int:
    """Return how many of the bytes from `begin` on are in the pieces."""
    if not length:
        return 0
    first, last = begin // piece_length, (begin + length - 1) // piece_length
    if first == last:
        return length if _has(pieces, first) else 0
    had = _count(pieces, first + 1, last) * piece_length
    if _has(pieces, first):
        had += (first + 1) * piece_length - begin
    if _has(pieces, last):
        had += begin + length - last * piece_length
    return had


def _has(pieces: bytes, piece: int) -> bool:
    return bool(pieces[piece >> 3] >> (piece & 7) & 1)


def _count(pieces: bytes, first: int, end: int) -> int:
    part = int.from_bytes(pieces[first >> 3 : (end + 7) >> 3], "little") >> (first & 7)
    return (part & full_set(end - first)).bit_count()


def piece_map_of(ledger: Ledger, connections: Iterable[PeerConnection], peers: int) -> PieceMap:
    """Return all pieces, with the pieces of the first `peers` of the connections."""
    count = ledger.lengths.piece_count
    begun = ledger.begun
    nowhere = ledger.wanted & ledger.rarity[0] & ~begun
    states = sum(
        int.from_bytes(to_bytes_each(pieces, count), "little") * state
        for pieces, state in (
            (ledger.have, PIECE_HAD),
            (begun, PIECE_BEGUN),
            (nowhere, PIECE_NOWHERE),
        )
    )
    joined = (each for each in connections if each.conversation is not None)
    return PieceMap(
        states=states.to_bytes(count, "little"),
        holders=ledger.rarity.counts(),
        have=to_bitfield(ledger.have, count),
        peers=[
            PeerPieces(address=each.address, pieces=to_bitfield(ledger.pieces_of(each.key), count))
            for each in islice(joined, min(max(0, peers), MAPPED_PEERS))
        ],
    )


def whole_map(count: int) -> PieceMap:
    """Return the map of a torrent that has all of its `count` pieces, and no peer."""
    return PieceMap(
        states=bytes([PIECE_HAD]) * count,
        holders=bytes(count),
        have=to_bitfield(full_set(count), count),
    )
