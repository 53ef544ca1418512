"""Making torrents of files on this machine: hashed once, and the hashes kept until a file changes.

Every regular file below a folder is shared, including hidden ones, sorted by the bytes of
each path component (`a/z` before `a-b`, as in the file tree of BEP 52), so that the same folder
makes the same torrent everywhere. Symbolic links inside it are left out: a link that points outside
must never be served, and one that stays inside would only serve a file twice. Sockets, devices and
pipes are left out, too, and files that other clients take for padding because of their names.
`LeftOut` counts them. The path to share may itself be a link.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from trio_swarm.amounts import count_text
from trio_swarm.errors import MetainfoError, StorageError
from trio_swarm.identities import DEFAULT_VERSION, TorrentVersion
from trio_swarm.piece_sets import full_set
from trio_swarm.protocol.metainfo import file_names, merkle
from trio_swarm.protocol.metainfo.info import (
    MAX_FILES,
    MAX_PIECE_LENGTH,
    MIN_PIECE_LENGTH,
    is_padding_name,
)
from trio_swarm.protocol.metainfo.torrent import (
    Info,
    Metainfo,
    build_info,
    choose_piece_length,
    parse_info,
    parse_metainfo,
)
from trio_swarm.storage.access import FileAccess
from trio_swarm.storage.disk_errors import disk_errors, require_there
from trio_swarm.storage.hashing import (
    OnProgress,
    ShouldStop,
    hash_pieces,
    never_stop,
    no_progress,
)
from trio_swarm.storage.layout import Layout
from trio_swarm.storage.rehashing import TRIES, pieces_of
from trio_swarm.storage.resume import log as resume_log
from trio_swarm.storage.resume.journal import Stamp, stamp_of
from trio_swarm.storage.share_hashes import ShareHashes
from trio_swarm.storage.state import StateFolder
from trio_swarm.storage.tree import Tree

_SMALLEST_PIECE = 1024
"""Bytes. With smaller pieces, 2 % of the data or more would be hashes; no client makes such
torrents."""

OnStateProblem = Callable[[StorageError], None]
"""Called with the reason why hashes are not stored."""

_HASH_LENGTH = 20
_KEPT_TORRENT = b"d4:info"
"""How a .torrent file of nothing but an info dictionary and piece layers begins."""


class LeftOut(Struct):
    """How many entries of a folder are not shared, by kind."""

    links: int = 0
    """Symbolic links to files and folders."""
    special: int = 0
    """Sockets, pipes and devices."""
    padding: int = 0
    """Files that every client takes for padding because of their names, and does not download."""

    def __bool__(self) -> bool:
        """Return whether anything was left out."""
        return bool(self.links or self.special or self.padding)

    def __str__(self) -> str:
        """Return the counts for a person: `4 symbolic links, 1 padding file`."""
        parts = [count_text(self.links, "symbolic link")] if self.links else []
        if self.special == 1:
            parts.append("1 socket, pipe or device")
        elif self.special:
            parts.append(f"{self.special:,} sockets, pipes and devices")
        if self.padding:
            parts.append(count_text(self.padding, "padding file"))
        return ", ".join(parts)


OnLeftOut = Callable[[LeftOut], None]
"""Called once with the entries of a folder that are not shared, if there are any."""


def ignore_left_out(_left_out: LeftOut) -> None:
    """Do nothing: the default for `on_left_out`."""


class ShareFiles(NamedTuple):
    """The files to share at a path, in order, and their real path."""

    root: Path
    files: list["SharedFile"]
    is_single_file: bool
    left_out: LeftOut

    @property
    def length(self) -> int:
        """The bytes of all of them."""
        return sum([file.stamp.size for file in self.files])


class SharedFile(NamedTuple):
    """One file to share: its path below the folder and its stamp."""

    path: tuple[str, ...]
    stamp: Stamp

    @property
    def size(self) -> int:
        """The length of the file in bytes."""
        return self.stamp.size


def hash_share(
    path: Path,
    *,
    name: str | None = None,
    piece_length: int | None = None,
    private: bool = False,
    source: str = "",
    version: TorrentVersion = DEFAULT_VERSION,
    state_folder: Path,
    on_progress: OnProgress = no_progress,
    on_left_out: OnLeftOut = ignore_left_out,
    should_stop: ShouldStop = never_stop,
    on_state_problem: OnStateProblem | None = None,
) -> Info:
    """Return the Info of the file or folder at `path`; hash it unless that was done before.

    `name` is the torrent's name (default: the last part of `path`), `piece_length` is in bytes
    (default: `choose_piece_length`). `source` makes another torrent of the same files. Hashes are
    stored in `state_folder` and used again while no file's size, times or inode have changed; then
    `TorrentFiles.for_share` of the result need not hash either. If `state_folder` cannot be used,
    `on_state_problem` is called with the reason and nothing is stored; without `on_state_problem`
    that raises StorageError.

    Blocks. Raises HashingStopped. Raises StorageError for a path that cannot be read, has no files,
    has a name that cannot be shared, or changes meanwhile.
    """
    share = examine(path)
    if share.left_out:
        on_left_out(share.left_out)
    asked = Wanted.of(
        path,
        share,
        name=name,
        piece_length=piece_length,
        private=private,
        source=source,
        version=version,
    )
    state = ShareState(ShareHashes(StateFolder(state_folder)), on_state_problem)
    key = asked.key(share.root)
    info = state.recall(key, share.files)
    if info is not None:
        return info
    # The layout is first made with blank hashes. It is the same, and names that cannot be shared
    # are found before hours of hashing instead of after.
    blank = asked.blank(path, share)
    access = FileAccess(Layout(blank), Tree(share.root))
    files, digests = _hash_at_rest(
        path, access, share.files, on_progress=on_progress, should_stop=should_stop
    )
    info = asked.hashed(path, share, blank, digests)
    state.remember(key, files, info)
    state.save()
    state.vouch(share.root, files, info)
    return info


class Wanted(NamedTuple):
    """What is to become of the files of a share: together with them, all that its Info tells."""

    name: str
    piece_length: int
    private: bool
    source: str = ""
    version: TorrentVersion = DEFAULT_VERSION

    @classmethod
    def of(
        cls,
        path: Path,
        share: ShareFiles,
        *,
        name: str | None,
        piece_length: int | None,
        private: bool = False,
        source: str = "",
        version: TorrentVersion = DEFAULT_VERSION,
    ) -> "Wanted":
        """Return it for the files at `path`, by the defaults of `hash_share`.

        Raises StorageError for a name that cannot be shared, and for an impossible piece length.
        """
        if name is None:
            name = Path(os.path.abspath(path)).name  # noqa: PTH100 - keeps the name of a link
        for component in {name}.union(*(file.path for file in share.files)):
            _require_shareable(component, path)
        piece_length = piece_length or choose_piece_length(share.length)
        if not _SMALLEST_PIECE <= piece_length <= MAX_PIECE_LENGTH:
            raise StorageError(
                f"piece length {piece_length} is not within {_SMALLEST_PIECE} and "
                f"{MAX_PIECE_LENGTH}",
                path=path,
            )
        return cls(name, piece_length, private, source, version)

    def key(self, root: Path) -> bytes:
        """Return what the Info of the files at `root` is known by in the state folder."""
        options = b"%d %d" % (self.piece_length, self.private)
        if self.version != "v1":
            options += b" " + self.version.encode()
        parts = [os.fsencode(root), self.name.encode(), options]
        if self.source:
            parts.append(self.source.encode())
        return hashlib.sha1(b"\0".join([hashlib.sha1(part).digest() for part in parts])).digest()

    def blank(self, path: Path, share: ShareFiles) -> Info:
        """Return the Info without its hashes: the files are where they will be."""
        if self.version == "v1":
            return self.info(path, share, bytes(_HASH_LENGTH * _pieces(share.length, self)))
        count = sum(_pieces(file.size, self) for file in share.files)
        hashes = bytes(_HASH_LENGTH * count) if self.version == "hybrid" else None
        roots = [bytes(merkle.HASH_LENGTH if file.size else 0) for file in share.files]
        return self.info(path, share, hashes, roots)

    def hashed(
        self, path: Path, share: ShareFiles, blank: Info, digests: Mapping[int, bytes]
    ) -> Info:
        """Return the Info with the digests of all pieces, as `hash_pieces` returns them."""
        hashes = [digests[piece] for piece in range(blank.piece_count)]
        v1 = None if self.version == "v2" else b"".join([each[:_HASH_LENGTH] for each in hashes])
        if self.version == "v1":
            return self.info(path, share, v1)
        start = 0 if v1 is None else _HASH_LENGTH
        height = merkle.height_of(self.piece_length)
        roots: list[bytes] = []
        layers: dict[bytes, bytes] = {}
        for entry in blank.files:
            if entry.padding:
                continue
            layer = b"".join([hashes[piece][start:] for piece in blank.pieces_of(entry)])
            roots.append(merkle.file_root(layer, height) if layer else b"")
            if entry.length > self.piece_length:
                layers[roots[-1]] = layer
        return self.info(path, share, v1, roots).with_layers(layers)

    def info(
        self,
        path: Path,
        share: ShareFiles,
        piece_hashes: bytes | None,
        roots: Sequence[bytes] | None = None,
    ) -> Info:
        """Return the Info of files with these hashes; raises StorageError."""
        single = share.is_single_file
        try:
            return build_info(
                name=self.name,
                piece_length=self.piece_length,
                piece_hashes=piece_hashes,
                files=None if single else [(file.path, file.size) for file in share.files],
                length=share.length if single else None,
                private=self.private,
                source=self.source,
                roots=roots,
            )
        except MetainfoError as error:
            raise StorageError(f"cannot be shared: {error}", path=path) from error


def _pieces(length: int, wanted: Wanted) -> int:
    return -(-length // wanted.piece_length)


class ShareState:
    """What is stored of shares; does nothing any more once the state folder cannot be used.

    Then `on_problem` is called with the reason; without it that raises StorageError.
    """

    def __init__(self, hashes: ShareHashes, on_problem: OnStateProblem | None) -> None:
        self._hashes = hashes
        self._on_problem = on_problem
        self._has_failed = False

    def recall(self, key: bytes, files: Sequence[SharedFile]) -> Info | None:
        """Return the stored Info of exactly these files; None if there is none."""
        try:
            content = self._hashes.find(key)
        except StorageError as error:
            self._tell(error)
            return None
        if content is None or content[:_HASH_LENGTH] != _fingerprint(files):
            return None
        try:
            return _unpacked(content[_HASH_LENGTH:])
        except MetainfoError:
            return None

    def remember(self, key: bytes, files: Sequence[SharedFile], info: Info) -> None:
        """Keep the hashes, so that the next start need not hash; small ones with `save`."""
        if not self._has_failed:
            with self._telling():
                self._hashes.keep(key, _fingerprint(files) + _packed(info))

    def save(self) -> None:
        """Store what is not stored yet."""
        if not self._has_failed:
            with self._telling():
                self._hashes.save()

    def vouch(self, root: Path, files: Sequence[SharedFile], info: Info) -> None:
        """Record that all pieces are right, for `TorrentFiles.for_share`."""
        if not self._has_failed:
            stamps = stamps_by_number(info, files)
            with self._telling():
                _save_record(self._hashes.state.share(root, info.info_hash), info, stamps)

    @contextmanager
    def _telling(self) -> Iterator[None]:
        try:
            yield
        except StorageError as error:
            self._tell(error)

    def _tell(self, error: StorageError) -> None:
        self._has_failed = True
        if self._on_problem is None:
            raise error
        self._on_problem(error)


def stamps_by_number(info: Info, files: Sequence[SharedFile]) -> dict[int, Stamp]:
    """Return the stamps of a share's files by their numbers in its torrent, which has padding."""
    numbers = (number for number, entry in enumerate(info.files) if not entry.padding)
    return {number: file.stamp for number, file in zip(numbers, files, strict=True)}


