r"""Names a stranger chose, made safe to create under a folder of ours.

Refused, with MetainfoError, is what only an attack or a broken tool writes: a component `..`, with
or without others around it (`a/../b`), and an absolute one (`/x`, `\x`, `C:\x`, `C:`). Everything
else is repaired, so that odd but honest torrents work:

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
from collections.abc import Sequence
from itertools import pairwise

from trio_swarm.errors import MetainfoError
from trio_swarm.foreign_text import shown

MAX_COMPONENT_BYTES = 255
"""Of UTF-8: what Linux, macOS and Windows file systems hold (NAME_MAX)."""
MAX_NAME_BYTES = 240
"""Of a torrent's own name: leaves room in MAX_COMPONENT_BYTES for suffixes such as `.part`."""
MAX_PATH_BYTES = 2048
"""Of UTF-8, inside the torrent: half of Linux's PATH_MAX, the rest is for the folder it is in."""
MAX_PATH_DEPTH = 64
"""Components of one path: real trees have up to 20 or so; each costs a folder to create."""

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


def check_component(component: str) -> None:
    """Raise MetainfoError if `component` is absolute or reaches out of its folder."""
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
    if len(component) * 4 > max_bytes and len(component.encode()) > max_bytes:
        stem, extension = _split_extension(component)
        component = _cut(stem, max_bytes - len(extension.encode())) + extension
        if _RESERVED.fullmatch(component):
            # Only of `con`, hundreds of spaces and more text: cutting removed the spaces too.
            component = f"_{component}"
    return component


def safe_paths(paths: Sequence[Sequence[str]]) -> list[tuple[str, ...]]:
    """Return a safe path for each of `paths` (components, relative to the torrent's folder).

    All are distinct, also to a file system that ignores case or Unicode form, and none is another's
    folder. Raises MetainfoError for what is refused and for paths beyond a limit of this module.
    """
    known: dict[str, str] = {}
    safe: list[tuple[str, ...]] = []
    for path in paths:
        check_extent(path)
        for component in path:
            if component not in known:
                known[component] = safe_component(component)
        safe.append(tuple([known[component] for component in path]))
    return _make_distinct(safe)


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


def _make_distinct(paths: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    """Return `paths` with files numbered that clash; folders and first comers keep their names."""
    # Components hold no NUL any more, and it sorts before all else: so a folder's first file comes
    # right behind a file of the folder's name, and no set of all folders is needed.
    folded: dict[str, str] = {}
    for path in paths:
        for component in path:
            if component not in folded:
                folded[component] = _fold(component)
    keys = ["\0".join([folded[component] for component in path]) for path in paths]
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
            family = "\0".join(
                [*[folded[part] for part in path[:-1]], _fold(stem), _fold(extension)]
            )
            number = numbers.get(family, 2)
            while True:
                chosen = (*path[:-1], f"{stem} ({number}){extension}")
                unique = "\0".join([*[folded[part] for part in path[:-1]], _fold(chosen[-1])])
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


def _split_extension(component: str) -> tuple[str, str]:
    """Split off the extension with its dot; it is empty for dot files and long tails."""
    stem, dot, tail = component.rpartition(".")
    if not stem.strip("._ ") or len(tail.encode()) > _MAX_EXTENSION_BYTES:
        return component, ""
    return stem, dot + tail


def _cut(text: str, max_bytes: int) -> str:
    """Return the longest start of `text` within `max_bytes` of UTF-8, not ending in a space."""
    return text.encode()[:max_bytes].decode(errors="ignore").rstrip(". ") or "_"
