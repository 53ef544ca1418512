"""The names of a torrent's files on this disk: the torrent's own names if the disk can store them.

Which names a file system can store is found by trying, in a folder that is removed at once, and
only for names that some file systems cannot store. Nothing is tried in a folder that cannot be
written to: its files have their names already.

Data that is on the disk already may also have the names that earlier versions of this program gave
(`file_names`, "portable"). It is recognised by its journal or by its pieces, and keeps those names.
"""

import contextlib
import fcntl
import os
import re
import shutil
import tempfile
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import filterfalse
from pathlib import Path
from typing import NamedTuple

from msgspec import Struct
from msgspec.structs import replace as replace_fields

from trio_swarm.errors import MetainfoError, StorageError
from trio_swarm.piece_sets import from_pieces
from trio_swarm.protocol.metainfo import file_names
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.storage.access import FileAccess
from trio_swarm.storage.hashing import hash_pieces
from trio_swarm.storage.layout import Layout
from trio_swarm.storage.placement import Placement, longest_name
from trio_swarm.storage.state import StateFolder
from trio_swarm.storage.tree import Tree

_PROBE_PREFIX = ".trio-swarm-names-"
_PLACE_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_SAMPLED_PIECES = 16
"""Pieces that are hashed to recognise data under another name; all pieces are checked later."""
_FORBIDDEN = r'[<>:"|?*\\]'
"""Characters that file systems of Windows cannot store, besides those that `file_names`
replaces."""
_FORMER_MOST = file_names.MAX_NAME_BYTES
"""Most bytes of a torrent's name in earlier versions."""
_PLAIN = re.compile(r"[\w\-()\[\]{}+,&!@#$%^=~;' .]*[\w\-()\[\]{}+,&!@#$%^=~;']", re.ASCII)

Paths = list[tuple[str, ...]]


class DiskNames(Struct, frozen=True):
    """A torrent with its files' names on this disk; `renamed`: (torrent's name, name here)."""

    info: Info
    renamed: tuple[tuple[str, str], ...]


class Probed(NamedTuple):
    """The names that a file system cannot store: name → the name to use instead.

    `is_folding`: names that differ only in case or Unicode form are one file on it.
    """

    changed: dict[str, str]
    is_folding: bool


Probe = Callable[[Path, Sequence[str], bool], Probed]
"""Tries unusual names in a folder; the bool tells whether some names differ only in case or
form."""


def probe(folder: Path, odd: Sequence[str], clashing: bool) -> Probed:  # noqa: FBT001 - see Probe
    """Find which of the `odd` names the file system of `folder` cannot store; see `Probe`."""
    if not odd and not clashing:
        return Probed({}, is_folding=False)
    _remove_leftovers(folder)
    with _new_place(folder) as place:
        if place is None:
            return Probed({}, is_folding=False)
        held: dict[object, bool] = {}
        changed: dict[str, str] = {}
        for component in odd:
            kind = _kind(component)
            if kind not in held:
                held[kind] = _holds(place, component)
            if not held[kind]:
                changed[component] = _alternative(component, lambda name: _holds(place, name))
        return Probed(changed, is_folding=clashing and _is_folding(place))


@contextlib.contextmanager
def _new_place(folder: Path) -> Iterator[Path | None]:
    """Make a locked folder to try names in, and remove it; None if that is not possible."""
    place = descriptor = None
    try:
        with contextlib.suppress(OSError):
            place = Path(tempfile.mkdtemp(prefix=_PROBE_PREFIX, dir=folder))
            descriptor = os.open(place, _PLACE_FLAGS)
            # On a file system without locks, no program removes leftovers either.
            with contextlib.suppress(OSError):
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        # Before the lock was taken, another program may have removed the folder as a leftover.
        yield place if descriptor is not None and os.fstat(descriptor).st_nlink else None
    finally:
        if descriptor is not None:
            os.close(descriptor)
        if place is not None:
            shutil.rmtree(place, ignore_errors=True)


