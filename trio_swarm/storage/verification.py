"""Whether the data in a folder is a torrent's: each file is looked at, and each piece hashed.

Nothing is written, so data may be verified that others use, or that this user may only read.
Symbolic links are followed: what they lead to is only read. A piece of version 1 may have bytes of
several files. Where one of them is missing, nothing can be told of that piece's part in the others:
they are not called bad, but `unproven`.
"""

import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct
from msgspec.structs import replace as replace_fields

from trio_swarm.errors import StorageError
from trio_swarm.named_paths import is_file, is_folder
from trio_swarm.piece_sets import PieceSet, from_pieces, full_set, iterate
from trio_swarm.protocol.metainfo import merkle
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.storage.access import FileAccess
from trio_swarm.storage.disk_errors import require_there, storage_error
from trio_swarm.storage.disk_names import other_names
from trio_swarm.storage.hashing import (
    OnProgress,
    ShouldStop,
    hash_pieces,
    never_stop,
    no_progress,
)
from trio_swarm.storage.layout import Layout
from trio_swarm.storage.placement import Placement
from trio_swarm.storage.rehashing import pieces_of, right_pieces
from trio_swarm.storage.tree import Tree

FaultKind = Literal["missing", "unreadable", "shorter", "longer", "changed", "bad", "unproven"]

_HARMLESS: Final = frozenset({"longer"})
"""Faults of files whose bytes in the torrent could all be hashed."""


class FileFault(Struct, frozen=True):
    """What is wrong with a file.

    `path` are its names in the torrent. `size` is its length on the disk, None if that is not
    known. Of the torrent's `pieces` that have a byte of it, `wrong` are not right. `reason` says
    why it cannot be read; else it is empty.
    """

    path: tuple[str, ...]
    kind: FaultKind
    length: int
    size: int | None
    pieces: int
    wrong: int
    reason: str = ""


