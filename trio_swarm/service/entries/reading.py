"""Reading a file of an entry, whether it runs or not.

While it runs its torrent is asked, which waits for what is missing. Otherwise what was verified is
read from the disk, and what is missing is an error. It may be paused and resumed meanwhile.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Final

import trio

from trio_swarm.errors import EntryUnknownError, FileChangedError, NotHereError, TrioSwarmError
from trio_swarm.foreign_text import shown
from trio_swarm.peer.reading import read_pieces
from trio_swarm.peer.torrent import Torrent
from trio_swarm.piece_sets import first_missing
from trio_swarm.protocol.metainfo.torrent import Info, Metainfo
from trio_swarm.service.entries.data import Resting, open_resting
from trio_swarm.service.entries.entry import Entry

TRIES: Final = 3
"""How often files at rest are opened for one read: others may change them, or it ran meanwhile."""


class EntryReader:
    """Reads the files of one entry; made by `Entries.reader`, and closed by whoever has it.

    `metainfo` returns what is kept of the entry, blocking; `limiter` bounds the threads.
    """

    def __init__(
        self,
        entry: Entry,
        metainfo: Callable[[], Metainfo | None],
        state_folder: Path,
        limiter: trio.CapacityLimiter,
    ) -> None:
        self.entry = entry
        self._metainfo = metainfo
        self._state_folder = state_folder
        self._limiter = limiter
        self._resting: Resting | None = None
        self._info: Info | None = None

    async def find_info(self) -> Info | None:
        """Return names and lengths of the files; None: nobody knows them. Raises StorageError."""
        running = self._running
        if running is not None:
            await trio.lowlevel.checkpoint()
            return self.entry.info
        await self._open()
        return self._info

    def end_of(self, index: int, begin: int, end: int) -> int:
        """Return up to where the bytes of a file from `begin` on can be read, at most `end`.

        While the entry runs that is `end`: what is missing comes. To be called after `find_info`.
        """
        if self._running is not None:
            return end
        resting = self._resting
        if resting is None:
            return begin
        entry, length = resting.info.files[index], resting.info.piece_length
        piece = first_missing(resting.have, (entry.offset + begin) // length)
        return max(begin, min(end, piece * length - entry.offset))

    async def read_at(self, index: int, offset: int, size: int) -> bytes:
        """Return bytes of a file, cut off at its end; see `Torrent.read_at`, errors included.

        Raises NotHereError for what is missing of an entry that does not run.
        """
        while (torrent := self._running) is not None:
            try:
                return await torrent.read_at(index, offset, size)
            except TrioSwarmError:
                if self._running is torrent:
                    raise  # else it was paused, say: what it verified can be read all the same
        for _ in range(TRIES - 1):
            try:
                return await self._read_at_rest(index, offset, size)
            except FileChangedError:
                await self.close()
        return await self._read_at_rest(index, offset, size)

    async def close(self) -> None:
        """Close the files."""
        resting, self._resting = self._resting, None
        with trio.CancelScope(shield=True):
            await trio.to_thread.run_sync(_close, resting, limiter=self._limiter)

    @property
    def _running(self) -> Torrent | None:
        """The torrent that can be asked, if there is one."""
        torrent = self.entry.torrent
        if torrent is None or torrent.info is None or torrent.state in ("removed", "failed"):
            return None
        return torrent

    async def _read_at_rest(self, index: int, offset: int, size: int) -> bytes:
        if self.entry.is_gone:
            raise EntryUnknownError(self.entry.name)
        await self._open()
        end = self.end_of(index, offset, offset + size)
        resting = self._resting
        if resting is None or (size and end == offset):
            raise NotHereError(
                f"{shown(self.entry.name)} is {self.entry.state}, and this part of it is not here"
            )
        entry = resting.info.files[index]
        begin, end = entry.offset + offset, entry.offset + min(end, entry.length)
        return await trio.to_thread.run_sync(
            read_pieces, resting.info, resting, begin, end, limiter=self._limiter
        )

    async def _open(self) -> None:
        if self._resting is None:
            self._resting, self._info = await trio.to_thread.run_sync(
                self._opened, limiter=self._limiter
            )

    def _opened(self) -> tuple[Resting | None, Info | None]:
        entry, metainfo = self.entry, self._metainfo()
        settings, incomplete = entry.settings, entry.incomplete_folder
        resting = open_resting(settings, incomplete, entry.known, metainfo, self._state_folder)
        if entry.kind == "share":  # whatever it was, it is what is there
            return resting, None if resting is None else resting.info
        return resting, entry.info if metainfo is None else entry.named(metainfo.info)


def _close(resting: Resting | None) -> None:
    if resting is not None:
        resting.close()
