"""The info dictionaries of shares that were hashed before, kept in the state folder.

    hashes/index     those of small shares, one record each
    hashes/<key>     that of a large share

A node with thousands of shares reads one file instead of thousands. The index is a magic number
followed by records, each appended by one write: the length of what follows (4 bytes, big-endian),
its CRC-32 (4), the key (20), the content. Of several records of one key the last counts. It is only
a saving of time: whatever is damaged is not believed, and the share is hashed again.
"""

import fcntl
import hashlib
import os
import struct
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Final

from trio_swarm.protocol.metainfo.info import MAX_INFO_SIZE
from trio_swarm.storage.disk_errors import disk_errors
from trio_swarm.storage.resume.journal import replace_file
from trio_swarm.storage.state import StateFolder

MAX_INDEXED: Final = 4096
"""Bytes of content kept in the index: a file of 3 MiB in 180 pieces, or a folder of 60 files."""

MAX_INDEX: Final = 64 << 20
"""Bytes read of the index, 200,000 shares. Of a longer one the oldest records are dropped."""

MOST_WASTE: Final = 1 << 20
"""Bytes of outdated records with which the index is written anew, if they are also the half."""

_MAGIC = b"TSshare1"
_RECORD = struct.Struct(">II")
_KEY_LENGTH = 20
_DIGEST_LENGTH = 20
_MAX_FILE = 3 * MAX_INFO_SIZE + 2 * _DIGEST_LENGTH


class ShareHashes:
    """What is known of the shares of one state folder; for any thread.

    Keys are of 20 bytes. The index is read when it is first needed, and again after `forget`.
    Methods raise StorageError (StateFolderError).
    """

    def __init__(self, state: StateFolder) -> None:
        self.state = state
        self._lock = threading.Lock()
        self._index: _Index | None = None
        self._files: frozenset[str] = frozenset()
        """Names of the files of single shares."""
        self._new: dict[bytes, bytes] = {}
        """What is not in the index yet."""

    def find(self, key: bytes) -> bytes | None:
        """Return what was kept for a key; None if nothing was, or it is damaged."""
        with self._lock:
            index = self._read()
            found = self._new.get(key) or index.find(key)
            if found is not None:
                return found
            if key.hex() not in self._files:
                return None
        return _read_file(self.state.hashes(key))

    def keep(self, key: bytes, content: bytes) -> None:
        """Keep something for a key: if it is small, with the next `save`."""
        if len(content) <= MAX_INDEXED:
            with self._lock:
                self._new[key] = content
            return
        path = self.state.hashes(key)
        with disk_errors(path):
            replace_file(path, hashlib.sha1(content).digest() + content)

    def save(self) -> None:
        """Add what is new to the index, all of it by one write."""
        with self._lock:
            if not self._new:
                return
            self._read()
            path = self.state.hash_index()
            with disk_errors(path), _locked(path) as descriptor:
                self._append(path, descriptor)
            self._new = {}

    def forget(self) -> None:
        """Drop what was read: nobody asks for now."""
        with self._lock:
            self._index = None
            self._files = frozenset()

    def _read(self) -> "_Index":
        if self._index is None:
            path = self.state.hash_index()
            with disk_errors(path):
                self._index = _Index.read(path)
                with os.scandir(path.parent) as entries:
                    self._files = frozenset(entry.name for entry in entries)
        return self._index

    def _append(self, path: Path, descriptor: int) -> None:
        size = os.fstat(descriptor).st_size
        index = self._index
        assert index is not None
        if not size:
            index.is_damaged = False
        if index.is_damaged or index.is_wasteful:
            # Another process may have written to it since it was read.
            fresh = _Index.read(path)
            known = {key: fresh.find(key) or b"" for key in fresh.places if key not in self._new}
            data = _anew(known | self._new)
            replace_file(path, data)
            self._index = _Index(data)
            return
        data = b"".join(_record(key, content) for key, content in self._new.items())
        try:
            _write(descriptor, data if size else _MAGIC + data)
        except OSError:
            os.ftruncate(descriptor, size)  # half a record would hide every later one
            raise
        index.added |= self._new


class _Index:
    """What an index file has: where the content of each key is in its bytes."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.places: dict[bytes, int] = {}
        """The records that count, by their keys: where each begins."""
        self.added: dict[bytes, bytes] = {}
        """What was written to it since it was read."""
        used = 0
        at = len(_MAGIC) if data.startswith(_MAGIC) else len(data)
        while at + _RECORD.size <= len(data):
            length, checksum = _RECORD.unpack_from(data, at)
            begin = at + _RECORD.size
            payload = memoryview(data)[begin : begin + length]
            if not _KEY_LENGTH < len(payload) == length or zlib.crc32(payload) != checksum:
                break
            key = bytes(payload[:_KEY_LENGTH])
            self.places.pop(key, None)  # the order is that of the last records
            self.places[key] = at
            used += _RECORD.size + length
            at = begin + length
        self.is_damaged = not data.startswith(_MAGIC) or at != len(data)
        """Whether it ends with something that is no record."""
        counted = sum(_RECORD.size + self._length(place) for place in self.places.values())
        waste = used - counted
        self.is_wasteful = len(data) > MAX_INDEX or (waste > MOST_WASTE and waste > counted)

    @classmethod
    def read(cls, path: Path) -> "_Index":
        """Return what is there, if there is anything; raises OSError."""
        try:
            with path.open("rb") as file:
                data = file.read(2 * MAX_INDEX)
        except FileNotFoundError:
            data = _MAGIC
        return cls(data)

    def find(self, key: bytes) -> bytes | None:
        """Return the content of a key, if it has any."""
        place = self.places.get(key)
        if place is None:
            return self.added.get(key)
        begin = place + _RECORD.size
        return self.added.get(key) or self._data[begin + _KEY_LENGTH : begin + self._length(place)]

    def _length(self, place: int) -> int:
        length: int = _RECORD.unpack_from(self._data, place)[0]
        return length


def _record(key: bytes, content: bytes) -> bytes:
    payload = key + content
    return _RECORD.pack(len(payload), zlib.crc32(payload)) + payload


def _anew(contents: dict[bytes, bytes]) -> bytes:
    """Return an index of the last of these, with room for as much again."""
    records: list[bytes] = []
    size = 0
    for key, content in reversed(contents.items()):
        records.append(_record(key, content))
        size += len(records[-1])
        if size > MAX_INDEX // 2:
            break
    return _MAGIC + b"".join(reversed(records))


def _write(descriptor: int, data: bytes) -> None:
    written = os.write(descriptor, data)
    while written < len(data):
        written += os.write(descriptor, data[written:])


@contextmanager
def _locked(path: Path) -> Iterator[int]:
    """Open the index for appending, against all other processes; raises OSError."""
    while True:
        descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o666)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            # Whoever had it before may have put another file in its place.
            if _is_at(path, descriptor):
                yield descriptor
                return
        finally:
            os.close(descriptor)


def _is_at(path: Path, descriptor: int) -> bool:
    with suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    return False


def _read_file(path: Path) -> bytes | None:
    with disk_errors(path):
        try:
            with path.open("rb") as file:
                data = file.read(_MAX_FILE)
        except FileNotFoundError:
            return None
    content = data[_DIGEST_LENGTH:]
    return content if hashlib.sha1(content).digest() == data[:_DIGEST_LENGTH] else None
