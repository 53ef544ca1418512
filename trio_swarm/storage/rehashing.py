"""Hashing pieces again, in files that other programs may have changed and may still be changing."""

from collections.abc import Iterable

from msgspec import Struct

from trio_swarm.errors import StorageError
from trio_swarm.piece_sets import PieceSet, from_pieces
from trio_swarm.storage import hashing
from trio_swarm.storage.access import FileAccess
from trio_swarm.storage.hashing import OnProgress, ShouldStop, never_stop, no_progress
from trio_swarm.storage.resume.journal import Stamp

TRIES = 5
"""How many times a file that changes while it is hashed is hashed again before that is an error."""


KEEPS_CHANGING = "keeps changing"
"""The fault of a file that changed during every try."""


class Rehashed(Struct, frozen=True):
    """The result of hashing pieces again.

    `right` are the correct pieces, in files that did not change meanwhile. `stamps` are those of
    the unchanged files. `faults`: file → why none of its pieces counts.
    """

    right: PieceSet
    stamps: dict[int, Stamp]
    faults: dict[int, str]


def right_pieces(
    access: FileAccess,
    pieces: PieceSet,
    on_progress: OnProgress = no_progress,
    should_stop: ShouldStop = never_stop,
) -> PieceSet:
    """Return which of the pieces are correct in the files now; errors as for `hash_pieces`."""
    layout = access.layout
    digests = hashing.hash_pieces(
        layout, access.open_to_hash, pieces, on_progress=on_progress, should_stop=should_stop
    )
    piece_hash = layout.info.piece_hash
    return from_pieces(piece for piece, digest in digests.items() if digest == piece_hash(piece))


def pieces_of(access: FileAccess, files: Iterable[int]) -> PieceSet:
    """Return the pieces that have a byte of any of the files."""
    result: PieceSet = 0
    for file in files:
        result |= access.layout.piece_set_of(file)
    return result


def rehash(
    access: FileAccess,
    files: Iterable[int],
    pieces: PieceSet,
    should_stop: ShouldStop = never_stop,
) -> Rehashed:
    """Hash pieces of the files again, and tell which are correct.

    A file has no correct piece if it is missing, has another length than in the torrent, cannot be
    read or changes meanwhile. Raises HashingStopped.
    """
    stamps: dict[int, Stamp] = {}
    faults: dict[int, str] = {}
    for file in files:
        stamp = _look(access, file, faults)
        if stamp is not None:
            stamps[file] = stamp
    try:
        right = right_pieces(access, pieces & ~pieces_of(access, faults), should_stop=should_stop)
    except StorageError as error:  # the file could be opened a moment before
        faults |= dict.fromkeys(stamps, error.reason)
        return Rehashed(0, {}, faults)
    for file, stamp in list(stamps.items()):
        if _look(access, file, faults) != stamp:
            del stamps[file]
            faults.setdefault(file, KEEPS_CHANGING)
    return Rehashed(right & ~pieces_of(access, faults), stamps, faults)


def _look(access: FileAccess, file: int, faults: dict[int, str]) -> Stamp | None:
    """Return the stamp of a file that can be hashed; else None, with the reason in `faults`."""
    try:
        stamp = access.look(file)
        length = access.layout.lengths[file]
        if stamp is None:
            faults[file] = "does not exist (any more)"
        elif stamp.size != length:
            faults[file] = f"has {stamp.size} bytes now instead of {length}"
        else:
            access.check_readable(file)
            return stamp
    except StorageError as error:
        faults[file] = error.reason
    return None
