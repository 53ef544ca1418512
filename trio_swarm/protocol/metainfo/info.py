"""The info dictionary, version 1: what is shared, and the hashes of its pieces (BEP 3).

`parse_info` is the only door to an `Info`, for torrents read, received (BEP 9) and made here. The
info-hash is always of the exact bytes, never of what was understood of them.

Hybrid torrents are read as version 1. The seam for version 2 (BEP 52) is `_check_version`: a reader
of version 2 would branch off there and fill the same `Info`.
"""

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from msgspec import Struct

from trio_swarm.amounts import size_text
from trio_swarm.errors import BencodeError, MetainfoError
from trio_swarm.foreign_text import shown
from trio_swarm.identities import InfoHash
from trio_swarm.protocol import bencode
from trio_swarm.protocol.metainfo import file_names

MAX_INFO_SIZE = 16 * 2**20
"""Bytes of an info dictionary: what peers will still send each other by BEP 9."""
MIN_PIECE_LENGTH = 1
"""Bytes; as in libtorrent. MAX_PIECES is what bounds the work."""
MAX_PIECE_LENGTH = 512 * 2**20
"""Bytes: libtorrent reads up to 16 KiB below that. Powers of two are not asked for."""
MAX_PIECES = MAX_INFO_SIZE // 20
"""So many hashes of 20 bytes fit into MAX_INFO_SIZE. With MAX_PIECE_LENGTH it also limits the
content, to 410 TiB, so every offset fits into 64 bits."""
MAX_FILES = 250_000
"""Each costs about a kilobyte of memory, a few microseconds to check, and an inode."""

_PADDING_NAME = "_____padding_file_"
"""How the names of BitComet's padding begin, which is older than BEP 47."""
_MATTERS = frozenset(
    (
        *(b"attr", b"file tree", b"files", b"length", b"meta version", b"name", b"name.utf-8"),
        *(b"path", b"path.utf-8", b"piece length", b"pieces", b"private"),
    )
)
"""Keys that say what is shared: given twice with two values, programs would share two things."""
_MAX_SHOWN = 80
"""Characters of a stranger's value in a message."""

_HASH_LENGTH = 20
_VERSION_2 = b"12:meta versioni2e"
_SMALLEST_PIECE = 16 * 2**10
_LARGEST_PIECE = 16 * 2**20
_LARGE_FILE = 64 * 2**20
_LARGE_FILE_PIECE = 256 * 2**10
_MOST_PIECES_WANTED = 2000


class FileEntry(Struct, frozen=True):
    """A file of a torrent, or padding between files.

    `path` is relative to the folder of the torrent's name, and () for a single file; `offset` is
    where the file begins in the content. `padding` bytes are zeros that are never on disk (BEP 47);
    its path is only for show, and not distinct.
    """

    path: tuple[str, ...]
    length: int
    offset: int
    padding: bool


@dataclass(frozen=True, slots=True)
class Info:
    """An info dictionary that passed every check; lengths in bytes.

    `piece_hashes` holds 20 bytes a piece; `raw` the exact bytes that `info_hash` is the SHA-1 of.
    `name` and the paths of `files` are safe to create on Linux (see `file_names`, "kept").
    `renamed` says which of them the torrent has otherwise: (its name, the name here).
    """

    info_hash: InfoHash
    name: str
    piece_length: int
    piece_hashes: bytes = field(repr=False)
    files: tuple[FileEntry, ...] = field(repr=False)
    is_single_file: bool
    private: bool
    length: int
    raw: bytes = field(repr=False)
    renamed: tuple[tuple[str, str], ...] = field(default=(), repr=False)

    @property
    def piece_count(self) -> int:
        """The number of pieces: 0 for a torrent of empty files."""
        return len(self.piece_hashes) // _HASH_LENGTH

    def piece_size(self, piece: int) -> int:
        """Return the length of `piece`, which is shorter for the last one, mostly."""
        return min(self.piece_length, self.length - piece * self.piece_length)

    def piece_hash(self, piece: int) -> bytes:
        """Return the SHA-1 of `piece`."""
        return self.piece_hashes[piece * _HASH_LENGTH : (piece + 1) * _HASH_LENGTH]


def version_2_hash(raw: bytes) -> bytes | None:
    """Return the first 20 bytes of the info-hash that `raw` has by BEP 52, None if it has none.

    libtorrent 2.1.1 may answer a version 1 handshake of a hybrid torrent with it: once it has been
    asked by this hash from an address, it keeps to it.
    """
    return hashlib.sha256(raw).digest()[:20] if _VERSION_2 in raw else None


