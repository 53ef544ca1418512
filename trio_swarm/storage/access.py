"""Reading, writing and examining a torrent's files, by file number and span."""

import os
import tempfile
import threading
from collections.abc import Collection, Iterable, Mapping
from functools import partial
from pathlib import Path
from typing import IO, NamedTuple

from trio_swarm.errors import FileChangedError, StorageError
from trio_swarm.identities import PieceIndex
from trio_swarm.piece_sets import PieceSet, iterate
from trio_swarm.storage.descriptors import (
    ReadDescriptors,
    SharedDescriptors,
    files_of_threads,
    opened,
    served_files,
)
from trio_swarm.storage.disk_errors import disk_errors, storage_error
from trio_swarm.storage.foreign_writers import ForeignWriters
from trio_swarm.storage.layout import FileSpan, Layout
from trio_swarm.storage.reservation import extend, is_in_memory
from trio_swarm.storage.resume.journal import Stamp, stamp_of
from trio_swarm.storage.tree import Tree, holds_data

SERVED_FILES = 32
"""Most descriptors kept open for `slices`; of all torrents together, see `descriptors`."""

SHARED_FILES = 16
"""Most descriptors kept open for the writing threads, and as many for `read`."""

MAX_SLICES = 16
"""A block that lies in more files than this is copied and served as one slice, so that a torrent of
one-byte files cannot use up the descriptors."""

SYNC_ALL_ABOVE = 256
"""With more unsynced files than this, one sync of all file systems is faster than a sync of each
file."""


NEW_NAME = ".trio-swarm-new"
"""The name of a file that is being made of bytes of the border file."""

_COPIED_AT_ONCE = 1 << 20
"""Bytes; a piece may have 512 MiB."""


class FileSlice(NamedTuple):
    """`length` bytes at `offset` of the open file `fd`; if `fd` is None, that many zeros."""

    fd: int | None
    offset: int
    length: int


