"""Which files of a torrent a person wants, and which pieces hold their bytes.

Pure. A choice is made by globs (`--only`, `--skip`; see `globs`), or by numbers of files in a
magnet link (BEP 53).

A file is wanted if one of `only` selects it, or there is none, and none of `skip` does.
"""

from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from msgspec import Struct

from trio_swarm.errors import MetainfoError
from trio_swarm.foreign_text import shown
from trio_swarm.piece_sets import PieceSet, full_set
from trio_swarm.protocol.metainfo.globs import Globs
from trio_swarm.protocol.metainfo.info import MAX_FILES, Info

MAX_RANGES: Final = 10_000
"""Most numbers and ranges that are read of a magnet link; what follows is ignored."""

_DIGITS: Final = 7
"""Most digits of a file's number: MAX_FILES has six."""

FileRange = tuple[int, int]
"""The first and the last number of files, both included."""


class Selection(Struct, frozen=True, kw_only=True):
    """What somebody wants of a torrent, said before its files are known; by default everything."""

    only: tuple[str, ...] = ()
    """Globs of the files that are wanted; none: all."""
    skip: tuple[str, ...] = ()
    """Globs of files that are not wanted, though they were."""
    numbers: tuple[FileRange, ...] = ()
    """Numbers of the files that are wanted (BEP 53, "so"), where `only` names none; none: all."""

    @property
    def is_everything(self) -> bool:
        """Whether nothing is left out, whatever the files are."""
        return not (self.only or self.skip or self.numbers)


EVERYTHING: Final = Selection()


def unwanted_files(info: Info, selection: Selection) -> frozenset[int]:
    """Return the numbers of the files that are not wanted (their indexes in `info.files`).

    Padding is neither. Raises MetainfoError if no file at all is wanted.
    """
    if selection.is_everything:
        return frozenset()
    only, skip = Globs(selection.only), Globs(selection.skip)
    starts = _joined(selection.numbers)
    unwanted: set[int] = set()
    is_any = False
    for number, entry in enumerate(info.files):
        if entry.padding:
            continue
        path = entry.path or (info.name,)
        if selection.only:
            is_wanted = only.select(path)
        else:
            is_wanted = not starts or bool(bisect_right(starts, number) & 1)
        if is_wanted and not (selection.skip and skip.select(path)):
            is_any = True
        else:
            unwanted.add(number)
    if not is_any:
        raise MetainfoError(
            f"no file of {shown(info.name)} is wanted: nothing is left by {_told(selection)}"
        )
    return frozenset(unwanted)


def wanted_pieces(info: Info, unwanted: Collection[int]) -> PieceSet:
    """Return the pieces that have a byte of a file that is wanted: of all but `unwanted`."""
    if not unwanted:
        return full_set(info.piece_count)
    every = enumerate(info.files)
    return joined_pieces(info, (n for n, entry in every if not entry.padding and n not in unwanted))


def joined_pieces(info: Info, files: Iterable[int]) -> PieceSet:
    """Return the pieces that have a byte of any of these files."""
    # One digit a piece: with 100,000 files, as many changes of a large number take seconds.
    digits = bytearray(b"0" * info.piece_count)
    is_any = False
    for number in files:
        is_any = True
        pieces = info.pieces_of(info.files[number])
        digits[pieces.start : pieces.stop] = b"1" * len(pieces)
    digits.reverse()
    return int(digits, 2) if digits and is_any else 0


def read_numbers(text: str) -> tuple[FileRange, ...]:
    """Return the numbers of files in `text`, such as `0,2,4-7` (BEP 53).

    Parts that are none are ignored.
    """
    ranges: list[FileRange] = []
    for part in text.split(",", MAX_RANGES)[:MAX_RANGES]:
        first, is_range, last = part.strip().partition("-")
        numbers = [first, last] if is_range else [first]
        if not all(each.isascii() and each.isdigit() and len(each) <= _DIGITS for each in numbers):
            continue
        low, high = int(numbers[0]), min(int(numbers[-1]), MAX_FILES - 1)
        if low <= high:
            ranges.append((low, high))
    return tuple(ranges)


def numbers_text(ranges: Sequence[FileRange]) -> str:
    """Return ranges of numbers as `read_numbers` reads them."""
    return ",".join(f"{low}-{high}" if high > low else str(low) for low, high in ranges)


def _joined(ranges: Sequence[FileRange]) -> list[int]:
    """Return where a sorted union of ranges begins and ends, one after the other."""
    bounds: list[int] = []
    for low, high in sorted(ranges):
        if bounds and low <= bounds[-1]:
            bounds[-1] = max(bounds[-1], high + 1)
        else:
            bounds += [low, high + 1]
    return bounds


def _told(selection: Selection) -> str:
    """Return the choice as a person made it, for a message."""
    parts = [f"only {shown(glob)!r}" for glob in selection.only[:3]]
    parts += [f"skip {shown(glob)!r}" for glob in selection.skip[:3]]
    if selection.numbers and not selection.only:
        parts.insert(0, f"so={numbers_text(selection.numbers[:5])}")
    return ", ".join(parts)
