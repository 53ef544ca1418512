"""A UDP tracker client of a few lines (BEP 15), written apart from trio-swarm's own.

It asks what a tracker says of a swarm, so that a test knows that a seeder has announced, and so
that our tracker is read by code that shares nothing with it.
"""

import secrets
import socket
import struct
from typing import NamedTuple

import trio

PROTOCOL_ID = 0x41727101980
CONNECT, SCRAPE = 0, 2
ANSWER_SECONDS = 0.5


class Counts(NamedTuple):
    """A swarm as a tracker sees it."""

    seeders: int
    completed: int
    leechers: int


async def scrape(connected: socket.socket, info_hash: bytes) -> Counts | None:
    """Ask the tracker that the UDP socket is connected to; None when it does not answer."""
    connected.settimeout(0)
    transport = trio.socket.from_stdlib_socket(connected)
    with trio.move_on_after(ANSWER_SECONDS):
        try:
            answer = await _ask(transport, PROTOCOL_ID, CONNECT, b"")
            (connection_id,) = struct.unpack("!q", answer)
            answer = await _ask(transport, connection_id, SCRAPE, info_hash)
        except ConnectionRefusedError:
            return None
        return Counts(*struct.unpack("!iii", answer))
    return None


async def _ask(
    transport: trio.socket.SocketType, connection_id: int, action: int, body: bytes
) -> bytes:
    transaction = secrets.randbits(31)
    await transport.send(struct.pack("!qii", connection_id, action, transaction) + body)
    while True:
        answer = await transport.recv(2048)
        if struct.unpack_from("!ii", answer) == (action, transaction):
            return answer[8:]
