"""The files of one torrent on the disk: checked, written piece by piece, served, finished."""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Final, Self

from msgspec import Struct

from trio_swarm.errors import FileChangedError, StateFolderError, StorageError
from trio_swarm.identities import PieceIndex
from trio_swarm.piece_sets import PieceSet, full_set, iterate
from trio_swarm.protocol.metainfo.selection import wanted_pieces
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.storage.access import NEW_NAME, FileAccess, FileSlice
from trio_swarm.storage.disk_errors import disk_errors
from trio_swarm.storage.disk_names import choose_names
from trio_swarm.storage.hashing import OnProgress, ShouldStop, never_stop, no_progress
from trio_swarm.storage.layout import Layout
from trio_swarm.storage.own_names import Renamings, with_own_names
from trio_swarm.storage.placement import Placement
from trio_swarm.storage.rehashing import KEEPS_CHANGING, TRIES, pieces_of, rehash, right_pieces
from trio_swarm.storage.resume import log as resume_log
from trio_swarm.storage.resume.journal import Stamp
from trio_swarm.storage.resume.log import ResumeLog
from trio_swarm.storage.resume.vouching import ResumeState, judge
from trio_swarm.storage.shares import remember_download
from trio_swarm.storage.state import DownloadLock, StateFolder
from trio_swarm.storage.tree import Tree, sync_folder, tree_at
from trio_swarm.storage.unfinished import Changes, Unfinished
from trio_swarm.storage.write_out import start_write_out

CLOSE_SYNC_BYTES = 256 << 20
"""Most unsynced bytes that `close` syncs: a node has seconds to close. More bytes are left to the
operating system, and are checked again if it crashes."""

WRITE_OUT_BYTES = 32 << 20
"""Bytes written after which the disk is told to write them out, so that the sync in `finish` has
little left to do."""


NO_CHANGES: Final[deque[Changes]] = deque(maxlen=0)
"""Of files that are not written to."""

_OPENING: Final = threading.Lock()


class CheckResult(Struct, frozen=True):
    """The correct pieces on the disk, and how many were hashed to find them."""

    have: PieceSet
    hashed: int


