"""Files being downloaded: we write to them, and watch for other programs that write, too.

Another program may truncate, overwrite or replace an unfinished file at any time. These are the
checks:

- Before each batch of pieces is written, the stamps of its files are compared with the stamps after
  the batch before. A file that differs is withdrawn from the journal and hashed, and its correct
  pieces are recorded again.
- Stamps do not show a write by another program during a batch. `foreign_writers` shows it, or says
  that it cannot tell. Then the file is *doubted*, and hashed as a whole before it is finished.
- Before the data gets its final name, all stamps are compared once more.

So the bytes that get the final name were verified as they are on the disk. The only exceptions are
a write within the last tick of the file system's clock (none since Linux 6.13, 1 to 10 ms before)
by a program that had the file open all the time and keeps it open, and a write through a name of
the file that no watch covers.
"""

import os
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from collections.abc import Set as AbstractSet

from msgspec import Struct

from trio_swarm.errors import FileChangedError, StorageError
from trio_swarm.piece_sets import PieceSet, full_set, iterate
from trio_swarm.storage.access import FileAccess
from trio_swarm.storage.disk_errors import storage_error
from trio_swarm.storage.hashing import ShouldStop, never_stop
from trio_swarm.storage.rehashing import TRIES, Rehashed, pieces_of, rehash, right_pieces
from trio_swarm.storage.resume.journal import Stamp
from trio_swarm.storage.resume.log import ResumeLog
from trio_swarm.storage.write_batch import WriteBatch


class Changes(Struct, frozen=True):
    """The result of checking files again: files that other programs changed, and lost pieces."""

    files: Sequence[int] = ()
    lost: PieceSet = 0
    faults: Mapping[int, str] = {}
    """File → why none of it can be served."""