class FileAccess:
    """The files of one torrent below one root.

    `known` holds the stamps of the files as they were verified; it is None before they are known,
    and then only sizes are compared. A writer makes `turn` odd before it writes, and even again
    when the new stamps are known; while `turn` is odd, stamps are not compared. `moving` is held
    while the root is renamed and `tree` is replaced.

    Methods raise StorageError; FileChangedError for a file that differs from the verified one.
    """

    def __init__(self, layout: Layout, tree: Tree) -> None:
        self.layout = layout
        self.tree = tree
        self.known: Mapping[int, Stamp] | None = None
        self.turn = 0
        self.writers = ForeignWriters()
        self.writing = SharedDescriptors(
            self._open_to_write,
            SHARED_FILES,
            close_file=self.writers.close_own,
            together=files_of_threads(),
        )
        self._reading = SharedDescriptors(
            self._open_to_read, SHARED_FILES, together=files_of_threads()
        )
        self._serving = ReadDescriptors(self._open_to_read, SERVED_FILES, together=served_files)
        self.moving = threading.Lock()
        self._copied: IO[bytes] | None = None
        self._present: set[int] = set()
        self._unsized: set[int] = set()
        self._is_in_memory: bool | None = None

    def scan(self) -> dict[int, Stamp]:
        """Return the stamps of all existing files; raises StorageError for special files, links."""
        files = [i for i, stored in enumerate(self.layout.stored) if stored]
        statuses = self.tree.statuses(self.layout.path_of(i) for i in files)
        return {
            file: stamp_of(status)
            for file, status in zip(files, statuses, strict=True)
            if status is not None
        }

    def look(self, file: int) -> Stamp | None:
        """Return the stamp of one file; None if it is missing or cannot be read."""
        (status,) = self.tree.statuses([self._entry_path(file)])
        return None if status is None else stamp_of(status)

    def slices(self, piece: PieceIndex, begin: int, length: int) -> list[FileSlice]:
        """Return where the bytes of a block are, for sendfile; checks that the files are unchanged.

        The descriptors are valid until the next call of `slices` or `close`, of any torrent. Call
        it from one thread only. Raises ValueError for a block that is not inside the piece.
        """
        spans = self.layout.block_spans(piece, begin, length)
        if len(spans) > MAX_SLICES:
            return [self._copy(self.read(piece, begin, length))]
        slices = self._slices(spans)
        known = self.known
        for span, part in zip(spans, slices, strict=True):
            if part.fd is not None:
                status = os.fstat(part.fd)  # compared here, because a call costs time
                if known is None or known.get(span.file) != (
                    status.st_size,
                    status.st_mtime_ns,
                    status.st_ctime_ns,
                    status.st_ino,
                ):
                    self._require_served(span.file, part.fd)
        return slices

    def _slices(self, spans: Iterable[FileSpan]) -> list[FileSlice]:
        self._serving.trim()
        stored = self.layout.stored
        return [
            FileSlice(
                self._serving.get(span.file) if stored[span.file] else None,
                span.offset,
                span.length,
            )
            for span in spans
        ]

    def read_into(self, piece: PieceIndex, begin: int, buffer: memoryview) -> None:
        """Read a block, as long as `buffer`, into `buffer`; from the thread of `slices` only."""
        spans = self.layout.block_spans(piece, begin, len(buffer))
        if len(spans) > MAX_SLICES:
            buffer[:] = self.read(piece, begin, len(buffer))
            return
        at = 0
        for span, part in zip(spans, self._slices(spans), strict=True):
            end = at + part.length
            if part.fd is None:
                buffer[at:end] = bytes(part.length)
            else:
                self._read_slice(span.file, part.fd, part.offset, buffer[at:end])
            at = end

    def _read_slice(self, file: int, descriptor: int, offset: int, buffer: memoryview) -> None:
        while buffer:
            try:
                count = os.preadv(descriptor, [buffer], offset)
            except OSError as error:
                raise storage_error(error, self._path(file)) from error
            if not count:
                raise FileChangedError("is shorter now than before", path=self._path(file))
            offset += count
            buffer = buffer[count:]
        # Checked after reading, so that the bytes read are the verified ones.
        status = os.fstat(descriptor)
        if self.known is None or self.known.get(file) != (
            status.st_size,
            status.st_mtime_ns,
            status.st_ctime_ns,
            status.st_ino,
        ):
            self._require_served(file, descriptor)

    def read(self, piece: PieceIndex, begin: int, length: int) -> bytes:
        """Return the bytes of a block; may be called from any thread."""
        parts = []
        for span in self.layout.block_spans(piece, begin, length):
            if not self.layout.stored[span.file]:
                parts.append(bytes(span.length))
                continue
            descriptor = self._reading.acquire(span.file)
            try:
                parts.append(self._read_span(descriptor, span))
                self._require_readable(span.file, descriptor)
            finally:
                self._reading.release(span.file)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def write(self, descriptor: int, span: FileSpan, data: memoryview) -> None:
        """Write `data`, as long as the span, to an open file; raises OSError."""
        offset = span.offset
        while data:
            count = os.pwrite(descriptor, data, offset)
            data = data[count:]
            offset += count

    def stamp(self, descriptor: int, file: int) -> Stamp:
        """Return the stamp of an open file; raises FileChangedError if it was removed."""
        status = os.fstat(descriptor)
        if not status.st_nlink:
            raise FileChangedError("was removed while in use", path=self._path(file))
        return stamp_of(status)

    def open_to_hash(self, file: int) -> int:
        """Open a file for reading, whatever its size and stamp; the caller closes it."""
        with disk_errors(self._path(file)):
            return opened(partial(self.tree.open, self._entry_path(file), os.O_RDONLY))

    def check_readable(self, file: int) -> None:
        """Raise StorageError if this user may not read the file."""
        os.close(self.open_to_hash(file))

    def has_data(self, files: Iterable[int]) -> bool:
        """Return whether any of the files has a byte that was written."""
        for file in files:
            descriptor = self.open_to_hash(file)
            try:
                if holds_data(descriptor):
                    return True
            finally:
                os.close(descriptor)
        return False

    def prepare(self, found: Mapping[int, Stamp]) -> dict[int, Stamp]:
        """Make the root ready for writing; return the stamps of the files that exist then.

        Creates the folder, and the file of a single-file torrent. Files shorter than in the torrent
        are extended by a hole. (Other files are created when they are first written.)
        """
        stamps = dict(found)
        info = self.layout.info
        if not info.is_single_file:
            with disk_errors(self.tree.root):
                self.tree.root.mkdir(exist_ok=True)
        self._present = set(found)
        self._unsized = {
            file for file, stamp in found.items() if stamp.size < self.layout.lengths[file]
        }
        new = {0} - self._present if info.is_single_file else set()
        for file in self._unsized | new:
            descriptor = self._open_to_write(file)
            try:
                with disk_errors(self._path(file)):
                    stamps[file] = self.stamp(descriptor, file)
            finally:
                os.close(descriptor)
        return stamps

    def is_present(self, file: int) -> bool:
        """Whether a file was there when writing began, or was created since."""
        return file in self._present

    def create_empty_files(self, unwanted: Collection[int] = ()) -> None:
        """Create missing files of length 0, which no piece would create; those that are wanted."""
        for file, length in enumerate(self.layout.lengths):
            if length or file in unwanted:
                continue
            if self.layout.stored[file] and file not in self._present:
                with disk_errors(self._path(file)):
                    os.close(self.tree.open(self._entry_path(file), os.O_RDWR | os.O_CREAT))
                self._present.add(file)

    def take_from_border(self, file: int, pieces: PieceSet) -> Stamp:
        """Make a file of what the border file has of it in these pieces; return its stamp.

        It appears with all these bytes at once. Raises StorageError; FileChangedError if something
        else has its name.
        """
        layout, border = self.layout, self.layout.border
        entry = layout.info.files[file]
        path, new = self._path(file), (*layout.path_of(border)[:-1], NEW_NAME)
        source = self.open_to_hash(border)
        try:
            with disk_errors(path, needed=entry.length):
                target = self.tree.open(new, os.O_RDWR | os.O_CREAT | os.O_TRUNC)
                try:
                    os.ftruncate(target, entry.length)
                    for piece in iterate(pieces):
                        start = piece * layout.info.piece_length
                        begin = max(start, entry.offset)
                        end = min(
                            start + layout.info.padded_size(piece), entry.offset + entry.length
                        )
                        _copy_range(source, begin, target, begin - entry.offset, end - begin)
                    os.fsync(target)
                finally:
                    os.close(target)
                self.tree.rename_to_free(new, entry.path)
                self._present.add(file)
        except FileExistsError:
            raise FileChangedError(
                "has appeared meanwhile and is not overwritten", path=path
            ) from None
        finally:
            os.close(source)
        stamp = self.look(file)
        if stamp is None:
            raise StorageError("was removed while in use", path=path)
        return stamp

    def remove_border(self) -> None:
        """Remove the border file, which has nothing any more that is needed; it may be missing."""
        border = self.layout.border
        if border < 0 or border not in self._present:
            return
        self.forget(border)
        self.writers.forget(border)
        path = self._path(border)
        with disk_errors(path):
            path.unlink(missing_ok=True)
        self._present.discard(border)

    def sync(self, files: Iterable[int]) -> None:
        """Sync the files' bytes and the names of all files, so that a power failure keeps them."""
        files = list(files)
        # A file that nobody wants may not be there, nor its folder.
        stored = [file for file in sorted(self._present) if self.layout.stored[file]]
        if len(files) <= SYNC_ALL_ABOVE:
            for file in files:
                descriptor = self.open_to_hash(file)
                try:
                    with disk_errors(self._path(file)):
                        os.fsync(descriptor)
                finally:
                    os.close(descriptor)
        if max(len(files), len(stored)) > SYNC_ALL_ABOVE:
            os.sync()
            return
        with disk_errors(self.tree.root):
            self.tree.sync_folders(self._entry_path(file) for file in stored)

    def forget(self, file: int) -> None:
        """Close the descriptors of a file for writing, and for reading in any thread.

        The next use opens the file that has the name then. Descriptors of `slices` are checked at
        each use.
        """
        self.writing.forget(file)
        self._reading.forget(file)

    def give_length(self, file: int) -> None:
        """Extend a file that another program shortened to its length in the torrent.

        Raises StorageError if it is missing or longer: the rest of a longer file is not ours to
        remove.
        """
        stamp = self.look(file)
        if stamp is None:
            raise StorageError("was removed while in use", path=self._path(file))
        if stamp.size < self.layout.lengths[file]:
            self._unsized.add(file)
            self.writing.acquire(file)
            self.writing.release(file)
        elif stamp.size > self.layout.lengths[file]:
            self._require_size(file, stamp.size)

    def has_true_stamps(self, descriptor: int) -> bool:
        """Return whether every write to an open file changes its stamp.

        A file in memory (tmpfs) keeps its stamp when it is written through a mapping.
        """
        if self._is_in_memory is None:
            self._is_in_memory = is_in_memory(descriptor)
        return not self._is_in_memory

    def watch(self, file: int) -> None:
        """Let `writers` watch a file from now on."""
        try:
            descriptor = self.open_to_hash(file)
        except StorageError:
            return  # a file that is not watched counts as touched
        try:
            self.writers.watch(file, descriptor)
        finally:
            os.close(descriptor)

    def rest(self) -> bool:
        """Close the descriptors that nobody reads from; from the thread of `slices` only.

        Returns whether no other thread was reading.
        """
        self._serving.close()
        self._forget_copy()
        return self._reading.rest()

    def close(self) -> None:
        """Close every descriptor; no thread may be reading or writing."""
        self.writing.close()
        self.writers.close()
        self._reading.close()
        self._serving.close()
        self._forget_copy()

    def _entry_path(self, file: int) -> tuple[str, ...]:
        return self.layout.path_of(file)

    def _path(self, file: int) -> Path:
        return self.tree.at(self._entry_path(file))

    def _open_to_read(self, file: int) -> int:
        return self._open_existing(file, os.O_RDONLY)

    def _require_served(self, file: int, descriptor: int) -> None:
        try:
            self._require_readable(file, descriptor)
        except FileChangedError:
            # Left open, this descriptor would differ from the verified file for ever, whichever
            # file has the name by now.
            self._serving.forget(file)
            raise

    def _require_readable(self, file: int, descriptor: int) -> None:
        """Raise FileChangedError if an open file differs from the verified one."""
        before = self.turn
        stamp = self.stamp(descriptor, file)
        known = self.known
        if known is not None and known.get(file) == stamp:
            return
        self._require_size(file, stamp.size)
        # While we write to the file, its new stamp is not known yet.
        if known is not None and not before & 1 and before == self.turn:
            raise FileChangedError("has changed since it was verified", path=self._path(file))

    def _require_size(self, file: int, size: int) -> None:
        length = self.layout.lengths[file]
        if size != length:
            raise FileChangedError(
                f"has {size} bytes now instead of {length}", path=self._path(file)
            )

    def _open_existing(self, file: int, flags: int) -> int:
        path = self._entry_path(file)
        tree = self.tree
        try:
            return opened(partial(tree.open, path, flags))
        except FileNotFoundError as error:
            # `finish` renames the root in another thread, with this lock held: once it is free,
            # `tree` is the new one.
            with self.moving:
                moved = self.tree
            if moved is tree:
                raise storage_error(error, tree.at(path)) from error
        except OSError as error:
            raise storage_error(error, tree.at(path)) from error
        with disk_errors(moved.at(path)):
            return moved.open(path, flags)

    def _open_to_write(self, file: int) -> int:
        path = self._path(file)
        length = self.layout.lengths[file]
        is_new = file not in self._present
        # O_EXCL: a file that another program creates under this name is not overwritten.
        flags = os.O_RDWR | (os.O_CREAT | os.O_EXCL if is_new else 0)
        is_sparse = file == self.layout.border
        with disk_errors(path, needed=length if is_new and not is_sparse else None):
            try:
                descriptor = opened(partial(self.tree.open, self._entry_path(file), flags))
            except FileExistsError:
                raise StorageError(
                    "has appeared meanwhile and is not overwritten", path=path
                ) from None
            if is_new:
                self._present.add(file)
                self._unsized.add(file)
            try:
                size = os.fstat(descriptor).st_size
                if size < length and file in self._unsized:
                    extend(descriptor, size, length, reserve=not is_sparse)
                else:
                    self._require_size(file, size)
                self._unsized.discard(file)
            except BaseException:
                os.close(descriptor)
                raise
        return descriptor

    def _read_span(self, descriptor: int, span: FileSpan) -> bytes:
        with disk_errors(self._path(span.file)):
            data = os.pread(descriptor, span.length, span.offset)
            while len(data) < span.length:
                more = os.pread(descriptor, span.length - len(data), span.offset + len(data))
                if not more:
                    raise FileChangedError("is shorter now than before", path=self._path(span.file))
                data += more
        return data

    def _copy(self, data: bytes) -> FileSlice:
        self._forget_copy()
        with disk_errors(Path(tempfile.gettempdir())):
            copy = tempfile.TemporaryFile()  # noqa: SIM115 - open until the next call
            self._copied = copy
            copy.write(data)
            copy.flush()
        return FileSlice(copy.fileno(), 0, len(data))

    def _forget_copy(self) -> None:
        if self._copied is not None:
            self._copied.close()
            self._copied = None


def _copy_range(source: int, at: int, target: int, to: int, length: int) -> None:
    """Copy bytes from one open file to another; raises OSError."""
    while length:
        data = os.pread(source, min(length, _COPIED_AT_ONCE), at)
        if not data:
            return  # it is shorter now: what is missing is found by hashing
        view = memoryview(data)
        while view:
            count = os.pwrite(target, view, to)
            view = view[count:]
            to += count
        at += len(data)
        length -= len(data)
