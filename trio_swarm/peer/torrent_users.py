"""Who uses a torrent besides its peers: readers of its files, and checks that a person asks for.

While there are any it does not rest.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

import trio

from trio_swarm.errors import TrioSwarmError
from trio_swarm.peer.keeping import Keeping
from trio_swarm.peer.peer_set import PeerSet
from trio_swarm.peer.reading import Reading, ReadTorrent
from trio_swarm.peer.verifying import Verifying
from trio_swarm.progress import Verified


class UsedTorrent(ReadTorrent, Protocol):
    """The torrent that is used."""

    @property
    def is_complete(self) -> bool:
        """Every piece is verified and the data has its final name."""

    @property
    def why_over(self) -> TrioSwarmError | None:
        """What readers are told once it has ended; None: it goes on."""

    @property
    def nursery(self) -> trio.Nursery | None:
        """Where its tasks run; None while it has none."""

    @property
    def peer_set(self) -> PeerSet:
        """The torrent's peers: connected, dialled and known."""

    @property
    def keeping(self) -> Keeping:
        """What looks after its files."""

    def get_up(self) -> None:
        """If it rests: be active again."""


class Users:
    """The readers and the checks of one torrent."""

    __slots__ = ("_count", "_is_closing", "_reading", "_torrent", "_verifying", "_woken")

    def __init__(self, torrent: UsedTorrent) -> None:
        self._torrent = torrent
        self._count = 0
        self._reading: Reading | None = None
        self._verifying: Verifying | None = None
        self._woken: trio.Event | None = None
        self._is_closing = False

    @property
    def is_any(self) -> bool:
        """Whether there is one."""
        return self._count > 0

    async def read_at(self, file_index: int, offset: int, size: int) -> bytes:
        """Return bytes of a file, once verified; see `Torrent.read_at`."""
        if self._reading is None:
            torrent = self._torrent
            self._reading = Reading(
                torrent, lambda: torrent.keeping.looks, is_closing=self._is_closing
            )
            error = torrent.why_over
            if error is not None:
                self._reading.end(error)
        with self._in_use():
            return await self._reading.read_at(file_index, offset, size)

    @property
    def verifying(self) -> float | None:
        """How much of a check by `verify` is done, 0 to 1; None: there is none."""
        verifying = self._verifying
        return None if verifying is None or verifying.is_over else verifying.part

    async def verify(self) -> Verified:
        """Hash all pieces that are here, and return the result; see `Torrent.verify`."""
        torrent = self._torrent
        with self._in_use():
            await self._wake()
            if self.verifying is None:
                nursery, files = torrent.nursery, torrent.files
                if nursery is None or files is None or torrent.download is None:
                    raise TrioSwarmError(f"{torrent.name}: its files are not open, so not checked")
                self._verifying = Verifying(torrent.name, files, torrent.keeping.tell)
                nursery.start_soon(self._verifying.run, name=f"verify {torrent.name}")
            assert self._verifying is not None
            return await self._verifying.wait()

    @contextmanager
    def _in_use(self) -> Iterator[None]:
        """Have it get up, if it rests, and not rest within the context."""
        torrent = self._torrent
        self._count += 1
        if torrent.download is None and torrent.is_complete:
            torrent.peer_set.call()
            torrent.get_up()
        try:
            yield
        finally:
            self._count -= 1
            torrent.peer_set.tell_changed()

    async def _wake(self) -> None:
        """Wait until it has got up; to be called in use."""
        torrent = self._torrent
        while torrent.download is None and torrent.is_complete and torrent.why_over is None:
            if self._woken is None:
                self._woken = trio.Event()
            await self._woken.wait()

    # --- what its torrent tells -----------------------------------------------------------------

    def woken(self) -> None:
        """Note that it has got up, or is over."""
        if self._woken is not None:
            self._woken.set()
            self._woken = None

    def changed(self) -> None:
        """Have all that wait look again: pieces have come, or the files were looked at."""
        if self._reading is not None:
            self._reading.changed()

    async def close(self) -> None:
        """Let nobody begin to read any more, and wait for those that do: the files are closed."""
        self._is_closing = True
        if self._reading is not None:
            await self._reading.close()

    def end(self, error: TrioSwarmError) -> None:
        """Raise `error` to all that read, and that come: the torrent is over."""
        if self._reading is not None:
            self._reading.end(error)
        self.woken()

    def forget(self) -> None:
        """Give back what was made for them: there are none, and the torrent rests."""
        self._reading = self._verifying = None