def parse_info(raw: bytes, *, keep_names: bool = False) -> Info:
    """Return what the info dictionary `raw` (all of it, nothing behind it) says.

    Names stay as they are but for what no file system of Linux can hold (see `file_names`). With
    `keep_names`, for the sharer, on whose disk they are already, such names are refused.

    Of a key given twice the first value counts, as in libtorrent 2.1.1; two values of a key that
    says what is shared are refused. With `length` and `files`, `files` counts. Attributes (BEP 47):
    padding becomes `FileEntry.padding`; symbolic links are left out, so none is ever created;
    executable and hidden are ignored. Raises MetainfoError.
    """
    if len(raw) > MAX_INFO_SIZE:
        raise MetainfoError(f"an info dictionary of more than {size_text(MAX_INFO_SIZE)}")
    try:
        reading = bencode.decode_leniently(raw)
    except BencodeError as error:
        raise MetainfoError(f"not an info dictionary: {error}") from error
    if not isinstance(reading.value, dict):
        raise MetainfoError("not an info dictionary")
    if reading.end != len(raw):
        raise MetainfoError(f"not an info dictionary: {len(raw) - reading.end} bytes after its end")
    repeated = [repeat.key for repeat in reading.repeats]
    return read_info(reading.value, raw, keep_names=keep_names, repeated=repeated)


def build_info(
    *,
    name: str,
    piece_length: int,
    piece_hashes: bytes,
    files: Sequence[tuple[tuple[str, ...], int]] | None,
    length: int | None,
    private: bool = False,
) -> Info:
    """Return the Info of content on this machine: `files` (path, length) or one file's `length`.

    `piece_hashes` are joined, 20 bytes a piece. The names in the result are the given ones, as with
    `keep_names`; a name that is not UTF-8 cannot be shared. Raises MetainfoError, as `parse_info`.
    """
    entries: dict[str, bencode.Encodable] = {
        "name": name,
        "piece length": piece_length,
        "pieces": piece_hashes,
    }
    if files is not None:
        entries["files"] = [{"length": size, "path": path} for path, size in files]
    if length is not None:
        entries["length"] = length
    if private:
        entries["private"] = 1
    try:
        raw = bencode.encode(entries)
    except BencodeError as error:
        raise MetainfoError(f"{shown(name)!r} cannot be shared: {error}") from error
    return parse_info(raw, keep_names=True)


def choose_piece_length(total: int) -> int:
    """Return the piece length for `total` bytes: always the same one for the same size.

    So two people who share one file make one torrent. A power of two, 16 KiB to 16 MiB, that gives
    1,000 to 2,000 pieces where it can; at least 256 KiB above 64 MiB, since every piece costs.
    """
    length = _LARGE_FILE_PIECE if total > _LARGE_FILE else _SMALLEST_PIECE
    while length < _LARGEST_PIECE and total > length * _MOST_PIECES_WANTED:
        length *= 2
    return length


def read_info(
    info: dict[bytes, bencode.Value], raw: bytes, *, keep_names: bool, repeated: Iterable[bytes]
) -> Info:
    """Return what `info` says, already decoded from its exact bytes `raw`; as `parse_info`.

    `repeated` are keys in it that were given again with another value.
    """
    if len(raw) > MAX_INFO_SIZE:
        raise MetainfoError(f"an info dictionary of more than {size_text(MAX_INFO_SIZE)}")
    for key in repeated:
        if key in _MATTERS:
            raise MetainfoError(f"says {key.decode()!r} twice, and not the same")
    _check_version(info)
    info_hash = InfoHash(hashlib.sha1(raw).digest())
    piece_length = _read_number(info, b"piece length")
    if not MIN_PIECE_LENGTH <= piece_length <= MAX_PIECE_LENGTH:
        raise MetainfoError(
            f"piece length {piece_length} is not within {MIN_PIECE_LENGTH} and {MAX_PIECE_LENGTH}"
        )
    # With both, `files` counts, as in libtorrent 2.1.1; a `files` that is no list is nothing there.
    is_single_file = b"length" in info and not isinstance(info.get(b"files"), list)
    if not is_single_file and b"files" not in info:
        raise MetainfoError("needs a length or a list of files")
    listed_name = _read_text(info, b"name")
    # An empty name is advice not given (BEP 3: "purely advisory").
    name = file_names.kept_component(listed_name or info_hash.hex())
    renamed = [(listed_name, name)] if listed_name not in {"", name} else []
    if is_single_file:
        if b"l" in _read_attributes(info):
            raise MetainfoError("a symbolic link is all it holds")
        files: tuple[FileEntry, ...] = (
            FileEntry((), _read_number(info, b"length"), 0, padding=False),
        )
    else:
        files = _read_files(info[b"files"], renamed, keep_names=keep_names)
    if keep_names and renamed:
        raise MetainfoError(f"unsafe file name {renamed[0][0][:_MAX_SHOWN]!r}")
    length = files[-1].offset + files[-1].length
    return Info(
        info_hash=info_hash,
        name=name,
        piece_length=piece_length,
        piece_hashes=_read_hashes(info, length, piece_length),
        files=files,
        is_single_file=is_single_file,
        private=_is_private(info.get(b"private")),
        length=length,
        raw=raw,
        renamed=tuple(renamed),
    )


