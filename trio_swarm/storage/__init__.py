"""Files on disk: layout, verification, resume. Blocking; threads call it."""

from trio_swarm.storage.access import FileSlice
from trio_swarm.storage.content import CheckResult, TorrentFiles
from trio_swarm.storage.hashing import HashingStopped, block_digests, verify_piece
from trio_swarm.storage.shares import create_metainfo, hash_share

__all__ = [
    "CheckResult",
    "FileSlice",
    "HashingStopped",
    "TorrentFiles",
    "block_digests",
    "create_metainfo",
    "hash_share",
    "verify_piece",
]