class TorrentFiles:
    """The files of one torrent: a download (`for_download`) or a share (`for_share`).

    Order of calls: `check` once; then `write_pieces` from any threads, while `slices` is called
    from one thread and `read` from any; then `finish` when every piece is present; and `close` at
    any time when no other call runs. All calls block, and raise StorageError (DiskFullError if
    there is no room).

    `is_complete` is true when every wanted piece is correct and the data has its final name. Files
    that nobody wants (`for_download`) do not appear; their bytes in pieces of others are in the
    border file, see `layout`.
    """

    __slots__ = (
        "_again",
        "_dirty_bytes",
        "_has_other_names",
        "_have",
        "_home",
        "_layout",
        "_links_root",
        "_lock",
        "_log",
        "_opened",
        "_placement",
        "_root",
        "_stamps",
        "_state",
        "_suspects",
        "_unfinished",
        "_unpublished",
        "_unwanted",
        "changes",
        "info",
        "is_complete",
        "renamed",
        "state_problem",
    )

    def __init__(
        self, info: Info, root: Path, state: StateFolder, links_root: Path | None = None
    ) -> None:
        _require_safe_paths(info)
        self.info = info
        self._layout: Layout | None = None
        self.is_complete = False
        self.renamed: tuple[tuple[str, str], ...] = ()
        """Names that differ from those wanted: (name wanted, name on this disk)."""
        self._has_other_names = False
        self._have: PieceSet = 0
        self._home = root
        self._links_root = links_root
        self._state = state
        self._root = root
        self._stamps: Mapping[int, Stamp] | Sequence[Stamp] | None = None
        """Those of files that rest, by their numbers; a sequence has them all."""
        self._opened: FileAccess | None = None
        """Made when it is first used; after `rest` there is none again."""
        self._placement: Placement | None = None
        self._unpublished: Placement | None = None
        """That of finished data which lacks files; `want` goes on with it."""
        self._unwanted: frozenset[int] = frozenset()
        self._lock: DownloadLock | None = None
        self._log: ResumeLog | None = None
        self._unfinished: Unfinished | None = None
        self._suspects: PieceSet = 0
        self._again = threading.Lock()
        self.changes: deque[Changes] = NO_CHANGES
        self._dirty_bytes = 0
        self.state_problem: StorageError | None = None
        """Why the state of the files is not stored; None if it is."""

    @classmethod
    def for_download(
        cls,
        info: Info,
        folder: Path,
        state_folder: Path,
        renamings: Renamings = (),
        unwanted: frozenset[int] = frozenset(),
    ) -> Self:
        """Prepare a download of `info` into `folder` under the torrent's name.

        `renamings` are names that a person gave to its files, see `own_names`; `unwanted` are the
        numbers of files that nobody wants.

        The folder is created if it is missing. `check` finds data that is there already, by the
        rules of `placement`. Names that this file system cannot store are changed; see `renamed`
        and `disk_names`. Raises StorageError if another trio-swarm downloads to the same path, or
        if the path is a link or of the wrong kind.
        """
        info = with_own_names(info, renamings)
        _require_safe_name(info.name)
        _require_safe_paths(info)
        with disk_errors(folder):
            folder.mkdir(parents=True, exist_ok=True)
            folder = folder.resolve()
        state = StateFolder(state_folder)
        names = choose_names(info, folder, state)
        placement = Placement(names.info, folder)
        files = cls(names.info, placement.final, state)
        files.renamed = names.renamed
        files._has_other_names = bool(names.renamed or renamings)
        files._placement = placement
        files._unwanted = unwanted
        try:
            files._lock = DownloadLock(state.lock(placement.final), placement.final)
        except StateFolderError as error:
            files.state_problem = error
        try:
            files._access.tree = Tree(placement.locate())
        except StorageError:
            files._unlock()
            raise
        return files

    @classmethod
    def for_share(
        cls, info: Info, root: Path, state_folder: Path, links_root: Path | None = None
    ) -> Self:
        """Prepare to serve `info` from the file or folder `root`, which may have any name.

        With `links_root` (a real path) links are followed within it.

        The files of a folder are expected at their paths in the torrent; a file that is missing or
        has another size is not served. Raises StorageError if `root` is missing or of the wrong
        kind.
        """
        with disk_errors(root):
            root = Path(os.path.realpath(root, strict=True))
        if info.is_single_file != root.is_file() or not (root.is_file() or root.is_dir()):
            wanted = "file" if info.is_single_file else "folder"
            raise StorageError(f"is not a {wanted}, as the torrent says", path=root)
        return cls(info, root, StateFolder(state_folder), links_root)

    @classmethod
    def of_verified(
        cls,
        info: Info,
        root: Path,
        state: StateFolder,
        stamps: Mapping[int, Stamp] | Sequence[Stamp],
        links_root: Path | None = None,
    ) -> Self:
        """Prepare to serve files that were all verified with these stamps; `check` is not needed.

        `root` is a real path. A file that has changed since then is found when it is used.
        """
        files = cls(info, root, state, links_root)
        files._stamps = stamps if isinstance(stamps, Mapping) else tuple(stamps)
        files._have = full_set(info.piece_count)
        files.is_complete = True
        return files

    @property
    def layout(self) -> Layout:
        """Where bytes of the torrent are in its files; made when it is first used."""
        layout = self._layout
        if layout is None:
            layout = self._layout = Layout(self.info, border=self._placement is not None)
        return layout

    @property
    def unwanted(self) -> frozenset[int]:
        """The numbers of the files that nobody wants."""
        return self._unwanted

    @property
    def wanted_pieces(self) -> PieceSet:
        """The pieces that have a byte of a file that is wanted."""
        return wanted_pieces(self.info, self._unwanted)

    @property
    def lacks_pieces(self) -> bool:
        """Whether a wanted piece is not here, or not correct."""
        return bool(self.wanted_pieces & ~self.have)

    def path_of(self, file: int) -> tuple[str, ...]:
        """Return the path of a file below `root`."""
        return self.layout.path_of(file)

    @property
    def root(self) -> Path:
        """Where the data is now: NAME.part (a file or a folder) until it is finished."""
        access = self._opened
        return self._root if access is None else access.tree.root

    @property
    def _access(self) -> FileAccess:
        access = self._opened
        if access is None:
            with _OPENING:  # two threads may come first
                access = self._opened
                if access is None:
                    access = FileAccess(self.layout, tree_at(self._root, self._links_root))
                    access.known = _by_number(self._stamps)
                    self._opened = access
        return access

    @property
    def have(self) -> PieceSet:
        """The correct pieces: found by `check` or written since; includes the `suspects`."""
        suspects = self.suspects  # first: a piece is a suspect before it is withdrawn
        have = self._have if self._log is None else self._log.have
        return have | suspects | self.suspects

    @property
    def suspects(self) -> PieceSet:
        """Pieces in files that other programs may have changed: not served until verified again."""
        unfinished = self._unfinished
        return self._suspects if unfinished is None else unfinished.suspects

    def check(
        self, on_progress: OnProgress = no_progress, should_stop: ShouldStop = never_stop
    ) -> CheckResult:
        """Find the correct pieces, hashing only pieces that the resume state does not vouch for.

        `on_progress(done, total)` gets the bytes hashed and to be hashed. Raises HashingStopped if
        `should_stop()` returns true. Raises StorageError for data of another torrent (see
        `placement`), which is left unchanged.
        """
        if self._placement is None:
            return self._check_share(on_progress, should_stop)
        return self._check_download(self._placement, on_progress, should_stop)

    def write_pieces(
        self, pieces: Sequence[tuple[int, bytes | bytearray | memoryview]]
    ) -> tuple[int, StorageError | None]:
        """Write verified pieces in this order, and record them; may be called from any thread.

        They are announced and recorded together, so pass few at a time. Returns how many were
        written and recorded, and the error that stopped the others, if any. Pieces recorded before
        it are kept.
        """
        log = self._log
        if log is None:
            return 0, StorageError("is not open for writing", path=self.root)
        views = [(piece, memoryview(data).cast("B")) for piece, data in pieces]
        for piece, view in views:
            if len(view) != self.info.piece_size(piece):
                raise ValueError(f"piece {piece} has {self.info.piece_size(piece)} bytes")
        unfinished = self._unfinished
        assert unfinished is not None
        return unfinished.write(views)

    def take_changes(self) -> Changes | None:
        """Return the changes by other programs found since the last call; None if none."""
        return self.changes.popleft() if self.changes else None

    def _write_out(self, descriptors: Iterable[int], count: int) -> None:
        self._dirty_bytes += count
        if self._dirty_bytes >= WRITE_OUT_BYTES:
            self._dirty_bytes = 0
            for descriptor in descriptors:
                start_write_out(descriptor)

    def slices(self, piece: PieceIndex, begin: int, length: int) -> list[FileSlice]:
        """Return where the bytes of a block are, in order, for sendfile.

        The descriptors are valid until the next call of `slices` or `close`; call it from one
        thread only. Raises FileChangedError if a file has changed since it was verified (call
        `verify_again`), StorageError if it cannot be opened, ValueError for a block that is not
        inside the piece.
        """
        return self._access.slices(piece, begin, length)

    def read_into(self, piece: PieceIndex, begin: int, buffer: memoryview) -> None:
        """Fill `buffer` with the bytes of a block; from the thread of `slices`, same errors."""
        self._access.read_into(piece, begin, buffer)

    def read(self, piece: PieceIndex, begin: int, length: int) -> bytes:
        """Return the bytes of a block; from any thread, with the errors of `slices`."""
        return self._access.read(piece, begin, length)

    def finish(self) -> Path:
        """Sync the finished data, give it its final name and return the path; idempotent.

        Raises ValueError while a wanted piece is missing. After a StorageError nothing is lost:
        call again, or start the download again.
        """
        with self._again:
            return self._finish()

    def _finish(self) -> Path:
        if self.is_complete:
            return self.root
        placement, log = self._placement, self._log
        if placement is None or log is None or self.wanted_pieces & ~log.have:
            raise ValueError("only a checked download with all its pieces can be finished")
        unfinished = self._unfinished
        assert unfinished is not None
        access = self._access
        access.create_empty_files(self._unwanted)
        before = unfinished.settle_all()
        was_written = access.writers.was_written(0)
        with access.moving:
            placement.publish()
            access.tree = Tree(placement.final)
        with disk_errors(placement.final.parent):
            sync_folder(placement.final.parent)
        stamps = access.scan()
        # Renaming a file changes its ctime; renaming a folder does not change the ctime of files in
        # it.
        is_moved = before == stamps or (self.info.is_single_file and _is_only_moved(before, stamps))
        if not is_moved or was_written != access.writers.was_written(0):
            # A file changed at this moment: the data loses its final name and is verified again.
            placement.adopt()
            access.tree = Tree(placement.part)
            raise FileChangedError("is being changed by another program", path=placement.part)
        access.known = stamps
        log.stop(stamps=stamps, durable=True)
        if not self._has_other_names and not self._lacks_files():
            self._remember(
                lambda: remember_download(self.info, placement.final, self._state.folder, stamps)
            )
        self._become_complete(log.have)
        return self.root

    def _lacks_files(self) -> bool:
        """Whether files that nobody wants are not here as they should be."""
        return bool(self._unwanted)

    def want(self, unwanted: frozenset[int], should_stop: ShouldStop = never_stop) -> None:
        """Want all files but these from now on; `check` was called before.

        What is here of a file that becomes wanted is kept. Finished data that lacks a file which is
        wanted now is a download again, as `is_complete` tells: it is NAME.part until `finish`.
        Raises StorageError (DiskFullError); then nothing, or not all, has changed, and it may be
        called again.
        """
        with self._again:
            before, self._unwanted = self._unwanted, unwanted
            if self._unfinished is not None:
                self._unfinished.want(unwanted, should_stop)
            elif self._unpublished is not None and not unwanted >= before:
                self._reopen(self._unpublished, should_stop)

    def _reopen(self, placement: Placement, should_stop: ShouldStop) -> None:
        """Make finished data a download again."""
        try:
            self._lock = DownloadLock(self._state.lock(placement.final), placement.final)
        except StateFolderError as error:
            self.state_problem = error
        self._placement = placement
        self._check_download(placement, no_progress, should_stop)

    def verify_again(self, should_stop: ShouldStop = never_stop) -> Changes:
        """Hash again the pieces that other programs may have changed; from any thread.

        Lost pieces of a download are to be fetched again; a missing file raises StorageError.
        Finished data is not repaired: `have` lacks the wrong pieces until a later call finds them
        correct. Raises HashingStopped.
        """
        with self._again:
            if self._unfinished is not None:
                return self._unfinished.verify_again(should_stop)
            return self._verify_finished_again(should_stop)

    def verify_all(
        self, on_progress: OnProgress = no_progress, should_stop: ShouldStop = never_stop
    ) -> Changes:
        """Hash all pieces that count as correct, unchanged files, too; from any thread.

        Pieces are served and written meanwhile. Lost pieces as for `verify_again`. Raises
        HashingStopped; StorageError for a file that is missing or cannot be read.
        """
        changes = self.verify_again(should_stop)
        for _ in range(TRIES):
            access, tree, have = self._access, self._access.tree, self.have
            try:
                right = right_pieces(access, have, on_progress, should_stop)
            except StorageError:
                if access.tree is tree:
                    raise
                continue  # it was given its final name meanwhile
            wrong = self._withdraw(have & ~right)
            files = {file for piece in iterate(wrong) for file in self.layout.files_of(piece)}
            return Changes(
                files=sorted(files.union(changes.files)),
                lost=wrong | changes.lost,
                faults=changes.faults,
            )
        raise StorageError(KEEPS_CHANGING, path=self.root)

    def _withdraw(self, wrong: PieceSet) -> PieceSet:
        with self._again:
            if self._unfinished is not None:
                return self._unfinished.withdraw(wrong)
            lost = wrong & self._have
            if lost:
                self._have &= ~lost
                self._remember(self._save_finished)
            return lost

    def _verify_finished_again(self, should_stop: ShouldStop) -> Changes:
        access = self._access
        known = access.known or {}
        changed = [
            file
            for file, length in enumerate(self.layout.lengths)
            if length
            and self.layout.has_place(file)
            and not self._is_as_known(file, known.get(file))
            and self._have & self.layout.piece_set_of(file) | self._is_wanted(file)
        ]
        if not changed:
            return Changes()
        pieces = pieces_of(access, changed)
        before = self._have
        self._suspects = before & pieces
        try:
            for file in changed:
                access.forget(file)
            for _ in range(TRIES):
                found = rehash(access, changed, pieces, should_stop)
                if KEEPS_CHANGING not in found.faults.values():
                    break
            access.known = {
                file: stamp for file, stamp in known.items() if file not in changed
            } | found.stamps
            self._have = (before & ~pieces) | found.right
        finally:
            self._suspects = 0
        self._remember(self._save_finished)
        return Changes(files=changed, lost=before & ~self._have, faults=found.faults)

    def _is_wanted(self, file: int) -> bool:
        return file not in self._unwanted and file != self.layout.border

    def _is_as_known(self, file: int, known: Stamp | None) -> bool:
        try:
            return known is not None and self._access.look(file) == known
        except StorageError:
            return False

    def _unlock(self) -> None:
        if self._lock is not None:
            self._lock.release()

    def _save_finished(self) -> None:
        for path in (
            self._state.share(self._home, self.info.info_hash),
            self._state.journal(self._home, self.info.info_hash),
        ):
            if path.exists():
                self._save(path, self._have, self._access.known or {})

    def _save(self, path: Path, have: PieceSet, stamps: Mapping[int, Stamp]) -> None:
        with disk_errors(path):
            resume_log.save_snapshot(
                path, resume_log.make_snapshot(self.layout, have, stamps, durable=True)
            )

    def _remember(self, save: Callable[[], None]) -> None:
        """Save the state that avoids hashing next time; a failure is kept in `state_problem`."""
        try:
            save()
        except StorageError as error:
            self.state_problem = self.state_problem or error

    def rest(self) -> None:
        """Close the descriptors of finished data; the next use opens them again.

        From the thread of `slices` only. Those that another thread reads from stay open.
        """
        access = self._opened
        is_whole = self.is_complete and not self._unwanted
        if access is not None and is_whole and access.rest():
            self._root, self._stamps = access.tree.root, access.known
            self._opened = self._layout = None

    def close(self) -> None:
        """Save the resume state and close everything; idempotent. Syncs if few bytes are unsynced.

        If the state cannot be saved, no error is raised: the pieces are checked again at the next
        start.
        """
        log, unfinished = self._log, self._unfinished
        if log is not None and unfinished is not None:
            unfinished.stop(CLOSE_SYNC_BYTES)
            self._have = log.have
        self._log = self._unfinished = None
        if self._opened is not None:
            self._opened.close()
        self._unlock()

    def _check_download(
        self, placement: Placement, on_progress: OnProgress, should_stop: ShouldStop
    ) -> CheckResult:
        access = self._access
        journal: Path | None = None
        state = ResumeState()
        try:
            journal = self._state.journal(self._home, self.info.info_hash)
            state = resume_log.load(journal, self.layout)
        except StateFolderError as error:
            self.state_problem = error
        if self.state_problem is not None:
            journal = None  # the journal is readable, but not writable
        access.tree = Tree(placement.locate())
        found = self._scan()
        self._refuse_longer(found)
        self._put_aside(found)
        have, hashed, doubted = self._verify(state, found, on_progress, should_stop)
        if self.root == placement.final and doubted:
            # The program was killed at the final renaming, so there is no download to resume.
            pieces = pieces_of(access, doubted) & have
            have = have & ~pieces | right_pieces(access, pieces, on_progress, should_stop)
            hashed, doubted = hashed + pieces.bit_count(), frozenset()
        is_whole = not self.wanted_pieces & ~have and self.layout.aside <= self._unwanted
        self._have = have
        if self.root == placement.final:
            if is_whole:
                self._require_rest(found)
                access.create_empty_files(self._unwanted)
                access.known = found = {**access.scan(), **found}
                if journal is not None:
                    self._remember(lambda: self._save(journal, have, found))
                self._become_complete(have)
                return CheckResult(have, hashed)
            if not state.known or access.has_data(found):
                self._refuse_foreign(have, found)
            with access.moving:
                placement.adopt()
                access.tree = Tree(placement.part)
        elif not have and not state.known and (access.has_data(found) or self._has_other_entries()):
            raise StorageError(
                "holds data that is not of this torrent; move it away to download here",
                path=self.root,
            )
        stamps = access.prepare(found)
        durable = state.durable and not hashed and stamps == state.stamps
        log = ResumeLog(journal, self.layout)
        log.start(have, stamps, durable=durable, doubted=doubted)
        access.known = log.stamps
        unfinished = Unfinished(access, log, doubted, self._write_out)
        # Pieces found by hashing may be in the page cache only.
        unfinished.unsynced = set() if durable else set(stamps)
        self.changes = unfinished.changes
        self._unfinished = unfinished
        self._log = log
        self.is_complete = False
        unfinished.want(self._unwanted, should_stop)
        return CheckResult(log.have, hashed)

    def _put_aside(self, found: Mapping[int, Stamp]) -> None:
        """Find out which files have their bytes in the border file.

        If there is one, it has what is here of each file that is not: whatever was wanted before.
        """
        layout = self.layout
        absent = {file for file in range(len(self.info.files)) if file not in found}
        is_there = layout.border in found
        layout.put_aside(frozenset(absent if is_there else absent & self._unwanted))

    def _check_share(self, on_progress: OnProgress, should_stop: ShouldStop) -> CheckResult:
        state = ResumeState()
        try:
            record = self._state.share(self._home, self.info.info_hash)
            state = resume_log.load(record, self.layout)
            if not state.known:
                # We may have downloaded it.
                journal = self._state.journal(self._home, self.info.info_hash)
                state = resume_log.load(journal, self.layout)
        except StorageError as error:
            self.state_problem = error
        found = self._scan()
        have, hashed, doubted = self._verify(state, found, on_progress, should_stop)
        pieces = pieces_of(self._access, doubted) & have
        have = have & ~pieces | right_pieces(self._access, pieces, on_progress, should_stop)
        self._have = have
        self._access.known = found
        if self.state_problem is None:
            self._remember(lambda: self._save(record, have, found))
        self.is_complete = have == full_set(self.info.piece_count)
        return CheckResult(have, hashed + pieces.bit_count())

    def _verify(
        self,
        state: ResumeState,
        found: dict[int, Stamp],
        on_progress: OnProgress,
        should_stop: ShouldStop,
    ) -> tuple[PieceSet, int, frozenset[int]]:
        """Return the correct pieces, how many were hashed, and which files are doubted.

        Stamps of files that change meanwhile are updated in `found`.
        """
        doubted: frozenset[int] = frozenset()
        hashed: PieceSet = 0
        for _ in range(TRIES):
            verdict = judge(state, self.layout, found)
            doubted |= verdict.doubted
            right = right_pieces(self._access, verdict.to_hash, on_progress, should_stop)
            have, hashed = verdict.vouched | right, hashed | verdict.to_hash
            before, after = dict(found), self._scan()
            changed = {file for file, stamp in before.items() if after.get(file) != stamp}
            if not changed:
                break
            # Only pieces of the changed files are hashed again.
            state = ResumeState(known=state.known, have=have, stamps=before)
            found.clear()
            found.update(after)
            doubted -= changed
        else:
            # With the old stamps, the files count as changed as soon as they are used.
            found.clear()
            found.update(before)
        return have, hashed.bit_count(), doubted

    def _scan(self) -> dict[int, Stamp]:
        """Return the stamps of the files that count: of a share, the files of the right length."""
        found = self._access.scan()
        if self._placement is None:
            lengths = self.layout.lengths
            return {file: stamp for file, stamp in found.items() if stamp.size == lengths[file]}
        return found

    def _require_rest(self, found: Mapping[int, Stamp]) -> None:
        """Raise StorageError for finished data that keeps changing while it is examined."""
        for file, stamp in self._access.scan().items():
            if found.get(file) != stamp and (stamp.size or self.layout.lengths[file]):
                raise StorageError(
                    "keeps being changed by another program; start again when it no longer changes",
                    path=self._access.tree.at(self.layout.path_of(file)),
                )

    def _refuse_longer(self, found: Mapping[int, Stamp]) -> None:
        for file, stamp in found.items():
            length = self.layout.lengths[file]
            if stamp.size > length:
                raise StorageError(
                    f"has {stamp.size} bytes, more than the {length} of this torrent's file; "
                    "move it away to download here",
                    path=self._access.tree.at(self.layout.path_of(file)),
                )

    def _has_other_entries(self) -> bool:
        """Return whether NAME.part/ has files that the torrent lacks, so that it is a user's."""
        if self.info.is_single_file or not self.root.exists():
            return False
        own = {entry.path[0] for entry in self.info.files if not entry.padding}
        own |= {*self.layout.path_of(self.layout.border), NEW_NAME}
        with disk_errors(self.root):
            return any(entry.name not in own for entry in self.root.iterdir())

    def _refuse_foreign(self, have: PieceSet, found: Mapping[int, Stamp]) -> None:
        """Raise StorageError if NAME has data and none of it is from this torrent."""
        if have:
            return
        if self.info.is_single_file:
            is_empty = not self._access.has_data(found)
        else:
            with disk_errors(self.root):
                is_empty = not any(self.root.iterdir())
        if not is_empty:
            raise StorageError(
                "exists already and is not of this torrent; move it away or choose another folder",
                path=self.root,
            )

    def _become_complete(self, have: PieceSet) -> None:
        self.is_complete = True
        self._have = have
        self._unpublished = self._placement
        self._log = None
        self._unfinished = None
        # From here on the data is only read: other programs may share it, or check it as their
        # download.
        self._placement = None
        self._access.writers.close()  # a user may have few inotify instances
        self._unlock()


def _by_number(
    stamps: Mapping[int, Stamp] | Sequence[Stamp] | None,
) -> Mapping[int, Stamp] | None:
    return dict(enumerate(stamps)) if isinstance(stamps, Sequence) else stamps


def _is_only_moved(before: Mapping[int, Stamp], after: Mapping[int, Stamp]) -> bool:
    """Return whether files are unchanged except for the ctime, which renaming changes."""
    return before.keys() == after.keys() and all(
        (old.size, old.mtime_ns, old.inode) == (new.size, new.mtime_ns, new.inode)
        for old, new in ((before[file], after[file]) for file in before)
    )


def _require_safe_name(name: str) -> None:
    """Raise StorageError for a name that is not a plain file name (metainfo makes all safe)."""
    if name in {"", ".", ".."} or "/" in name or "\0" in name:
        raise StorageError("is not a safe file name", path=Path(name.replace("\0", "?")))


def _require_safe_paths(info: Info) -> None:
    for entry in info.files:
        if entry.padding:
            continue
        if not entry.path and not info.is_single_file:
            raise StorageError("a file has no name", path=Path(info.name))
        for name in entry.path:
            _require_safe_name(name)
