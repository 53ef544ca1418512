"""The events of a recording, as values: one `msgspec.Struct` for each kind of event.

Each has `at`: microseconds since the recording began, which never decrease. `peer` is the key of a
connection; a peer that connects again has another key. `begin` and `length` are bytes. Sets of
pieces are packed; see `pack`. In the file an event is an array: its number, then its fields in the
order below. A reader ignores array elements beyond the fields it knows.

| no. | event | fields after `at` | when |
|---|---|---|---|
| 0 | `Began` | have, open_pieces, clock | once, first: the pieces that were there already |
| 1 | `Joined` | peer, address, labels | a peer connected: it has no pieces, and chokes us |
| 2 | `Named` | peer, client, peer_id, uploads_only | a peer's program and peer id became known |
| 3 | `Left` | peer | a connection ended |
| 4 | `Held` | peer, pieces | a peer sent the set of its pieces (bitfield) |
| 5 | `Gained` | peer, piece | a peer has one more piece (have) |
| 6 | `Choked` | peer, fast | a peer choked us; unless `fast`, it drops our requests |
| 7 | `Unchoked` | peer | a peer unchoked us |
| 8 | `Allowed` | peer, piece | it sends this piece even while it chokes us (BEP 6) |
| 9 | `Suggested` | peer, piece | it suggests that we fetch this piece from it (BEP 6) |
| 10 | `Limited` | peer, blocks | it told how many requests it queues (BEP 10, "reqq") |
| 11 | `Decided` | by, wanted, peers, assigned, faults, took | a strategy was asked |
| 12 | `Granted` | grants, seconds | blocks are requested from peers |
| 13 | `Cancelled` | grants | requests are cancelled |
| 14 | `Arrived` | peer, piece, begin, length, again | adjacent blocks arrived |
| 15 | `Unasked` | peer, piece, begin, length | bytes arrived that were never requested |
| 16 | `Rejected` | peer, piece, begin, length | a peer rejected a request |
| 17 | `Withdrawn` | peer, piece, begin, length | a granted request was never sent |
| 18 | `Snubbed` | peer | blocks are overdue, and may be requested from other peers |
| 19 | `Verified` | piece | a piece passed its hash |
| 20 | `Failed` | piece, senders | a piece failed its hash; its blocks are wanted again |
| 21 | `Banned` | addresses | these peers sent wrong bytes, and are asked for nothing more |
| 22 | `Sent` | peer, piece, begin, length | a block was sent to a peer |
| 23 | `Completed` | | every piece is verified |
| 24 | `Ended` | reason | the recording ends here: without it the file was cut off |
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from trio_swarm.engine.download.ledger import Grant
from trio_swarm.piece_sets import PieceSet, from_pieces, lowest
from trio_swarm.schedulers.api import Assignment

Count = Annotated[int, Meta(ge=0, lt=1 << 62)]
"""A number that is never negative: a time, key, piece or number of bytes."""

Packed = bytes | list[int]
"""A set of pieces: their indexes, or their bits as an integer, little-endian."""

FEW = 8
"""Most pieces of a set that is written as indexes: these are shorter than the bits, and faster to
make."""

Decider = Literal["strategy", "fallback", "host"]
"""The strategy itself; its replacement after too many faults; or the host, because the strategy had
assigned nothing for too long, or nothing was in flight."""


class Began(Struct, frozen=True, array_like=True, gc=False, tag=0):
    """The download begins with the pieces in `have`."""

    at: Count
    have: Packed
    open_pieces: Count
    """Number of pieces that may be in flight at once."""
    clock: Count = 0
    """Wall-clock time, microseconds since 1970, or since a simulation began; it aligns the
    recordings of several peers. 0 if unknown."""


class Joined(Struct, frozen=True, array_like=True, gc=False, tag=1):
    """A peer connected; it has no pieces and chokes us until a later event."""

    at: Count
    peer: Count
    address: str
    labels: dict[str, str]


class Named(Struct, frozen=True, array_like=True, gc=False, tag=2):
    """A peer's program, its peer id or whether it only uploads became known."""

    at: Count
    peer: Count
    client: str
    """Name of the program; empty while unknown."""
    peer_id: str = ""
    """The peer id, 40 hex digits: the same on all connections of a peer."""
    uploads_only: bool | None = None
    """Whether it has every piece or says that it only uploads (BEP 21): then it may reveal its
    pieces one by one (BEP 16). None while unknown."""


class Left(Struct, frozen=True, array_like=True, gc=False, tag=3):
    """A connection ended; blocks in flight from the peer are wanted again."""

    at: Count
    peer: Count


class Held(Struct, frozen=True, array_like=True, gc=False, tag=4):
    """A peer sent the set of all its pieces."""

    at: Count
    peer: Count
    pieces: Packed


class Gained(Struct, frozen=True, array_like=True, gc=False, tag=5):
    """A peer has one more piece."""

    at: Count
    peer: Count
    piece: Count


class Choked(Struct, frozen=True, array_like=True, gc=False, tag=6):
    """A peer choked us. With `fast` it still answers each request (BEP 6)."""

    at: Count
    peer: Count
    fast: bool


class Unchoked(Struct, frozen=True, array_like=True, gc=False, tag=7):
    """A peer unchoked us: it serves our requests."""

    at: Count
    peer: Count


class Allowed(Struct, frozen=True, array_like=True, gc=False, tag=8):
    """A peer sends a piece even while it chokes us (BEP 6, "Allowed Fast")."""

    at: Count
    peer: Count
    piece: Count