class Unfinished:
    """Writes one download's pieces and keeps its journal correct; thread-safe.

    `doubted` are files that another program may have written to before.
    `write_out(descriptors, count)` is called when `count` bytes of pieces were written.
    """

    def __init__(
        self,
        access: FileAccess,
        log: ResumeLog,
        doubted: Iterable[int],
        write_out: Callable[[Iterable[int], int], None],
    ) -> None:
        self.suspects: PieceSet = pieces_of(access, doubted) & log.have
        """Pieces that are being verified again, and must not be served before that."""
        self.unsynced: set[int] = set()
        self.unsynced_bytes = 0
        self.changes: deque[Changes] = deque()
        """Changes found by writing and finishing, until they are taken."""
        self._access = access
        self._layout = access.layout
        self._log = log
        self._doubted = set(doubted)
        self._unwanted: frozenset[int] = frozenset()
        self._written = self._watch_unstamped()  # files whose stamps can miss a write
        self._lock = threading.RLock()
        self._write_out = write_out

    def _watch_unstamped(self) -> set[int]:
        """Watch files that have pieces and whose stamps can miss a write; return these files."""
        result: set[int] = set()
        for file in self._files_of(self._log.have):
            if not self._layout.stored[file]:
                continue
            if self._has_true_stamps(file):
                break  # the other files have true stamps, too
            self._access.watch(file)
            result.add(file)
        return result

    # --- writing --------------------------------------------------------------------------------

    def write(self, pieces: Sequence[tuple[int, memoryview]]) -> tuple[int, StorageError | None]:
        """Write and record verified pieces; return how many, and the error that stopped it."""
        with self._lock:
            self._access.turn += 1
            batch = WriteBatch(self._access, self._layout, self._known)
            try:
                return self._write(batch, pieces)
            finally:
                batch.release()
                self._access.turn += 1

    def _write(
        self, batch: WriteBatch, pieces: Sequence[tuple[int, memoryview]]
    ) -> tuple[int, StorageError | None]:
        log = self._log
        numbers = [piece for piece, _ in pieces]
        done = 0

        def take_stamps() -> Mapping[int, Stamp]:
            return self._take_stamps(batch)

        try:
            log.begin(numbers)
            for piece, data in pieces:
                self._write_piece(batch, piece, data, numbers[done:])
                done += 1
            batch.path = self._access.tree.root
            log.written(numbers, take_stamps)
            self._write_out(batch.held.values(), batch.written)
            if self._access.writers.is_crowded:
                self._seal_oldest(batch)
        except (OSError, StorageError) as error:
            if not log.failed(numbers[done:], take_stamps, written=numbers[:done]):
                done = 0
            if isinstance(error, StorageError):
                return done, error
            missing = full_set(self._layout.info.piece_count) & ~log.have
            needed = self._layout.count_bytes(missing)
            return done, storage_error(error, batch.path, needed=needed)
        return done, None

    def _write_piece(
        self, batch: WriteBatch, piece: int, data: memoryview, rest: Sequence[int]
    ) -> None:
        # Each file of the batch may have changed several times; this bounds the tries.
        for _ in range(TRIES * len(self._layout.info.files)):
            try:
                batch.write(piece, data)
            except FileChangedError:
                batch.let_go(batch.changed)
                # All changed files at once, because each time the journal is written anew.
                changed = {batch.changed} | self._changed_beside(batch)
                lost = self._verify_anew(changed)
                self.changes.append(Changes(files=sorted(changed), lost=lost))
                self._log.begin(rest)
            else:
                return
        raise _restless(self._access, batch.changed)

    def _changed_beside(self, batch: WriteBatch) -> set[int]:
        """Return the files that changed, among those that the batch did not write to."""
        known = self._log.stamps
        return {
            file
            for file, stamp in self._access.scan().items()
            if known.get(file, stamp) != stamp
            and file not in batch.held
            and file not in batch.stamps
        }

    def _known(self, file: int) -> Stamp | None:
        return self._log.stamps.get(file)

    def _take_stamps(self, batch: WriteBatch) -> Mapping[int, Stamp]:
        """Return the stamps of the batch, and count its bytes while the log's lock is held."""
        stamps = batch.take_stamps()
        self._written |= batch.watched
        self.unsynced.update(stamps)
        self.unsynced_bytes += batch.written
        return stamps

    def _seal_oldest(self, batch: WriteBatch) -> None:
        """Stop watching the oldest files, if unchanged: their stamps alone vouch for them now."""
        access = self._access
        for file in access.writers.oldest():
            if file in batch.held:
                continue
            access.writing.forget(file)
            if self._may_be_odd(file) or not self._has_true_stamps(file):
                self._doubted.add(file)
            self._written.discard(file)
            access.writers.forget(file)

    # --- which files are wanted -----------------------------------------------------------------

    def want(self, unwanted: frozenset[int], should_stop: ShouldStop = never_stop) -> PieceSet:
        """Want all files but these from now on; return pieces that turn out to be lost.

        A file that becomes wanted gets what the border file has of it. One that does not any more
        stays, if it is there. Raises StorageError (DiskFullError) if a file cannot be made; then
        those before it are made.
        """
        access, layout, log = self._access, self._layout, self._log
        taken: dict[int, Stamp] = {}
        pieces: PieceSet = 0
        with self._lock:
            aside = layout.aside
            try:
                for file in sorted(aside - unwanted):
                    here = _range_of(layout.pieces_of(file), log.have)
                    if here:
                        taken[file] = access.take_from_border(file, here)
                        pieces |= here
                aside = (aside & unwanted) | {
                    file for file in unwanted if not access.is_present(file)
                }
                self._unwanted = unwanted
            finally:
                if taken:  # their stamps are known before anybody reads there
                    self.unsynced.update(taken)
                    self._restate(log.have, {**log.stamps, **taken})
                    for file in taken:
                        access.watch(file)
                    self._written.update(taken)
                layout.put_aside(aside - taken.keys())
            # Their bytes were verified when they came, and are again where they are now.
            wrong = pieces & ~right_pieces(access, pieces, should_stop=should_stop)
            if wrong:
                self._restate(log.have & ~wrong, log.stamps)
        return wrong

    # --- verifying again ------------------------------------------------------------------------

    def verify_again(self, should_stop: ShouldStop = never_stop) -> Changes:
        """Hash the files that other programs may have changed; lost pieces are fetched again.

        Raises StorageError for a file that is missing or cannot be repaired, and HashingStopped.
        """
        with self._lock:
            found = self._access.scan()
            changed = {f for f, stamp in self._log.stamps.items() if found.get(f) != stamp}
            doubted = set(self._doubted)
            lost = self._verify_anew(changed, should_stop)
        lost |= self._settle_doubts(should_stop)
        return Changes(files=sorted(changed | (doubted & self._files_of(lost))), lost=lost)

    def withdraw(self, pieces: PieceSet) -> PieceSet:
        """Note that some pieces are wrong on the disk; return those that counted as right."""
        with self._lock:
            lost = pieces & self._log.have
            if lost:
                self._restate(self._log.have & ~lost, self._log.stamps)
        return lost

    def _files_of(self, pieces: PieceSet) -> set[int]:
        return {file for piece in iterate(pieces) for file in self._layout.files_of(piece)}

    def _settle_doubts(self, should_stop: ShouldStop) -> PieceSet:
        """Hash the doubted files' pieces while other files are written; return the lost pieces.

        The files are watched from here on, so that they need not be hashed again at the end.
        """
        access, log = self._access, self._log
        with self._lock:
            doubted = set(self._doubted)
            pieces = pieces_of(access, doubted) & log.have
            for file in doubted:
                access.watch(file)
        if not pieces:
            return 0
        wrong = pieces & ~right_pieces(access, pieces, should_stop=should_stop)
        with self._lock:
            settled = {file for file in doubted if not access.writers.is_touched(file)}
            self._doubted -= settled
            self._written |= settled
            self.suspects &= ~pieces
            self._restate(log.have & ~wrong, log.stamps)
        return wrong

    def _verify_anew(
        self, files: AbstractSet[int], should_stop: ShouldStop = never_stop
    ) -> PieceSet:
        """Withdraw the pieces of some files, hash them, and record the correct ones.

        Returns the lost pieces. The caller holds the lock.
        """
        if not files:
            return 0
        access, log = self._access, self._log
        pieces = pieces_of(access, files) & log.have
        self.suspects |= pieces
        self._restate(log.have & ~pieces, {f: s for f, s in log.stamps.items() if f not in files})
        for file in files:
            access.writers.forget(file)
            access.forget(file)
        try:
            for _ in range(TRIES):
                for file in files:
                    access.give_length(file)
                    access.watch(file)
                found = rehash(access, files, pieces, should_stop)
                if not found.faults:
                    self._accept(files, found)
                    return pieces & ~found.right
            raise _restless(access, min(found.faults))
        finally:
            self.suspects &= ~pieces

    def _accept(self, files: AbstractSet[int], found: Rehashed) -> None:
        log = self._log
        self.unsynced |= files
        touched = {file for file in files if self._access.writers.is_touched(file)}
        self._doubted = (self._doubted - files) | touched
        self._written |= files
        self._restate(log.have | found.right, {**log.stamps, **found.stamps})

    def _restate(self, have: PieceSet, stamps: Mapping[int, Stamp]) -> None:
        self._log.start(have, stamps, durable=False, doubted=frozenset(self._doubted))
        self._access.known = self._log.stamps

    # --- the end --------------------------------------------------------------------------------

    def settle_all(self) -> Mapping[int, Stamp]:
        """Sync everything and check that all files are as verified; return their stamps.

        Raises FileChangedError if a file is not: either pieces are lost, or the next call may find
        the files unchanged. Raises StorageError for a missing file.
        """
        access, log = self._access, self._log
        with self._lock:
            if not self._layout.aside and self._layout.border in log.stamps:
                access.remove_border()
                self.unsynced.discard(self._layout.border)
                self._doubted.discard(self._layout.border)
                self._written.discard(self._layout.border)
                rest = {f: s for f, s in log.stamps.items() if f != self._layout.border}
                self._restate(log.have, rest)
            for _ in range(TRIES):
                self._require_all(access.scan())
                access.sync(self.unsynced)
                access.writing.close()
                stamps = access.scan()
                self._require_all(stamps)
                odd = {
                    file
                    for file, stamp in stamps.items()
                    if self._layout.has_place(file)
                    and self._layout.lengths[file]
                    and stamp != log.stamps.get(file)
                }
                changed = set(odd)
                odd |= self._doubted | {file for file in self._written if self._may_be_odd(file)}
                if not odd:
                    return stamps
                lost = self._verify_anew(odd)
                changed |= odd & self._files_of(lost)
                if changed:
                    self.changes.append(Changes(files=sorted(changed), lost=lost))
                if lost:
                    raise FileChangedError(
                        f"pieces that were changed by another program ({lost.bit_count()}) are "
                        "fetched again",
                        path=access.tree.root,
                    )
                # These files were hashed, and did not change before or after. From here on their
                # stamps vouch for them, even if another program still has them open for writing.
                self._doubted -= odd
                self._written -= odd
        raise _restless(access, min(odd))

    def _may_be_odd(self, file: int) -> bool:
        access = self._access
        try:
            descriptor = access.open_to_hash(file)
        except StorageError:
            return True
        try:
            return not access.writers.is_untouched(file, descriptor)
        finally:
            os.close(descriptor)

    def _has_true_stamps(self, file: int) -> bool:
        descriptor = self._access.open_to_hash(file)
        try:
            return self._access.has_true_stamps(descriptor)
        finally:
            os.close(descriptor)

    def _require_all(self, stamps: Mapping[int, Stamp]) -> None:
        """Raise StorageError for a file that is missing, or longer than in the torrent."""
        access = self._access
        have = self._log.have
        border_pieces = self._layout.piece_set_of(self._layout.border)
        for file, length in enumerate(self._layout.lengths):
            if not self._layout.has_place(file):
                continue
            stamp = stamps.get(file)
            path = access.tree.at(self._layout.path_of(file))
            if stamp is None:
                # What nobody wants need not be there, and the border file not without pieces.
                is_border = file == self._layout.border
                if file in self._unwanted or (is_border and not have & border_pieces):
                    continue
                raise StorageError(
                    "was removed or changed by another program; start again to fetch it again",
                    path=path,
                )
            if stamp.size > length:
                raise StorageError(f"has {stamp.size} bytes now instead of {length}", path=path)

    def stop(self, most_synced: int) -> None:
        """Write the last snapshot; sync before it if at most `most_synced` bytes are unsynced."""
        log = self._log
        is_durable = self.unsynced_bytes <= most_synced
        if is_durable:
            try:
                self._access.sync(self.unsynced)
            except StorageError:
                is_durable = False
        self._access.writing.close()
        doubted = self._doubted | {file for file in self._written if self._may_be_odd(file)}
        log.doubted = frozenset(doubted)
        log.stop(durable=is_durable)


def _range_of(pieces: range, have: PieceSet) -> PieceSet:
    """Return which of adjacent pieces are in a set."""
    return (have >> pieces.start & full_set(len(pieces))) << pieces.start


def _restless(access: FileAccess, file: int) -> StorageError:
    return StorageError(
        "keeps being changed by another program; start again when it is at rest",
        path=access.tree.at(access.layout.path_of(file)),
    )
