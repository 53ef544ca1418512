"""Making torrents of files on this machine: hashed once, and the hashes kept until a file changes.

Every regular file below a folder is shared, including hidden ones, sorted by the bytes of their
paths, so that the same folder makes the same torrent everywhere. Symbolic links inside it are left
out: a link that points outside must never be served, and one that stays inside would only serve a
file twice. Sockets, devices and pipes are left out, too, and files that other clients take for
padding because of their names. `LeftOut` counts them. The path to share may itself be a link.
"""

import hashlib
import os
import stat
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace

from trio_swarm.amounts import count_text
from trio_swarm.errors import MetainfoError, StorageError
from trio_swarm.piece_sets import full_set
from trio_swarm.protocol.metainfo import file_names
from trio_swarm.protocol.metainfo.info import (
    MAX_FILES,
    MAX_INFO_SIZE,
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
)
from trio_swarm.storage.access import FileAccess
from trio_swarm.storage.disk_errors import disk_errors
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
from trio_swarm.storage.resume.journal import Stamp, replace_file, stamp_of
from trio_swarm.storage.state import StateFolder
from trio_swarm.storage.tree import Tree

_SMALLEST_PIECE = 1024
"""Bytes. With smaller pieces, 2 % of the data or more would be hashes; no client makes such
torrents."""

OnStateProblem = Callable[[StorageError], None]
"""Called with the reason why hashes are not stored."""

_HASH_LENGTH = 20
_MAX_REMEMBERED = MAX_INFO_SIZE + 2 * _HASH_LENGTH


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


class _Share(NamedTuple):
    """The files to share at a path, in order, and their real path."""

    root: Path
    files: list["_SharedFile"]
    is_single_file: bool
    left_out: LeftOut


