"""A peer that times answers, and leeches or not; and how long the way is for a packet of its own.

    bench_bloat_probe.py quiet|busy ADDRESS PORT INFO_HASH BLOCK_COUNT BLOCKS_PER_PIECE

It connects to a peer that has the file. `busy` leeches as fast as it comes. Both ask for a block
now and then and take the request back, which a Fast peer answers by a reject (BEP 6): a request, a
cancel and an answer of a few bytes. `quiet` sends pings as well: their answers wait for what is in
the queues between, and for no program. Prints a line for each answer: kind, when it was asked for
(monotonic seconds), and the seconds it took; for a `block` its bytes instead.
"""

import select
import socket
import struct
import sys
import time
from collections.abc import Iterator

PROTOCOL = b"\x13BitTorrent protocol"
FAST = bytes([0, 0, 0, 0, 0, 0, 0, 4])
CHOKE, UNCHOKE, INTERESTED, HAVE, BITFIELD, REQUEST, PIECE, CANCEL = 0, 1, 2, 4, 5, 6, 7, 8
HAVE_ALL, HAVE_NONE, REJECT = 14, 15, 16
BLOCK = 16 * 1024
DEPTH = 128
"""Requests at once: more than the fullest buffer and what waits in front of it."""
LEAST_ASKED = 16
"""Requests when the newest is not being answered yet."""
QUIET_SECONDS = 0.25
"""libtorrent leaves a peer that asks 50 times while it is choked."""
BUSY_SECONDS = 0.1
PING_SECONDS = 0.05


def frame(kind: int, *numbers: int) -> bytes:
    return struct.pack(f">IB{len(numbers)}I", 1 + 4 * len(numbers), kind, *numbers)


def say(kind: str, sent_at: float, value: float) -> None:
    sys.stdout.write(f"{kind} {sent_at:.4f} {value:.4f}\n")
    sys.stdout.flush()


class Pinger:
    """Sends pings, and times what comes back."""

    def __init__(self, address: str) -> None:
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_RAW, socket.IPPROTO_ICMP)
        self.socket.connect((address, 0))
        self._sent: dict[int, float] = {}
        self._number = 0

    def ping(self, now: float) -> None:
        self._number += 1
        self._sent[self._number] = now
        body = struct.pack(">BBHHH", 8, 0, 0, 7, self._number)
        total = sum(struct.unpack(">4H", body))
        checksum = ~(total + (total >> 16)) & 0xFFFF
        self.socket.send(struct.pack(">BBHHH", 8, 0, checksum, 7, self._number))

    def hear(self, now: float) -> None:
        packet = self.socket.recv(2048)
        kind, _, _, _, number = struct.unpack_from(">BBHHH", packet, (packet[0] & 15) * 4)
        sent_at = self._sent.pop(number, None) if kind == 0 else None
        if sent_at is not None:
            say("ping", sent_at, now - sent_at)


