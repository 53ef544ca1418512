"""What a person asks for: a .torrent file, a magnet link, an info-hash or a name."""

import re
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class WantedTorrent:
    """A .torrent file on this machine."""

    path: Path


@dataclass(frozen=True, slots=True)
class WantedMagnet:
    """A magnet link, not yet parsed."""

    uri: str


@dataclass(frozen=True, slots=True)
class WantedHash:
    """An info-hash, 20 bytes."""

    info_hash: bytes


@dataclass(frozen=True, slots=True)
class WantedName:
    """A name for a tracker to resolve."""

    name: str


Wanted = WantedTorrent | WantedMagnet | WantedHash | WantedName


def parse_wanted(text: str) -> Wanted:
    """Tell the four forms apart; a name that looks like an existing .torrent file is the file."""
    if text[:7].lower() == "magnet:":
        return WantedMagnet(text)
    if re.fullmatch(r"[0-9a-fA-F]{40}", text):
        return WantedHash(bytes.fromhex(text))
    if text.endswith(".torrent") or "/" in text:
        path = Path(text)
        if path.is_file():
            return WantedTorrent(path)
    return WantedName(text)