def _check_version(info: dict[bytes, bencode.Value]) -> None:
    """Refuse what is not (also) a version 1 torrent; to be done before any other check (BEP 52)."""
    version = info.get(b"meta version", 1)
    if not isinstance(version, int) or version > 2:
        raise MetainfoError(f"metainfo version {bencode.shown_value(version)} is not known")
    if b"pieces" not in info and (version == 2 or b"file tree" in info):
        raise MetainfoError("a v2-only torrent (BEP 52); only v1 and hybrid torrents are supported")


def _read_hashes(info: dict[bytes, bencode.Value], length: int, piece_length: int) -> bytes:
    """Return `pieces`, whose length must be exactly that of the pieces of `length` bytes."""
    count = -(-length // piece_length)
    if count > MAX_PIECES:
        raise MetainfoError(f"{count} pieces, more than {MAX_PIECES}: needs a larger piece length")
    hashes = info.get(b"pieces")
    if not isinstance(hashes, bytes):
        raise MetainfoError("has no piece hashes")
    if len(hashes) != count * _HASH_LENGTH:
        raise MetainfoError(
            f"{len(hashes)} bytes of hashes for {count} pieces, {_HASH_LENGTH} bytes each"
        )
    return hashes


def _read_files(
    listed: bencode.Value, renamed: list[tuple[str, str]], *, keep_names: bool
) -> tuple[FileEntry, ...]:
    """Return the entries of `files`, without symbolic links; at least one is a real file.

    Names that had to change are added to `renamed`.
    """
    if not isinstance(listed, list):
        raise MetainfoError("files is not a list")
    if len(listed) > MAX_FILES:
        raise MetainfoError(f"holds {len(listed)} files; read are up to {MAX_FILES} files")
    paths: list[tuple[str, ...]] = []
    extents: list[tuple[int, int, bool]] = []
    offset = 0
    for entry in listed:
        if not isinstance(entry, dict):
            raise MetainfoError("a file is not a dictionary")
        attributes = _read_attributes(entry)
        if b"l" in attributes:
            # BEP 47: a link has no content of its own, and need not say so.
            if entry.get(b"length", 0) != 0:
                raise MetainfoError("a symbolic link with content")
            continue
        size = _read_number(entry, b"length")
        padding = b"p" in attributes
        if not padding:
            path = _read_path(entry)
            # What is on the sharer's disk is no padding: it is hashed as it is.
            padding = not keep_names and is_padding_name(path[-1] if path else "")
            if not padding:
                paths.append(path)
        extents.append((size, offset, padding))
        offset += size
    if not paths:
        raise MetainfoError("holds no file")
    if keep_names:
        file_names.check_distinct(paths)
    kept = file_names.kept_paths(paths)
    if kept != paths:
        renamed += [
            ("/".join(before), "/".join(after))
            for before, after in zip(paths, kept, strict=True)
            if before != after
        ]
    real = iter(kept)
    return tuple(
        # BEP 47 recommends this name for padding; the listed one, if any, has no use.
        FileEntry((".pad", str(size)) if padding else next(real), size, start, padding)
        for size, start, padding in extents
    )


def is_padding_name(name: str) -> bool:
    """Tell whether a file of this name is padding of BitComet's, as libtorrent 2.1.1 does."""
    return name.startswith(_PADDING_NAME)


def _read_path(entry: dict[bytes, bencode.Value]) -> tuple[str, ...]:
    path = entry.get(b"path.utf-8")
    if not isinstance(path, list) or not path:
        path = entry.get(b"path")
    if not isinstance(path, list):
        raise MetainfoError("a file has no path")
    return tuple([_decode_text(component) for component in path])


def _read_text(entries: dict[bytes, bencode.Value], key: bytes) -> str:
    value = entries.get(key + b".utf-8")
    if not isinstance(value, bytes) or not value:
        value = entries.get(key)
    return _decode_text(value)


def _decode_text(value: bencode.Value | None) -> str:
    """Return a name's text; bytes that are not UTF-8 (of which encoding?) as lone surrogates."""
    if not isinstance(value, bytes):
        raise MetainfoError("a name is missing or not text")
    return value.decode(errors="surrogateescape")


def _read_number(entries: dict[bytes, bencode.Value], key: bytes) -> int:
    value = entries.get(key)
    if not isinstance(value, int) or value < 0:
        raise MetainfoError(f"{key.decode()} is missing or not a number of bytes")
    return value


def _is_private(value: bencode.Value | None) -> bool:
    """Tell what BEP 27's flag says: every number but 0 is yes, as in libtorrent 2.1.1."""
    return isinstance(value, int) and value != 0


def _read_attributes(entries: dict[bytes, bencode.Value]) -> bytes:
    value = entries.get(b"attr")
    return value if isinstance(value, bytes) else b""