class Verification(Struct, frozen=True):
    """The result: the file or folder that was verified, its right pieces, the faults of its files.

    `files` is the number of the torrent's files, without padding. `at_odds` are pieces of a hybrid
    that are right by the hashes of one version and wrong by those of the other: no data is right.
    """

    root: Path
    files: int
    pieces: int
    right: int
    faults: tuple[FileFault, ...]
    at_odds: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether every file is as in the torrent, and every piece right."""
        return not self.faults and self.right == self.pieces


def verify_data(
    info: Info,
    place: Path,
    on_progress: OnProgress = no_progress,
    should_stop: ShouldStop = never_stop,
) -> Verification:
    """Verify the data of `info` at `place`: the file or folder itself, or a folder that holds it.

    In such a folder it has the torrent's name, or that of an unfinished download. Blocks; several
    threads hash. Raises StorageError if `place` is missing or of the wrong kind, MetainfoError if
    the hashes of `info` are not known, HashingStopped.
    """
    require_there(place)
    root = _find(info, place)
    seen = _Seen(info, root)
    right = seen.right_pieces(on_progress, should_stop)
    right &= ~pieces_of(seen, seen.look_again())
    at_odds = seen.at_odds
    if seen.faults:  # a file that changed between the two readings says nothing
        at_odds &= ~pieces_of(seen, seen.faults)
    faults = tuple(_faults(seen, right))
    return Verification(
        root,
        sum(seen.layout.stored),
        info.piece_count,
        right.bit_count(),
        faults,
        at_odds.bit_count(),
    )


def _find(info: Info, place: Path) -> Path:
    """Return the file or folder that is to be verified."""
    if not is_folder(place):
        if info.is_single_file:
            return place
        raise StorageError("is not a folder, as the torrent says", path=place)
    named = [Placement(each, place) for each in (info, *other_names(info))]
    candidates = [path for each in named for path in (each.final, each.part)]
    if info.is_single_file:
        return next(filter(is_file, candidates), candidates[0])
    inner = next(filter(is_folder, candidates), place)
    # The folder may itself be the torrent's, and have a folder of the same name.
    return inner if inner == place or _fitting(info, place) <= _fitting(info, inner) else place


def _fitting(info: Info, root: Path) -> int:
    """Return how many files below `root` have the right path and size."""
    seen = _Seen(info, root)
    return len(seen.sizes) - len(seen.faults)


class _Seen(FileAccess):
    """The files at a root, and what is found to be wrong with them.

    `faults` are those that need no hash: file → kind, reason. `sizes` has all files, None for one
    without a size. A file that cannot be opened is as an empty one to whoever hashes it.
    """

    def __init__(self, info: Info, root: Path) -> None:
        tree = Tree(root, follow_links=True)
        super().__init__(Layout(_with_names_here(info, tree)), tree)
        self.given = info
        self.faults: dict[int, tuple[FaultKind, str]] = {}
        self.sizes: dict[int, int | None] = {}
        self.at_odds: PieceSet = 0
        self._found: dict[int, os.stat_result] = {}
        for file, found in self._statuses():
            self.sizes[file] = None
            if isinstance(found, StorageError):
                self.faults[file] = ("unreadable", found.reason)
            elif found is None:
                self.faults[file] = ("missing", "")
            else:
                self._found[file] = found
                self.sizes[file] = found.st_size
                length = self.layout.lengths[file]
                if found.st_size != length:
                    self.faults[file] = ("shorter" if found.st_size < length else "longer", "")

    def right_pieces(self, on_progress: OnProgress, should_stop: ShouldStop) -> PieceSet:
        """Return the pieces that are right."""
        gone = [file for file in self.faults if file not in self._found]
        every = full_set(self.layout.info.piece_count) & ~pieces_of(self, gone)
        try:
            return self._right_among(every, on_progress, should_stop)
        except OSError:  # of a disk that fails; which file it was nobody says
            right: PieceSet = 0
            for file in self._found:
                right |= self._right_pieces_of(file, every, should_stop)
            return right

    def look_again(self) -> list[int]:
        """Return the files that changed meanwhile, and note them in `faults`."""
        changed = []
        for file, found in self._statuses():
            before = self._found.get(file)
            is_same = (
                isinstance(found, os.stat_result) and before and _facts(found) == _facts(before)
            )
            if before is not None and not is_same:
                self.faults[file] = ("changed", "")
                changed.append(file)
        return changed

    def open_to_hash(self, file: int) -> int:
        """Open a file, or nothing in its place."""
        try:
            return super().open_to_hash(file)
        except StorageError as error:
            self.faults[file] = ("unreadable", error.reason)
            return os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)

    def _right_among(
        self, pieces: PieceSet, on_progress: OnProgress, should_stop: ShouldStop
    ) -> PieceSet:
        info = self.layout.info
        if info.is_hybrid and info.v2_piece_hashes:
            return self._right_by_both(pieces, on_progress, should_stop)
        if info.can_verify:
            return right_pieces(self, pieces, on_progress, should_stop)
        digests = hash_pieces(
            self.layout,
            self.open_to_hash,
            pieces,
            on_progress=on_progress,
            should_stop=should_stop,
        )
        height = merkle.height_of(info.piece_length)
        right: list[int] = []
        for entry in info.files:
            of = info.pieces_of(entry)
            if entry.root and all(piece in digests for piece in of):
                layer = b"".join([digests[piece] for piece in of])
                root = layer if len(of) == 1 else merkle.file_root(layer, height)
                if root == entry.root:
                    right += of
        return from_pieces(right)

    def _right_by_both(
        self, pieces: PieceSet, on_progress: OnProgress, should_stop: ShouldStop
    ) -> PieceSet:
        """Return the pieces of a hybrid that are right by the hashes of both versions."""
        v1 = right_pieces(
            self, pieces, lambda done, total: on_progress(done // 2, total), should_stop
        )
        info = replace(self.layout.info, has_v1=False)
        digests = hash_pieces(
            Layout(info),
            self.open_to_hash,
            pieces,
            on_progress=lambda done, total: on_progress(total // 2 + (done + 1) // 2, total),
            should_stop=should_stop,
        )
        v2 = from_pieces(
            piece for piece, digest in digests.items() if digest == info.v2_piece_hash(piece)
        )
        self.at_odds |= v1 ^ v2
        return v1 & v2

    def _right_pieces_of(self, file: int, among: PieceSet, should_stop: ShouldStop) -> PieceSet:
        try:
            return self._right_among(among & pieces_of(self, [file]), no_progress, should_stop)
        except OSError as error:
            self.faults[file] = ("unreadable", storage_error(error, self._path(file)).reason)
            return 0

    def _statuses(self) -> Iterator[tuple[int, os.stat_result | StorageError | None]]:
        entries = self.layout.info.files
        files = [file for file, entry in enumerate(entries) if not entry.padding]
        paths = [entries[file].path for file in files]
        return zip(files, _statuses(self.tree, paths), strict=True)


def _facts(status: os.stat_result) -> tuple[int, ...]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino, status.st_dev


def _statuses(
    tree: Tree, paths: Sequence[tuple[str, ...]]
) -> Iterator[os.stat_result | StorageError | None]:
    """Yield the status of each file; None for a missing one, or why it has none."""
    left = iter(paths)
    while True:
        try:
            yield from tree.statuses(left)
        except StorageError as error:
            yield error  # `left` goes on behind the path of the error
        else:
            return


def _with_names_here(info: Info, tree: Tree) -> Info:
    """Return `info` with the names that its files have on this disk.

    A download gives other names where a disk cannot store those of the torrent: see `disk_names`.
    """
    paths = [entry.path for entry in info.files if not entry.padding]
    found = list(_statuses(tree, paths))
    needy = {at for at, status in enumerate(found) if status is None} | set(_folded(paths, found))
    if not needy or len(needy) == len(paths):
        return info
    here = list(paths)
    for other in reversed(other_names(info)):
        named = [entry.path for entry in other.files if not entry.padding]
        differing = [at for at in needy if named[at] != paths[at]]
        for at, status in zip(
            differing, _statuses(tree, [named[at] for at in differing]), strict=True
        ):
            if isinstance(status, os.stat_result):
                here[at] = named[at]
    real = iter(here)
    files = tuple(
        entry if entry.padding else replace_fields(entry, path=next(real)) for entry in info.files
    )
    return replace(info, files=files)


def _folded(
    paths: Sequence[tuple[str, ...]], found: Sequence[os.stat_result | StorageError | None]
) -> Iterator[int]:
    """Yield the paths at which a disk that ignores case has the file of an earlier path."""
    seen: set[tuple[int, int, str]] = set()
    for at, status in enumerate(found):
        if isinstance(status, os.stat_result):
            key = (status.st_dev, status.st_ino, "/".join(paths[at]).casefold())
            if key in seen:
                yield at
            seen.add(key)


def _faults(seen: _Seen, right: PieceSet) -> Iterator[FileFault]:
    """Yield what is wrong with the files, in the torrent's order."""
    layout = seen.layout
    wrong: Counter[int] = Counter()
    bad: set[int] = set()
    for piece in iterate(full_set(layout.info.piece_count) & ~right):
        files = list(layout.files_of(piece))
        wrong.update(files)
        if all(seen.faults.get(file, ("longer", ""))[0] in _HARMLESS for file in files):
            bad.update(files)
    for file in sorted(seen.faults.keys() | wrong.keys()):
        kind, reason = seen.faults.get(file, ("bad" if file in bad else "unproven", ""))
        yield FileFault(
            path=seen.given.files[file].path,
            kind=kind,
            length=layout.lengths[file],
            size=seen.sizes[file],
            pieces=len(layout.pieces_of(file)),
            wrong=wrong[file],
            reason=reason,
        )
