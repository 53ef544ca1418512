"""Checking all that a torrent has while it goes on, because a person wants it."""

from collections.abc import Callable

import trio

from trio_swarm.errors import StorageError, TrioSwarmError
from trio_swarm.peer.blocking import run_stoppable
from trio_swarm.progress import Verified
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.unfinished import Changes


class Verifying:
    """One check of all pieces; `run` is its task, and `wait` is for those who want the result.

    `tell` brings what is known of pieces up to date, and tells peers and people.
    """

    def __init__(self, name: str, files: TorrentFiles, tell: Callable[[Changes], None]) -> None:
        self.part = 0.0
        """How much of it is done, 0 to 1."""
        self.is_over = False
        self._name = name
        self._files = files
        self._tell = tell
        self._done = trio.Event()
        self._result: Verified | None = None
        self._error: TrioSwarmError | None = None

    async def run(self) -> None:
        """Check, until cancelled."""
        files = self._files
        checked = files.have.bit_count()
        try:
            changes = await run_stoppable(lambda stop: files.verify_all(self._note, stop))
            self._tell(changes)
            self._result = Verified(
                checked=checked,
                bad=changes.lost.bit_count(),
                is_fetched_again=not files.is_complete,
            )
        except StorageError as error:  # the torrent goes on, as far as it can
            self._error = error
        finally:
            self.is_over = True
            self._done.set()

    def _note(self, done: int, total: int) -> None:
        self.part = done / max(1, total)

    async def wait(self) -> Verified:
        """Return the result; raises StorageError, or TrioSwarmError if the torrent ended before."""
        await self._done.wait()
        if self._error is not None:
            raise self._error
        if self._result is None:
            raise TrioSwarmError(f"{self._name}: ended before it was checked")
        return self._result
