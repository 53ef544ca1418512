"""Hashes of many pieces at once: all cores hash, memory is bounded, files are read ahead."""

import hashlib
import os
import queue
import threading
from collections.abc import Callable, Collection, Iterable, Iterator
from mmap import mmap
from typing import NamedTuple

from trio_swarm.errors import MetainfoError, TrioSwarmError
from trio_swarm.piece_sets import PieceSet, iterate
from trio_swarm.protocol.metainfo import merkle
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.storage.descriptors import OpenFile, ReadDescriptors
from trio_swarm.storage.layout import FileSpan, Layout

OnProgress = Callable[[int, int], None]
"""Called with (bytes done, bytes in all) after every `TURN` bytes or piece, by the calling
thread."""

ShouldStop = Callable[[], bool]
"""Called after every `TURN` bytes or piece; the work ends if it returns true."""

BUFFER = 1 << 20
"""Bytes that each thread reads at once: they stay in a core's cache between reading and hashing."""

TURN = 4 << 20
"""Bytes that a thread hashes before it reports; each report takes about 10 µs of the calling
thread."""

_READ_AHEAD = 3
"""The disk is asked for a part of a file this many turns before the part is read."""

_OPEN_FILES = 8
_MAX_THREADS = 16

_BLOCK = 16384


class HashingStopped(TrioSwarmError):  # noqa: N818 - not a fault: the caller asked for it
    """`should_stop` returned true; digests made until then are dropped."""


def no_progress(_done: int, _total: int) -> None:
    """Do nothing: the default for `on_progress`."""


def never_stop() -> bool:
    """Return False: the default for `should_stop`."""
    return False


Data = bytes | bytearray | memoryview


def verify_piece(info: Info, piece: int, data: Data) -> bool:
    """Return whether `data` is exactly this piece, without padding (BEP 3, "pieces"; BEP 52).

    A piece of a hybrid is right by all hashes of it that are known. Raises MetainfoError if it is
    right by one and wrong by the other.
    """
    v1 = not info.has_v1 or _sha1_of(info, piece, data) == info.piece_hash(piece)
    if not info.v2_piece_hashes:
        return v1 and info.has_v1
    v2 = v2_digest(info, piece, data) == info.v2_piece_hash(piece)
    if info.has_v1 and v1 != v2:
        raise MetainfoError(f"its hashes of version 1 and version 2 differ in piece {piece}")
    return v2


def _sha1_of(info: Info, piece: int, data: Data) -> bytes:
    digest = hashlib.sha1(data)
    padding = info.padded_size(piece) - len(data)
    if padding > 0:
        digest.update(bytes(padding))
    return digest.digest()


def v2_digest(info: Info, piece: int, data: Data) -> bytes:
    """Return the hash that `data` has as a piece of version 2, 32 bytes (BEP 52)."""
    return _v2_digest_of(info, piece, merkle.leaf_hashes(data))


def _v2_digest_of(info: Info, piece: int, leaves: bytes) -> bytes:
    is_whole_file = piece in info.small_files
    return merkle.piece_hash(leaves, info.piece_length, is_whole_file=is_whole_file)


def block_digests(data: bytes | bytearray | memoryview) -> list[bytes]:
    """Return the SHA-1 digest of each 16 KiB block of a piece (the last may be shorter)."""
    view = memoryview(data)
    return [
        hashlib.sha1(view[start : start + _BLOCK]).digest() for start in range(0, len(view), _BLOCK)
    ]


