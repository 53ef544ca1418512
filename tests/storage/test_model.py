"""A download among people and programs that change, replace, remove and touch its files.

A model in the sense of Hypothesis: a download is written, stopped, killed and started in any order,
while others do to its files whatever a file system lets them. Whatever has the final name was right
when it got it; whatever is served is what the torrent says.
"""

import contextlib
import os
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from storage_samples import PIECE, Sample, folder, one_file
from trio_swarm.errors import StorageError
from trio_swarm.piece_sets import iterate
from trio_swarm.storage import foreign_writers
from trio_swarm.storage.access import FileAccess
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.layout import FileSpan

SAMPLES = {"file": one_file(6), "folder": folder([PIECE * 2 + 5, 0, 3, PIECE * 2, 7])}


class KilledError(BaseException):
    """The end of the process."""


class NoWatch(foreign_writers.ForeignWriters):
    """A system without inotify."""

    def watch(self, file: int, descriptor: int) -> bool:
        return False


def _set_back(path: Path, change: Callable[[], object]) -> None:
    """Make a change and set the times back to what they were."""
    status = path.stat()
    change()
    with contextlib.suppress(FileNotFoundError):
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


class ChangedDownload(RuleBasedStateMachine):
    """See the module."""

    def __init__(self) -> None:
        super().__init__()
        self.place = Path(tempfile.mkdtemp(prefix="trio-swarm-model-"))
        self.files: TorrentFiles | None = None
        self.opened: list[TorrentFiles] = []
        self.is_hidden = False

    def teardown(self) -> None:
        for files in self.opened:
            files.close()
        shutil.rmtree(self.place, ignore_errors=True)

    @initialize(kind=st.sampled_from(sorted(SAMPLES)), can_watch=st.booleans())
    def choose(self, kind: str, *, can_watch: bool) -> None:
        self.sample: Sample = SAMPLES[kind]
        self.can_watch = can_watch

    # --- we ---------------------------------------------------------------------------------------

    @precondition(lambda self: self.files is None)
    @rule()
    def start(self) -> None:
        try:
            files = TorrentFiles.for_download(
                self.sample.info, self.place / "downloads", self.place / "state"
            )
        except StorageError:
            return  # a link or another kind of file is in the way
        self.opened.append(files)
        if not self.can_watch:
            files._access.writers = NoWatch()
        try:
            files.check()
        except StorageError:
            files.close()
            return
        self.files = files
        self.is_hidden = False
        if files.is_complete:
            self._require_right()

    @precondition(lambda self: self.files is not None and not self.files.is_complete)
    @rule(
        pieces=st.lists(st.integers(0, 5), min_size=1, max_size=3, unique=True),
        meanwhile=st.sampled_from(["", "", "", "others", "kill before", "kill after"]),
        data=st.data(),
    )
    def write(self, pieces: list[int], meanwhile: str, data: st.DataObject) -> None:
        files = self.files
        assert files is not None
        state = self
        real = FileAccess.write
        harm = HARMS[data.draw(st.sampled_from(sorted(HARMS)))] if meanwhile == "others" else None
        victim = self._victim(data) if harm is not None else None

        def write(self: FileAccess, descriptor: int, span: FileSpan, view: memoryview) -> None:
            if meanwhile == "kill before":
                raise KilledError
            real(self, descriptor, span, view)
            if meanwhile == "kill after":
                raise KilledError
            if harm is not None and victim is not None:
                state.is_hidden = True
                with contextlib.suppress(OSError):
                    harm(victim)

        missing = self.sample.every & ~files.have
        lacking = [piece for piece in pieces if missing >> piece & 1]
        FileAccess.write = write  # type: ignore[method-assign]
        try:
            _, error = files.write_pieces([(piece, self.sample.piece(piece)) for piece in lacking])
        except KilledError:
            self.kill()
            return
        finally:
            FileAccess.write = real  # type: ignore[method-assign]
        if error is not None:
            self.stop()

    @precondition(lambda self: self.files is not None and not self.files.is_complete)
    @rule()
    def finish(self) -> None:
        """Fetch what is missing and finish: several times, for pieces may be lost at the end."""
        files = self.files
        assert files is not None
        for _ in range(4):
            lacking = list(iterate(self.sample.every & ~files.have))
            for piece in lacking:
                _, error = files.write_pieces([(piece, self.sample.piece(piece))])
                if error is not None:
                    self.stop()
                    return
            if files.have != self.sample.every:
                continue
            try:
                files.finish()
            except StorageError:
                continue
            self._require_right()
            return
        self.stop()

    @precondition(lambda self: self.files is not None)
    @rule()
    def verify_again(self) -> None:
        assert self.files is not None
        with contextlib.suppress(StorageError):
            self.files.verify_again()

    @precondition(lambda self: self.files is not None)
    @rule()
    def stop(self) -> None:
        assert self.files is not None
        self.files.close()
        self.files = None

    @precondition(lambda self: self.files is not None)
    @rule()
    def kill(self) -> None:
        """Nothing is saved; the system closes what was open."""
        files = self.files
        assert files is not None
        if files._lock is not None:
            files._lock.release()
        files._log = files._unfinished = None
        for descriptors in (files._access.writing,):
            descriptors._users.clear()
        files._access.close()
        self.files = None

    # --- others -----------------------------------------------------------------------------------

    def _victim(self, data: st.DataObject) -> Path | None:
        paths = sorted(path for path in (self.place / "downloads").rglob("*") if path.is_file())
        return data.draw(st.sampled_from(paths)) if paths else None

    @rule(data=st.data(), harms=st.integers(1, 2))
    def harm(self, data: st.DataObject, harms: int) -> None:
        for _ in range(harms):
            victim = self._victim(data)
            if victim is not None:
                with contextlib.suppress(OSError):
                    HARMS[data.draw(st.sampled_from(sorted(HARMS)))](victim)

    # --- what holds -------------------------------------------------------------------------------

    def _require_right(self) -> None:
        self.sample.assert_at(self.place / "downloads" / self.sample.info.name)

    @invariant()
    def serves_only_what_is_right(self) -> None:
        files = self.files
        if files is None:
            return
        # A file that somebody wrote to while we did has our own stamp: nothing tells before the
        # end, see docs/operating.md. What is served is tested where nobody writes in that moment.
        if self.is_hidden and not files.is_complete:
            return
        for piece in iterate(files.have & ~files.suspects):
            try:
                served = files.read(piece, 0, self.sample.info.piece_size(piece))
            except StorageError:
                continue
            assert served == self.sample.piece(piece)


