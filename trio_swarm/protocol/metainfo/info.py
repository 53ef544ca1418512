"""The info dictionary, version 1: the shared files, and the hashes of the pieces (BEP 3).

Every `Info` is made by `parse_info`: of torrents that are read, received (BEP 9) or made here. The
info-hash is always the hash of the exact bytes, never of a re-encoded dictionary.

Hybrid torrents are read as version 1, if `file_tree` finds the same files in their version 2 half.
Version 2 (BEP 52) would begin at `_check_version`: a reader of version 2 would branch off there and
fill the same `Info`.
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
from trio_swarm.protocol.metainfo import file_names, file_tree

MAX_INFO_SIZE = 16 * 2**20
"""Most bytes of an info dictionary: the largest that peers still send each other (BEP 9)."""
MIN_PIECE_LENGTH = 1
"""Bytes; as in libtorrent. MAX_PIECES limits the work."""
MAX_PIECE_LENGTH = 512 * 2**20
"""Bytes; libtorrent reads lengths up to 16 KiB below it. It need not be a power of two."""
MAX_PIECES = MAX_INFO_SIZE // 20
"""As many hashes of 20 bytes fit into MAX_INFO_SIZE. With MAX_PIECE_LENGTH it also limits the
content to 410 TiB, so every offset fits into 64 bits."""
MAX_FILES = 250_000
"""Each file takes about a kilobyte of memory, a few microseconds to check, and an inode."""

_PADDING_NAME = "_____padding_file_"
"""The beginning of the names of BitComet's padding files, which are older than BEP 47."""
_MATTERS = frozenset(
    (
        *(b"attr", b"file tree", b"files", b"length", b"meta version", b"name", b"name.utf-8"),
        *(b"path", b"path.utf-8", b"piece length", b"pieces", b"private"),
    )
)
"""Keys that decide what is shared: if one is given twice with different values, two programs would
share different content."""
_MAX_SHOWN = 80
"""Most characters of a stranger's value in a message."""

_HASH_LENGTH = 20
_V2 = 2
_VERSION_2 = b"12:meta versioni2e"
_SMALLEST_PIECE = 16 * 2**10
_LARGEST_PIECE = 16 * 2**20
_LARGE_FILE = 64 * 2**20
_LARGE_FILE_PIECE = 256 * 2**10
_MOST_PIECES_WANTED = 2000


class FileEntry(Struct, frozen=True):
    """A file of a torrent, or padding between files.

    `path` is relative to the folder with the torrent's name, and () for a single file. `offset` is
    where the file begins in the content. `padding` bytes are zeros that are not on disk (BEP 47);
    the path of padding is only for display, and not unique.
    """

    path: tuple[str, ...]
    length: int
    offset: int
    padding: bool


