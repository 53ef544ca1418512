"""Names that a person gave to a torrent's files, in place of those in the torrent.

Pure. A renaming is a path and a new name: the path of a file or folder below the torrent's own, as
it was called then, with `/` between names and empty for the torrent itself; the name takes the
place of its last one. Several are done one after the other. The torrent stays the same: peers never
see these names.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

from msgspec.structs import replace as replace_fields

from trio_swarm.errors import ConfigError, MetainfoError
from trio_swarm.foreign_text import shown
from trio_swarm.protocol.metainfo import file_names
from trio_swarm.protocol.metainfo.torrent import Info

Renaming = tuple[str, str]
Renamings = Sequence[Renaming]

UNFINISHED: Final = ".part"
"""What the name of a torrent's file or folder ends in until it is complete."""

MAX_STEPS: Final = 10_000_000
"""Renamings of one torrent times its files: all are done anew at each start, in some seconds."""


_MISLEADING: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
"""Characters that a list of files is not shown right with: control characters, line ends, and
those that turn the direction of text."""


def with_own_names(info: Info, renamings: Renamings) -> Info:
    """Return what a torrent is, with the names that its files were given."""
    if not renamings:
        return info
    name, paths = info.name, [entry.path for entry in info.files]
    for path, new in renamings:
        if not path:
            name = new
            continue
        old = tuple(path.split("/"))
        depth = len(old)
        paths = [(*old[:-1], new, *each[depth:]) if each[:depth] == old else each for each in paths]
    files = tuple(
        entry if entry.padding else replace_fields(entry, path=path)
        for entry, path in zip(info.files, paths, strict=True)
    )
    return replace(info, name=name, files=files)


def with_another(renamings: Renamings, renaming: Renaming) -> tuple[Renaming, ...]:
    """Return the renamings with one more; one that only goes on with the last takes its place."""
    path, new = renaming
    if renamings:
        before, last = renamings[-1]
        if _beside(before, last) == path:
            kept = tuple(renamings[:-1])
            return kept if _last(before) == new and before else (*kept, (before, new))
    return (*renamings, renaming)


def checked_renaming(
    info: Info, renamings: Renamings, path: Sequence[str], name: str
) -> Renaming | None:
    """Return the renaming of a file or folder; None if it is called so already.

    `info` has the names of now, `path` is below the torrent's own, `()` for that. Raises
    ConfigError for a name that is no file's, for a path that the torrent does not have, for a name
    that another file or folder of it has, and for the name of an unfinished one.
    """
    _require_file_name(name)
    if not path:
        _require_no_part(info.name, name)
        return None if name == info.name else ("", name)
    path = tuple(path)
    depth = len(path)
    paths = [entry.path for entry in info.files if not entry.padding]
    if info.is_single_file or not any(each[:depth] == path for each in paths):
        raise ConfigError(f"the torrent has no file or folder {shown('/'.join(path))}")
    if path[-1] == name:
        return None
    new = (*path[:-1], name)
    if any(each[:depth] == new for each in paths):
        raise ConfigError(f"the torrent has a file or folder {shown('/'.join(new))} already")
    try:
        for each in paths:
            if each[:depth] == path:
                file_names.check_extent((*new, *each[depth:]))
    except MetainfoError as error:
        raise ConfigError(str(error)) from error
    if (len(renamings) + 1) * len(info.files) > MAX_STEPS:
        raise ConfigError("files of this torrent were renamed too often")
    return "/".join(path), name


def own_name(renamings: Renamings) -> str:
    """Return the name that the torrent itself was given; empty if none."""
    return next((name for path, name in reversed(renamings) if not path), "")


def path_below(info: Info, path: str) -> tuple[str, ...]:
    """Return a path that begins with the torrent's own name as the path below that.

    Raises ConfigError if it does not begin so.
    """
    name, *below = path.rstrip("/").split("/")
    if name != info.name:
        raise ConfigError(f"path must begin with the torrent's name, {shown(info.name)}")
    return tuple(below)


def listed_path(info: Info, path: str) -> tuple[str, ...]:
    """Return a path as lists of files have it: below the torrent's own name.

    A path that the torrent does not have is tried as `path_below`. Raises ConfigError.
    """
    parts = tuple(path.rstrip("/").split("/"))
    is_there = not info.is_single_file and any(
        entry.path[: len(parts)] == parts for entry in info.files if not entry.padding
    )
    if is_there:
        return parts
    if parts[0] == info.name:
        return parts[1:]
    raise ConfigError(f"the torrent has no file or folder {shown(path)}")


def _require_file_name(name: str) -> None:
    most = file_names.MAX_COMPONENT_BYTES
    is_one = name not in {"", ".", ".."} and "/" not in name and "\0" not in name
    try:
        is_one = is_one and len(name.encode()) <= most
    except UnicodeEncodeError:
        is_one = False
    if not is_one:
        raise ConfigError(f"{shown(name)} is no name of a file: 1 to {most} bytes, without /")
    if _MISLEADING.search(name):
        raise ConfigError(f"{shown(name)} is no name to give to a file: it has control characters")


def _require_no_part(old: str, new: str) -> None:
    """Refuse a name of a torrent by which its data and that of an unfinished one would be mixed up.

    Who is killed while a file has both names would take it for the other at the next start.
    """
    if new == old + UNFINISHED or old == new + UNFINISHED:
        whole = min(old, new, key=len)
        raise ConfigError(
            f"{shown(old)} cannot become {shown(new)}: {shown(whole + UNFINISHED)} is what an "
            f"unfinished {shown(whole)} is called; choose another name"
        )


def _beside(path: str, name: str) -> str:
    """Return the path of a name in the folder of a path; empty for the torrent itself."""
    folder, slash, _ = path.rpartition("/")
    return f"{folder}{slash}{name}" if path else ""


def _last(path: str) -> str:
    return path.rpartition("/")[2]
