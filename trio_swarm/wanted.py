"""What a person asks for: a .torrent file, a magnet link, an info-hash or a name."""

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
    """An info-hash, 20 bytes; one of version 2 (BEP 52) is cut to that, and may be known whole."""

    info_hash: InfoHash
    v2_hash: bytes | None = None
    """All 32 bytes."""


class WantedName(Struct, frozen=True):
    """A name for a tracker to resolve."""

    name: str


Wanted = WantedTorrent | WantedMagnet | WantedHash | WantedName


def parse_wanted(text: str) -> Wanted:
    """Tell the four forms apart; a name that looks like an existing .torrent file is the file."""
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
        except StorageError:  # it cannot be looked at, which reading it will tell
            return WantedTorrent(path)
    return WantedName(text)
