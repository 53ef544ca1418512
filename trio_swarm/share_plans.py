"""From a file or folder to the plan of a torrent that shares it."""

from collections import deque
from collections.abc import Callable, Sequence
from functools import lru_cache, partial
from pathlib import Path
from time import monotonic
from typing import Final, Never

import trio

from trio_swarm import events
from trio_swarm.errors import StorageError
from trio_swarm.identities import InfoHash, TorrentVersion
from trio_swarm.loop_turn import LoopTurn
from trio_swarm.peer.blocking import run_stoppable
from trio_swarm.peer.context import NodeContext
from trio_swarm.peer.torrent_plan import TorrentPlan
from trio_swarm.protocol.metainfo.torrent import Info, Metainfo
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.hashing import OnProgress, no_progress
from trio_swarm.storage.share_hashes import ShareHashes
from trio_swarm.storage.share_opening import open_share
from trio_swarm.storage.shares import LeftOut, hash_share
from trio_swarm.storage.state import StateFolder

SLICE: Final = 0.05
"""Seconds for which a thread opens shares before it reports: a hundred small ones."""

STALL: Final = 1.0
"""Seconds without a report after which another thread goes on with the others: a file system that
does not answer holds up its own shares only."""

MAX_THREADS: Final = 16
"""Threads that open shares, those that wait for a file system included."""


class Opening:
    """One share that is to be opened, and what came of it; made by `Shares.open`."""

    __slots__ = (
        "_on_open",
        "error",
        "files",
        "is_given_up",
        "left_out",
        "name",
        "on_progress",
        "path",
        "piece_length",
        "state_problems",
        "trackers",
        "version",
    )

    def __init__(
        self,
        path: Path,
        *,
        name: str | None,
        trackers: Sequence[str],
        piece_length: int | None,
        version: TorrentVersion,
        on_progress: OnProgress | None,
        on_open: Callable[[], None],
    ) -> None:
        self.path = path
        self.name = name
        self.trackers = trackers
        self.piece_length = piece_length
        self.version = version
        self.on_progress = on_progress or no_progress
        self.left_out: list[LeftOut] = []
        self.state_problems: list[StorageError] = []
        self.files: TorrentFiles | None = None
        self.error: BaseException | None = None
        self.is_given_up = False
        """Nobody wants it any more."""
        self._on_open: Callable[[], None] | None = on_open

    @property
    def own_name(self) -> str | None:
        """The torrent's own name: the last part of the one under which trackers list it."""
        return self.name.rsplit("/", 1)[-1] if self.name else None

    @property
    def is_open(self) -> bool:
        """Whether it is over; then it has files, or an error, or is to be hashed."""
        return self._on_open is None

    @property
    def info_hash(self) -> InfoHash | None:
        """The info-hash, if its files are open."""
        return None if self.error is not None or self.files is None else self.files.info.info_hash

    def tell(self) -> None:
        """Let whoever wants it go on."""
        on_open, self._on_open = self._on_open, None
        if on_open is not None and not self.is_given_up:
            on_open()

    def open(self, hashes: ShareHashes) -> None:
        """Open it. Blocking; never raises."""
        try:
            self.files = open_share(
                self.path,
                name=self.own_name,
                piece_length=self.piece_length,
                version=self.version,
                hashes=hashes,
                on_progress=self.on_progress,
                on_left_out=self.left_out.append,
                on_state_problem=self.state_problems.append,
            )
        except BaseException as error:  # noqa: BLE001 - raised where it is waited for
            self.error = error


