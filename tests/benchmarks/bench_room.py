"""Whether there is room for what a benchmark writes, before it writes it."""

import shutil
import sys
from collections.abc import Sequence
from pathlib import Path

from bench_measuring import GIB

SPARE = GIB
"""Bytes left to everybody else: of the disk and, for files in memory, of the memory."""


class NoRoomError(SystemExit):
    """There is not enough room for the files of a benchmark."""


def demand_room(folder: Path, needed: int) -> None:
    """Raise NoRoomError, which says what is missing, if `needed` bytes do not fit in `folder`."""
    there = room_in(folder)
    if there < needed:
        raise NoRoomError(
            f"{folder} has room for {there / GIB:.1f} GiB of files, but {needed / GIB:.1f} GiB are "
            "needed: name another folder with --scratch, or a smaller --size"
        )


def folder_with_room(folders: Sequence[Path], needed: int) -> Path:
    """Return the first folder in which `needed` bytes fit, and say why not those before it.

    Raises NoRoomError if there is none.
    """
    for folder in folders[:-1]:
        if folder.is_dir():
            try:
                demand_room(folder, needed)
            except NoRoomError as error:
                sys.stderr.write(f"{error}\n")
            else:
                return folder
    demand_room(folders[-1], needed)
    return folders[-1]


def room_in(folder: Path) -> int:
    """Return how many bytes of files fit in a folder; those in memory take memory."""
    room = shutil.disk_usage(folder).free
    if is_in_memory(folder):
        room = min(room, available_memory())
    return max(0, room - SPARE)


def is_in_memory(folder: Path) -> bool:
    """Whether files in a folder are kept in memory (tmpfs)."""
    mounts = [line.split() for line in Path("/proc/mounts").read_text().splitlines()]
    kinds = {Path(where): kind for _, where, kind, *_ in mounts}
    resolved = folder.resolve()
    mounted = next(each for each in (resolved, *resolved.parents) if each in kinds)
    return kinds[mounted] in {"tmpfs", "ramfs"}


def available_memory() -> int:
    """Return the bytes of memory that programs can still get."""
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024
    raise OSError("/proc/meminfo does not tell MemAvailable")
