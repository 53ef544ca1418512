"""The resume journal on disk: checksummed records, one appended per step, readable after a crash.

A journal is a magic number and records. A record is its payload's length (4 bytes, big-endian),
the CRC-32 of the payload (4 bytes) and the payload, whose first byte is the kind:

- `S` snapshot: all that is known, and always the first record (compaction writes a new journal
  that is one snapshot): info-hash (20), piece count (4), file count (4), 1 if everything it says
  was synced to the disk (1), boot id (16), bitfield, count of doubted files (4), the number of each
  (4), stamps.
- `B` begun: piece (4), wall-clock time in ns (8). Written before the piece's bytes are.
- `W` written: piece (4), stamps of the files it touched. Written after the piece's bytes are. Of
  several pieces recorded at once the first has the stamps of all.
- `F` failed: piece (4), stamps. The piece begun was not written wholly.

A stamp is the file's number (4), its size, its mtime and its ctime in ns, and its inode number;
each of these is a length (1) and a signed integer of so many bytes, as file systems know dates
beyond 64 bits of ns, and before 1970. Reading stops at the first record that is torn, has a
wrong checksum or says nonsense: what follows a fault is not believed, what precedes it is.
"""

import os
import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct

from trio_swarm.identities import InfoHash
from trio_swarm.piece_sets import PieceSet, from_bitfield, to_bitfield

MAGIC = b"TSresum2"
MAX_JOURNAL = 256 << 20
"""Bytes read of a state file: a million files and 100 M of records; more is no file of ours."""

_RECORD = struct.Struct(">II")
_SNAPSHOT = struct.Struct(">c20sIIB16s")
_BEGUN = struct.Struct(">cIq")
_PIECE = struct.Struct(">cI")
_COUNT = struct.Struct(">I")


class Stamp(NamedTuple):
    """By what a change of a file is noticed: its size in bytes, its times in ns, and which it is.

    Whoever writes may set the mtime back, but not the ctime; a file put in another's place has
    another inode. The device is left out: many file systems have another number after each boot.
    """

    size: int
    mtime_ns: int
    ctime_ns: int = 0
    inode: int = 0


def stamp_of(status: os.stat_result) -> Stamp:
    """Return the stamp of a file with this status."""
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


class Snapshot(Struct, frozen=True):
    """All that is known of a torrent's files at one moment.

    `durable`: all of it was synced before this was written, so it holds after a power failure.
    `boot_id`: 16 bytes, of the boot it was written in; zeros if unknown. `doubted`: files that
    somebody else may have written to unnoticed: they are hashed before they get their final names.
    """

    info_hash: InfoHash
    piece_count: int
    file_count: int
    durable: bool
    boot_id: bytes
    have: PieceSet
    stamps: Mapping[int, Stamp]
    doubted: frozenset[int] = frozenset()


class Begun(NamedTuple):
    """The bytes of a piece are about to be written."""

    piece: int
    time_ns: int


class Written(NamedTuple):
    """The piece is in the files, which had these stamps after that."""

    piece: int
    stamps: Mapping[int, Stamp]


class Failed(NamedTuple):
    """The piece could not be written; the files it touched had these stamps after that."""

    piece: int
    stamps: Mapping[int, Stamp]


Record = Snapshot | Begun | Written | Failed


def encode_record(record: Record) -> bytes:
    """Return the bytes of one record, checksum included."""
    if isinstance(record, Snapshot):
        payload = (
            _SNAPSHOT.pack(
                b"S",
                record.info_hash,
                record.piece_count,
                record.file_count,
                record.durable,
                record.boot_id,
            )
            + to_bitfield(record.have, record.piece_count)
            + _COUNT.pack(len(record.doubted))
            + b"".join(map(_COUNT.pack, sorted(record.doubted)))
            + _encode_stamps(record.stamps)
        )
    elif isinstance(record, Begun):
        payload = _BEGUN.pack(b"B", record.piece, record.time_ns)
    else:
        kind = b"W" if isinstance(record, Written) else b"F"
        payload = _PIECE.pack(kind, record.piece) + _encode_stamps(record.stamps)
    return _RECORD.pack(len(payload), zlib.crc32(payload)) + payload


