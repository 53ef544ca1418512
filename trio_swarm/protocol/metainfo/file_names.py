r"""File names chosen by a stranger, made safe to create below a folder of ours.

There are two forms of a torrent's names.

The *kept* names (`kept_paths`) are the torrent's own, changed only where no file system of Linux
can store them; an `Info` has these names. Names that only an attack or a broken tool writes are
refused with MetainfoError: a component `..`, alone or between slashes (`a/../b`), and an absolute
path (`/x`). These are repaired:

- a slash or NUL inside a component, and bytes that are not UTF-8 (they become U+FFFD);
- an empty component and `.`, which become `_`, and a component above 255 bytes, which is cut;
- two files at one path, or a file whose path is also a folder: the later file (or the file that is
  also a folder) gets a number: `a (2).txt`.

The *portable* names (`safe_component`, `safe_paths`) can be stored on every file system. Earlier
versions of this program used them for all downloads. They are used where a file system cannot store
the kept names. `..` and paths that are absolute on any system (`\x`, `C:\x`, `C:`) are refused.
These are repaired:

- separators, control characters, bidirectional-override characters and a drive's colon become `_`;
- dots and spaces at the end are removed, as Windows removes them; an empty rest becomes `_` (also
  of `` and `.`);
- a name that Windows reserves (`con`, `aux.txt`) gets a leading `_`;
- a component above 255 bytes of UTF-8 is cut, but keeps its extension;
- of paths that are equal on a file system that ignores case or Unicode form, or if a file's path is
  also a folder, the later file (or the file that is also a folder) gets a number: `a (2).txt`.

The same list of paths always gives the same result, and never one path twice.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise

from trio_swarm.errors import MetainfoError
from trio_swarm.foreign_text import shown

MAX_COMPONENT_BYTES = 255
"""Most bytes of a component in UTF-8: the limit of file systems of Linux, macOS and Windows
(NAME_MAX)."""
MAX_NAME_BYTES = 240
"""Most bytes of a torrent's own name: leaves room in MAX_COMPONENT_BYTES for suffixes such as
`.part`."""
MAX_PATH_BYTES = 4096
"""Most bytes in UTF-8 of a path inside the torrent: PATH_MAX, the longest path that a Linux
program can use at once. (We open folder by folder, so the path of the torrent's own folder does
not count.)"""
MAX_PATH_DEPTH = 100
"""Most components of one path, as in libtorrent; each needs a folder."""

# Texts are of names that are seldom met: `re` compiles them then, and keeps them.
_IMPOSSIBLE = r"[/\x00]"
_UNDECODABLE = r"[\ud800-\udfff]"

_MAX_EXTENSION_BYTES = 32
"""Most bytes of an extension; a longer end after the last dot is part of a title."""

# Most components match this and need no repair: no dot or space at the end, only letters, digits
# and harmless punctuation. Length and reserved names are checked separately.
_PLAIN = re.compile(r"[\w\-()\[\]{}+,&!@#$%^=~;' .]*[\w\-()\[\]{}+,&!@#$%^=~;']", re.ASCII)
_SEPARATORS = r"[/\\]"
_DRIVE = r"[A-Za-z]:"
_UNSAFE = r"[/\\\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
_RESERVED = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])"
    r" *(?:\..*)?",
    re.IGNORECASE | re.DOTALL,
)


def kept_component(component: str, *, max_bytes: int = MAX_COMPONENT_BYTES) -> str:
    """Return `component`, changed only where no file system of Linux can store it.

    Lone surrogates in `component` stand for bytes that are not UTF-8. Idempotent. Raises
    MetainfoError for a refused name (see the module).
    """
    if "/" in component or "\0" in component:
        check_reach(component)
        component = re.sub(_IMPOSSIBLE, "_", component)
    if not component.isascii():
        component = re.sub(_UNDECODABLE, "\ufffd", component)
    if component in {"", ".", ".."}:
        check_reach(component)
        component = "_"
    return _fit(component, max_bytes)


def kept_paths(paths: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return the path to keep for each of `paths`: all are distinct, and no file is a folder.

    Raises MetainfoError for a refused name and for a path beyond a limit of this module.
    """
    return distinct_paths(_changed(kept_component, paths), folded=False)


class _Once(dict[str, str]):
    """What `change` makes of each component, which it is called once for."""

    def __init__(self, change: Callable[[str], str]) -> None:
        self._change = change

    def __missing__(self, component: str) -> str:
        changed = self[component] = self._change(component)
        return changed


