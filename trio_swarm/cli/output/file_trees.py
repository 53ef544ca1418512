"""The files of a torrent as a tree of folders, each with its size; pure."""

from collections.abc import Iterable, Iterator, Sequence

from msgspec import Struct, field

from trio_swarm.cli.output.text import count_text, safe_text, size_text

_SIZE_WIDTH = 12
"""Columns of a size, as in the list of files."""


class _Folder(Struct):
    """A folder: what is in it, in the torrent's order, and the sums of all below it."""

    entries: "dict[str, _Folder | int]" = field(default_factory=dict)
    """Folders and lengths of files, by their names."""
    size: int = 0
    files: int = 0


def tree_lines(files: Iterable[tuple[Sequence[str], int]]) -> Iterator[str]:
    """Yield a line for each folder and file of `files` (path and bytes); folders keep together.

    No path is that of a folder as well.
    """
    root = _Folder()
    for path, size in files:
        folder = root
        folder.size += size
        folder.files += 1
        for name in path[:-1]:
            inner = folder.entries.get(name)
            if inner is None:
                inner = folder.entries[name] = _Folder()
            assert isinstance(inner, _Folder)
            folder = inner
            folder.size += size
            folder.files += 1
        folder.entries[path[-1]] = size
    yield from _lines(root)


def _lines(root: _Folder) -> Iterator[str]:
    """Yield the lines below `root`; without recursion, which a hundred folders deep is slow."""
    stack = [("", iter(_marked(root, is_root=True)))]
    while stack:
        indent, entries = stack[-1]
        found = next(entries, None)
        if found is None:
            stack.pop()
            continue
        branch, below, name, entry = found
        if isinstance(entry, int):
            yield f"{size_text(entry):>{_SIZE_WIDTH}}  {indent}{branch}{safe_text(name)}"
            continue
        count = count_text(entry.files, "file")
        size = f"{size_text(entry.size):>{_SIZE_WIDTH}}"
        yield f"{size}  {indent}{branch}{safe_text(name)}/  ({count})"
        stack.append((indent + below, iter(_marked(entry, is_root=False))))


def _marked(folder: _Folder, *, is_root: bool) -> Iterator[tuple[str, str, str, _Folder | int]]:
    """Yield what is in `folder`: its branch, the indent of what is below it, its name, itself."""
    left = len(folder.entries)
    for name, entry in folder.entries.items():
        left -= 1
        if is_root:
            yield "", "", name, entry
        elif left:
            yield "├─ ", "│  ", name, entry
        else:
            yield "└─ ", "   ", name, entry