def overwrite(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(b"another program was here")


def overwrite_at_the_end(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"!")


def cut(path: Path) -> None:
    with path.open("r+b") as file:
        file.truncate(path.stat().st_size // 2)


def cut_and_extend(path: Path) -> None:
    size = path.stat().st_size
    with path.open("r+b") as file:
        file.truncate(size // 3)
        file.truncate(size)


def append(path: Path) -> None:
    with path.open("ab") as file:
        file.write(b"more")


def replace(path: Path) -> None:
    other = path.parent / "other"
    other.write_bytes(b"o" * path.stat().st_size)
    other.replace(path)


def replace_by_a_copy(path: Path) -> None:
    other = path.parent / "other"
    shutil.copy2(path, other)
    other.replace(path)


def touch(path: Path) -> None:
    os.utime(path)


def date_far_away(path: Path) -> None:
    os.utime(path, (13_000_000_000, 13_000_000_000))


def change_mode(path: Path) -> None:
    path.chmod(0o600)


def link(path: Path) -> None:
    (path.parent / "a link").unlink(missing_ok=True)
    (path.parent / "a link").hardlink_to(path)


def replace_by_a_link(path: Path) -> None:
    path.unlink()
    path.symlink_to("/dev/null")


def remove(path: Path) -> None:
    path.unlink()


def overwrite_and_set_back(path: Path) -> None:
    _set_back(path, lambda: overwrite(path))


def replace_and_set_back(path: Path) -> None:
    _set_back(path, lambda: replace(path))


def cut_and_set_back(path: Path) -> None:
    _set_back(path, lambda: cut_and_extend(path))


HARMS: dict[str, Callable[[Path], None]] = {
    harm.__name__: harm
    for harm in (
        overwrite,
        overwrite_at_the_end,
        cut,
        cut_and_extend,
        append,
        replace,
        replace_by_a_copy,
        touch,
        date_far_away,
        change_mode,
        link,
        replace_by_a_link,
        remove,
        overwrite_and_set_back,
        replace_and_set_back,
        cut_and_set_back,
    )
}

TestChangedDownload = ChangedDownload.TestCase
TestChangedDownload.settings = settings(settings.default, stateful_step_count=30)