def _packed(info: Info) -> bytes:
    """Return what is kept of an Info: its bytes, or a .torrent file, which has piece layers."""
    return Metainfo(info).to_bytes() if info.has_v2 else info.raw


def _unpacked(content: bytes) -> Info:
    if content.startswith(_KEPT_TORRENT):
        return parse_metainfo(content, keep_names=True).info
    return parse_info(content, keep_names=True)


def _save_record(record: Path, info: Info, stamps: Mapping[int, Stamp]) -> None:
    with disk_errors(record):
        resume_log.save_snapshot(
            record,
            resume_log.make_snapshot(
                Layout(info), full_set(info.piece_count), dict(stamps), durable=True
            ),
        )


def _hash_at_rest(
    path: Path,
    access: FileAccess,
    files: list[SharedFile],
    *,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> tuple[list[SharedFile], dict[int, bytes]]:
    """Return the digests of all pieces, and the files as they were while they were hashed.

    A file that changes meanwhile is hashed again; one that keeps changing raises StorageError.
    """
    layout = access.layout
    pieces = full_set(layout.info.piece_count)
    digests: dict[int, bytes] = {}
    for _ in range(TRIES):
        digests |= hash_pieces(
            layout,
            access.open_to_hash,
            pieces,
            on_progress=on_progress,
            should_stop=should_stop,
            all_versions=True,
        )
        after = examine(path).files
        if after == files and len(digests) == layout.info.piece_count:
            return files, digests
        if [(file.path, file.size) for file in after] != [(file.path, file.size) for file in files]:
            break
        changed = [i for i, (old, new) in enumerate(zip(files, after, strict=True)) if old != new]
        pieces = pieces_of(access, changed)
        files = after
    raise StorageError("changed while it was hashed; try again later", path=path)


def remember_download(
    info: Info, path: Path, state_folder: Path, stamps: Mapping[int, Stamp]
) -> None:
    """Store the hashes of a finished download, whose pieces were all verified, for `hash_share`.

    `stamps` are the files' stamps as verified, by index in `info.files`. Nothing is stored for
    files that differ from them, nor for a torrent that sharing `path` could not make: one with
    other files than the folder, or with padding. Raises StorageError if the state folder cannot be
    written.
    """
    share = examine(path)
    files = share.files
    verified = [
        (entry.path, stamps[number]) for number, entry in enumerate(info.files) if number in stamps
    ]
    found = [(file.path, file.stamp) for file in files]
    if share.is_single_file != info.is_single_file or sorted(verified) != sorted(found):
        return
    if any(entry.padding for entry in info.files):
        return
    wanted = Wanted(info.name, info.piece_length, info.private)
    # An info dictionary that says more, such as `source`, is another torrent of the same files.
    if wanted.info(path, share, info.piece_hashes).raw != info.raw:
        return
    state = ShareState(ShareHashes(StateFolder(state_folder)), None)
    state.remember(wanted.key(share.root), files, info)
    state.save()
    _save_record(StateFolder(state_folder).share(share.root, info.info_hash), info, stamps)


def create_metainfo(
    path: Path,
    *,
    trackers: Sequence[str] = (),
    web_seeds: Sequence[str] = (),
    comment: str = "",
    created_by: str = "",
    creation_date: int | None = None,
    name: str | None = None,
    piece_length: int | None = None,
    private: bool = False,
    source: str = "",
    version: TorrentVersion = DEFAULT_VERSION,
    state_folder: Path,
    on_progress: OnProgress = no_progress,
    on_left_out: OnLeftOut = ignore_left_out,
    should_stop: ShouldStop = never_stop,
    on_state_problem: OnStateProblem | None = None,
) -> Metainfo:
    """Return the metainfo of `path`; arguments as for `hash_share`.

    `trackers` are URLs, each a tier of its own; `web_seeds` are URLs, too (BEP 19). Raises
    MetainfoError for a URL that is not a tracker's or a web seed's, and the errors of `hash_share`.
    """
    # The URLs are checked first, with an empty torrent, because hashing can take hours.
    nothing = build_info(
        name="nothing", piece_length=MIN_PIECE_LENGTH, piece_hashes=b"", files=None, length=0
    )
    advice = Metainfo(
        info=nothing, comment=comment, created_by=created_by, creation_date=creation_date
    )
    advice = advice.with_trackers(trackers).with_web_seeds(web_seeds)
    info = hash_share(
        path,
        name=name,
        piece_length=piece_length,
        private=private,
        source=source,
        version=version,
        state_folder=state_folder,
        on_progress=on_progress,
        on_left_out=on_left_out,
        should_stop=should_stop,
        on_state_problem=on_state_problem,
    )
    return replace(advice, info=info)


def examine(path: Path) -> ShareFiles:
    """Return the files to share at `path`, which may itself be a link; raises StorageError."""
    require_there(path)
    with disk_errors(path):
        real = os.path.realpath(path, strict=True)
        root = path if real == str(path) else Path(real)  # of thousands, a copy takes memory
        status = root.stat()
        if stat.S_ISREG(status.st_mode):
            return ShareFiles(
                root, [_shared_file((), status)], is_single_file=True, left_out=LeftOut()
            )
        if not stat.S_ISDIR(status.st_mode):
            raise StorageError("is neither a file nor a folder", path=path)
    left_out = LeftOut()
    files = list(_walk(root, left_out))
    if not files:
        only = f", only {left_out}" if left_out else ""
        raise StorageError(f"holds no files to share{only}", path=path)
    files.sort(key=lambda file: [os.fsencode(component) for component in file.path])
    return ShareFiles(root, files, is_single_file=False, left_out=left_out)


def _walk(root: Path, left_out: LeftOut) -> Iterator[SharedFile]:
    """Yield the files below `root` to share, and count all other entries in `left_out`.

    Entries that vanish meanwhile are skipped. Each folder is opened relative to its parent, so that
    no path is too long.
    """
    tree = Tree(root)
    folders: list[tuple[str, ...]] = [()]
    count = 0
    while folders:
        folder = folders.pop()
        with disk_errors(tree.at(folder)):
            try:
                descriptor = tree.open_folder(folder)
            except FileNotFoundError:
                if not folder:
                    raise
                continue
            try:
                for file in _list_folder(descriptor, folder, folders, left_out):
                    count += 1
                    if count > MAX_FILES:
                        raise StorageError(f"holds more than {MAX_FILES} files", path=root)
                    yield file
            finally:
                os.close(descriptor)


def _list_folder(
    descriptor: int, folder: tuple[str, ...], folders: list[tuple[str, ...]], left_out: LeftOut
) -> Iterator[SharedFile]:
    """Yield the files of one open folder, and append its folders to `folders`."""
    with os.scandir(descriptor) as entries:
        for entry in entries:
            inside = (*folder, entry.name)
            try:
                if entry.is_symlink():
                    left_out.links += 1
                elif entry.is_dir(follow_symlinks=False):
                    if len(inside) > file_names.MAX_PATH_DEPTH:
                        raise StorageError("is a folder nested too deep", path=Path(*inside))
                    folders.append(inside)
                elif not entry.is_file(follow_symlinks=False):
                    left_out.special += 1
                elif is_padding_name(entry.name):
                    left_out.padding += 1
                else:
                    yield _shared_file(inside, entry.stat(follow_symlinks=False))
            except FileNotFoundError:
                continue


def _shared_file(path: tuple[str, ...], status: os.stat_result) -> SharedFile:
    return SharedFile(path, stamp_of(status))


def _require_shareable(component: str, path: Path) -> None:
    """Raise StorageError for a name that a torrent cannot hold (BEP 3: UTF-8)."""
    try:
        component.encode()
    except UnicodeEncodeError:
        is_unicode = False
    else:
        is_unicode = True
    if is_unicode and len(component.encode()) > file_names.MAX_COMPONENT_BYTES:
        most = file_names.MAX_COMPONENT_BYTES
        raise StorageError(f"the name {component[:40] + '...'!r} exceeds {most} bytes", path=path)
    if not is_unicode or component in {"", ".", ".."} or "/" in component or "\0" in component:
        raise StorageError(
            f"the name {component!r} cannot be shared (not UTF-8, or like a path): rename it",
            path=path,
        )


def _fingerprint(files: Sequence[SharedFile]) -> bytes:
    digest = hashlib.sha1()
    for file in files:
        name = os.fsencode("/".join(file.path))
        digest.update(b"%d:%d:%d:%d:%d:" % (len(name), *file.stamp) + name)
    return digest.digest()