def core_count() -> int:
    """Return the number of cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:
        return os.cpu_count() or 1


def hash_pieces(
    layout: Layout,
    open_file: OpenFile,
    pieces: PieceSet,
    *,
    on_progress: OnProgress = no_progress,
    should_stop: ShouldStop = never_stop,
    threads: int | None = None,
    all_versions: bool = False,
) -> dict[int, bytes]:
    """Return the digests of `pieces` as the files have them; blocks until all are done.

    They are those of `Info.piece_hash`: of version 1, or of version 2 where there is no other. With
    `all_versions` those of version 2 of a hybrid follow the others, 52 bytes for each piece. A
    piece is left out if a file is too short for it. `open_file(i)` opens file i for reading; it
    is called from several threads and may raise. Raises HashingStopped, and any exception of
    `open_file`, `on_progress`, `should_stop` or of reading. All threads end before this returns.
    """
    units = list(_units(layout, iterate(pieces), TURN))
    count = min(threads or core_count(), _MAX_THREADS, len(units))
    if not count:
        return {}
    shared = _Work(layout, open_file, units, all_versions=all_versions)
    workers = [
        threading.Thread(target=shared.run, name=f"hashing {number}", daemon=True)
        for number in range(count)
    ]
    digests: dict[int, bytes] = {}
    done = 0
    total = layout.count_bytes(pieces)
    started: list[threading.Thread] = []
    try:
        for worker in workers:
            worker.start()
            started.append(worker)
        for _ in units:
            result = shared.results.get()
            if isinstance(result, BaseException):
                raise result
            digests.update(result.digests)
            done += result.length
            on_progress(done, total)
            if should_stop():
                raise HashingStopped("hashing was stopped")
    finally:
        shared.stopping = True
        for worker in started:
            worker.join()
    return digests


class _Leaves:
    """The digest of a piece of version 2 that comes in parts: whole blocks, but for the last."""

    def __init__(self, info: Info, piece: int) -> None:
        self._info, self._piece = info, piece
        self._leaves = bytearray()

    def update(self, data: memoryview) -> None:
        self._leaves += merkle.leaf_hashes(data)

    def digest(self) -> bytes:
        return _v2_digest_of(self._info, self._piece, bytes(self._leaves))


class _Unit(NamedTuple):
    """Adjacent pieces that one thread reads and hashes in one turn."""

    pieces: range
    start: int
    length: int


class _Result(NamedTuple):
    digests: list[tuple[int, bytes]]
    length: int


def _units(layout: Layout, pieces: Iterable[int], most_bytes: int) -> Iterator[_Unit]:
    """Cut ascending pieces into runs of adjacent ones: at most `most_bytes` each, or one piece."""
    info = layout.info
    most = max(1, most_bytes // info.piece_length)
    first = stop = -1
    for piece in pieces:
        if piece != stop or stop - first == most:
            if stop > first:
                yield _unit(info, first, stop)
            first = piece
        stop = piece + 1
    if stop > first:
        yield _unit(info, first, stop)


def _unit(info: Info, first: int, stop: int) -> _Unit:
    start = first * info.piece_length
    return _Unit(range(first, stop), start, min(stop * info.piece_length, info.length) - start)


class _Work:
    """The state that the hashing threads share: the next unit, and the results."""

    def __init__(
        self, layout: Layout, open_file: OpenFile, units: list[_Unit], *, all_versions: bool
    ) -> None:
        self.results: queue.SimpleQueue[_Result | BaseException] = queue.SimpleQueue()
        self.stopping = False
        self._hashes_v1 = layout.info.has_v1
        self._hashes_v2 = layout.info.has_v2 and (all_versions or not layout.info.has_v1)
        self._layout = layout
        self._open_file = open_file
        self._units = units
        # next() of a range iterator is one step under the GIL; the lock makes it one step without a
        # GIL, too.
        self._turn = iter(range(len(units)))
        self._lock = threading.Lock()

    def run(self) -> None:
        # Page-aligned memory: copies from the page cache are faster.
        buffer = memoryview(mmap(-1, BUFFER))
        descriptors = ReadDescriptors(self._open_file, _OPEN_FILES)
        try:
            while not self.stopping:
                with self._lock:
                    turn = next(self._turn, None)
                if turn is None:
                    return
                self._ask_ahead(turn + _READ_AHEAD, descriptors)
                unit = self._units[turn]
                descriptors.trim()
                digests: list[tuple[int, bytes]] = []
                for part in _units(self._layout, unit.pieces, BUFFER):
                    digests += self._hash(part, buffer, descriptors)
                self.results.put(_Result(digests, unit.length))
        except BaseException as error:  # noqa: BLE001 - `hash_pieces` raises it
            self.results.put(error)
        finally:
            descriptors.close()

    def _ask_ahead(self, turn: int, descriptors: ReadDescriptors) -> None:
        if turn >= len(self._units):
            return
        unit = self._units[turn]
        span = self._layout.spans(unit.start, 1)[0]
        if self._layout.stored[span.file] and descriptors.holds(span.file):
            os.posix_fadvise(
                descriptors.get(span.file), span.offset, unit.length, os.POSIX_FADV_WILLNEED
            )

    def _hash(
        self, unit: _Unit, buffer: memoryview, descriptors: ReadDescriptors
    ) -> list[tuple[int, bytes]]:
        info = self._layout.info
        spans = self._layout.spans(unit.start, unit.length)
        if unit.length > len(buffer):
            piece = unit.pieces.start
            v1 = hashlib.sha1() if self._hashes_v1 else None
            v2 = _Leaves(info, piece) if self._hashes_v2 else None
            for span in spans:
                # Version 2 does not hash padding.
                leaves = v2 if self._layout.stored[span.file] else None
                updates = [each.update for each in (v1, leaves) if each is not None]
                if not self._feed(updates, span, buffer, descriptors):
                    return []
            return [(piece, b"".join([each.digest() for each in (v1, v2) if each is not None]))]
        lacking = self._fill(spans, buffer, descriptors)
        size = info.piece_length
        return [
            (piece, self._digest(piece, buffer[start : min(start + size, unit.length)]))
            for piece, start in zip(unit.pieces, range(0, unit.length, size), strict=True)
            if not lacking or all(start + size <= begin or end <= start for begin, end in lacking)
        ]

    def _digest(self, piece: int, data: memoryview) -> bytes:
        info = self._layout.info
        digest = hashlib.sha1(data).digest() if self._hashes_v1 else b""
        if self._hashes_v2:
            digest += v2_digest(info, piece, data[: info.piece_size(piece)])
        return digest

    def _fill(
        self, spans: list[FileSpan], buffer: memoryview, descriptors: ReadDescriptors
    ) -> list[tuple[int, int]]:
        """Read the spans into the buffer; return the (start, end) parts that no file has."""
        at = 0
        lacking = []
        for span in spans:
            view = buffer[at : at + span.length]
            at += span.length
            if not self._layout.stored[span.file]:
                view[:] = bytes(span.length)
                continue
            got = _read_into(descriptors.get(span.file), view, span.offset)
            if got < span.length:
                lacking.append((at - span.length + got, at))
        return lacking

    def _feed(
        self,
        updates: Collection[Callable[[memoryview], None]],
        span: FileSpan,
        buffer: memoryview,
        descriptors: ReadDescriptors,
    ) -> bool:
        """Hash a span longer than the buffer in parts; return False if the file is too short."""
        stored = self._layout.stored[span.file]
        if not stored:
            buffer[:] = bytes(len(buffer))
        done = 0
        while done < span.length:
            view = buffer[: span.length - done]
            if stored:
                got = _read_into(descriptors.get(span.file), view, span.offset + done)
                if got < len(view):
                    return False
            for update in updates:
                update(view)
            done += len(view)
        return True


def _read_into(descriptor: int, view: memoryview, offset: int) -> int:
    """Fill `view` from the file; return the number of bytes read."""
    got = 0
    while got < len(view):
        count = os.preadv(descriptor, [view[got:]], offset + got)
        if not count:
            break
        got += count
    return got
