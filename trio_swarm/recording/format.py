"""The file of a recording: how events become bytes, and the lines before them.

| part | bytes | |
|---|---|---|
| first line | `trio-swarm recording 1` and a line feed | the number is the version of the format |
| second line | the `Header` as a JSON object, and a line feed | so `head -2 FILE` says what it is |
| frames | until the end of the file | |

A frame is the length of its body (4 bytes, big-endian), the CRC-32 of its body (4 bytes), and its
body: a MessagePack array of events (see `trio_swarm.recording.records`), compressed by zlib. Each
frame can be read without the others, so everything written before the program was killed can be
read. Frames after one that is torn or has a wrong checksum are not read.

The version changes when a reader of the old version would misread the new one. New events, and new
fields at the end of an event, do not change it as long as old readers can ignore them. Without a
new version, fields are only added.

Several peers of one swarm can each make a recording. All have the same info-hash, and the same seed
if the swarm is simulated. Peer ids show which peers met (`Header.peer_id`, `Named.peer_id`),
because a peer that dials has another port each time. The machines' clocks give the times
(`Began.clock`): times in two recordings differ by as much as the two clocks.
"""

import zlib
from collections.abc import Sequence
from struct import Struct as Layout

import msgspec

from trio_swarm.engine.lengths import Lengths
from trio_swarm.protocol.metainfo.info import MAX_PIECE_LENGTH, MAX_PIECES
from trio_swarm.recording.records import Count, Record

VERSION = 1

MAGIC = b"trio-swarm recording "
"""The first bytes of every version; the version number follows."""

MAX_HEADER = 1 << 24
"""Most bytes of the header's line: room for a length of each of MAX_PIECES pieces."""

MAX_DEPTH = 32
"""Most levels of nested lists in an option of a strategy. Printing or comparing a list recurses as
deep as the list, and the interpreter stops at a thousand levels."""

MAX_FRAME = 8 << 20
"""Most bytes of a frame's events before compression: two frames are a second apart at most, which
takes far less. It bounds the memory that a small hostile file can take."""

MAX_EVENTS = 4_000_000
"""Most events in a file: 1,400 GiB of a download in blocks of 1 MiB, or 60 GiB in single blocks of
16 KiB. In the memory of a reader each takes 170 bytes."""

MAX_TOTAL = 1 << 30
"""Most bytes of all frames' events together before compression, for the same reason as
`MAX_FRAME`."""

FRAME = Layout(">II")

_LEVEL = 1
"""zlib's fastest level: it compresses the events of a download to 0.41, and the slowest level to no
less."""


class Header(msgspec.Struct, frozen=True, kw_only=True):
    """The recorded download: which program recorded which torrent, when and as which peer."""

    program: str
    """Name and version of the program."""
    name: str
    """Name of the torrent."""
    info_hash: str
    """Info-hash of the torrent, 40 hex digits."""
    size: Count
    """Bytes of the torrent."""
    piece_length: Count
    scheduler: str
    scheduler_options: dict[str, object] = {}
    uploader: str = ""
    uploader_options: dict[str, object] = {}
    choker: str = ""
    choker_options: dict[str, object] = {}
    seed: int | None = None
    """Seed of the simulation; None for a real download."""
    started: float = 0.0
    """Wall-clock time when the file was made, seconds since 1970. Existing data is checked after
    it, before the download begins (`Began.clock`)."""
    peer_id: str = ""
    """Peer id of the recording peer: the same as in other recordings' `Named`, or in `Joined` if
    the swarm is simulated. Empty if unknown."""

    short_pieces: dict[int, Count] = {}
    """The lengths of pieces that end with padding, without it: what is asked for."""

    @property
    def piece_count(self) -> int:
        """Number of pieces of the torrent."""
        return -(-self.size // self.piece_length)

    def lengths(self) -> Lengths:
        """Return the sizes of the pieces and blocks of the torrent."""
        return Lengths(
            length=self.size, piece_length=self.piece_length, short_pieces=self.short_pieces
        )

    def fault(self) -> str | None:
        """Return the reason why the sizes are impossible; None if they are possible."""
        if not 1 <= self.piece_length <= MAX_PIECE_LENGTH:
            return f"pieces of {self.piece_length} bytes"
        if self.piece_count > MAX_PIECES:
            return f"{self.piece_count} pieces"
        try:
            self.lengths()
        except ValueError as error:
            return str(error)
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
    """Return the first two lines of a file: magic, version and header."""
    return b"%s%d\n%s\n" % (MAGIC, VERSION, msgspec.json.encode(header))


def encode_events(events: Sequence[Record]) -> list[bytes]:
    """Return `events` as bodies of frames, not yet compressed: nearly always one body."""
    if not events:
        return []
    body = _encoder.encode(events)
    if len(body) <= MAX_FRAME or len(events) == 1:
        return [body]
    middle = len(events) // 2
    return [*encode_events(events[:middle]), *encode_events(events[middle:])]


def seal(body: bytes) -> bytes:
    """Return the frame with this body. Most of its work is done without the interpreter lock."""
    packed = zlib.compress(body, _LEVEL)
    return FRAME.pack(len(packed), zlib.crc32(packed)) + packed
