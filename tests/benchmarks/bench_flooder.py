"""Peers that say as much of no use as the other end takes, from one process.

    bench_flooder.py KIND COUNT HOST PORT TORRENT

Whoever is thrown out comes again at once. Prints `flooding` once all are connected, and nothing
else; ended by a signal.
"""

import random
import selectors
import socket
import struct
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from trio_swarm import read_torrent
from trio_swarm.protocol.extensions.metadata import UT_METADATA
from trio_swarm.protocol.extensions.table import OUR_MESSAGE_IDS
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.protocol.wire import messages as m
from trio_swarm.protocol.wire.handshake import encode_handshake
from trio_swarm.protocol.wire.messages import MessageId as Id

HOST = "127.0.0.2"
"""Where flooders come from: not from where honest peers do."""

CHUNK = 256 * 1024
"""Bytes of a flood that are made once and sent over and over."""


def _frame(number: int, body: bytes = b"") -> bytes:
    return struct.pack(">IB", 1 + len(body), number) + body


def _pieces(number: int, info: Info) -> bytes:
    return b"".join(_frame(number, struct.pack(">I", i)) for i in range(info.piece_count))


def _ranges(numbers: tuple[int, ...], info: Info, length: int = m.BLOCK_LENGTH) -> bytes:
    return b"".join(
        _frame(number, struct.pack(">III", piece, 0, length))
        for piece in range(info.piece_count)
        for number in numbers
    )


def _extended(number: int, payload: bytes) -> bytes:
    return _frame(Id.EXTENDED, bytes([number]) + payload)


def _bitfields(info: Info) -> bytes:
    return _frame(Id.BITFIELD, bytes((info.piece_count + 7) // 8))


_HANDSHAKE = b"d1:md6:ut_pexi1e11:ut_metadatai2ee1:v7:flooder4:reqqi250ee"

FLOODS: dict[str, Callable[[Info], bytes]] = {
    "HAVEs": lambda info: _pieces(Id.HAVE, info),
    "interest flapping": lambda _: _frame(Id.INTERESTED) + _frame(Id.NOT_INTERESTED),
    "choke flapping": lambda _: _frame(Id.UNCHOKE) + _frame(Id.CHOKE),
    "suggestions": lambda info: _pieces(Id.SUGGEST, info),
    "allowed fast": lambda info: _pieces(Id.ALLOWED_FAST, info),
    "rejects": lambda info: _ranges((Id.REJECT,), info),
    "cancels": lambda info: _ranges((Id.REQUEST,), info) + 50 * _ranges((Id.CANCEL,), info),
    "requests": lambda info: _ranges((Id.REQUEST,), info),
    "requests and cancels": lambda info: _ranges((Id.REQUEST, Id.CANCEL), info),
    "requests of a byte": lambda info: _ranges((Id.REQUEST,), info, 1),
    "requests out of range": lambda info: _ranges((Id.REQUEST,), info, 0xFFFFFFF),
    "extension handshakes": lambda _: _extended(0, _HANDSHAKE),
    "metadata requests": lambda _: _extended(
        OUR_MESSAGE_IDS[UT_METADATA], b"d8:msg_typei0e5:piecei0ee"
    ),
    "unknown extensions": lambda _: _extended(77, b"?"),
    "unknown messages": lambda _: _frame(99, b"?"),
    "long unknown messages": lambda _: _frame(99, bytes(100_000)),
    "keep-alives": lambda _: bytes(4),
    "PORT": lambda _: _frame(Id.PORT, b"\x1a\xe1"),
    "bitfields": _bitfields,
    "have all and none": lambda _: _frame(Id.HAVE_ALL) + _frame(Id.HAVE_NONE),
    "blocks not asked for": lambda _: _frame(Id.PIECE, bytes(8 + m.BLOCK_LENGTH)),
    "blocks of a byte": lambda _: _frame(Id.PIECE, bytes(9)),
}
WITHOUT_HANDSHAKE = ("connections", "half handshakes", "silence")
"""Floods by strangers who never shake hands."""


class Flooder:
    """One connection after the other."""

    def __init__(
        self, kind: str, address: tuple[str, int], info: Info, selector: selectors.BaseSelector
    ) -> None:
        self._kind = kind
        self._address = address
        self._info = info
        self._selector = selector
        self._rng = random.Random(id(self))
        self.flood = b""
        if kind in FLOODS:
            self.flood = FLOODS[kind](info)
            self.flood *= max(1, CHUNK // len(self.flood))
        self.dial()

    def dial(self) -> None:
        self._socket = socket.create_connection(self._address, source_address=(HOST, 0))
        opening = encode_handshake(self._info.info_hash, self._rng.randbytes(20))
        if self._kind == "half handshakes":
            opening = opening[:40]
        if self.flood:
            opening += _frame(Id.HAVE_NONE)
        self._rest = memoryview(opening + self.flood)
        with suppress(OSError):
            self._socket.sendall(opening)
            self._rest = self._rest[len(opening) :]
        self._socket.settimeout(0.0)  # non-blocking
        self._selector.register(self._socket, selectors.EVENT_READ | selectors.EVENT_WRITE, self)

    def go_on(self, events: int) -> None:
        try:
            if events & selectors.EVENT_READ and not self._socket.recv(1 << 20):
                raise ConnectionError
            if self._kind == "connections":
                raise ConnectionError
            if events & selectors.EVENT_WRITE:
                if not self.flood:
                    self._selector.modify(self._socket, selectors.EVENT_READ, self)
                    return
                self._rest = self._rest[self._socket.send(self._rest) :] or memoryview(self.flood)
        except BlockingIOError:
            return
        except OSError:
            self._selector.unregister(self._socket)
            self._socket.close()
            self.dial()


def main() -> None:
    kind, count, host, port, torrent = sys.argv[1:]
    selector = selectors.DefaultSelector()
    info = read_torrent(Path(torrent)).info
    for _ in range(int(count)):
        Flooder(kind, (host, int(port)), info, selector)
    print("flooding", flush=True)
    with suppress(ConnectionRefusedError):  # who was flooded has ended
        while True:
            for key, events in selector.select():
                key.data.go_on(events)


if __name__ == "__main__":
    main()