class Leech:
    """Asks for blocks as long as there are some, if it is busy, and times answers."""

    def __init__(
        self, stream: socket.socket, blocks: int, per_piece: int, *, is_busy: bool
    ) -> None:
        self.stream = stream
        self._blocks = blocks
        self._per_piece = per_piece
        self._is_busy = is_busy
        self._is_choked = True
        self._shown: set[int] = set()
        self._wanted: list[int] = []
        self._asked: dict[int, None] = {}
        self._missing: dict[int, int] = {}
        self._timed: tuple[int, float] | None = None
        self._bytes = bytearray()

    def hear(self, now: float) -> bytes:
        """Take in what there is; return what to say to it."""
        data = self.stream.recv(1 << 20)
        if not data:
            raise SystemExit("the peer has closed the connection")
        self._bytes += data
        said = b"".join(self._answer(body, now) for body in self._bodies())
        return said + self._more()

    def probe(self, now: float) -> bytes:
        """Return a request that is taken back, or the taking back of one."""
        if self._timed is not None and now - self._timed[1] < 5:
            return b""
        if self._is_busy:
            if len(self._asked) < LEAST_ASKED:
                return b""
            block = next(reversed(self._asked))
            said = b""
        else:
            if not self._shown:
                return b""
            block = max(self._shown) * self._per_piece
            said = frame(REQUEST, *self._place(block), BLOCK)
        self._timed = (block, now)
        return said + frame(CANCEL, *self._place(block), BLOCK)

    def _bodies(self) -> Iterator[bytes]:
        at = 0
        while at + 4 <= len(self._bytes):
            (length,) = struct.unpack_from(">I", self._bytes, at)
            if at + 4 + length > len(self._bytes):
                break
            if length:
                yield bytes(self._bytes[at + 4 : at + 4 + length])
            at += 4 + length
        del self._bytes[:at]

    def _place(self, block: int) -> tuple[int, int]:
        return block // self._per_piece, block % self._per_piece * BLOCK

    def _answer(self, body: bytes, now: float) -> bytes:
        kind = body[0]
        if kind in {PIECE, REJECT}:
            piece, begin = struct.unpack_from(">II", body, 1)
            return self._ended(piece * self._per_piece + begin // BLOCK, kind, now)
        if kind in {CHOKE, UNCHOKE}:
            self._is_choked = kind == CHOKE
        elif kind == HAVE:
            self._show([struct.unpack_from(">I", body, 1)[0]])
        elif kind == BITFIELD:
            flags = int.from_bytes(body[1:], "big")
            size = 8 * (len(body) - 1)
            self._show([piece for piece in range(size) if flags >> (size - 1 - piece) & 1])
        elif kind == HAVE_ALL:
            self._show(list(range(self._blocks // self._per_piece)))
        return b""

    def _show(self, pieces: list[int]) -> None:
        for piece in pieces:
            if piece in self._shown:
                continue
            self._shown.add(piece)
            first = piece * self._per_piece
            self._wanted += range(first, first + self._per_piece)
            self._missing[piece] = self._per_piece

    def _ended(self, block: int, kind: int, now: float) -> bytes:
        self._asked.pop(block, None)
        if self._timed is not None and self._timed[0] == block:
            if kind == REJECT:
                say("busy" if self._is_busy else "quiet", self._timed[1], now - self._timed[1])
            self._timed = None
        if kind == REJECT:
            self._wanted.append(block)
            return b""
        say("block", now, BLOCK)
        piece = block // self._per_piece
        self._missing[piece] -= 1
        return b"" if self._missing[piece] else frame(HAVE, piece)

    def _more(self) -> bytes:
        said = b""
        while self._is_busy and not self._is_choked and self._wanted and len(self._asked) < DEPTH:
            block = self._wanted.pop(0)
            self._asked[block] = None
            said += frame(REQUEST, *self._place(block), BLOCK)
        return said


def main() -> None:
    kind, address, port, info_hash, blocks, per_piece = sys.argv[1:]
    is_busy = kind == "busy"
    stream = socket.create_connection((address, int(port)))
    stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer_id = f"-XX0001-{kind:>12}".encode()
    stream.sendall(PROTOCOL + FAST + bytes.fromhex(info_hash) + peer_id)
    greeting = b""
    while len(greeting) < 68:
        greeting += stream.recv(68 - len(greeting))
    stream.sendall(frame(HAVE_NONE) + (frame(INTERESTED) if is_busy else b""))
    leech = Leech(stream, int(blocks), int(per_piece), is_busy=is_busy)
    pinger = None if is_busy else Pinger(address)
    probe_at = ping_at = time.monotonic()
    while True:
        files = [stream] if pinger is None else [stream, pinger.socket]
        ready, _, _ = select.select(files, [], [], 0.01)
        now = time.monotonic()
        if stream in ready:
            stream.sendall(leech.hear(now))
        if pinger is not None and pinger.socket in ready:
            pinger.hear(now)
        if now >= probe_at:
            stream.sendall(leech.probe(now))
            probe_at = now + (BUSY_SECONDS if is_busy else QUIET_SECONDS)
        if pinger is not None and now >= ping_at:
            pinger.ping(now)
            ping_at = now + PING_SECONDS


if __name__ == "__main__":
    main()