def _remove_leftovers(folder: Path) -> None:
    """Remove folders of probes that were killed, but not those of running programs."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if entry.name.startswith(_PROBE_PREFIX):
                _remove_leftover(Path(entry.path))


def _remove_leftover(place: Path) -> None:
    with contextlib.suppress(OSError):
        descriptor = os.open(place, _PLACE_FLAGS)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # By the descriptor, because the path may name another folder by now.
            names = os.listdir(descriptor)  # noqa: PTH208
            if any(os.lstat(name, dir_fd=descriptor).st_size for name in names):
                return  # a probe writes no data: this folder is a user's
            for name in names:
                os.unlink(name, dir_fd=descriptor)
            place.rmdir()
        finally:
            os.close(descriptor)


def choose_names(info: Info, folder: Path, state: StateFolder, probe: Probe = probe) -> DiskNames:
    """Return the names of the files of `info` in `folder`, which exists. Raises StorageError."""
    paths: Paths = [entry.path for entry in info.files if not entry.padding]
    odd = [part for part in {info.name}.union(*paths) if not _is_plain(part)]
    clashing = file_names.distinct_paths(paths, folded=True) != paths
    most = longest_name(folder)
    if not odd and not clashing and _longest({info.name}.union(*paths)) <= min(most, _FORMER_MOST):
        return DiskNames(info, tuple(_renamed(info, info)))
    fitting = _fit(info, paths, most, probe(folder, odd, clashing))
    chosen = fitting
    former = _former(info)
    if former is not None and not _same_names(former, fitting):
        if former.name != fitting.name:
            is_former = _is_root_former(fitting, former, folder, state)
        else:
            is_former = _are_files_former(fitting, former, folder)
        if is_former:
            chosen = former
    return DiskNames(chosen, tuple(_renamed(info, chosen)))


def _renamed(info: Info, chosen: Info) -> Iterable[tuple[str, str]]:
    listed = {kept: listed for listed, kept in info.renamed}
    if (name := listed.get(info.name, info.name)) != chosen.name:
        yield name, chosen.name
    if info.renamed or info.files != chosen.files:
        for before, after in zip(info.files, chosen.files, strict=True):
            kept, here = "/".join(before.path), "/".join(after.path)
            if not before.padding and (name := listed.get(kept, kept)) != here:
                yield name, here


# --- names that the file system can store ---


def _fit(info: Info, paths: Paths, most: int, probed: Probed) -> Info:
    """Return `info` with only those names changed that the file system cannot store.

    `most` is the length of the longest name that it can store, in bytes.
    """
    changed = dict(probed.changed)
    for part in {info.name}.union(*paths):
        now = changed.get(part, part)
        if len(os.fsencode(now)) > most:
            changed[part] = file_names.kept_component(now, max_bytes=most)
    if not changed and not probed.is_folding:
        return info
    fitted = [tuple(changed.get(part, part) for part in path) for path in paths]
    fitted = file_names.distinct_paths(fitted, folded=probed.is_folding)
    return _with_names(info, changed.get(info.name, info.name), fitted)


def _longest(names: Iterable[str]) -> int:
    return max(len(os.fsencode(name)) for name in names)


def _is_plain(component: str) -> bool:
    """Return whether every file system can store `component`, if it is short enough."""
    return bool(_PLAIN.fullmatch(component)) and not file_names.is_reserved(component)


def _kind(component: str) -> object:
    """Return a key for a class of names of which a file system stores all or none."""
    strange = frozenset(character for character in component if not _is_plain(character))
    ascii_only = frozenset(character for character in strange if character.isascii())
    return (
        ascii_only,
        frozenset(unicodedata.category(character) for character in strange - ascii_only),
        component[-1:] if component[-1:] in {".", " "} else "",
        component if file_names.is_reserved(component) else "",
    )


def _holds(place: Path, component: str) -> bool:
    """Return whether a file in the folder `place` can have exactly this name."""
    path = place / component
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))
    except FileExistsError:
        return True  # tried before, or equal without case
    except (OSError, ValueError):
        return False
    try:
        return any(each.name == component for each in place.iterdir())
    finally:
        with contextlib.suppress(OSError):
            path.unlink()


def _alternative(component: str, holds: Callable[[str], bool]) -> str:
    """Return the name to use for a name that the file system cannot store."""
    plainer = file_names.safe_component(re.sub(_FORBIDDEN, "_", component))
    if holds(plainer):
        return plainer
    ascii_only = "".join(each if each.isascii() else "_" for each in plainer)
    return file_names.safe_component(ascii_only)


def _is_folding(place: Path) -> bool:
    """Return whether names in `place` that differ only in case or Unicode form are one file."""
    for one, other in (("case", "CASE"), ("form-\u00e9", "form-e\u0301")):
        with contextlib.suppress(OSError):
            (place / one).touch()
            if (place / other).exists():
                return True
    return False


def other_names(info: Info) -> list[Info]:
    """Return `info` with other names that a download may have given its files, likely ones first.

    They are those for a disk that ignores case, for one that also cannot store what Windows cannot,
    and those of earlier versions of this program.
    """
    paths: Paths = [entry.path for entry in info.files if not entry.padding]
    plainer = {part: part for part in {info.name}.union(*paths)}
    with contextlib.suppress(MetainfoError):
        for part in filterfalse(_is_plain, list(plainer)):
            plainer[part] = file_names.safe_component(re.sub(_FORBIDDEN, "_", part))
    plain = [tuple(plainer[part] for part in path) for path in paths]
    found = [
        _with_names(info, info.name, file_names.distinct_paths(paths, folded=True)),
        _with_names(info, plainer[info.name], file_names.distinct_paths(plain, folded=True)),
    ]
    former = _former(info)
    if former is not None:
        found.append(former)
    return [each for each in found if not _same_names(each, info)]


# --- names of earlier versions ---


def _former(info: Info) -> Info | None:
    """Return `info` with the names of earlier versions of this program; None if they are equal."""
    paths: Paths = [entry.path for entry in info.files if not entry.padding]
    try:
        name = file_names.safe_component(info.name, max_bytes=file_names.MAX_NAME_BYTES)
        safe = paths if info.is_single_file else file_names.safe_paths(paths)
    except MetainfoError:
        return None
    return _with_names(info, name, safe)


def _with_names(info: Info, name: str, paths: Paths) -> Info:
    if name == info.name and paths == [each.path for each in info.files if not each.padding]:
        return info
    real = iter(paths)
    files = tuple(
        entry if entry.padding else replace_fields(entry, path=next(real)) for entry in info.files
    )
    return replace(info, name=name, files=files)


def _same_names(one: Info, other: Info) -> bool:
    return one.name == other.name and one.files == other.files


def _is_root_former(fitting: Info, former: Info, folder: Path, state: StateFolder) -> bool:
    """Return whether this torrent's data is in `folder` under its former name only."""
    own, old = Placement(fitting, folder), Placement(former, folder)
    if os.path.lexists(own.final) or os.path.lexists(own.part):
        return False
    try:
        is_known = state.journal(old.final, former.info_hash).exists()
    except StorageError:
        is_known = False
    if os.path.lexists(old.part) and (is_known or _is_data_of(former, old.part, need_all=False)):
        return True
    # Data under its final name may belong to anybody by now: without a journal all samples must be
    # correct.
    return os.path.lexists(old.final) and _is_data_of(former, old.final, need_all=not is_known)


