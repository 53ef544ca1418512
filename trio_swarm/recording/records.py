"""What a recording tells, as values: one `msgspec.Struct` for each thing that happened.

Each has `at`, microseconds since the recording began, and they never go back. `peer` is the key of
a connection: another each time, so a peer that comes again has another. `begin` and `length` are
bytes. Sets of pieces are packed, see `pack`. In the file an event is an array: its number, then the
fields in the order they have here; a reader ignores elements beyond those it knows.

| no. | event | fields after `at` | when |
|---|---|---|---|
| 0 | `Began` | have, open_pieces, clock | once, first: what was there already |
| 1 | `Joined` | peer, address, labels | a peer takes part: it has nothing, and chokes us |
| 2 | `Named` | peer, client, peer_id, uploads_only | it was learned which program a peer is |
| 3 | `Left` | peer | a connection ended |
| 4 | `Held` | peer, pieces | a peer told all that it has (bitfield) |
| 5 | `Gained` | peer, piece | a peer has one more piece (have) |
| 6 | `Choked` | peer, fast | a peer serves us no more; unless `fast` it forgets our requests |
| 7 | `Unchoked` | peer | a peer serves us |
| 8 | `Allowed` | peer, piece | it would send this one even while it chokes us (BEP 6) |
| 9 | `Suggested` | peer, piece | it would like us to fetch this one of it (BEP 6) |
| 10 | `Limited` | peer, blocks | it told how many requests it queues (BEP 10, "reqq") |
| 11 | `Decided` | by, wanted, peers, assigned, faults, took | a strategy was asked |
| 12 | `Granted` | grants, seconds | what is asked of peers from now on |
| 13 | `Cancelled` | grants | what they need no longer send |
| 14 | `Arrived` | peer, piece, begin, length, again | adjacent blocks arrived |
| 15 | `Unasked` | peer, piece, begin, length | bytes arrived that nobody had asked for |
| 16 | `Rejected` | peer, piece, begin, length | a peer will not send them |
| 17 | `Withdrawn` | peer, piece, begin, length | they were granted, and never asked for |
| 18 | `Snubbed` | peer | blocks are overdue and it sends nothing: others may be asked for them |
| 19 | `Verified` | piece | a piece passed its hash |
| 20 | `Failed` | piece, senders | a piece did not; its blocks are wanted again |
| 21 | `Banned` | addresses | these sent wrong bytes, and are asked for nothing more |
| 22 | `Sent` | peer, piece, begin, length | a block was put out for a peer |
| 23 | `Completed` | | every piece is verified |
| 24 | `Ended` | reason | the recording ends here: without it the file was cut off |
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

from trio_swarm.engine.download.ledger import Grant
from trio_swarm.piece_sets import PieceSet, from_pieces, lowest
from trio_swarm.schedulers.api import Assignment

Count = Annotated[int, Meta(ge=0, lt=1 << 62)]
"""What is never negative: times, keys, pieces, bytes."""

Packed = bytes | list[int]
"""A set of pieces: their numbers, or the integer that has their bits, little-endian."""

FEW = 8
"""Pieces up to which their numbers are written: shorter than the bits, and sooner made."""

Decider = Literal["strategy", "fallback", "host"]
"""The strategy itself; what replaced it after too many faults; the host, because the strategy had
assigned nothing for too long, or nothing at all was asked of anybody."""


class Began(Struct, frozen=True, array_like=True, gc=False, tag=0):
    """The download begins: these pieces were there already."""

    at: Count
    have: Packed
    open_pieces: Count
    """How many pieces may be in flight at once."""
    clock: Count = 0
    """Wall-clock time, microseconds since 1970, or since a simulation began: what recordings of
    several peers are laid side by side by. 0 if it was not told."""


class Joined(Struct, frozen=True, array_like=True, gc=False, tag=1):
    """A peer takes part; it has nothing and chokes us until it says otherwise."""

    at: Count
    peer: Count
    address: str
    labels: dict[str, str]


class Named(Struct, frozen=True, array_like=True, gc=False, tag=2):
    """It was learned which program a peer is."""

    at: Count
    peer: Count
    client: str
    """Empty while unknown."""
    peer_id: str = ""
    """By which it is known in the swarm, 40 hex digits: the same on all of its connections."""
    uploads_only: bool | None = None
    """Whether it said that it only uploads (BEP 21), or has everything: then it may show its pieces
    one by one (BEP 16). None while unknown."""


class Left(Struct, frozen=True, array_like=True, gc=False, tag=3):
    """A connection ended; what was in flight from it is wanted again."""

    at: Count
    peer: Count


class Held(Struct, frozen=True, array_like=True, gc=False, tag=4):
    """A peer told all the pieces it has."""

    at: Count
    peer: Count
    pieces: Packed


class Gained(Struct, frozen=True, array_like=True, gc=False, tag=5):
    """A peer has one more piece."""

    at: Count
    peer: Count
    piece: Count


class Choked(Struct, frozen=True, array_like=True, gc=False, tag=6):
    """A peer serves us no more. With `fast` each request is still answered (BEP 6)."""

    at: Count
    peer: Count
    fast: bool


class Unchoked(Struct, frozen=True, array_like=True, gc=False, tag=7):
    """A peer serves us."""

    at: Count
    peer: Count


class Allowed(Struct, frozen=True, array_like=True, gc=False, tag=8):
    """A peer would send a piece even while it chokes us."""

    at: Count
    peer: Count
    piece: Count


class Suggested(Struct, frozen=True, array_like=True, gc=False, tag=9):
    """A peer would like us to fetch a piece of it."""

    at: Count
    peer: Count
    piece: Count


class Limited(Struct, frozen=True, array_like=True, gc=False, tag=10):
    """A peer told how many blocks it lets us have in flight."""

    at: Count
    peer: Count
    blocks: Count


class Candidate(Struct, frozen=True, array_like=True, gc=False):
    """A peer that could be given blocks when a strategy was asked."""

    peer: Count
    room: Count
    """Blocks it could take."""
    in_flight: Count
    """Blocks asked of it and not arrived."""
    rate: Count
    """Estimated bytes/s; 0 while unknown."""
    rtt: Count
    """Microseconds; 0 while unknown."""


class Decided(Struct, frozen=True, array_like=True, gc=False, tag=11):
    """A strategy was asked what to give to whom; the guard kept `assigned` of its answer."""

    at: Count
    by: Decider
    wanted: Packed
    """What is not wanted as it was at the decision before (nothing, at the first): the pieces of
    which blocks could be given out are these, exclusive-or those."""
    peers: list[Candidate]
    assigned: list[Assignment]
    faults: list[str]
    """What the guard found wrong, one of each kind; what was wrong is not in `assigned`."""
    took: Count
    """Microseconds."""


class Granted(Struct, frozen=True, array_like=True, gc=False, tag=12):
    """What is asked of peers from now on."""

    at: Count
    grants: list[Grant]
    seconds: list[int]
    """Which of them are blocks in flight from somebody slower (endgame), by index in `grants`."""


class Cancelled(Struct, frozen=True, array_like=True, gc=False, tag=13):
    """What peers need no longer send."""

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
    """Bytes of it that came in vain."""


class Unasked(Struct, frozen=True, array_like=True, gc=False, tag=15):
    """Bytes arrived that nobody had asked for."""

    at: Count
    peer: Count
    piece: Count
    begin: Count
    length: Count


class Rejected(Struct, frozen=True, array_like=True, gc=False, tag=16):
    """A peer will not send what it was asked."""

    at: Count
    peer: Count
    piece: Count
    begin: Count
    length: Count


class Withdrawn(Struct, frozen=True, array_like=True, gc=False, tag=17):
    """What was granted was never asked for: the peer choked us meanwhile."""

    at: Count
    peer: Count
    piece: Count
    begin: Count
    length: Count


class Snubbed(Struct, frozen=True, array_like=True, gc=False, tag=18):
    """Blocks are overdue, and their peer sends nothing: others may be asked for them."""

    at: Count
    peer: Count


class Verified(Struct, frozen=True, array_like=True, gc=False, tag=19):
    """A piece passed its hash."""

    at: Count
    piece: Count


class Failed(Struct, frozen=True, array_like=True, gc=False, tag=20):
    """A piece did not pass its hash; it is fetched again, from one peer at a time (parole)."""

    at: Count
    piece: Count
    senders: list[str]
    """Addresses whose blocks it held."""


class Banned(Struct, frozen=True, array_like=True, gc=False, tag=21):
    """These sent wrong bytes, and are asked for nothing more."""

    at: Count
    addresses: list[str]


class Sent(Struct, frozen=True, array_like=True, gc=False, tag=22):
    """A block was put out for a peer."""

    at: Count
    peer: Count
    piece: Count
    begin: Count
    length: Count


class Completed(Struct, frozen=True, array_like=True, gc=False, tag=23):
    """Every piece is verified."""

    at: Count


class Ended(Struct, frozen=True, array_like=True, gc=False, tag=24):
    """The recording ends here."""

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
    """Return a set of pieces as it is written."""
    if pieces.bit_count() > FEW:
        return pieces.to_bytes((pieces.bit_length() + 7) // 8, "little")
    numbers = []
    while pieces:
        piece = lowest(pieces)
        numbers.append(piece)
        pieces ^= 1 << piece
    return numbers


def unpack(packed: Packed, piece_count: int) -> PieceSet:
    """Return a set of pieces that was written; ValueError if one is not below `piece_count`."""
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
