"""The file tree of version 2 (BEP 52), and whether a hybrid has the same files in both versions.

A hybrid (BEP 52, "Upgrade Path") lists its files twice. If the two lists differ, programs of
version 1 and 2 would share different content under one torrent, so it is refused.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from msgspec import Struct

from trio_swarm.errors import MetainfoError
from trio_swarm.foreign_text import shown
from trio_swarm.protocol import bencode
from trio_swarm.protocol.metainfo.merkle import BLOCK_LENGTH, HASH_LENGTH


class TreeFile(Struct, frozen=True):
    """A file of a tree: its path (bytes as given), its length and the root of its merkle tree.

    The root is empty for an empty file. A symbolic link (BEP 47) has length 0.
    """

    path: tuple[bytes, ...]
    length: int
    root: bytes
    is_link: bool = False


def read_tree(tree: bencode.Value) -> Iterator[TreeFile]:
    """Yield the files of `file tree` in its order, without symbolic links (BEP 47).

    The depth is limited by `bencode`, the number of files by the size of the info dictionary.
    Raises MetainfoError for a tree that is not one, or is not sorted.
    """
    return (file for file in _read_all(tree) if not file.is_link)


def _read_all(tree: bencode.Value) -> Iterator[TreeFile]:
    """Yield what `read_tree` does, and symbolic links."""
    if not isinstance(tree, dict) or b"" in tree:
        raise MetainfoError("its file tree is not a folder of files")
    return _read_folder((), tree)


def build_tree(files: Iterable[tuple[tuple[str, ...], int, bytes]]) -> dict[str, bencode.Encodable]:
    """Return the file tree of files: path, length and root, which is empty for an empty file."""
    tree: dict[str, Any] = {}
    for path, length, root in files:
        folder = tree
        for name in path:
            folder = folder.setdefault(name, {})
        folder[""] = {"length": length, **({"pieces root": root} if length else {})}
    return tree


def is_one_file(tree: bencode.Value) -> bool:
    """Return whether a file is all that the tree has, and in no folder."""
    if not isinstance(tree, dict) or len(tree) != 1:
        return False
    (entry,) = tree.values()
    return isinstance(entry, dict) and b"" in entry


def check_piece_length(length: int) -> None:
    """Raise MetainfoError unless `length` is a power of two from 16 KiB (BEP 52)."""
    if length < BLOCK_LENGTH or length & (length - 1):
        raise MetainfoError(f"piece length {length}: version 2 needs a power of two from 16 KiB")


def check_halves(
    tree: bencode.Value,
    files: Sequence[tuple[tuple[bytes, ...], int, int]],
    links: Iterable[tuple[bytes, ...]],
    piece_length: int,
) -> list[bytes]:
    """Return the roots of a hybrid's files; they are empty, or 32 bytes.

    `files` are those of version 1, without padding and links: path, length and offset in bytes.
    `links` are the paths of links.
    Raises MetainfoError if the halves differ, or a file does not begin with a piece.
    """
    check_piece_length(piece_length)
    ours = iter(files)
    roots: list[bytes] = []
    end = 0
    left_links = set(links)
    for theirs in _read_all(tree):
        if theirs.is_link:
            if theirs.path not in left_links:
                raise MetainfoError(f"version 1 has no link {_text(theirs.path)!r} of version 2")
            left_links.remove(theirs.path)
            continue
        path, length, offset = next(ours, ((), 0, 0))
        if (path, length) != (theirs.path, theirs.length):
            raise MetainfoError(f"version 1 and version 2 differ at {_text(theirs.path)!r}")
        if length and offset % piece_length:
            raise MetainfoError(f"{_text(path)!r} does not begin with a piece, as version 2 needs")
        if length and offset != end + -end % piece_length:
            raise MetainfoError(f"{_text(path)!r} begins with another piece in version 2")
        if length:
            end = offset + length
        roots.append(theirs.root)
    left = next(ours, None)
    if left is not None:
        raise MetainfoError(f"{_text(left[0])!r} is missing in its version 2 half")
    for link in left_links:
        raise MetainfoError(f"version 2 has no link {_text(link)!r} of version 1")
    return roots


def _read_folder(
    folder: tuple[bytes, ...], entries: dict[bytes, bencode.Value]
) -> Iterator[TreeFile]:
    before = b""
    for name, entry in entries.items():
        path = (*folder, name)
        if name <= before:
            raise MetainfoError(f"its file tree is not sorted at {_text(path)!r}")
        before = name
        if not isinstance(entry, dict):
            raise MetainfoError(f"{_text(path)!r} is neither a file nor a folder")
        if b"" not in entry:
            yield from _read_folder(path, entry)
        else:
            yield _read_file(path, entry)


def _read_file(path: tuple[bytes, ...], entry: dict[bytes, bencode.Value]) -> TreeFile:
    """Return the file or link that `entry` tells of."""
    facts = entry[b""]
    if len(entry) != 1 or not isinstance(facts, dict):
        raise MetainfoError(f"{_text(path)!r} is a file and a folder")
    attributes = facts.get(b"attr")
    if not isinstance(attributes, bytes):
        attributes = b""
    if b"l" in attributes:
        return TreeFile(path, 0, b"", is_link=True)
    if b"p" in attributes:
        raise MetainfoError(f"{_text(path)!r} is padding, which a file tree does not list")
    length = facts.get(b"length")
    if not isinstance(length, int) or length < 0:
        raise MetainfoError(f"{_text(path)!r} has no length in the file tree")
    # Whatever root an empty file is said to have, as in libtorrent 2.1.1: it has none.
    root = facts.get(b"pieces root") if length else b""
    if not isinstance(root, bytes) or (length and len(root) != HASH_LENGTH):
        raise MetainfoError(f"{_text(path)!r} has no root of {HASH_LENGTH} bytes in the file tree")
    return TreeFile(path, length, root)


def _text(path: tuple[bytes, ...]) -> str:
    return shown(b"/".join(path).decode(errors="replace"))
