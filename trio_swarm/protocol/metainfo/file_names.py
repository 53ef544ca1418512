r"""Names a stranger chose, made safe to create under a folder of ours.

Two sets of names come of one torrent. The *kept* ones (`kept_paths`) are its own, but for what no
file system of Linux can hold; they are the names of an `Info`. Refused, with MetainfoError, is what
only an attack or a broken tool writes: a component `..`, alone or between slashes (`a/../b`), and
an absolute one (`/x`). Repaired is:

- a slash or NUL inside a component, bytes that are not UTF-8 (they become U+FFFD);
- nothing and `.`, which become `_`, and a component above 255 bytes, which is cut;
- the later of two files at one path (or the file, where a file is also another's folder), which is
  numbered: `a (2).txt`.

The *portable* ones (`safe_component`, `safe_paths`) are what every file system holds, and what this
program once called all downloads. They are used where a file system cannot hold the kept ones. For
them `..` and what is absolute anywhere (`\x`, `C:\x`, `C:`) are refused, and repaired is:

- separators, control and bidirectional-override characters, a drive's colon become `_`;
- dots and spaces at the end go, as Windows drops them; nothing left (also `` and `.`) becomes `_`;
- a name Windows reserves (`con`, `aux.txt`) gets `_` in front;
- a component above 255 bytes of UTF-8 is cut, its extension kept;
- of paths that are the same to a file system that ignores case or Unicode form, or where a file is
  also another's folder, the later file (or the file, not the folder) is numbered: `a (2).txt`.

The same list of paths gives the same result in every run, and never one path twice.
"""

import re
import unicodedata
from bisect import bisect_left
from collections.abc import Callable, Sequence
from itertools import pairwise

from trio_swarm.errors import MetainfoError
from trio_swarm.foreign_text import shown

MAX_COMPONENT_BYTES = 255
"""Of UTF-8: what Linux, macOS and Windows file systems hold (NAME_MAX)."""
MAX_NAME_BYTES = 240
"""Of a torrent's own name: leaves room in MAX_COMPONENT_BYTES for suffixes such as `.part`."""
MAX_PATH_BYTES = 4096
"""Of UTF-8, inside the torrent: PATH_MAX, what a program of Linux can name in one go. (We go folder
by folder, so the folder the torrent is in adds nothing.)"""
MAX_PATH_DEPTH = 100
"""Components of one path, as many as libtorrent allows; each costs a folder to create."""

_IMPOSSIBLE = re.compile(r"[/\x00]")
_UNDECODABLE = re.compile(r"[\ud800-\udfff]")

_MAX_EXTENSION_BYTES = 32
"""A longer tail after the last dot is not an extension, but part of a title."""

# Most components match this and need no repair: no dot or space at the end, nothing but letters,
# digits and harmless punctuation. Whether they are too long or reserved is looked at separately.
_PLAIN = re.compile(r"[\w\-()\[\]{}+,&!@#$%^=~;' .]*[\w\-()\[\]{}+,&!@#$%^=~;']", re.ASCII)
_SEPARATORS = re.compile(r"[/\\]")
_DRIVE = re.compile(r"[A-Za-z]:")
_UNSAFE = re.compile(r"[/\\\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]")
_RESERVED = re.compile(
    r"(?:con|prn|aux|nul|conin\$|conout\$|com[0-9\u00b9\u00b2\u00b3]|lpt[0-9\u00b9\u00b2\u00b3])"
    r" *(?:\..*)?",
    re.IGNORECASE | re.DOTALL,
)


def kept_component(component: str, *, max_bytes: int = MAX_COMPONENT_BYTES) -> str:
    """Return `component` as it is, but for what no file system of Linux can hold.

    `component` may hold lone surrogates for bytes that are not UTF-8. Idempotent. Raises
    MetainfoError for what is refused (see the module).
    """
    if "/" in component or "\0" in component:
        check_reach(component)
        component = _IMPOSSIBLE.sub("_", component)
    if not component.isascii():
        component = _UNDECODABLE.sub("\ufffd", component)
    if component in {"", ".", ".."}:
        check_reach(component)
        component = "_"
    return _fit(component, max_bytes)


