"""Pieces written one after the other and recorded together."""

from collections.abc import Mapping
from pathlib import Path

from trio_swarm.storage.access import FileAccess
from trio_swarm.storage.journal import Stamp
from trio_swarm.storage.layout import Layout


class WriteBatch:
    """The files that some pieces were written to, held open until their stamps are taken.

    One thread. `write` raises OSError or StorageError; `path` is then what it was at.
    """

    __slots__ = ("_access", "_layout", "_stamps", "held", "path", "written")

    def __init__(self, access: FileAccess, layout: Layout) -> None:
        self._access = access
        self._layout = layout
        self._stamps: dict[int, Stamp] = {}
        self.path: Path = access.tree.root
        self.held: dict[int, int] = {}
        """File → descriptor."""
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
            if descriptor is None:
                descriptor = held[span.file] = access.writing.acquire(span.file)
            access.write(descriptor, span, block)
            if 0 < number < len(spans) - 1:
                # No other piece touches this file: its stamp is final, and its descriptor need
                # not be held (one piece may hold thousands of files).
                self._stamps[span.file] = access.stamp(descriptor, span.file)
                del held[span.file]
                access.writing.release(span.file)
        self.written += len(data)

    def take_stamps(self) -> Mapping[int, Stamp]:
        """Return the stamps of all files written to, as they are now; raises as `write` does."""
        for file, descriptor in self.held.items():
            self._stamps[file] = self._access.stamp(descriptor, file)
        return self._stamps

    def release(self) -> None:
        """Let go of the files."""
        for file in self.held:
            self._access.writing.release(file)
        self.held.clear()
