"""Pieces that are written one after the other and recorded together."""

from collections.abc import Callable, Mapping
from pathlib import Path

from trio_swarm.errors import FileChangedError
from trio_swarm.storage.access import FileAccess
from trio_swarm.storage.layout import Layout
from trio_swarm.storage.resume.journal import Stamp

Known = Callable[[int], Stamp | None]


class WriteBatch:
    """The files that some pieces are written to, kept open until their stamps are taken.

    For one thread, the only one that writes. `known` returns the stamp that a file must have before
    it is written to; None if the file is new. `write` raises OSError or StorageError; `path` is
    then the file it was writing, and after a FileChangedError `changed` is the number of that file.
    """

    __slots__ = (
        "_access",
        "_known",
        "_layout",
        "changed",
        "held",
        "path",
        "stamps",
        "watched",
        "written",
    )

    def __init__(self, access: FileAccess, layout: Layout, known: Known) -> None:
        self._access = access
        self._layout = layout
        self._known = known
        self.stamps: dict[int, Stamp] = {}
        """File → stamp, for files that were written to and are closed again."""
        self.changed = -1
        self.path: Path = access.tree.root
        self.held: dict[int, int] = {}
        """File → descriptor, for files that are still open."""
        self.watched: set[int] = set()
        """Files that another program may have written to, too, while they were open."""
        self.written = 0
        """Bytes of the pieces written completely."""

    def write(self, piece: int, data: memoryview) -> None:
        """Write all bytes of a piece to its files."""
        access, held = self._access, self.held
        spans = self._layout.piece_spans(piece)
        at = 0
        for number, span in enumerate(spans):
            block = data[at : at + span.length]
            at += span.length
            if not self._layout.stored[span.file]:
                continue
            self.path = access.tree.at(self._layout.path_of(span.file))
            descriptor = held.get(span.file)
            is_inside = 0 < number < len(spans) - 1 and span.file != self._layout.border
            if descriptor is None:
                descriptor = self._hold(span.file, is_brief=is_inside)
            access.write(descriptor, span, block)
            if is_inside:
                # No other piece has a byte of this file, so its stamp is final and the file can be
                # closed (one piece can lie in thousands of files).
                self.stamps[span.file] = access.stamp(descriptor, span.file)
                del held[span.file]
                access.writing.release(span.file)
        self.written += len(data)

    def _hold(self, file: int, *, is_brief: bool) -> int:
        access = self._access
        self.changed = file
        descriptor = self.held[file] = access.writing.acquire(file)
        # If this batch wrote to the file before, its own stamp is the one to expect.
        known = self.stamps.get(file) or self._known(file)
        if known is None and is_brief and access.has_true_stamps(descriptor):
            # The file is created, written and stamped at once: no other program has it open, and
            # watching it would take longer.
            return descriptor
        self.watched.add(file)
        access.writers.watch(file, descriptor)
        if known is not None and access.stamp(descriptor, file) != known:
            raise FileChangedError("was changed by another program", path=self.path)
        return descriptor

    def let_go(self, file: int) -> None:
        """Close one file, to which nothing was written, because it must be checked again."""
        self.stamps.pop(file, None)
        if self.held.pop(file, None) is not None:
            self._access.writing.release(file)

    def take_stamps(self) -> Mapping[int, Stamp]:
        """Return the present stamps of all files written to; raises the errors of `write`."""
        for file, descriptor in self.held.items():
            self.stamps[file] = self._access.stamp(descriptor, file)
        return self.stamps

    def release(self) -> None:
        """Close all files of the batch."""
        for file in self.held:
            self._access.writing.release(file)
        self.held.clear()
