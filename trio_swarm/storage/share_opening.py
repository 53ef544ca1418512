"""Shares that are offered at once: known from before, or so small that hashing them takes no time.

Everything that a share needs is done in one go, and what is stored for many of them by one write.
Other shares are hashed by `hash_share`, for hours perhaps, and then opened by
`TorrentFiles.for_share`.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from trio_swarm.identities import DEFAULT_VERSION, TorrentVersion
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.hashing import OnProgress, no_progress
from trio_swarm.storage.resume.journal import Stamp, stamp_of
from trio_swarm.storage.share_hashes import ShareHashes
from trio_swarm.storage.shares import (
    OnLeftOut,
    OnStateProblem,
    ShareFiles,
    ShareState,
    Wanted,
    examine,
    ignore_left_out,
    stamps_by_number,
)
from trio_swarm.storage.tree import Tree

SMALL: Final = 1 << 20
"""Bytes of a share that are hashed at once: a few milliseconds."""

FEW: Final = 64
"""Files of such a share: opening one takes longer than hashing 16 KiB."""


def open_share(
    path: Path,
    *,
    name: str | None,
    piece_length: int | None,
    version: TorrentVersion = DEFAULT_VERSION,
    hashes: ShareHashes,
    on_progress: OnProgress = no_progress,
    on_left_out: OnLeftOut = ignore_left_out,
    on_state_problem: OnStateProblem | None = None,
) -> TorrentFiles | None:
    """Return the verified files at `path`; None if they are to be hashed by `hash_share`.

    Arguments and errors are those of `hash_share`. What is new is stored by `hashes.save`. Blocks.
    """
    share = examine(path)
    wanted = Wanted.of(path, share, name=name, piece_length=piece_length, version=version)
    state = ShareState(hashes, on_state_problem)
    key = wanted.key(share.root)
    info = state.recall(key, share.files)
    is_small = share.length <= SMALL and len(share.files) <= FEW and version == "v1"
    if info is None and is_small:
        info = _hash_small(path, share, wanted)
        if info is not None:
            on_progress(share.length, share.length)
            state.remember(key, share.files, info)
    if info is None:
        return None
    if share.left_out:
        on_left_out(share.left_out)
    stamps: Mapping[int, Stamp] | list[Stamp] = [file.stamp for file in share.files]
    if len(share.files) < len(info.files):
        stamps = stamps_by_number(info, share.files)
    return TorrentFiles.of_verified(info, share.root, hashes.state, stamps)


def _hash_small(path: Path, share: ShareFiles, wanted: Wanted) -> Info | None:
    """Return the Info of a few bytes; None if a file is not as it was examined."""
    tree = Tree(share.root)
    data = bytearray()
    for file in share.files:
        try:
            descriptor = tree.open(file.path, os.O_RDONLY)
        except OSError:
            return None  # `hash_share` says why, in its words
        try:
            # Read a byte more than there should be. The stamp is taken afterwards.
            content = _read(descriptor, file.size + 1)
            if len(content) != file.size or stamp_of(os.fstat(descriptor)) != file.stamp:
                return None
        finally:
            os.close(descriptor)
        data += content
    view, step = memoryview(data), wanted.piece_length
    digests = [hashlib.sha1(view[at : at + step]).digest() for at in range(0, len(data), step)]
    return wanted.info(path, share, b"".join(digests))


def _read(descriptor: int, most: int) -> bytes:
    """Return the first bytes of an open file, at most so many; b"" if it cannot be read."""
    parts = []
    try:
        while most and (part := os.read(descriptor, most)):
            parts.append(part)
            most -= len(part)
    except OSError:
        return b""
    return b"".join(parts)