class _SharedFile(NamedTuple):
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
    state_folder: Path,
    on_progress: OnProgress = no_progress,
    on_left_out: OnLeftOut = ignore_left_out,
    should_stop: ShouldStop = never_stop,
    on_state_problem: OnStateProblem | None = None,
) -> Info:
    """Return the Info of the file or folder at `path`; hash it unless that was done before.

    `name` is the torrent's name (default: the last part of `path`), `piece_length` is in bytes
    (default: `choose_piece_length`). Hashes are stored in `state_folder` and used again while no
    file's size, times or inode have changed; then `TorrentFiles.for_share` of the result need not
    hash either. If `state_folder` cannot be used, `on_state_problem` is called with the reason and
    nothing is stored; without `on_state_problem` that raises StorageError.

    Blocks. Raises HashingStopped. Raises StorageError for a path that cannot be read, has no files,
    has a name that cannot be shared, or changes meanwhile.
    """
    root, files, is_single_file, left_out = _examine(path)
    if left_out:
        on_left_out(left_out)
    if name is None:
        name = Path(os.path.abspath(path)).name  # noqa: PTH100 - keeps the name of a link
    for component in {name}.union(*(file.path for file in files)):
        _require_shareable(component, path)
    length = sum(file.size for file in files)
    piece_length = piece_length or choose_piece_length(length)
    if not _SMALLEST_PIECE <= piece_length <= MAX_PIECE_LENGTH:
        raise StorageError(
            f"piece length {piece_length} is not within {_SMALLEST_PIECE} and {MAX_PIECE_LENGTH}",
            path=path,
        )
    state = _ShareState(
        StateFolder(state_folder), root, name, b"%d %d" % (piece_length, private), on_state_problem
    )
    info = state.recall(files)
    if info is not None:
        return info

    def describe(piece_hashes: bytes) -> Info:
        try:
            return build_info(
                name=name,
                piece_length=piece_length,
                piece_hashes=piece_hashes,
                files=None if is_single_file else [(file.path, file.size) for file in files],
                length=length if is_single_file else None,
                private=private,
            )
        except MetainfoError as error:
            raise StorageError(f"cannot be shared: {error}", path=path) from error

    # The layout is first made with blank hashes. It is the same, and names that cannot be shared
    # are found before hours of hashing instead of after.
    layout = Layout(describe(bytes(_HASH_LENGTH * -(-length // piece_length))))
    access = FileAccess(layout, Tree(root))
    files, digests = _hash_at_rest(
        path, access, files, on_progress=on_progress, should_stop=should_stop
    )
    info = describe(b"".join(digests[piece] for piece in range(layout.info.piece_count)))

    state.remember(files, info)
    return info


class _ShareState:
    """The stored hashes of one share; does nothing if the state folder cannot be used."""

    def __init__(
        self,
        state: StateFolder,
        root: Path,
        name: str,
        options: bytes,
        on_problem: OnStateProblem | None,
    ) -> None:
        self._state = state
        self._root = root
        self._parts = (os.fsencode(root), name.encode(), options)
        self._on_problem = on_problem
        self._has_failed = False

    def recall(self, files: Sequence[_SharedFile]) -> Info | None:
        """Return the stored Info of exactly these files; None if there is none."""
        try:
            return _recall(self._state.hashes(*self._parts), files)
        except StorageError as error:
            self._tell(error)
            return None

    def remember(self, files: Sequence[_SharedFile], info: Info) -> None:
        """Store the hashes, so that the next start need not hash."""
        if self._has_failed:
            return
        try:
            _remember(self._state.hashes(*self._parts), files, info)
            record = self._state.share(self._root, info.info_hash)
            stamps = {number: file.stamp for number, file in enumerate(files)}
            _save_record(record, info, stamps)
        except StorageError as error:
            self._tell(error)

    def _tell(self, error: StorageError) -> None:
        self._has_failed = True
        if self._on_problem is None:
            raise error
        self._on_problem(error)


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
    files: list[_SharedFile],
    *,
    on_progress: OnProgress,
    should_stop: ShouldStop,
) -> tuple[list[_SharedFile], dict[int, bytes]]:
    """Return the digests of all pieces, and the files as they were while they were hashed.

    A file that changes meanwhile is hashed again; one that keeps changing raises StorageError.
    """
    layout = access.layout
    pieces = full_set(layout.info.piece_count)
    digests: dict[int, bytes] = {}
    for _ in range(TRIES):
        digests |= hash_pieces(
            layout, access.open_to_hash, pieces, on_progress=on_progress, should_stop=should_stop
        )
        after = _examine(path).files
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
    root, files, is_single_file, _ = _examine(path)
    verified = [
        (entry.path, stamps[number]) for number, entry in enumerate(info.files) if number in stamps
    ]
    found = [(file.path, file.stamp) for file in files]
    if is_single_file != info.is_single_file or sorted(verified) != sorted(found):
        return
    if any(entry.padding for entry in info.files):
        return
    state = StateFolder(state_folder)
    key = b"%d %d" % (info.piece_length, info.private)
    _remember(state.hashes(os.fsencode(root), info.name.encode(), key), files, info)
    _save_record(state.share(root, info.info_hash), info, stamps)


def create_metainfo(
    path: Path,
    *,
    trackers: Sequence[str] = (),
    comment: str = "",
    created_by: str = "",
    creation_date: int | None = None,
    name: str | None = None,
    piece_length: int | None = None,
    private: bool = False,
    state_folder: Path,
    on_progress: OnProgress = no_progress,
    on_left_out: OnLeftOut = ignore_left_out,
    should_stop: ShouldStop = never_stop,
    on_state_problem: OnStateProblem | None = None,
) -> Metainfo:
    """Return the metainfo of `path`; arguments as for `hash_share`.

    `trackers` are URLs, each a tier of its own. Raises MetainfoError for a URL that is not a
    tracker's, and the errors of `hash_share`.
    """
    # The trackers are checked first, with an empty torrent, because hashing can take hours.
    nothing = build_info(
        name="nothing", piece_length=MIN_PIECE_LENGTH, piece_hashes=b"", files=None, length=0
    )
    advice = Metainfo(
        info=nothing, comment=comment, created_by=created_by, creation_date=creation_date
    ).with_trackers(trackers)
    info = hash_share(
        path,
        name=name,
        piece_length=piece_length,
        private=private,
        state_folder=state_folder,
        on_progress=on_progress,
        on_left_out=on_left_out,
        should_stop=should_stop,
        on_state_problem=on_state_problem,
    )
    return replace(advice, info=info)


def _examine(path: Path) -> _Share:
    """Return the files to share at `path`, which may itself be a link."""
    require_there(path)
    with disk_errors(path):
        root = Path(os.path.realpath(path, strict=True))
        status = root.stat()
        if stat.S_ISREG(status.st_mode):
            return _Share(root, [_shared_file((), status)], is_single_file=True, left_out=LeftOut())
        if not stat.S_ISDIR(status.st_mode):
            raise StorageError("is neither a file nor a folder", path=path)
    left_out = LeftOut()
    files = list(_walk(root, left_out))
    if not files:
        only = f", only {left_out}" if left_out else ""
        raise StorageError(f"holds no files to share{only}", path=path)
    files.sort(key=lambda file: os.fsencode("/".join(file.path)))
    return _Share(root, files, is_single_file=False, left_out=left_out)


def require_there(path: Path) -> None:
    """Raise StorageError if `path` does not exist, or is a link to a missing file."""
    with disk_errors(path):
        if path.is_symlink() and not os.path.exists(path):  # noqa: PTH110 - never raises
            target = os.readlink(path)  # noqa: PTH115 - as written in the link
            raise StorageError(f"is a symbolic link to a missing file: {target}", path=path)
        path.stat()


def _walk(root: Path, left_out: LeftOut) -> Iterator[_SharedFile]:
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
) -> Iterator[_SharedFile]:
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


def _shared_file(path: tuple[str, ...], status: os.stat_result) -> _SharedFile:
    return _SharedFile(path, stamp_of(status))


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


def _fingerprint(files: Sequence[_SharedFile]) -> bytes:
    digest = hashlib.sha1()
    for file in files:
        name = os.fsencode("/".join(file.path))
        digest.update(b"%d:%d:%d:%d:%d:" % (len(name), *file.stamp) + name)
    return digest.digest()


def _remember(remembered: Path, files: Sequence[_SharedFile], info: Info) -> None:
    content = _fingerprint(files) + info.raw
    with disk_errors(remembered):
        replace_file(remembered, hashlib.sha1(content).digest() + content)


def _recall(remembered: Path, files: Sequence[_SharedFile]) -> Info | None:
    """Return the stored Info of exactly these files; None also if the stored file is damaged."""
    with disk_errors(remembered):
        try:
            with remembered.open("rb") as file:
                data = file.read(_MAX_REMEMBERED)
        except FileNotFoundError:
            return None
    content = data[_HASH_LENGTH:]
    if hashlib.sha1(content).digest() != data[:_HASH_LENGTH]:
        return None
    if content[:_HASH_LENGTH] != _fingerprint(files):
        return None
    try:
        return parse_info(content[_HASH_LENGTH:], keep_names=True)
    except MetainfoError:
        return None
