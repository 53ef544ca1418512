"""Files on disk: layout, verification, resume. Blocking; threads call it."""

from trio_swarm.storage.access import FileSlice
from trio_swarm.storage.hashing import HashingStopped, block_digests, verify_piece
from trio_swarm.storage.sharing import create_metainfo, hash_share
from trio_swarm.storage.torrent_files import CheckResult, TorrentFiles

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
