"""The file of a recording: how events become bytes, and what precedes them.

| part | bytes | |
|---|---|---|
| first line | `trio-swarm recording 1` and a line feed | the number is the version of the format |
| second line | the `Header` as a JSON object, and a line feed | so `head -2 FILE` says what it is |
| frames | until the end of the file | |

A frame is the length of its body (4 bytes, big-endian), the CRC-32 of its body (4 bytes), and its
body: a MessagePack array of events (see `trio_swarm.recording.records`), compressed by zlib. Each
frame stands for itself, so what was written before the program was killed can be read; what
follows a frame that is torn or has another checksum is not believed.

Another version means that a reader of this one would get it wrong. New events and new fields at
the end of one are no other version as long as old readers may ignore them; only fields are added
without a new number.

Several peers of one swarm may each make a recording: those have the info-hash in common, and the
seed if the swarm is simulated. They tell that they met each other by their peer ids
(`Header.peer_id`, `Named.peer_id`), since who dials has another port each time, and when by the
clocks of their machines (`Began.clock`): what two of them tell is as far apart as their clocks are.
"""

import zlib
from collections.abc import Sequence
from struct import Struct as Layout

import msgspec

from trio_swarm.protocol.metainfo.info import MAX_PIECE_LENGTH, MAX_PIECES
from trio_swarm.recording.records import Count, Record

VERSION = 1

MAGIC = b"trio-swarm recording "
"""What every version begins with, its number following."""

MAX_HEADER = 1 << 16
"""Bytes of the header's line: names and options of strategies are far shorter."""

MAX_DEPTH = 32
"""Lists in lists in an option of a strategy: whoever prints or compares one goes as deep as it is,
and the interpreter ends at a thousand."""

MAX_FRAME = 8 << 20
"""Bytes of a frame's events, before they are compressed: the second that two frames are apart at
most takes far less. It bounds what a hostile file can make of little."""

MAX_EVENTS = 4_000_000
"""Events in a file: 1,400 GiB of a download in blocks of 1 MiB, or 60 GiB in single ones of 16 KiB.
In the memory of a reader they take 170 bytes each."""

MAX_TOTAL = 1 << 30
"""Bytes of all frames' events together, before they are compressed: for the same reason."""

FRAME = Layout(">II")

_LEVEL = 1
"""zlib's fastest: it makes 0.41 of what a download is told by, and the slowest makes no less."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """What was recorded, by whom and when."""

    program: str
    """Name and version."""
    name: str
    """Of the torrent."""
    info_hash: str
    """40 hex digits."""
    size: Count
    """Bytes."""
    piece_length: Count
    scheduler: str
    scheduler_options: dict[str, object] = {}
    uploader: str = ""
    uploader_options: dict[str, object] = {}
    choker: str = ""
    choker_options: dict[str, object] = {}
    seed: int | None = None
    """Of a simulation; None for a real download."""
    started: float = 0.0
    """Wall-clock time when the file was made, seconds since 1970; what was there already is looked
    at before it begins (`Began.clock`)."""
    peer_id: str = ""
    """Of the peer that recorded: what other recordings call it in `Named`, or, if the swarm is
    simulated, in `Joined`. Empty if it was not told."""

    @property
    def piece_count(self) -> int:
        """How many pieces the torrent has."""
        return -(-self.size // self.piece_length)

    def fault(self) -> str | None:
        """Return what is wrong with the sizes, or None."""
        if not 1 <= self.piece_length <= MAX_PIECE_LENGTH:
            return f"pieces of {self.piece_length} bytes"
        if self.piece_count > MAX_PIECES:
            return f"{self.piece_count} pieces"
        for options in (self.scheduler_options, self.uploader_options, self.choker_options):
            if _is_deeper(options, MAX_DEPTH):
                return f"options nested more than {MAX_DEPTH} deep"
        return None


def _is_deeper(value: object, most: int) -> bool:
    level = [value]
    for _ in range(most):
        level = [
            inner
            for each in level
            if isinstance(each, dict | list)
            for inner in (each.values() if isinstance(each, dict) else each)
        ]
    return any(isinstance(each, dict | list) for each in level)


_encoder = msgspec.msgpack.Encoder()


def encode_header(header: Header) -> bytes:
    """Return how a file begins."""
    return b"%s%d\n%s\n" % (MAGIC, VERSION, msgspec.json.encode(header))


def encode_events(events: Sequence[Record]) -> list[bytes]:
    """Return the bodies of frames that hold `events`, not yet compressed: nearly always one."""
    if not events:
        return []
    body = _encoder.encode(events)
    if len(body) <= MAX_FRAME or len(events) == 1:
        return [body]
    middle = len(events) // 2
    return [*encode_events(events[:middle]), *encode_events(events[middle:])]


def seal(body: bytes) -> bytes:
    """Return the frame that holds a body: most of the work, done without the interpreter lock."""
    packed = zlib.compress(body, _LEVEL)
    return FRAME.pack(len(packed), zlib.crc32(packed)) + packed
