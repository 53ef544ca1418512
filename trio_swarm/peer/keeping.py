"""Keeping a torrent true to its files: what others changed is verified again while it goes on.

Storage notices, whenever a file is used, that it is not as it was verified. Then it is looked at in
a thread; meanwhile nothing of it is served. What is right afterwards is served on, what is lost is
fetched again by a download, and no longer offered by a finished torrent: those files are a
person's, and nothing writes to them.
"""

import math
from collections.abc import Callable, Collection, Mapping
from typing import Final, Protocol

import trio

from trio_swarm import events
from trio_swarm.errors import FileChangedError, StorageError
from trio_swarm.events import Event
from trio_swarm.peer.blocking import run_stoppable
from trio_swarm.peer.download import Download
from trio_swarm.peer.wakeup import Wakeup
from trio_swarm.piece_sets import PieceSet
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.rehashing import KEEPS_CHANGING
from trio_swarm.storage.unfinished import Changes

VERIFY_PAUSE: Final = 1.0
"""Seconds between verifying again and the next time: a file may be written to all the time."""

LOOK_AGAIN: Final = 15.0
"""Seconds between looks at files of finished data that are not there or not right: nothing tells
when a person puts them back. A look costs microseconds a file."""

SHOWN_FILES: Final = 5
"""Names of files in an event; there may be 100,000."""


class KeptPeer(Protocol):
    """A connected peer, which was told what we have."""

    def take_back(self, pieces: PieceSet, *, for_good: bool) -> None:
        """Serve nothing of these pieces any more."""


class KeptTorrent(Protocol):
    """The torrent whose files are looked after."""

    @property
    def info_hash(self) -> bytes:
        """The info-hash people know it by."""

    @property
    def name(self) -> str:
        """The torrent's name, for people."""

    @property
    def download(self) -> Download | None:
        """What knows which pieces are here, once the files are open."""

    @property
    def files(self) -> TorrentFiles | None:
        """The torrent's files; None until they are open."""


class Keeping:
    """Verifies a torrent's files again when they were changed; `run` is the one task that does.

    `peers()` are those that are connected; `wake_peers` has all of them told what is new. `looked`
    is called after each look.
    """

    def __init__(
        self,
        torrent: KeptTorrent,
        *,
        emit: Callable[[Event], None],
        peers: Callable[[], Collection[KeptPeer]],
        wake_peers: Callable[[], None],
        looked: Callable[[], None] = lambda: None,
    ) -> None:
        self._torrent = torrent
        self._tell_people = emit
        self._peers = peers
        self._wake_peers = wake_peers
        self._wakeup = Wakeup()
        self._looked = looked
        self.looks = 0
        """How often the files were looked at."""
        self._error: StorageError | None = None

    def changed(self, error: StorageError) -> None:
        """Note that serving found a file changed, or could not read it."""
        self._error = error
        self._wakeup.set()

    async def run(self, files: TorrentFiles) -> None:
        """Verify again whenever that is due, until cancelled.

        Raises StorageError when there is nothing that could be served or fetched any more.
        """
        if files.suspects:
            self._wakeup.set()
        has_nothing = False
        faults: Mapping[int, str] = {}
        while True:
            if not has_nothing:
                with trio.move_on_after(LOOK_AGAIN if self._lacks_pieces(files) else math.inf):
                    await self._wakeup.wait()
            error, self._error = self._error, None
            changes = await run_stoppable(files.verify_again)
            had_nothing = has_nothing and not files.have
            if not had_nothing:
                self.tell(changes)
            self.looks += 1
            self._looked()
            if error is not None and not changes.files and not isinstance(error, FileChangedError):
                raise error  # what cannot be read for a reason that is not in the file
            is_restless = KEEPS_CHANGING in changes.faults.values()
            if had_nothing and not is_restless and changes.faults == faults:
                # Not while it is copied anew: then each look finds another length. Nor at once,
                # though each peer that is being served finds the change for itself.
                raise _fault(files, changes, error)
            faults = changes.faults
            has_nothing = files.is_complete and not files.have and not is_restless
            await trio.sleep(VERIFY_PAUSE)

    def _lacks_pieces(self, files: TorrentFiles) -> bool:
        return files.is_complete and files.lacks_pieces

    def tell(self, changes: Changes) -> None:
        """Bring what is known of pieces up to date, and tell peers and people."""
        torrent = self._torrent
        download, files = torrent.download, torrent.files
        if download is None or files is None:
            return
        lost = download.reconcile()
        for peer in self._peers():
            peer.take_back(lost, for_good=files.is_complete)
        self._wake_peers()
        if changes.files:
            self._emit(files, changes, lost)

    def _emit(self, files: TorrentFiles, changes: Changes, lost: PieceSet) -> None:
        torrent = self._torrent
        first = changes.files[0]
        self._tell_people(
            events.FilesChanged(
                info_hash=torrent.info_hash.hex(),
                share_name=torrent.name,
                files=[
                    "/".join(files.path_of(file)) or files.info.name
                    for file in changes.files[:SHOWN_FILES]
                ],
                count=len(changes.files),
                lost=(lost | changes.lost).bit_count(),
                have=files.have.bit_count(),
                pieces=files.info.piece_count,
                fetched_again=not files.is_complete,
                reason=changes.faults.get(first, ""),
            )
        )


def _fault(files: TorrentFiles, changes: Changes, error: StorageError | None) -> StorageError:
    if error is not None and not changes.faults:
        return error
    reason = next(iter(changes.faults.values()), "nothing of it is right any more")
    return StorageError(reason, path=files.root)
