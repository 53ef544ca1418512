"""The info dictionary: the shared files, and the hashes of the pieces (BEP 3, BEP 52).

Every `Info` is made by `parse_info`: of torrents that are read, received (BEP 9) or made here. The
info-hash is always the hash of the exact bytes, never of a re-encoded dictionary.

A torrent is of version 1, of version 2, or a hybrid of both. In version 2 each file begins with a
piece: `Info.files` then has padding between files, as a hybrid's version 1 half has.
"""

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from operator import attrgetter

from msgspec import Struct

from trio_swarm.amounts import size_text
from trio_swarm.errors import BencodeError, MetainfoError
from trio_swarm.foreign_text import shown
from trio_swarm.identities import InfoHash
from trio_swarm.protocol import bencode
from trio_swarm.protocol.metainfo import file_names, file_tree, merkle

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

PAD_FOLDER = ".pad"
"""Where padding is listed; its own name is its length (BEP 47)."""

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
_SMALLEST_PIECE = 16 * 2**10
_LARGEST_PIECE = 16 * 2**20
_LARGE_FILE = 64 * 2**20
_LARGE_FILE_PIECE = 256 * 2**10
_MOST_PIECES_WANTED = 2000


class FileEntry(Struct, frozen=True):
    """A file of a torrent, or padding between files.

    `path` is relative to the folder with the torrent's name, and () for a single file. `offset` is
    where the file begins in the content. `padding` bytes are zeros that are not on disk (BEP 47);
    the path of padding is only for display, and not unique. `root` is that of its merkle tree (BEP
    52), 32 bytes; empty for padding, for an empty file, and in version 1.
    """

    path: tuple[str, ...]
    length: int
    offset: int
    padding: bool
    root: bytes = b""