class Shares:
    """Opens the shares of a node, many at a time; `run` is the one task that does."""

    def __init__(self, state_folder: Path) -> None:
        self._state_folder = state_folder
        self._hashes = ShareHashes(StateFolder(state_folder))
        self._waiting: deque[Opening] = deque()
        self._done: deque[Opening] = deque()
        """Opened by threads, and not told to those who want them."""
        self._threads = 0
        self._wanted = trio.Event()
        self._reported = trio.Event()

    async def run(self) -> Never:
        """Open what is wanted, until cancelled."""
        async with trio.open_nursery() as nursery:
            while True:
                await self._wanted.wait()
                self._wanted = trio.Event()
                is_stalled = not self._threads
                while self._waiting or not is_stalled:
                    if self._waiting and is_stalled and self._threads < MAX_THREADS:
                        self._threads += 1
                        nursery.start_soon(self._work, name="open shares")
                    with trio.move_on_after(STALL) as scope:
                        await self._reported.wait()
                    is_stalled = scope.cancelled_caught or not self._threads
                    await self._deliver()

    async def _work(self) -> None:
        try:
            while self._waiting:
                await trio.to_thread.run_sync(self._open_some)
                await self._deliver()
                self._report()
        finally:
            self._threads -= 1
            self._report()
            if not self._threads:
                self._hashes.forget()

    def _report(self) -> None:
        self._reported.set()
        self._reported = trio.Event()

    async def _deliver(self) -> None:
        """Let those go on whose shares are open, or have failed; others have turns meanwhile."""
        turn = LoopTurn()
        while self._done:
            self._done.popleft().tell()
            await turn.step()

    def _open_some(self) -> None:
        """Open shares for a while, and store what is new of them. Blocking."""
        end = monotonic() + SLICE
        opened: list[Opening] = []
        while self._waiting and monotonic() < end:
            try:
                opening = self._waiting.popleft()
            except IndexError:  # another thread took it
                break
            if not opening.is_given_up:
                opening.open(self._hashes)
            opened.append(opening)
            self._done.append(opening)
        try:
            self._hashes.save()
        except StorageError as error:
            for each in opened:
                each.state_problems.append(error)

    def open(
        self,
        root: Path,
        *,
        name: str | None,
        trackers: Sequence[str],
        piece_length: int | None,
        version: TorrentVersion,
        on_progress: OnProgress | None,
        on_open: Callable[[], None],
    ) -> Opening:
        """Begin to open what is at `root`; `on_open` is called once it is open, or has failed."""
        opening = Opening(
            root,
            name=name,
            trackers=trackers,
            piece_length=piece_length,
            version=version,
            on_progress=on_progress,
            on_open=on_open,
        )
        self._waiting.append(opening)
        self._wanted.set()
        return opening

    def plan(self, context: NodeContext, opening: Opening) -> TorrentPlan | None:
        """Return the plan of a share that is open, and say what is left out of it.

        None: it is to be hashed, by `hashed`. Raises StorageError (path missing, unreadable).
        """
        if opening.error is not None:
            raise opening.error
        if opening.files is None:
            return None
        return self._plan_of(context, opening, opening.files.info)

    async def hashed(self, context: NodeContext, opening: Opening) -> TorrentPlan:
        """Hash a share, and return its plan; raises StorageError (unreadable, changing)."""
        info = await run_stoppable(
            lambda should_stop: hash_share(
                opening.path,
                name=opening.own_name,
                piece_length=opening.piece_length,
                version=opening.version,
                state_folder=self._state_folder,
                on_progress=opening.on_progress,
                on_left_out=opening.left_out.append,
                should_stop=should_stop,
                on_state_problem=opening.state_problems.append,
            )
        )
        return self._plan_of(context, opening, info)

    def _plan_of(self, context: NodeContext, opening: Opening, info: Info) -> TorrentPlan:
        for each in opening.left_out:
            context.emit(files_left_out(opening.path, each))
        if opening.state_problems:
            context.tell_state_problem(opening.state_problems[0], info.info_hash, info.name)
        tiers = _tiers_of(tuple(opening.trackers))
        return TorrentPlan(
            info_hash=info.info_hash,
            name=opening.name or info.name,
            size=info.size,
            metainfo=Metainfo(info=info, announce_tiers=tiers),
            open_files=partial(_open_again, opening.path, self._state_folder),
            files=opening.files,
            tiers=tiers,
            is_share=True,
        )


@lru_cache(maxsize=64)
def _tiers_of(trackers: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Return a tier for each tracker; one value for the thousands of shares that have the same."""
    return tuple((url,) for url in trackers)


def _open_again(root: Path, state_folder: Path, info: Info) -> TorrentFiles:
    return TorrentFiles.for_share(info, root, state_folder)


def files_left_out(path: Path, left_out: LeftOut) -> events.FilesLeftOut:
    """Return the event that tells what of a folder is not shared."""
    return events.FilesLeftOut(
        path=str(path), links=left_out.links, special=left_out.special, padding=left_out.padding
    )