@dataclass(frozen=True, slots=True)
class Info:
    """An info dictionary that passed every check; lengths in bytes.

    `piece_hashes` holds 20 bytes for each piece; `raw` holds the exact bytes whose SHA-1 is
    `info_hash`. `name` and the paths of `files` are safe to create on Linux (see `file_names`,
    "kept"). `renamed` lists the changed ones: (name in the torrent, name here).
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
    is_hybrid: bool = False
    """It describes the same files for version 2 as well (BEP 52, "Upgrade Path")."""

    @property
    def v2_hash(self) -> bytes | None:
        """The version 2 info-hash of a hybrid torrent (BEP 52), 32 bytes; None: it has none."""
        return hashlib.sha256(self.raw).digest() if self.is_hybrid else None

    @property
    def padding(self) -> int:
        """Bytes of padding between files, which `length` counts (BEP 47)."""
        return sum(file.length for file in self.files if file.padding)

    @property
    def piece_count(self) -> int:
        """The number of pieces; 0 for a torrent of empty files."""
        return len(self.piece_hashes) // _HASH_LENGTH

    def piece_size(self, piece: int) -> int:
        """Return the length of `piece` in bytes; the last piece may be shorter than the others."""
        return min(self.piece_length, self.length - piece * self.piece_length)

    def piece_hash(self, piece: int) -> bytes:
        """Return the SHA-1 digest of `piece`, 20 bytes."""
        return self.piece_hashes[piece * _HASH_LENGTH : (piece + 1) * _HASH_LENGTH]


def version_2_hash(raw: bytes) -> bytes | None:
    """Return the first 20 bytes of the version 2 info-hash of `raw` (BEP 52); None if none.

    libtorrent 2.1.1 may answer a version 1 handshake for a hybrid torrent with it: once an address
    has used this hash, libtorrent keeps to it.
    """
    return hashlib.sha256(raw).digest()[:20] if _VERSION_2 in raw else None


def parse_info(raw: bytes, *, keep_names: bool = False) -> Info:
    """Return the Info of the info dictionary `raw`, which must end with the dictionary.

    Names are changed only where no file system of Linux can store them (see `file_names`). With
    `keep_names` (for a sharer, whose disk has the names already) such names are refused.

    If a key is given twice, the first value counts, as in libtorrent 2.1.1; but two values of a key
    that decides what is shared are refused. If `length` and `files` are both given, `files` counts.
    Attributes (BEP 47): padding becomes `FileEntry.padding`; symbolic links are left out, so none
    is ever created; executable and hidden are ignored. Raises MetainfoError.
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
    """Return the Info of content on this machine: `files` (path, length), or one `length`.

    `piece_hashes` are joined, 20 bytes for each piece. Names are kept unchanged, as with
    `keep_names`; a name that is not UTF-8 cannot be shared. Raises MetainfoError, as `parse_info`
    does.
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
    """Return the piece length for `total` bytes: always the same for the same size.

    So two people who share the same file make the same torrent. It is a power of two from 16 KiB to
    16 MiB that gives 1,000 to 2,000 pieces if possible, and at least 256 KiB for more than 64 MiB,
    because every piece has a cost.
    """
    length = _LARGE_FILE_PIECE if total > _LARGE_FILE else _SMALLEST_PIECE
    while length < _LARGEST_PIECE and total > length * _MOST_PIECES_WANTED:
        length *= 2
    return length


def read_info(
    info: dict[bytes, bencode.Value], raw: bytes, *, keep_names: bool, repeated: Iterable[bytes]
) -> Info:
    """Return the Info of `info`, decoded from the exact bytes `raw`; errors as `parse_info`.

    `repeated` are keys in it that were given again with another value.
    """
    if len(raw) > MAX_INFO_SIZE:
        raise MetainfoError(f"an info dictionary of more than {size_text(MAX_INFO_SIZE)}")
    is_hybrid = info.get(b"meta version") == _V2 and b"file tree" in info
    for key in repeated:
        # In a file tree, every name is a key.
        if key in _MATTERS or is_hybrid:
            raise MetainfoError(
                f"says {shown(key.decode(errors='replace'))!r} twice, and not the same"
            )
    _check_version(info)
    info_hash = InfoHash(hashlib.sha1(raw).digest())
    piece_length = _read_number(info, b"piece length")
    if not MIN_PIECE_LENGTH <= piece_length <= MAX_PIECE_LENGTH:
        raise MetainfoError(
            f"piece length {piece_length} is not within {MIN_PIECE_LENGTH} and {MAX_PIECE_LENGTH}"
        )
    # If both are given, `files` counts, as in libtorrent 2.1.1; a `files` that is not a list counts
    # as absent.
    is_single_file = b"length" in info and not isinstance(info.get(b"files"), list)
    if not is_single_file and b"files" not in info:
        raise MetainfoError("needs a length or a list of files")
    listed_name = _read_text(info, b"name")
    # The name is "purely advisory" (BEP 3), so it may be empty.
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
    if is_hybrid:
        file_tree.check_halves(info[b"file tree"], _listed(info, files), piece_length)
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
        is_hybrid=is_hybrid,
    )


def _listed(
    info: dict[bytes, bencode.Value], files: Sequence[FileEntry]
) -> list[tuple[tuple[bytes, ...], int, int]]:
    """Return path (bytes as given), length and offset of the version 1 files of `info`.

    `files` are the entries that were read of it; links and padding are left out.
    """
    listed = info.get(b"files")
    if not isinstance(listed, list):
        return [((_as_given(_read_text(info, b"name")),), files[0].length, 0)]
    entries = (
        entry for entry in listed if isinstance(entry, dict) and b"l" not in _read_attributes(entry)
    )
    return [
        (tuple(map(_as_given, _read_path(entry))), file.length, file.offset)
        for entry, file in zip(entries, files, strict=True)
        if not file.padding
    ]


def _as_given(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _check_version(info: dict[bytes, bencode.Value]) -> None:
    """Raise MetainfoError unless this is (also) a version 1 torrent; the first check (BEP 52)."""
    version = info.get(b"meta version", 1)
    if not isinstance(version, int) or version > 2:
        raise MetainfoError(f"metainfo version {bencode.shown_value(version)} is not known")
    if b"pieces" not in info and (version == 2 or b"file tree" in info):
        raise MetainfoError("a v2-only torrent (BEP 52); only v1 and hybrid torrents are supported")


def _read_hashes(info: dict[bytes, bencode.Value], length: int, piece_length: int) -> bytes:
    """Return `pieces`, which must have exactly 20 bytes for each piece of `length` bytes."""
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

    Names that had to be changed are added to `renamed`.
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
            # BEP 47: a link has no content of its own, so it need not have a length.
            if entry.get(b"length", 0) != 0:
                raise MetainfoError("a symbolic link with content")
            continue
        size = _read_number(entry, b"length")
        padding = b"p" in attributes
        if not padding:
            path = _read_path(entry)
            # A file on the sharer's disk is never padding: it is hashed as it is.
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
        # BEP 47 recommends this name for padding; the name in the torrent is not used.
        FileEntry((".pad", str(size)) if padding else next(real), size, start, padding)
        for size, start, padding in extents
    )


def is_padding_name(name: str) -> bool:
    """Return whether a file of this name is BitComet's padding, as libtorrent 2.1.1 decides."""
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
    """Return a name as text; bytes that are not UTF-8 become lone surrogates."""
    if not isinstance(value, bytes):
        raise MetainfoError("a name is missing or not text")
    return value.decode(errors="surrogateescape")


def _read_number(entries: dict[bytes, bencode.Value], key: bytes) -> int:
    value = entries.get(key)
    if not isinstance(value, int) or value < 0:
        raise MetainfoError(f"{key.decode()} is missing or not a number of bytes")
    return value


def _is_private(value: bencode.Value | None) -> bool:
    """Return the value of BEP 27's flag: true for every number but 0, as in libtorrent 2.1.1."""
    return isinstance(value, int) and value != 0


def _read_attributes(entries: dict[bytes, bencode.Value]) -> bytes:
    value = entries.get(b"attr")
    return value if isinstance(value, bytes) else b""