def decode_records(data: bytes) -> Iterator[Record]:
    """Yield the records of a journal up to the first fault; never raises, whatever `data` is."""
    if not data.startswith(MAGIC):
        return
    at = len(MAGIC)
    snapshot: Snapshot | None = None
    while at + _RECORD.size <= len(data):
        length, checksum = _RECORD.unpack_from(data, at)
        at += _RECORD.size
        payload = data[at : at + length]
        at += length
        if len(payload) != length or zlib.crc32(payload) != checksum:
            return
        record = _decode_payload(payload, snapshot)
        if record is None:
            return
        if isinstance(record, Snapshot):
            snapshot = record
        yield record


def _encode_stamps(stamps: Mapping[int, Stamp]) -> bytes:
    parts = []
    for file, stamp in stamps.items():
        parts.append(_COUNT.pack(file))
        for number in stamp:
            length = number.bit_length() // 8 + 1
            parts.append(length.to_bytes(1, "big"))
            parts.append(number.to_bytes(length, "big", signed=True))
    return b"".join(parts)


def _decode_stamps(data: bytes, file_count: int) -> dict[int, Stamp] | None:
    stamps: dict[int, Stamp] = {}
    at = 0
    while at < len(data):
        file = int.from_bytes(data[at : at + _COUNT.size], "big")
        at += _COUNT.size
        numbers = []
        for _ in Stamp._fields:
            end = at + 1 + data[at] if at < len(data) else at
            numbers.append(int.from_bytes(data[at + 1 : end], "big", signed=True))
            at = end
        if at > len(data) or file >= file_count:
            return None
        stamps[file] = Stamp(*numbers)
    return stamps


def _decode_payload(payload: bytes, snapshot: Snapshot | None) -> Record | None:
    kind = payload[:1]
    if kind == b"S" and len(payload) >= _SNAPSHOT.size:
        return _decode_snapshot(payload)
    if snapshot is None:
        return None
    if kind == b"B" and len(payload) == _BEGUN.size:
        _, piece, time_ns = _BEGUN.unpack(payload)
        return Begun(piece, time_ns) if piece < snapshot.piece_count else None
    if kind in {b"W", b"F"} and len(payload) >= _PIECE.size:
        _, piece = _PIECE.unpack_from(payload)
        stamps = _decode_stamps(payload[_PIECE.size :], snapshot.file_count)
        if stamps is None or piece >= snapshot.piece_count:
            return None
        return Written(piece, stamps) if kind == b"W" else Failed(piece, stamps)
    return None


def _decode_snapshot(payload: bytes) -> Snapshot | None:
    _, info_hash, piece_count, file_count, durable, boot_id = _SNAPSHOT.unpack_from(payload)
    end = _SNAPSHOT.size + (piece_count + 7) // 8
    if end + _COUNT.size > len(payload):
        return None
    have = from_bitfield(payload[_SNAPSHOT.size : end])
    (count,) = _COUNT.unpack_from(payload, end)
    stamps_at = end + _COUNT.size * (1 + count)
    if stamps_at > len(payload):
        return None
    doubted = frozenset(
        file for (file,) in _COUNT.iter_unpack(payload[end + _COUNT.size : stamps_at])
    )
    stamps = _decode_stamps(payload[stamps_at:], file_count)
    if stamps is None or have.bit_length() > piece_count:
        return None
    if any(file >= file_count for file in doubted):
        return None
    return Snapshot(
        info_hash, piece_count, file_count, durable == 1, boot_id, have, stamps, doubted
    )


def read_journal(path: Path) -> list[Record]:
    """Return the records of the file, none if it is missing or no journal; raises OSError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_JOURNAL)
    except FileNotFoundError:
        return []
    return list(decode_records(data))


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` at `path` in one step: whoever reads it sees the old file or the new one.

    Raises OSError; the old file is then as it was.
    """
    descriptor, name = tempfile.mkstemp(prefix=".new-", dir=path.parent)
    temporary = Path(name)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


class Journal:
    """A journal open for appending; one thread at a time (the caller's lock).

    A new one begins with `snapshot`, in place of whatever was at `path`. Raises OSError.
    """

    __slots__ = ("_descriptor", "_path", "_size")

    def __init__(self, path: Path, snapshot: Snapshot) -> None:
        data = MAGIC + encode_record(snapshot)
        replace_file(path, data)
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._size = len(data)

    def append(self, records: Iterable[Record]) -> None:
        """Append records by one write; on OSError the journal is as it was before."""
        data = b"".join(map(encode_record, records))
        try:
            written = os.write(self._descriptor, data)
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError:
            # Half a record would hide every later one from the reader.
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(data)

    def close(self) -> None:
        """Close the file; the records stay."""
        os.close(self._descriptor)
