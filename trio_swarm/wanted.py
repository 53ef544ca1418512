"""The ways to name a download: a .torrent file, a magnet link, an info-hash or a name."""

import re
from pathlib import Path

from msgspec import Struct

from trio_swarm.errors import StorageError
from trio_swarm.identities import InfoHash
from trio_swarm.named_paths import is_file, is_there


class WantedTorrent(Struct, frozen=True):
    """A .torrent file on this machine."""

    path: Path


class WantedMagnet(Struct, frozen=True):
    """A magnet link, not yet parsed."""

    uri: str


class WantedHash(Struct, frozen=True):
    """A torrent named by its info-hash (20 bytes).

    The info-hash of a version 2 torrent (BEP 52) has 32 bytes; then `info_hash` holds the first 20.
    """

    info_hash: InfoHash
    v2_hash: bytes | None = None
    """All 32 bytes of a version 2 info-hash; None for version 1."""


class WantedName(Struct, frozen=True):
    """A name for a tracker to resolve."""

    name: str


Wanted = WantedTorrent | WantedMagnet | WantedHash | WantedName


def parse_wanted(text: str) -> Wanted:
    """Return which of the four forms `text` is.

    A text that names an existing .torrent file is that file, not a name.
    """
    if text[:7].lower() == "magnet:":
        return WantedMagnet(text)
    if re.fullmatch(r"[0-9a-fA-F]{40}", text):
        return WantedHash(InfoHash(bytes.fromhex(text)))
    if re.fullmatch(r"[0-9a-fA-F]{64}", text):
        digest = bytes.fromhex(text)
        return WantedHash(InfoHash(digest[:20]), digest)
    if text.endswith(".torrent") or "/" in text:
        path = Path(text)
        try:
            if is_there(path) and is_file(path):
                return WantedTorrent(path)
        except StorageError:  # reading it will report the error
            return WantedTorrent(path)
    return WantedName(text)
