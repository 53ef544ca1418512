"""The resume journal on disk: checksummed records, one appended per step, readable after a crash.

A journal is a magic number followed by records. A record is the length of its payload (4 bytes,
big-endian), the CRC-32 of the payload (4 bytes) and the payload, whose first byte is the kind:

- `S` snapshot: the whole state, and always the first record (compaction writes a new journal with
  one snapshot): info-hash (20), piece count (4), file count (4), 1 if all its data was synced to
  the disk (1), boot id (16), bitfield, count of doubted files (4), the number of each (4), stamps.
- `B` begun: piece (4), wall-clock time in ns (8). Written before the piece's bytes.
- `W` written: piece (4), stamps of the files it touches. Written after the piece's bytes. If
  several pieces are recorded at once, the first has the stamps of all.
- `F` failed: piece (4), stamps. The piece that was begun was not written completely.

A stamp is the file's number (4), its size, its mtime and ctime in ns, and its inode number; each of
the last four is a length (1) and a signed integer of that many bytes, because file systems have
dates beyond 64 bits of ns, and before 1970. The border file (see `layout`) has the number of files.
Reading stops at the first record that is torn, has a wrong checksum or is impossible: records
before it are used, records after it are not.
"""

import fcntl
import os
import struct
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from msgspec import Struct

from trio_swarm.identities import InfoHash
from trio_swarm.piece_sets import PieceSet, from_bitfield, to_bitfield

MAGIC = b"TSresum2"
MAX_JOURNAL = 256 << 20
"""Most bytes read of a state file: stamps of a million files and 100 MiB of records. We never write
a larger one."""

_RECORD = struct.Struct(">II")
_SNAPSHOT = struct.Struct(">c20sIIB16s")
_BEGUN = struct.Struct(">cIq")
_PIECE = struct.Struct(">cI")
_COUNT = struct.Struct(">I")


class Stamp(NamedTuple):
    """The facts that show a change of a file: its size in bytes, its times in ns, and its inode.

    A program may set the mtime back, but not the ctime; a file that replaces another has another
    inode. The device number is not included: on many file systems it changes with each boot.
    """

    size: int
    mtime_ns: int
    ctime_ns: int = 0
    inode: int = 0


def stamp_of(status: os.stat_result) -> Stamp:
    """Return the stamp of a file with this `os.stat` result."""
    return Stamp(status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)


class Snapshot(Struct, frozen=True):
    """The state of a torrent's files at one moment.

    `durable`: all data was synced before this was written, so the state holds after a power
    failure. `boot_id`: 16 bytes, the id of the boot it was written in; zeros if unknown. `doubted`:
    files that another program may have written to unnoticed; they are hashed before they get their
    final names.
    """

    info_hash: InfoHash
    piece_count: int
    file_count: int
    durable: bool
    boot_id: bytes
    have: PieceSet
    stamps: Mapping[int, Stamp]
    doubted: frozenset[int] = frozenset()


class BegunRecord(NamedTuple):
    """The bytes of a piece are about to be written."""

    piece: int
    time_ns: int


class WrittenRecord(NamedTuple):
    """A piece was written; `stamps` are those of its files after that."""

    piece: int
    stamps: Mapping[int, Stamp]


class FailedRecord(NamedTuple):
    """A piece could not be written; `stamps` are those of its files after that."""

    piece: int
    stamps: Mapping[int, Stamp]


Record = Snapshot | BegunRecord | WrittenRecord | FailedRecord


def encode_record(record: Record) -> bytes:
    """Return the bytes of one record, including its checksum."""
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
    elif isinstance(record, BegunRecord):
        payload = _BEGUN.pack(b"B", record.piece, record.time_ns)
    else:
        kind = b"W" if isinstance(record, WrittenRecord) else b"F"
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
        if at > len(data) or file > file_count:
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
        return BegunRecord(piece, time_ns) if piece < snapshot.piece_count else None
    if kind in {b"W", b"F"} and len(payload) >= _PIECE.size:
        _, piece = _PIECE.unpack_from(payload)
        stamps = _decode_stamps(payload[_PIECE.size :], snapshot.file_count)
        if stamps is None or piece >= snapshot.piece_count:
            return None
        return WrittenRecord(piece, stamps) if kind == b"W" else FailedRecord(piece, stamps)
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
    if any(file > file_count for file in doubted):
        return None
    return Snapshot(
        info_hash, piece_count, file_count, durable == 1, boot_id, have, stamps, doubted
    )


def read_journal(path: Path) -> list[Record]:
    """Return the records of a file; none if it is missing or not a journal. Raises OSError."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_JOURNAL)
    except FileNotFoundError:
        return []
    return list(decode_records(data))


TEMPORARY: Final = ".new-"
"""How the name of a file begins that is not at its place yet."""


def replace_file(path: Path, data: bytes) -> None:
    """Put `data` at `path` in one step: a reader sees either the old file or the new one.

    Raises OSError; the old file is then unchanged. A process that is killed meanwhile leaves a
    temporary file, for `remove_leftovers`.
    """
    descriptor, temporary = _temporary_file(path.parent)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
            temporary.replace(path)
    except OSError:
        temporary.unlink(missing_ok=True)
        raise


def _temporary_file(folder: Path) -> tuple[int, Path]:
    """Return a new file, locked while it is open: it is no leftover."""
    while True:
        descriptor, name = tempfile.mkstemp(prefix=TEMPORARY, dir=folder)
        with suppress(OSError):  # without locks nothing is removed, either
            fcntl.flock(descriptor, fcntl.LOCK_SH)
        if os.fstat(descriptor).st_nlink:
            return descriptor, Path(name)
        os.close(descriptor)  # it was taken for a leftover before it was locked


def remove_leftovers(folder: Path) -> None:
    """Remove the temporary files of processes that were killed; a missing folder has none.

    Files of processes that live are locked, and stay. Raises OSError.
    """
    with suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(TEMPORARY) and entry.is_file(follow_symlinks=False):
                _remove_unlocked(entry.path)


def _remove_unlocked(path: str) -> None:
    with suppress(OSError):  # it is in use, it has got its place, or the disk knows no locks
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            os.unlink(path)  # noqa: PTH108 - a plain name
        finally:
            os.close(descriptor)


class Journal:
    """A journal open for appending; for one thread at a time (the caller locks).

    A new journal begins with `snapshot` and replaces any file at `path`. Raises OSError.
    """

    __slots__ = ("_descriptor", "_path", "_size")

    def __init__(self, path: Path, snapshot: Snapshot) -> None:
        data = MAGIC + encode_record(snapshot)
        replace_file(path, data)
        self._path = path
        self._descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC)
        self._size = len(data)

    def append(self, records: Iterable[Record]) -> None:
        """Append records with one write; after an OSError the journal is as it was before."""
        data = b"".join(map(encode_record, records))
        try:
            written = os.write(self._descriptor, data)
            while written < len(data):
                written += os.write(self._descriptor, data[written:])
        except OSError:
            # Half a record would hide every later one from a reader.
            os.ftruncate(self._descriptor, self._size)
            raise
        self._size += len(data)

    def close(self) -> None:
        """Close the file; its records are kept."""
        os.close(self._descriptor)
