"""Pieces written one after the other and recorded together."""

from collections.abc import Callable, Mapping
from pathlib import Path

from trio_swarm.errors import FileChangedError
from trio_swarm.storage.access import FileAccess
from trio_swarm.storage.layout import Layout
from trio_swarm.storage.resume.journal import Stamp

Known = Callable[[int], Stamp | None]


class WriteBatch:
    """The files that some pieces were written to, held open until their stamps are taken.

    One thread, which alone writes. `known` returns the stamp a file must have before it is written
    to, None: it is new. `write` raises OSError or StorageError; `path` is then what it was at, and
    for a FileChangedError `changed` is the file.
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
        """Of files that are written to and not held any longer."""
        self.changed = -1
        self.path: Path = access.tree.root
        self.held: dict[int, int] = {}
        """File → descriptor."""
        self.watched: set[int] = set()
        """Files that somebody else may have written to as well, while they were held."""
        self.written = 0
        """Bytes of whole pieces."""

    def write(self, piece: int, data: memoryview) -> None:
        """Write all of a piece to its files."""
        access, held = self._access, self.held
        spans = self._layout.piece_spans(piece)
        at = 0
        for number, span in enumerate(spans):
            block = data[at : at + span.length]
            at += span.length
            if not self._layout.stored[span.file]:
                continue
            self.path = access.tree.at(self._layout.info.files[span.file].path)
            descriptor = held.get(span.file)
            is_inside = 0 < number < len(spans) - 1
            if descriptor is None:
                descriptor = self._hold(span.file, is_brief=is_inside)
            access.write(descriptor, span, block)
            if is_inside:
                # No other piece touches this file: its stamp is final, and its descriptor need
                # not be held (one piece may hold thousands of files).
                self.stamps[span.file] = access.stamp(descriptor, span.file)
                del held[span.file]
                access.writing.release(span.file)
        self.written += len(data)

    def _hold(self, file: int, *, is_brief: bool) -> int:
        access = self._access
        self.changed = file
        descriptor = self.held[file] = access.writing.acquire(file)
        # What this batch wrote before, of a piece that is written again, is no change of others.
        known = self.stamps.get(file) or self._known(file)
        if known is None and is_brief and access.has_true_stamps(descriptor):
            # Made, written and stamped at once: nobody has it open, and watching would take longer.
            return descriptor
        self.watched.add(file)
        access.writers.watch(file, descriptor)
        if known is not None and access.stamp(descriptor, file) != known:
            raise FileChangedError("was changed by another program", path=self.path)
        return descriptor

    def let_go(self, file: int) -> None:
        """Let go of one file, which is to be looked at again; nothing of it was written."""
        self.stamps.pop(file, None)
        if self.held.pop(file, None) is not None:
            self._access.writing.release(file)

    def take_stamps(self) -> Mapping[int, Stamp]:
        """Return the stamps of all files written to, as they are now; raises as `write` does."""
        for file, descriptor in self.held.items():
            self.stamps[file] = self._access.stamp(descriptor, file)
        return self.stamps

    def release(self) -> None:
        """Let go of the files."""
        for file in self.held:
            self._access.writing.release(file)
        self.held.clear()