def kept_paths(paths: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return the path to keep for each of `paths`: all distinct, and none is another's folder.

    Raises MetainfoError for what is refused and for paths beyond a limit of this module.
    """
    return distinct_paths(_changed(kept_component, paths), folded=False)


def _changed(change: Callable[[str], str], paths: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return `paths` with each component as `change` makes it, which is asked once for each."""
    known: dict[str, str] = {}
    changed: list[tuple[str, ...]] = []
    for path in paths:
        check_extent(path)
        for component in path:
            if component not in known:
                known[component] = change(component)
        changed.append(tuple([known[component] for component in path]))
    return changed


def is_reserved(component: str) -> bool:
    """Tell whether Windows takes `component` for a device: `con`, `aux.txt`."""
    return _RESERVED.fullmatch(component) is not None


def check_reach(component: str) -> None:
    """Raise MetainfoError if `component` is absolute or reaches out of its folder, on Linux."""
    if ".." in component.split("/"):
        raise MetainfoError(f"unsafe file name {component[:80]!r}: it leaves its folder")
    if component.startswith("/"):
        raise MetainfoError(f"unsafe file name {component[:80]!r}: it is absolute")


def check_component(component: str) -> None:
    """Raise MetainfoError if `component` is absolute or leaves its folder, on any system."""
    if ".." in component and ".." in (part.strip() for part in _SEPARATORS.split(component)):
        raise MetainfoError(f"unsafe file name {component[:80]!r}: it leaves its folder")
    drive = _DRIVE.match(component)
    rest = component[drive.end() :] if drive else component
    if rest.startswith(("/", "\\")) or (drive and not rest):
        raise MetainfoError(f"unsafe file name {component[:80]!r}: it is absolute")


def safe_component(component: str, *, max_bytes: int = MAX_COMPONENT_BYTES) -> str:
    """Return `component` as a name safe to create: one to `max_bytes` bytes of UTF-8.

    Idempotent. Raises MetainfoError for what is refused (see the module).
    """
    if not _PLAIN.fullmatch(component):
        check_component(component)
        # Newer Pythons take any character before a colon for a drive, not only a letter.
        if component[1:2] == ":":
            component = f"{component[0]}_{component[2:]}"
        component = _UNSAFE.sub("_", component).rstrip(". ") or "_"
    if _RESERVED.fullmatch(component):
        component = f"_{component}"
    cut = _fit(component, max_bytes)
    if cut != component and _RESERVED.fullmatch(cut):
        # Only of `con`, hundreds of spaces and more text: cutting removed the spaces too.
        cut = f"_{cut}"
    return cut


def safe_paths(paths: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return a safe path for each of `paths` (components, relative to the torrent's folder).

    All are distinct, also to a file system that ignores case or Unicode form, and none is another's
    folder. Raises MetainfoError for what is refused and for paths beyond a limit of this module.
    """
    return distinct_paths(_changed(safe_component, paths), folded=True)


def check_distinct(paths: Sequence[tuple[str, ...]]) -> None:
    """Raise MetainfoError if two of `paths` are equal, or one is another's folder.

    For names that are kept as they are: the file system they came from may well tell case apart.
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
    """Return `paths` with files numbered that clash; folders and first comers keep their names.

    With `folded`, names clash that a file system which ignores case or Unicode form takes for one.
    """
    fold = _fold if folded else str
    # Components hold no NUL any more, and it sorts before all else: so a folder's first file comes
    # right behind a file of the folder's name, and no set of all folders is needed.
    keyed: dict[str, str] = {}
    for path in paths:
        for component in path:
            if component not in keyed:
                keyed[component] = fold(component)
    keys = ["\0".join([keyed[component] for component in path]) for path in paths]
    listed = set(keys)
    ordered = sorted(listed)

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
            # Cut for the longest number at once: then each number is tried once for a stem, and
            # long names that differ only in what is cut off cost no quadratic search.
            room = MAX_COMPONENT_BYTES - len(extension.encode()) - len(f" ({len(paths) * 2})")
            stem = _cut(stem, room)
            family = "\0".join([*[keyed[part] for part in path[:-1]], fold(stem), fold(extension)])
            number = numbers.get(family, 2)
            while True:
                chosen = (*path[:-1], f"{stem} ({number}){extension}")
                unique = "\0".join([*[keyed[part] for part in path[:-1]], fold(chosen[-1])])
                number += 1
                if unique not in used and unique not in listed and not is_folder(unique):
                    break
            numbers[family] = number
        used.add(unique)
        result.append(chosen)
    return result


def _fold(component: str) -> str:
    """Return what two components share if some file system takes them for the same one."""
    if component.isascii():
        return component.lower()
    # Unicode's canonical caseless match: decompose, fold, decompose what folding composed.
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", component).casefold())


def _fit(component: str, max_bytes: int) -> str:
    """Return `component` cut to `max_bytes` of UTF-8, its extension kept."""
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