def _are_files_former(fitting: Info, former: Info, folder: Path) -> bool:
    """Return whether the torrent's folder has its files under their former names."""
    old = Placement(former, folder)
    differing = {
        number: (entry.path, before.path)
        for number, (entry, before) in enumerate(zip(fitting.files, former.files, strict=True))
        if entry.path != before.path
    }
    for root in (old.final, old.part):
        if not root.is_dir() or root.is_symlink():
            continue
        if any(os.path.lexists(root.joinpath(*own)) for own, _ in differing.values()):
            return False
        here = {
            n for n, (_, before) in differing.items() if os.path.lexists(root.joinpath(*before))
        }
        if here:
            return _is_data_of(former, root, need_all=False, files=here)
    return False


def _is_data_of(
    info: Info, root: Path, *, need_all: bool, files: Iterable[int] | None = None
) -> bool:
    """Return whether the data at `root` is from this torrent, by a sample of pieces.

    `files`: only these files are examined.
    """
    layout = Layout(info)
    access = FileAccess(layout, Tree(root))
    try:
        stamps = access.scan()
        whole = {file for file, stamp in stamps.items() if stamp.size == layout.lengths[file]}
        looked_at = whole if files is None else whole & set(files)
        candidates = sorted(
            {
                piece
                for file in looked_at
                for piece in _ends(layout.pieces_of(file))
                if whole.issuperset(layout.files_of(piece))
            }
        )
        if need_all and whole != {at for at, stored in enumerate(layout.stored) if stored}:
            return False
        if not candidates:
            return not any(layout.lengths[file] for file in looked_at) and bool(looked_at)
        sample = candidates[:: -(-len(candidates) // _SAMPLED_PIECES)]
        digests: Mapping[int, bytes] = hash_pieces(layout, access.open_to_hash, from_pieces(sample))
    except (StorageError, OSError):
        return False
    right = [digests.get(piece) == info.piece_hash(piece) for piece in sample]
    return all(right) if need_all else any(right)


def _ends(pieces: range) -> Iterable[int]:
    """Return some pieces of a file: both ends and a few in between."""
    step = max(1, len(pieces) // _SAMPLED_PIECES)
    return {*pieces[::step], *pieces[-1:]}
