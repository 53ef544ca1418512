"""A peer by hand: raw messages in any order, over a real socket."""

import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import trio

from trio_swarm.protocol.addresses import Address
from trio_swarm.protocol.wire import messages as msg
from trio_swarm.protocol.wire.handshake import OUR_RESERVED
from trio_swarm.protocol.wire.messages import PROTOCOL_PREFIX

ID = msg.MessageId
PLAIN = bytes(8)
FAST = bytes([0, 0, 0, 0, 0, 0, 0, 4])
FAST_AND_EXTENSIONS = OUR_RESERVED
PEER_ID = b"-XX0001-000000000001"
GONE = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)


def frame(number: int, body: bytes = b"") -> bytes:
    """A message with its length."""
    return struct.pack(">IB", 1 + len(body), number) + body


def extended(number: int, payload: bytes) -> bytes:
    """An extended message (BEP 10)."""
    return frame(ID.EXTENDED, bytes([number]) + payload)


def ranged(number: int, piece: int, begin: int, length: int) -> bytes:
    """A request, cancel or reject."""
    return frame(number, struct.pack(">III", piece, begin, length))


class Stranger:
    """One end of a connection; `heard` are the bodies of the node's messages, unread ones first."""

    def __init__(self, stream: trio.SocketStream) -> None:
        self.stream = stream
        self._bytes = b""

    async def shake_hands(
        self,
        info_hash: bytes,
        reserved: bytes = FAST_AND_EXTENSIONS,
        peer_id: bytes = PEER_ID,
        then: bytes = b"",
    ) -> None:
        """Send our handshake and `then`; return when the node's handshake is here."""
        await self.stream.send_all(PROTOCOL_PREFIX + reserved + info_hash + peer_id + then)
        while len(self._bytes) < 68:
            await self._read()
        self._bytes = self._bytes[68:]

    async def say(self, *messages: bytes) -> None:
        """Send messages in one go."""
        await self.stream.send_all(b"".join(messages))

    async def hear(self) -> bytes:
        """Return the id and body of the next message that is no keep-alive."""
        while True:
            if len(self._bytes) >= 4:
                (length,) = struct.unpack_from(">I", self._bytes)
                if len(self._bytes) >= 4 + length:
                    body = self._bytes[4 : 4 + length]
                    self._bytes = self._bytes[4 + length :]
                    if body:
                        return body
                    continue
            await self._read()

    async def hear_a(self, number: int) -> bytes:
        """Return the body of the next message of a kind; the others are dropped."""
        while (body := await self.hear())[0] != number:
            pass
        return body[1:]

    async def wait_gone(self) -> None:
        """Wait until the node has closed the connection."""
        with suppress(*GONE):
            while await self.stream.receive_some(65536):
                pass

    async def _read(self) -> None:
        data = await self.stream.receive_some(1 << 20)
        if not data:
            raise trio.BrokenResourceError("the node closed the connection")
        self._bytes += data


@asynccontextmanager
async def stranger(address: Address, host: str = "127.0.0.2") -> AsyncIterator[Stranger]:
    """Connect to a node, from a loopback address that is not the good peers'."""
    async with await trio.open_tcp_stream(*address, local_address=host) as stream:
        yield Stranger(stream)