def _changed(change: Callable[[str], str], paths: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return `paths` with each component changed by `change`, which is called once for each."""
    known = _Once(change).__getitem__
    changed: list[tuple[str, ...]] = []
    for path in paths:
        check_extent(path)
        changed.append(tuple(map(known, path)))
    return changed


def is_reserved(component: str) -> bool:
    """Return whether Windows takes `component` for a device: `con`, `aux.txt`."""
    return _RESERVED.fullmatch(component) is not None


def check_reach(component: str) -> None:
    """Raise MetainfoError if `component` is absolute or leads out of its folder on Linux."""
    if ".." in component.split("/"):
        raise MetainfoError(f"unsafe file name {component[:80]!r}: it leaves its folder")
    if component.startswith("/"):
        raise MetainfoError(f"unsafe file name {component[:80]!r}: it is absolute")


def check_component(component: str) -> None:
    """Raise MetainfoError if `component` is absolute or leads out of its folder on any system."""
    if ".." in component and ".." in (part.strip() for part in re.split(_SEPARATORS, component)):
        raise MetainfoError(f"unsafe file name {component[:80]!r}: it leaves its folder")
    drive = re.match(_DRIVE, component)
    rest = component[drive.end() :] if drive else component
    if rest.startswith(("/", "\\")) or (drive and not rest):
        raise MetainfoError(f"unsafe file name {component[:80]!r}: it is absolute")


def safe_component(component: str, *, max_bytes: int = MAX_COMPONENT_BYTES) -> str:
    """Return `component` as a name that is safe to create, of 1 to `max_bytes` bytes of UTF-8.

    Idempotent. Raises MetainfoError for a refused name (see the module).
    """
    if not _PLAIN.fullmatch(component):
        check_component(component)
        # Newer Python versions take any character before a colon for a drive, not only a letter.
        if component[1:2] == ":":
            component = f"{component[0]}_{component[2:]}"
        component = re.sub(_UNSAFE, "_", component).rstrip(". ") or "_"
    if _RESERVED.fullmatch(component):
        component = f"_{component}"
    cut = _fit(component, max_bytes)
    if cut != component and _RESERVED.fullmatch(cut):
        # Happens only to `con`, hundreds of spaces and more text: cutting removed the spaces, too.
        cut = f"_{cut}"
    return cut


def safe_paths(paths: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return a safe path for each of `paths` (components, relative to the torrent's folder).

    All are distinct, also on a file system that ignores case or Unicode form, and no file is a
    folder. Raises MetainfoError for a refused name and for a path beyond a limit of this module.
    """
    return distinct_paths(_changed(safe_component, paths), folded=True)


def check_distinct(paths: Sequence[tuple[str, ...]]) -> None:
    """Raise MetainfoError if two of `paths` are equal, or a file's path is also a folder.

    For names that are kept: their file system may distinguish upper and lower case.
    """
    ordered = sorted(paths)
    for earlier, later in pairwise(ordered):
        if later[: len(earlier)] == earlier:
            raise MetainfoError(f"two files at {shown('/'.join(earlier))!r}")


def check_extent(path: Sequence[str]) -> None:
    """Raise MetainfoError if `path` is empty, too deep or too long."""
    if not path:
        raise MetainfoError("a file has an empty path")
    if len(path) > MAX_PATH_DEPTH:
        raise MetainfoError(f"a path has more than {MAX_PATH_DEPTH} components")
    if sum(map(len, path)) + len(path) > MAX_PATH_BYTES // 4:
        size = sum(len(component.encode(errors="replace")) + 1 for component in path)
        if size > MAX_PATH_BYTES:
            raise MetainfoError(f"a path is longer than {MAX_PATH_BYTES} bytes")


def distinct_paths(paths: list[tuple[str, ...]], *, folded: bool) -> list[tuple[str, ...]]:
    """Return `paths` with numbers added to clashing files; folders and first files keep names.

    If `folded`, names clash that are one on a file system that ignores case or Unicode form.
    """
    # Components contain no NUL here, and NUL sorts first. So the first file of a folder comes right
    # after a file with the folder's name, and no set of all folders is needed.
    fold = _fold if folded else str
    keyed = _Once(fold).__getitem__
    keys = ["\0".join(map(keyed, path)) for path in paths]
    listed = set(keys)
    # Most torrents list their files in order, and sorting those anew takes no time.
    ordered = sorted(keys)

    def is_folder(key: str) -> bool:
        index = bisect_left(ordered, key + "\0")
        return index < len(ordered) and ordered[index].startswith(key + "\0")

    folders = {key for key, after in pairwise(ordered) if after.startswith(key + "\0")}
    if not folders and len(listed) == len(paths):
        return paths
    used: set[str] = set()
    numbers: dict[str, int] = {}
    result: list[tuple[str, ...]] = []
    for path, key in zip(paths, keys, strict=True):
        chosen, unique = path, key
        if key in used or key in folders:
            stem, extension = _split_extension(path[-1])
            # Cut once, for the longest number: then each number is tried once for a stem, and long
            # names that differ only in the part cut off take no quadratic time.
            room = MAX_COMPONENT_BYTES - len(extension.encode()) - len(f" ({len(paths) * 2})")
            stem = _cut(stem, room)
            folder = [*map(keyed, path[:-1])]
            family = "\0".join([*folder, fold(stem), fold(extension)])
            number = numbers.get(family, 2)
            while True:
                chosen = (*path[:-1], f"{stem} ({number}){extension}")
                unique = "\0".join([*folder, fold(chosen[-1])])
                number += 1
                if unique not in used and unique not in listed and not is_folder(unique):
                    break
            numbers[family] = number
        used.add(unique)
        result.append(chosen)
    return result


def _fold(component: str) -> str:
    """Return a key that two components share if some file system takes them for one."""
    if component.isascii():
        return component.lower()
    # Unicode's canonical caseless match: decompose, fold case, decompose again.
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", component).casefold())


def _fit(component: str, max_bytes: int) -> str:
    """Return `component` cut to `max_bytes` of UTF-8, with its extension."""
    if len(component) * 4 <= max_bytes or len(component.encode()) <= max_bytes:
        return component
    stem, extension = _split_extension(component)
    return _cut(stem, max_bytes - len(extension.encode())) + extension


def _split_extension(component: str) -> tuple[str, str]:
    """Split off the extension with its dot; it is empty for dot files and long tails."""
    stem, dot, tail = component.rpartition(".")
    if not stem.strip("._ ") or len(tail.encode()) > _MAX_EXTENSION_BYTES:
        return component, ""
    return stem, dot + tail


def _cut(text: str, max_bytes: int) -> str:
    """Return the longest start of `text` within `max_bytes` of UTF-8, not ending in a space."""
    return text.encode()[:max_bytes].decode(errors="ignore").rstrip(". ") or "_"
