"""Globs of paths inside a torrent.

A glob is compared with names joined by `/`, without the torrent's own name; capital letters differ
from small ones. These are all the rules:

- A glob without `/` matches a file or folder of that name, at any depth: `*.json`, `docs`.
- A glob with `/` matches a path from the top: `docs/*.txt`, `/README`. A `/` at its beginning is
  left out.
- `*` stands for any characters but `/`, `?` for one, `[abc]` and `[!abc]` for one of a set. A name
  that is `**` stands for any number of folders, or none.
- What matches a folder selects all that is below it. A glob that ends in `/` matches folders only.
"""

import re
from collections.abc import Callable, Sequence
from fnmatch import translate
from typing import Final

from trio_swarm.errors import ConfigError
from trio_swarm.foreign_text import shown

MAX_GLOBS: Final = 1_000
"""Most globs of one choice: each is compared with each file."""

MAX_GLOB_LENGTH: Final = 4_096
"""Most characters of a glob: as many bytes as the longest path that Linux opens has."""

Match = Callable[[str], object]


def check_globs(globs: Sequence[str]) -> None:
    """Raise ConfigError for globs that select nothing in any torrent, or are too many."""
    if len(globs) > MAX_GLOBS:
        raise ConfigError(f"{len(globs)} globs, more than {MAX_GLOBS}")
    for glob in globs:
        if len(glob) > MAX_GLOB_LENGTH:
            raise ConfigError(f"a glob of more than {MAX_GLOB_LENGTH} characters")
        names = _names(glob)
        if not names or {"", ".", ".."}.intersection(names):
            raise ConfigError(f"{shown(glob)!r} is no path inside a torrent")


class Globs:
    """Some globs, each of which may select a path; raises ConfigError as `check_globs` does."""

    def __init__(self, globs: Sequence[str]) -> None:
        check_globs(globs)
        self._globs = [_compiled(glob) for glob in globs]
        self._folders: dict[tuple[str, ...], bool] = {}

    def __bool__(self) -> bool:
        """Return whether there is any glob."""
        return bool(self._globs)

    def select(self, path: tuple[str, ...]) -> bool:
        """Whether one of them matches the file, or a folder that it is in."""
        return self._folder_is_selected(path[:-1]) or self.matches(path, is_folder=False)

    def _folder_is_selected(self, path: tuple[str, ...]) -> bool:
        if not path:
            return False
        known = self._folders.get(path)
        if known is None:
            known = any(self.matches(path[:depth], is_folder=True) for depth in _depths(path))
            self._folders[path] = known
        return known

    def matches(self, path: tuple[str, ...], *, is_folder: bool) -> bool:
        """Whether one of them matches exactly this file or folder."""
        return any(
            (is_folder or not folders_only)
            and (_matches_from(names, path) if is_anchored else bool(names[0](path[-1])))
            for names, is_anchored, folders_only in self._globs
        )


def _depths(path: tuple[str, ...]) -> range:
    return range(1, len(path) + 1)


def _names(glob: str) -> list[str]:
    return glob.removeprefix("/").removesuffix("/").split("/") if glob.strip("/") else []


_ANY_FOLDERS: Final[Match] = re.compile("").match
"""Stands for the name `**`."""


def _compiled(glob: str) -> tuple[list[Match], bool, bool]:
    """Return what matches each name of a glob, whether it begins at the top, and ends in `/`."""
    names: list[Match] = [
        _ANY_FOLDERS if name == "**" else re.compile(translate(name)).match for name in _names(glob)
    ]
    is_anchored = "/" in glob.removesuffix("/")
    return names, is_anchored, glob.endswith("/")


def _matches_from(names: Sequence[Match], path: tuple[str, ...]) -> bool:
    """Whether the names of a glob match all names of a path."""
    # The numbers of names that may be matched before the next one of the path.
    places = _with_skipped({0}, names)
    for name in path:
        after = {at for at in places if at < len(names) and names[at] is _ANY_FOLDERS}
        after |= {
            at + 1
            for at in places
            if at < len(names) and names[at] is not _ANY_FOLDERS and names[at](name)
        }
        places = _with_skipped(after, names)
        if not places:
            return False
    return len(names) in places


def _with_skipped(places: set[int], names: Sequence[Match]) -> set[int]:
    """Add the places after each `**`, which may stand for no folder."""
    result = set(places)
    for at in places:
        end = at
        while end < len(names) and names[end] is _ANY_FOLDERS:
            end += 1
            result.add(end)
    return result