@dataclass(frozen=True, slots=True)
class Info:
    """An info dictionary that passed every check; lengths in bytes.

    `info_hash` is the SHA-1 digest of the exact bytes `raw`; in version 2 it is the first 20 bytes
    of their SHA-256 digest. `piece_hashes` holds 20 bytes for each piece, and none in version 2.
    `name` and the paths of `files` are safe to create on Linux (see `file_names`, "kept").
    `renamed` lists the changed ones: (name in the torrent, name here).
    """

    info_hash: InfoHash
    name: str
    piece_length: int
    piece_hashes: bytes = field(repr=False)
    files: tuple[FileEntry, ...] = field(repr=False)
    is_single_file: bool
    private: bool
    length: int
    """With all padding."""
    raw: bytes = field(repr=False)
    renamed: tuple[tuple[str, str], ...] = field(default=(), repr=False)
    has_v1: bool = True
    """It is of version 1, or a hybrid."""
    has_v2: bool = False
    """It is of version 2, or a hybrid."""
    v2_piece_hashes: bytes = field(default=b"", repr=False)
    """32 bytes for each piece: see `merkle.piece_hash`; none in version 1, and while they are not
    known (see `with_layers`)."""
    short_pieces: Mapping[int, int] = field(default_factory=dict, repr=False)
    """The lengths of pieces that end with padding, without it."""
    small_files: frozenset[int] = field(default=frozenset(), repr=False)
    """The pieces of version 2 that are a whole file, and short."""

    @property
    def is_hybrid(self) -> bool:
        """It describes the same files for both versions (BEP 52, "Upgrade Path")."""
        return self.has_v1 and self.has_v2

    @property
    def v2_hash(self) -> bytes | None:
        """The version 2 info-hash (BEP 52), 32 bytes; None: it has none."""
        return hashlib.sha256(self.raw).digest() if self.has_v2 else None

    @property
    def padding(self) -> int:
        """Bytes of padding between files, which `length` counts (BEP 47)."""
        return sum(file.length for file in self.files if file.padding)

    @property
    def size(self) -> int:
        """Bytes that are fetched and served: all but the padding at the ends of pieces."""
        return self.length - sum(
            self.padded_size(piece) - size for piece, size in self.short_pieces.items()
        )

    @property
    def piece_count(self) -> int:
        """The number of pieces; 0 for a torrent of empty files."""
        return -(-self.length // self.piece_length)

    def padded_size(self, piece: int) -> int:
        """Return the length of `piece` with its padding, in bytes; the last may be shorter."""
        return min(self.piece_length, self.length - piece * self.piece_length)

    def piece_size(self, piece: int) -> int:
        """Return the length of `piece` in bytes, without the padding at its end."""
        size = self.short_pieces.get(piece)
        return self.padded_size(piece) if size is None else size

    def piece_hash(self, piece: int) -> bytes:
        """Return the digest of `piece`: SHA-1, 20 bytes, of it with its padding.

        In version 2 it is that of `merkle.piece_hash`, 32 bytes; empty while it is not known.
        """
        if self.has_v1:
            return self.piece_hashes[piece * _HASH_LENGTH : (piece + 1) * _HASH_LENGTH]
        return self.v2_piece_hash(piece)

    def v2_piece_hash(self, piece: int) -> bytes:
        """Return the digest of `piece` in version 2, 32 bytes; empty while it is not known."""
        start = piece * merkle.HASH_LENGTH
        return self.v2_piece_hashes[start : start + merkle.HASH_LENGTH]

    @property
    def can_verify(self) -> bool:
        """Whether a hash of each piece is known."""
        return self.has_v1 or bool(self.v2_piece_hashes) or not self.length

    def pieces_of(self, file: FileEntry) -> range:
        """Return the pieces that have a byte of `file`; none for an empty file."""
        if not file.length:
            return range(0)
        first = file.offset // self.piece_length
        return range(first, -(-(file.offset + file.length) // self.piece_length))

    def file_of(self, piece: int) -> FileEntry:
        """Return the file of version 2 that a piece is of: each piece is of one."""
        at = bisect_right(self.files, piece * self.piece_length, key=attrgetter("offset")) - 1
        while self.files[at].padding or not self.files[at].length:
            at -= 1
        return self.files[at]

    def layered_files(self) -> dict[bytes, FileEntry]:
        """Return the files of version 2 that have a piece layer, by their root.

        They are longer than a piece; of identical files one is returned.
        """
        return {
            file.root: file for file in self.files if file.length > self.piece_length and file.root
        }

    def layers(self) -> dict[bytes, bytes]:
        """Return the piece layer of each of `layered_files`, by root; empty while not known."""
        if not self.v2_piece_hashes:
            return {}
        size = merkle.HASH_LENGTH
        pieces = {root: self.pieces_of(file) for root, file in self.layered_files().items()}
        return {
            root: self.v2_piece_hashes[of.start * size : of.stop * size]
            for root, of in pieces.items()
        }

    def with_layers(self, layers: Mapping[bytes, bytes]) -> "Info":
        """Return a copy that knows the hash of each piece of version 2.

        `layers` are the piece layers by root (BEP 52, "piece layers"). If some are missing, the
        copy knows none. Raises MetainfoError for one that is not of this torrent, or is wrong.
        """
        files = self.layered_files()
        height = merkle.height_of(self.piece_length)
        for root, layer in layers.items():
            file = files.get(root)
            if file is None:
                raise MetainfoError("has a piece layer of no file of it")
            count = len(self.pieces_of(file))
            if len(layer) != count * merkle.HASH_LENGTH:
                path = self.shown_path(file)
                raise MetainfoError(
                    f"the piece layer of {path!r} has {len(layer)} bytes for {count} pieces"
                )
            if merkle.file_root(layer, height) != root:
                raise MetainfoError(f"the piece layer of {self.shown_path(file)!r} is wrong")
        if len(layers) < len(files):
            return self
        hashes = [layers.get(file.root, file.root) for file in self.files if file.root]
        return replace(self, v2_piece_hashes=b"".join(hashes))

    def shown_path(self, file: FileEntry) -> str:
        """Return the path of `file` for messages."""
        return shown("/".join(file.path) or self.name)


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
    return read_info(
        reading.value,
        raw,
        keep_names=keep_names,
        repeated=repeated,
        is_canonical=reading.is_canonical,
    )


def build_info(
    *,
    name: str,
    piece_length: int,
    piece_hashes: bytes | None,
    files: Sequence[tuple[tuple[str, ...], int]] | None,
    length: int | None,
    private: bool = False,
    source: str = "",
    roots: Sequence[bytes] | None = None,
) -> Info:
    """Return the Info of content on this machine: `files` (path, length), or one `length`.

    `piece_hashes` are joined, 20 bytes for each piece; None: there is no version 1 half. With
    `roots`, one for each file, there is a version 2 half: 32 bytes each, or none for an empty file.
    Files are then sorted by the bytes of their names, and version 1 has padding behind each that
    does not end with a piece; in one of nothing but version 2 it is `Info` that adds it. `source`
    makes another torrent of the same content.

    Names are kept unchanged, as with `keep_names`; a name that is not UTF-8 cannot be shared.
    Raises MetainfoError, as `parse_info` does.
    """
    entries: dict[str, bencode.Encodable] = {"name": name, "piece length": piece_length}
    if piece_hashes is not None:
        entries["pieces"] = piece_hashes
        if files is not None:
            entries["files"] = _listed_files(files, 0 if roots is None else piece_length)
        if length is not None:
            entries["length"] = length
    if roots is not None:
        entries["meta version"] = _V2
        named = files if files is not None else [((name,), length or 0)]
        entries["file tree"] = file_tree.build_tree(
            [(path, size, root) for (path, size), root in zip(named, roots, strict=True)]
        )
    if private:
        entries["private"] = 1
    if source:
        entries["source"] = source
    try:
        raw = bencode.encode(entries)
    except BencodeError as error:
        raise MetainfoError(f"{shown(name)!r} cannot be shared: {error}") from error
    return parse_info(raw, keep_names=True)


def _listed_files(
    files: Sequence[tuple[tuple[str, ...], int]], alignment: int
) -> list[dict[str, bencode.Encodable]]:
    """Return `files` of version 1, with padding up to multiples of `alignment` (BEP 47)."""
    listed: list[dict[str, bencode.Encodable]] = []
    for path, size in files:
        listed.append({"length": size, "path": path})
        gap = -size % alignment if alignment else 0
        if gap:
            listed.append({"attr": "p", "length": gap, "path": (PAD_FOLDER, str(gap))})
    return listed


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
    info: dict[bytes, bencode.Value],
    raw: bytes,
    *,
    keep_names: bool,
    repeated: Iterable[bytes],
    is_canonical: bool,
) -> Info:
    """Return the Info of `info`, decoded from the exact bytes `raw`; errors as `parse_info`.

    `repeated` are keys in it that were given again with another value. `is_canonical`: see
    `bencode.Reading`.
    """
    if len(raw) > MAX_INFO_SIZE:
        raise MetainfoError(f"an info dictionary of more than {size_text(MAX_INFO_SIZE)}")
    _check_version(info)
    has_v2 = info.get(b"meta version") == _V2 and b"file tree" in info
    has_v1 = not has_v2 or _has_v1_half(info)
    for key in repeated:
        # In a file tree, every name is a key.
        if key in _MATTERS or has_v2:
            raise MetainfoError(
                f"says {shown(key.decode(errors='replace'))!r} twice, and not the same"
            )
    digest = hashlib.sha1(raw).digest() if has_v1 else hashlib.sha256(raw).digest()[:20]
    info_hash = InfoHash(digest)
    piece_length = _read_number(info, b"piece length")
    if not MIN_PIECE_LENGTH <= piece_length <= MAX_PIECE_LENGTH:
        raise MetainfoError(
            f"piece length {piece_length} is not within {MIN_PIECE_LENGTH} and {MAX_PIECE_LENGTH}"
        )
    renamed: list[tuple[str, str]] = []
    read = _read_v1 if has_v1 else _read_v2
    listed_name, is_single_file, files = read(info, piece_length, renamed, keep_names=keep_names)
    # The name is "purely advisory" (BEP 3), so it may be empty.
    name = file_names.kept_component(listed_name or info_hash.hex())
    if listed_name not in {"", name}:
        renamed.insert(0, (listed_name, name))
    if has_v1 and has_v2:
        roots = file_tree.check_halves(
            info[b"file tree"], _listed(info, files), _links(info), piece_length
        )
        # A folder of one file has the same tree as that file.
        if is_single_file and (
            not file_tree.is_one_file(info[b"file tree"]) or b"p" in _read_attributes(info)
        ):
            raise MetainfoError("it is a single file in version 1, and none in version 2")
        _check_padding(files, piece_length)
        files = _with_roots(files, roots)
    if has_v2 and not is_canonical:
        raise MetainfoError(
            "keys out of order or given twice, or zeros before a number: not valid in version 2"
        )
    if keep_names and renamed:
        raise MetainfoError(f"unsafe file name {renamed[0][0][:_MAX_SHOWN]!r}")
    length = files[-1].offset + files[-1].length
    count = -(-length // piece_length)
    if count > MAX_PIECES:
        raise MetainfoError(f"{count} pieces, more than {MAX_PIECES}: needs a larger piece length")
    result = Info(
        info_hash=info_hash,
        name=name,
        piece_length=piece_length,
        piece_hashes=_read_hashes(info, count) if has_v1 else b"",
        files=files,
        is_single_file=is_single_file,
        private=_is_private(info.get(b"private")),
        length=length,
        raw=raw,
        renamed=tuple(renamed),
        has_v1=has_v1,
        has_v2=has_v2,
        short_pieces=_short_pieces(files, piece_length, length),
        small_files=frozenset(
            file.offset // piece_length
            for file in files
            if file.root and file.length < piece_length
        ),
    )
    return result.with_layers({}) if has_v2 else result


def _short_pieces(files: Iterable[FileEntry], piece_length: int, length: int) -> dict[int, int]:
    """Return the pieces that end with padding: their lengths without it."""
    short: dict[int, int] = {}
    for file in files:
        if file.padding:
            piece, within = divmod(file.offset, piece_length)
            end = min((piece + 1) * piece_length, length)
            # A piece of nothing but padding has no end before it.
            if within and file.length and file.offset + file.length >= end:
                short[piece] = within
    return short


def _with_roots(files: tuple[FileEntry, ...], roots: Iterable[bytes]) -> tuple[FileEntry, ...]:
    """Return the files with their roots, of which `roots` has one for each that is no padding."""
    root = iter(roots)
    return tuple(
        file
        if file.padding
        else FileEntry(file.path, file.length, file.offset, padding=False, root=next(root))
        for file in files
    )


def _read_v1(
    info: dict[bytes, bencode.Value],
    _piece_length: int,
    renamed: list[tuple[str, str]],
    *,
    keep_names: bool,
) -> tuple[str, bool, tuple[FileEntry, ...]]:
    """Return the name, whether it is that of a single file, and the files of version 1.

    Names that had to be changed are added to `renamed`.
    """
    name = _read_text(info, b"name")
    # If both are given, `files` counts, as in libtorrent 2.1.1; a `files` that is not a list counts
    # as absent.
    if b"length" not in info or isinstance(info.get(b"files"), list):
        if b"files" not in info:
            raise MetainfoError("needs a length or a list of files")
        return name, False, _read_files(info[b"files"], renamed, keep_names=keep_names)
    if b"l" in _read_attributes(info):
        raise MetainfoError("a symbolic link is all it holds")
    return name, True, (FileEntry((), _read_number(info, b"length"), 0, padding=False),)


def _read_v2(
    info: dict[bytes, bencode.Value],
    piece_length: int,
    renamed: list[tuple[str, str]],
    *,
    keep_names: bool,
) -> tuple[str, bool, tuple[FileEntry, ...]]:
    """Return the same of version 2, with padding behind files that do not end with a piece.

    The name of a single file is that of the tree, whatever `name` says, as in libtorrent 2.1.1.
    """
    name = _read_text(info, b"name")
    file_tree.check_piece_length(piece_length)
    tree = info[b"file tree"]
    listed = list(islice(file_tree.read_tree(tree), MAX_FILES + 1))
    if len(listed) > MAX_FILES:
        raise MetainfoError(f"holds more than {MAX_FILES} files")
    if not listed:
        raise MetainfoError("holds no file")
    paths = [tuple([_decode_text(part) for part in file.path]) for file in listed]
    is_single_file = file_tree.is_one_file(tree)
    if is_single_file:
        name, paths = paths[0][0], [()]
    else:
        paths = _kept_paths(paths, renamed, keep_names=keep_names)
    result: list[FileEntry] = []
    offset = 0
    for file, path in zip(listed, paths, strict=True):
        result.append(FileEntry(path, file.length, offset, padding=False, root=file.root))
        offset += file.length
        # Behind the last file as well, as in libtorrent 2.1.1, which asks for whole blocks.
        if gap := -offset % piece_length:
            result.append(FileEntry((PAD_FOLDER, str(gap)), gap, offset, padding=True))
            offset += gap
    return name, is_single_file, tuple(result)


def _kept_paths(
    paths: list[tuple[str, ...]], renamed: list[tuple[str, str]], *, keep_names: bool
) -> list[tuple[str, ...]]:
    """Return safe paths; with `keep_names`, MetainfoError for two files of one name.

    Names that had to be changed are added to `renamed`.
    """
    if keep_names:
        file_names.check_distinct(paths)
    kept = file_names.kept_paths(paths)
    if kept != paths:
        renamed += [
            ("/".join(before), "/".join(after))
            for before, after in zip(paths, kept, strict=True)
            if before != after
        ]
    return kept


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


def _links(info: dict[bytes, bencode.Value]) -> list[tuple[bytes, ...]]:
    """Return the paths of symbolic links of version 1 (bytes as given)."""
    listed = info.get(b"files")
    return [
        tuple(map(_as_given, _read_path(entry)))
        for entry in (listed if isinstance(listed, list) else ())
        if isinstance(entry, dict) and b"l" in _read_attributes(entry)
    ]


def _as_given(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _check_version(info: dict[bytes, bencode.Value]) -> None:
    """Raise MetainfoError for a version that is not known; the first check (BEP 52)."""
    version = info.get(b"meta version", 1)
    if not isinstance(version, int) or version > _V2:
        raise MetainfoError(f"metainfo version {bencode.shown_value(version)} is not known")
    if version == _V2 and b"file tree" not in info:
        raise MetainfoError("it is of version 2, but has no file tree")
    if version != _V2 and isinstance(info.get(b"file tree"), dict):
        raise MetainfoError("has a file tree, but says that it is not of version 2")


def _has_v1_half(info: dict[bytes, bencode.Value]) -> bool:
    """Return whether a torrent of version 2 is of version 1, too: it lists files and hashes."""
    has_files = b"length" in info or isinstance(info.get(b"files"), list)
    return has_files and isinstance(info.get(b"pieces"), bytes)


def _check_padding(files: Iterable[FileEntry], piece_length: int) -> None:
    """Raise MetainfoError for padding of a hybrid that does not just fill up a piece."""
    for file in files:
        end = file.offset + file.length
        if file.padding and (not 0 < file.length < piece_length or end % piece_length):
            raise MetainfoError("it has padding that does not just fill up a piece")


def _read_hashes(info: dict[bytes, bencode.Value], count: int) -> bytes:
    """Return `pieces`, which must have exactly 20 bytes for each of `count` pieces."""
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
    real = iter(_kept_paths(paths, renamed, keep_names=keep_names))
    return tuple(
        # BEP 47 recommends this name for padding; the name in the torrent is not used.
        FileEntry((PAD_FOLDER, str(size)) if padding else next(real), size, start, padding)
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
