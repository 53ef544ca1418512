"""Reading the files of a torrent while it is fetched, and afterwards.

A reader waits until its bytes are verified. Meanwhile strategies see what it wants: the pieces that
it waits for, and those that it is expected to read next. Nothing is promised about how long that
takes: the wait ends with the torrent at the latest.
"""

from collections.abc import Callable
from typing import Final, Protocol

import trio

from trio_swarm.engine.download.readers import MOST_READERS, Readers
from trio_swarm.errors import (
    ConfigError,
    FileChangedError,
    NotHereError,
    StorageError,
    TrioSwarmError,
)
from trio_swarm.identities import PieceIndex
from trio_swarm.peer.download import Download
from trio_swarm.piece_sets import PieceSet, full_set
from trio_swarm.protocol.metainfo.torrent import FileEntry, Info
from trio_swarm.storage.content import TorrentFiles

MOST_BYTES: Final = 4 * 1024 * 1024
"""Bytes of one read: so much memory a reader takes at once."""

THREADS: Final = 2
"""Threads that read for the readers of one torrent: a slow disk is not to keep the rest of the
program waiting for threads."""

TRIES: Final = 5
"""How often bytes are read again, of files that other programs change all the time."""


class ReadTorrent(Protocol):
    """The torrent whose files are read."""

    @property
    def name(self) -> str:
        """The torrent's name, for people."""

    @property
    def info(self) -> Info | None:
        """The info dictionary; None until the metadata is known."""

    @property
    def files(self) -> TorrentFiles | None:
        """The torrent's files; None until they are open."""

    @property
    def download(self) -> Download | None:
        """What is here and what comes, once the files are open."""

    def file_changed(self, error: StorageError) -> None:
        """Note that a file is not as it was verified, or cannot be read."""


class Reading:
    """The readers of one torrent. `looks` tells how often its files were looked at again."""

    def __init__(
        self, torrent: ReadTorrent, looks: Callable[[], int], *, is_closing: bool = False
    ) -> None:
        self._torrent = torrent
        self._looks = looks
        self._lot = trio.lowlevel.ParkingLot()
        self._readers: Readers | None = None
        self._limiter: trio.CapacityLimiter | None = None
        self._is_closing = is_closing
        self._error: TrioSwarmError | None = None
        self._busy = 0

    def changed(self) -> None:
        """Have all that wait look again: pieces have come, or the files were looked at."""
        self._lot.unpark_all()

    async def close(self) -> None:
        """Let nobody begin to read any more, and wait for those that do: the files are closed."""
        self._is_closing = True
        while self._busy:
            await self._lot.park()

    def end(self, error: TrioSwarmError) -> None:
        """Raise `error` to all that wait, and that come."""
        self._error = self._error or error
        self._lot.unpark_all()

    async def read_at(self, index: int, offset: int, size: int) -> bytes:
        """Return bytes of a file; see `Torrent.read_at`."""
        if offset < 0 or not 0 <= size <= MOST_BYTES:
            raise ValueError(
                f"{size} bytes from {offset} on: at most {MOST_BYTES} are read at once"
            )
        await self._until(lambda: self._torrent.download is not None)
        info, download = self._torrent.info, self._torrent.download
        assert info is not None
        assert download is not None
        entry = self._file(info, index)
        begin = entry.offset + offset
        end = min(entry.offset + entry.length, begin + size)
        if begin >= end:
            return b""
        if self._readers is None:
            self._readers = Readers(info.piece_length, info.piece_count)
        reader = self._readers.begin(begin, end, trio.current_time())
        if reader is None:
            raise TrioSwarmError(
                f"{self._torrent.name}: is read by {MOST_READERS} others already; try again later"
            )
        try:
            self._tell_urgent(download)
            data = await self._read(info, begin, end)
        except BaseException:
            self._readers.leave(reader)
            self._tell_urgent(download)
            raise
        self._readers.got(reader, trio.current_time())
        return data

    def _file(self, info: Info, index: int) -> FileEntry:
        if not 0 <= index < len(info.files) or info.files[index].padding:
            raise ConfigError(f"{self._torrent.name}: has no file number {index}")
        return info.files[index]

    def _tell_urgent(self, download: Download) -> None:
        """Let the strategy know what readers want."""
        ledger = download.ledger
        if not ledger.is_complete and self._readers is not None:
            ledger.set_deadlines(self._readers.deadlines(ledger.have))
            download.exchange.replan()

    async def _read(self, info: Info, begin: int, end: int) -> bytes:
        length = info.piece_length
        first, last = begin // length, (end - 1) // length
        pieces = full_set(last + 1 - first) << first
        for number in range(TRIES):
            await self._until(lambda: self._are_here(pieces))
            looks = self._looks()
            try:
                return await self._read_now(info, begin, end)
            except FileChangedError as error:
                self._torrent.file_changed(error)
                if number == TRIES - 1:
                    raise
            await self._until(lambda looks=looks: self._looks() > looks)  # type: ignore[misc]
        raise AssertionError("the last try raises or returns")

    async def _read_now(self, info: Info, begin: int, end: int) -> bytes:
        files = self._torrent.files
        assert files is not None
        if self._limiter is None:
            self._limiter = trio.CapacityLimiter(THREADS)
        self._busy += 1
        try:
            return await trio.to_thread.run_sync(
                read_pieces, info, files, begin, end, limiter=self._limiter
            )
        finally:
            self._busy -= 1
            if self._is_closing:
                self._lot.unpark_all()

    def _are_here(self, pieces: PieceSet) -> bool:
        """Whether pieces are verified; raises FileChangedError if they will not be any more."""
        files, download = self._torrent.files, self._torrent.download
        if self._is_closing or files is None or download is None:
            return False
        suspects = files.suspects
        missing = pieces & ~(download.ledger.have & ~suspects)
        if missing & ~download.ledger.have & ~download.ledger.chosen:
            raise NotHereError(f"{self._torrent.name}: that file was left out of the download")
        if missing and files.is_complete and missing & ~files.have & ~suspects:
            raise FileChangedError("was changed by another program", path=files.root)
        return not missing

    async def _until(self, condition: Callable[[], bool]) -> None:
        """Wait until something is so; raises the error that ended the torrent."""
        while True:
            if self._error is not None:
                raise self._error
            if condition():
                return
            await self._lot.park()


class ReadFiles(Protocol):
    """Files that blocks are read from."""

    def read(self, piece: PieceIndex, begin: int, length: int) -> bytes:
        """Return the bytes of a block. Blocking."""


def read_pieces(info: Info, files: ReadFiles, begin: int, end: int) -> bytes:
    """Return the bytes of the content from `begin` up to `end`. Blocking."""
    parts = []
    while begin < end:
        piece, within = divmod(begin, info.piece_length)
        length = min(end - begin, info.piece_size(piece) - within)
        parts.append(files.read(PieceIndex(piece), within, length))
        begin += length
    return parts[0] if len(parts) == 1 else b"".join(parts)
