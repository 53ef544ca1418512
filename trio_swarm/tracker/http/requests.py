"""What an HTTP request asks of a tracker: a query in, values out (BEP 3, 7, 23, 48). No socket.

The address that an announce may name (`ip=`, `ipv4=`, `ipv6=`) is not read: strangers would aim
peers at a victim by it (BEP 7). That the asker receives what is sent to its address, TCP proves.
"""

from binascii import a2b_qp
from typing import Final
from zlib import crc32

from trio_swarm.errors import RemoteProtocolError
from trio_swarm.protocol.trackers.announces import AnnounceEvent
from trio_swarm.protocol.trackers.urls import parse_query_share
from trio_swarm.tracker.store.interface import Announce

MAX_ITEMS: Final = 64
"""Items of an announce's query; clients send ten to twenty."""

MAX_HASHES: Final = 100
"""Info-hashes of one scrape: as many as fit a head."""

MAX_LEFT: Final = 2**63 - 1


class NameFaultError(RemoteProtocolError):
    """An announce whose name makes no sense; the rest of it does."""

    def __init__(self, reason: str, info_hash: bytes, address: bytes) -> None:
        super().__init__(reason)
        self.info_hash = info_hash
        self.address = address
        """Compact."""


_EVENTS: Final = {
    event.name.lower().encode(): int(event)
    for event in AnnounceEvent
    if event is not AnnounceEvent.NONE
}
_INFO_HASH: Final = b"info_hash="


def read_announce(query: bytes, host: bytes, path: bytes = b"") -> tuple[Announce, bool]:
    """Return an announce from the packed IP address `host`, and whether peers go packed (BEP 23).

    In `path` there may be the peer's token. RemoteProtocolError, with words for the asker, if it
    cannot be taken.
    """
    items = query.split(b"&", MAX_ITEMS)
    if len(items) > MAX_ITEMS:
        raise RemoteProtocolError(f"an announce of more than {MAX_ITEMS} items")
    # Of items with one key the last counts: a client's own come after those of a torrent's URL.
    fields = {key: value for key, _, value in [item.partition(b"=") for item in items]}
    get = fields.get
    info_hash = unquoted(get(b"info_hash", b""))
    if len(info_hash) != 20:
        raise RemoteProtocolError("info_hash must be 20 bytes, escaped as in URLs")
    port = get(b"port", b"")
    if not port.isdigit() or len(port) > 5 or (number := int(port)) > 0xFFFF:
        raise RemoteProtocolError("port must be a number up to 65535")
    address = host + number.to_bytes(2, "big")
    share = None
    if b"name=" in query:
        try:
            share = parse_query_share(query, path)
        except RemoteProtocolError as error:
            raise NameFaultError(str(error), info_hash, address) from None
    num_want, left = get(b"numwant", b""), get(b"left", b"")
    return (
        info_hash,
        address,
        # Who does not say how much is missing is no seeder.
        (int(left) if len(left) < 20 else MAX_LEFT) if left.isdigit() else MAX_LEFT,
        _EVENTS.get(get(b"event", b""), 0),
        int(num_want) if num_want.isdigit() and len(num_want) < 10 else -1,
        share,
        unquoted(get(b"peer_id", b""))[:20],
        _key(get(b"key", b"")),
    ), get(b"compact") != b"0"


def read_scrape(query: bytes) -> list[bytes]:
    """Return the info-hashes of a scrape, each once (BEP 48); RemoteProtocolError if none or bad.

    A scrape of everything is refused: it would be as large as the tracker's memory.
    """
    asked = [
        item[len(_INFO_HASH) :]
        for item in query.split(b"&", 2 * MAX_HASHES)
        if item.startswith(_INFO_HASH)
    ]
    if not 0 < len(asked) <= MAX_HASHES:
        raise RemoteProtocolError(f"a scrape names 1 to {MAX_HASHES} info-hashes (info_hash=)")
    info_hashes = list(dict.fromkeys(map(unquoted, asked)))
    if any(len(info_hash) != 20 for info_hash in info_hashes):
        raise RemoteProtocolError("info_hash must be 20 bytes, escaped as in URLs")
    return info_hashes


def unquoted(value: bytes) -> bytes:
    """Return the bytes that a value of a query stands for, b"" if an escape in it is none.

    A "+" is a plus. This is urllib's `unquote_to_bytes` in a twentieth of its time.
    """
    escapes = value.count(b"%")
    if not escapes:
        return value
    # Quoted-printable has the same escapes, after "=".
    if b"=" in value:
        escapes += value.count(b"=")
        value = value.replace(b"=", b"%3D")
    plain = a2b_qp(value.replace(b"%", b"="))
    return plain if len(plain) == len(value) - 2 * escapes else b""


def _key(text: bytes) -> int:
    """Return a client's key as a number, the one that it sends by UDP if it is written in hex."""
    if not text:
        return 0
    try:
        return int(text, 16) if len(text) <= 8 and text.isalnum() else crc32(text)
    except ValueError:
        return crc32(text)