class Suggested(Struct, frozen=True, array_like=True, gc=False, tag=9):
    """A peer suggests that we fetch a piece from it (BEP 6, "Suggest Piece")."""

    at: Count
    peer: Count
    piece: Count


class Limited(Struct, frozen=True, array_like=True, gc=False, tag=10):
    """A peer told how many blocks may be in flight from it."""

    at: Count
    peer: Count
    blocks: Count


class Candidate(Struct, frozen=True, array_like=True, gc=False):
    """A peer that could be assigned blocks when a strategy was asked."""

    peer: Count
    room: Count
    """Blocks that it could be assigned."""
    in_flight: Count
    """Blocks requested from it that had not arrived."""
    rate: Count
    """Estimated download rate from it, bytes/s; 0 while unknown."""
    rtt: Count
    """Round-trip time, microseconds; 0 while unknown."""


class Decided(Struct, frozen=True, array_like=True, gc=False, tag=11):
    """A strategy was asked to assign blocks; the guard kept `assigned` of its answer."""

    at: Count
    by: Decider
    wanted: Packed
    """The pieces with free blocks, as the exclusive-or with those at the decision before (at the
    first: with the empty set)."""
    peers: list[Candidate]
    assigned: list[Assignment]
    faults: list[str]
    """Faults that the guard found, one of each kind; faulty assignments are not in `assigned`."""
    took: Count
    """Time of the decision, microseconds."""


class Granted(Struct, frozen=True, array_like=True, gc=False, tag=12):
    """Blocks are requested from peers from now on."""

    at: Count
    grants: list[Grant]
    seconds: list[int]
    """Indexes in `grants` of blocks that are in flight from a slower peer already (endgame)."""


class Cancelled(Struct, frozen=True, array_like=True, gc=False, tag=13):
    """Requests that the peers need not answer any more."""

    at: Count
    grants: list[Grant]


class Arrived(Struct, frozen=True, array_like=True, gc=False, tag=14):
    """Adjacent blocks of a piece arrived."""

    at: Count
    peer: Count
    piece: Count
    begin: Count
    length: Count
    again: Count
    """Bytes among these that we had already."""


class Unasked(Struct, frozen=True, array_like=True, gc=False, tag=15):
    """Bytes arrived that were never requested."""

    at: Count
    peer: Count
    piece: Count
    begin: Count
    length: Count


class Rejected(Struct, frozen=True, array_like=True, gc=False, tag=16):
    """A peer rejected a request (BEP 6)."""

    at: Count
    peer: Count
    piece: Count
    begin: Count
    length: Count


class Withdrawn(Struct, frozen=True, array_like=True, gc=False, tag=17):
    """A granted request was never sent, because the peer choked us in the meantime."""

    at: Count
    peer: Count
    piece: Count
    begin: Count
    length: Count


class Snubbed(Struct, frozen=True, array_like=True, gc=False, tag=18):
    """Blocks of a peer are overdue; they may be requested from other peers."""

    at: Count
    peer: Count


class Verified(Struct, frozen=True, array_like=True, gc=False, tag=19):
    """A piece passed its hash and is on disk."""

    at: Count
    piece: Count


class Failed(Struct, frozen=True, array_like=True, gc=False, tag=20):
    """A piece failed its hash; it is fetched again, from one peer at a time (parole)."""

    at: Count
    piece: Count
    senders: list[str]
    """Addresses of the peers that sent its blocks."""


class Banned(Struct, frozen=True, array_like=True, gc=False, tag=21):
    """The peers at these addresses sent wrong bytes, and are asked for nothing more."""

    at: Count
    addresses: list[str]


class Sent(Struct, frozen=True, array_like=True, gc=False, tag=22):
    """A block was sent to a peer."""

    at: Count
    peer: Count
    piece: Count
    begin: Count
    length: Count


class Completed(Struct, frozen=True, array_like=True, gc=False, tag=23):
    """The download is complete: every piece is verified."""

    at: Count


class Ended(Struct, frozen=True, array_like=True, gc=False, tag=24):
    """The recording ends here, for this reason."""

    at: Count
    reason: str


Record = (
    Began
    | Joined
    | Named
    | Left
    | Held
    | Gained
    | Choked
    | Unchoked
    | Allowed
    | Suggested
    | Limited
    | Decided
    | Granted
    | Cancelled
    | Arrived
    | Unasked
    | Rejected
    | Withdrawn
    | Snubbed
    | Verified
    | Failed
    | Banned
    | Sent
    | Completed
    | Ended
)


def pack(pieces: PieceSet) -> Packed:
    """Return a set of pieces in the form it has in the file."""
    if pieces.bit_count() > FEW:
        return pieces.to_bytes((pieces.bit_length() + 7) // 8, "little")
    numbers = []
    while pieces:
        piece = lowest(pieces)
        numbers.append(piece)
        pieces ^= 1 << piece
    return numbers


def unpack(packed: Packed, piece_count: int) -> PieceSet:
    """Return the set of pieces that `packed` stands for.

    Raises ValueError if a piece is not below `piece_count`.
    """
    if isinstance(packed, bytes):
        if len(packed) > (piece_count + 7) // 8:
            raise ValueError(f"a set of more than {piece_count} pieces")
        pieces = int.from_bytes(packed, "little")
    else:
        if not all(0 <= piece < piece_count for piece in packed):
            raise ValueError(f"a piece that is none of {piece_count}")
        pieces = from_pieces(packed)
    if pieces >> piece_count:
        raise ValueError(f"a piece that is none of {piece_count}")
    return pieces
