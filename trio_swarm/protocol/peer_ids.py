"""Peer ids: making our own, and finding the name of the client in a stranger's (BEP 20)."""

import random
import string

from trio_swarm.identities import PeerId
from trio_swarm.protocol.wire.messages import PEER_ID_LENGTH

PEER_ID_PREFIX = b"-tS0100-"
"""Client letters that are not in BEP 20's list, and four digits of the version."""

_RANDOM_CHARACTERS = (string.ascii_letters + string.digits).encode()

MAX_CLIENT_NAME = 64
"""Most characters of a stranger's client name in a message."""

_DASHED_CLIENTS = {
    b"AG": "Ares",
    b"AZ": "Vuze",
    b"BC": "BitComet",
    b"BI": "BiglyBT",
    b"BT": "BitTorrent",
    b"CD": "Enhanced CTorrent",
    b"CT": "CTorrent",
    b"DE": "Deluge",
    b"FD": "Free Download Manager",
    b"FW": "FrostWire",
    b"HL": "Halite",
    b"KG": "KGet",
    b"KT": "KTorrent",
    b"LT": "libtorrent",
    b"LW": "LimeWire",
    b"MO": "MonoTorrent",
    b"PI": "PicoTorrent",
    b"TR": "Transmission",
    b"TX": "Tixati",
    b"UM": "µTorrent for Mac",
    b"UT": "µTorrent",
    b"UW": "µTorrent Web",
    b"WD": "WebTorrent Desktop",
    b"WW": "WebTorrent",
    b"XL": "Xunlei",
    b"lt": "libTorrent (rTorrent)",
    b"qB": "qBittorrent",
    b"rQ": "rqbit",
    b"tS": "trio-swarm",
}
"""Clients in use that write `-XXvvvv-`."""

_DOTTED_CLIENTS = {b"A2-": "aria2", b"M": "BitTorrent", b"Q": "Queen Bee"}
"""Clients that write the version as numbers between dashes, e.g. `A2-1-36-0-`."""

_VERSION_DIGITS = string.digits + string.ascii_uppercase


def is_our_client(peer_id: bytes) -> bool:
    """Whether a peer id names trio-swarm, of any version."""
    return peer_id[:3] == PEER_ID_PREFIX[:3]


def is_foreign_client(peer_id: bytes) -> bool:
    """Whether a peer id names another client in one of the styles of BEP 20."""
    if peer_id[:1] == b"-":
        return peer_id[7:8] == b"-" and not is_our_client(peer_id)
    return any(
        peer_id.startswith(prefix) and _dotted_version(peer_id.removeprefix(prefix))
        for prefix in _DOTTED_CLIENTS
    )


def make_peer_id(rng: random.Random) -> PeerId:
    """Return a new 20-byte peer id: our prefix and 12 random letters and digits."""
    tail = rng.choices(_RANDOM_CHARACTERS, k=PEER_ID_LENGTH - len(PEER_ID_PREFIX))
    return PeerId(PEER_ID_PREFIX + bytes(tail))


def client_name(peer_id: bytes) -> str:
    """Return the client and version that a peer id names, printable; never raises.

    `-LT20B0-…` is "libtorrent 2.0.11". An unknown client is shown by the readable start of its id.
    """
    if len(peer_id) >= 8 and peer_id[:1] == b"-" and peer_id[1:3] in _DASHED_CLIENTS:
        name = _DASHED_CLIENTS[peer_id[1:3]]
        version = _letter_version(peer_id[3:7])
    else:
        for prefix, dotted_name in _DOTTED_CLIENTS.items():
            version = _dotted_version(peer_id.removeprefix(prefix))
            if peer_id.startswith(prefix) and version:
                name = dotted_name
                break
        else:
            start = "".join(chr(byte) if 0x20 < byte < 0x7F else "." for byte in peer_id[:8])
            return f"unknown ({start.strip('-')})" if start.strip("-.") else "unknown"
    return f"{name} {version}" if version else name


def printable(text: str, limit: int = MAX_CLIENT_NAME) -> str:
    """Return a stranger's text without characters that move the cursor, and shortened."""
    return "".join(c if c.isprintable() else "." for c in text[:limit]).strip()


def _letter_version(letters: bytes) -> str:
    """Read `4650` as 4.6.5 and `20B0` as 2.0.11; a fourth letter that is not a digit is a build."""
    numbers = [_VERSION_DIGITS.find(chr(byte)) for byte in letters]
    if min(numbers[:3]) < 0:
        return ""
    if not 0 < numbers[3] <= 9:
        numbers.pop()
    return ".".join(map(str, numbers))


def _dotted_version(text: bytes) -> str:
    """Read `1-36-0-…` as 1.36.0; empty if it does not start with two numbers."""
    numbers: list[str] = []
    for part in text.split(b"-")[:3]:
        if not (part.isdigit() and len(part) <= 3):
            break
        numbers.append(str(int(part)))
    return ".".join(numbers) if len(numbers) >= 2 else ""
