"""What a new version of a torrent shares with the old one; pure.

Two files are the same if they have one root (BEP 52), or if all pieces with a byte of them have the
same hashes at the same places. Where neither can be compared (other piece lengths, other neighbours
in the first and last piece, other versions of the protocol), a file with the same path and length
may be the same, and is not said to be.
"""

from typing import Literal

from msgspec import Struct

from trio_swarm.protocol.metainfo import merkle
from trio_swarm.protocol.metainfo.info import FileEntry, Info

ChangeKind = Literal["same", "moved", "maybe", "changed", "added", "removed"]

_SHA1_LENGTH = 20

_Path = tuple[str, ...]


class FileChange(Struct, frozen=True):
    """What became of a file.

    `path` is below the torrent's name (of a single file: its name). `was` is its path in
    the old torrent, if that is another. `needed` are the bytes of it that a download
    fetches that has the old data; of a file that `maybe` is the same, too.
    """

    kind: ChangeKind
    path: _Path
    length: int
    needed: int
    was: _Path | None = None


class Comparison(Struct, frozen=True):
    """The files of the new torrent in its order, then the removed ones; sums in bytes.

    `size` and `needed` are without padding. `maybe` is the part of `needed` in files that may be
    the same: it need not be fetched if their data proves right. `by_roots` and `by_pieces` tell
    what could be compared.
    """

    files: tuple[FileChange, ...]
    size: int
    needed: int
    maybe: int
    by_roots: bool
    by_pieces: bool


class _Files:
    """The files of one torrent, by what they are found by."""

    def __init__(self, info: Info) -> None:
        self.info = info
        self.by_path: dict[_Path, FileEntry] = {}
        for entry in info.files:
            if not entry.padding:
                self.by_path[entry.path or (info.name,)] = entry

    def place(self, entry: FileEntry) -> tuple[int, int, bytes]:
        """Return what tells the content of a file that is not empty, among equal piece lengths."""
        pieces = self.info.pieces_of(entry)
        hashes = self.info.piece_hashes[pieces.start * _SHA1_LENGTH : pieces.stop * _SHA1_LENGTH]
        return entry.length, entry.offset % self.info.piece_length, hashes


def compare(old: Info, new: Info) -> Comparison:
    """Return what `new` has of `old`."""
    return _Compared(_Files(old), _Files(new)).result()


class _Compared:
    def __init__(self, old: _Files, new: _Files) -> None:
        self._old, self._new = old, new
        has_one_length = old.info.piece_length == new.info.piece_length
        self.by_roots = old.info.has_v2 and new.info.has_v2
        self.by_pieces = has_one_length and old.info.has_v1 and new.info.has_v1
        self._roots: dict[bytes, _Path] = {}
        self._places: dict[tuple[int, int, bytes], _Path] = {}
        for path, entry in old.by_path.items():
            if self.by_roots and entry.root:
                self._roots.setdefault(entry.root, path)
            if self.by_pieces and entry.length:
                self._places.setdefault(old.place(entry), path)
        self._known_v1 = _hashes(old.info.piece_hashes, _SHA1_LENGTH) if self.by_pieces else set()
        v2_hashes = old.info.v2_piece_hashes if has_one_length else b""
        self._known_v2 = _hashes(v2_hashes, merkle.HASH_LENGTH)

    def result(self) -> Comparison:
        kinds: dict[_Path, tuple[ChangeKind, _Path | None]] = {
            path: self._kind(path, entry) for path, entry in self._new.by_path.items()
        }
        files = [
            self._change(path, entry, *kinds[path]) for path, entry in self._new.by_path.items()
        ]
        kept = {was for _, was in kinds.values()}
        files += [
            FileChange("removed", path, entry.length, 0)
            for path, entry in self._old.by_path.items()
            if path not in kept
        ]
        return Comparison(
            files=tuple(files),
            size=sum(entry.length for entry in self._new.by_path.values()),
            needed=sum(file.needed for file in files),
            maybe=sum(file.needed for file in files if file.kind == "maybe"),
            by_roots=self.by_roots,
            by_pieces=self.by_pieces,
        )

    def _change(
        self, path: _Path, entry: FileEntry, kind: ChangeKind, was: _Path | None
    ) -> FileChange:
        needed = 0 if kind in {"same", "moved"} else self._needed(entry)
        return FileChange(kind, path, entry.length, needed, was if was != path else None)

    def _kind(self, path: _Path, entry: FileEntry) -> tuple[ChangeKind, _Path | None]:
        """Return what became of a new file, and the old file that it was."""
        before = self._old.by_path.get(path)
        was = path
        if before is None and self._new.info.is_single_file and self._old.info.is_single_file:
            ((was, before),) = self._old.by_path.items()
        if before is not None and self._is_same(before, entry):
            return "same", was
        moved = self._same_elsewhere(entry)
        if moved is not None:
            return "moved", moved
        if before is None:
            return "added", None
        return ("maybe" if self._may_be_same(before, entry) else "changed"), was

    def _is_same(self, before: FileEntry, entry: FileEntry) -> bool:
        if before.length != entry.length:
            return False
        if not entry.length or (self.by_roots and before.root == entry.root):
            return True
        return self.by_pieces and self._old.place(before) == self._new.place(entry)

    def _same_elsewhere(self, entry: FileEntry) -> _Path | None:
        if not entry.length:
            return None
        if self.by_roots and entry.root in self._roots:
            return self._roots[entry.root]
        return self._places.get(self._new.place(entry)) if self.by_pieces else None

    def _may_be_same(self, before: FileEntry, entry: FileEntry) -> bool:
        """Return whether two files that are not known to be the same may be so after all."""
        if before.length != entry.length or self.by_roots:
            return False
        length = self._new.info.piece_length
        if not self.by_pieces or (before.offset - entry.offset) % length:
            return True
        # The pieces that have bytes of no other file.
        ours, theirs = self._new.info.piece_hash, self._old.info.piece_hash
        shift = (before.offset - entry.offset) // length
        first, end = -(-entry.offset // length), (entry.offset + entry.length) // length
        return all(ours(piece) == theirs(piece + shift) for piece in range(first, end))

    def _needed(self, entry: FileEntry) -> int:
        """Return the bytes of `entry` in pieces that the old data does not have."""
        info = self._new.info
        needed = 0
        for piece in info.pieces_of(entry):
            if not self._has(piece):
                start = piece * info.piece_length
                end = min(start + info.piece_length, entry.offset + entry.length)
                needed += end - max(start, entry.offset)
        return needed

    def _has(self, piece: int) -> bool:
        info = self._new.info
        if self._known_v1 and info.piece_hash(piece) in self._known_v1:
            return True
        return bool(self._known_v2) and info.v2_piece_hash(piece) in self._known_v2


def _hashes(joined: bytes, length: int) -> set[bytes]:
    return {joined[start : start + length] for start in range(0, len(joined), length)}
