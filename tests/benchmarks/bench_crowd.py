"""Many leechers of one seeder, in one process: what they get is compared and thrown away.

    bench_crowd.py HOST PORT TORRENT DATA COUNT SECONDS

DATA is what the torrent's bytes repeat. Every other peer asks for 1 MiB at a time, as trio-swarm
does; the others for 16 KiB, as everybody else does. None is ever complete. Prints how many are
connected, and after SECONDS what they got, and `complete`.
"""

import random
import sys
from pathlib import Path

import trio

from trio_swarm import Metainfo, read_torrent
from trio_swarm.peer.transport.streams import SocketStream, connect
from trio_swarm.protocol.extensions.handshake import (
    ExtensionHandshake,
    encode_extension_handshake,
    parse_extension_handshake,
)
from trio_swarm.protocol.peer_ids import make_peer_id
from trio_swarm.protocol.wire import messages as msg
from trio_swarm.protocol.wire.machine import PeerWire

MIB = 1024 * 1024
AHEAD = 4 * MIB
"""Bytes each peer has asked for and not got, at least, while it is served."""


class LightPeer:
    """A leecher that keeps nothing."""

    def __init__(self, metainfo: Metainfo, data: bytes, number: int) -> None:
        info = metainfo.info
        self.wire = PeerWire(
            peer_id=make_peer_id(random.Random(number)),
            info_hash=info.info_hash,
            is_initiator=True,
            piece_count=info.piece_count,
            piece_length=info.piece_length,
            length=info.length,
        )
        self.received = 0
        self._info = info
        self._data = data
        self._block = MIB if number % 2 else msg.BLOCK_LENGTH
        # Not the first: whoever has everything is sent away.
        self._pieces = list(range(1, info.piece_count))
        random.Random(number).shuffle(self._pieces)
        self._ahead = 0
        self._missing: dict[int, int] = {}

    async def talk(self, stream: SocketStream, has_heard: trio.Event) -> None:
        """Fetch for ever; says when the seeder has told what it has."""
        wire = self.wire
        wire.send_handshake(self._info.info_hash)
        while True:
            for segment in wire.data_to_send():
                assert isinstance(segment, bytes)
                await stream.send_all(segment)
            count = await stream.receive_into(wire.receive_buffers())
            events = wire.received(count)
            if not count:
                raise ConnectionError("the seeder closed the connection")
            for event in events:
                self._handle(event)
                if isinstance(event, msg.HasPieces):
                    has_heard.set()
            self._ask()

    def _handle(self, event: msg.WireEvent) -> None:
        wire = self.wire
        match event:
            case msg.HandshakeReceived():
                told = ExtensionHandshake(client="crowd", max_block=self._block)
                wire.send_extended(0, encode_extension_handshake(told))
                wire.send_bitfield(0)
                wire.send_interested()
            case msg.ExtendedReceived(message_id=0):
                if self._block > msg.BLOCK_LENGTH:
                    assert (parse_extension_handshake(event.payload).max_block or 0) >= self._block
                    wire.expect_blocks_up_to(self._block)
            case msg.BlockReceived():
                begin = event.begin
                for data in (event.data, *(event.following or ())):
                    self._take(event.piece, begin, data)
                    begin += len(data)
            case msg.RejectReceived():
                self._ahead -= event.length

    def _take(self, piece: int, begin: int, data: memoryview) -> None:
        at = (piece * self._info.piece_length + begin) % len(self._data)
        if bytes(data) != self._data[at : at + len(data)]:
            raise AssertionError(f"wrong bytes in piece {piece}")
        self.received += len(data)
        self._ahead -= len(data)
        self._missing[piece] -= len(data)
        if not self._missing[piece]:
            self.wire.send_haves(1 << piece)

    def _ask(self) -> None:
        while not self.wire.peer_choking and self._ahead < AHEAD and self._pieces:
            piece = self._pieces.pop()
            size = self._info.piece_size(piece)
            self.wire.send_request(piece, 0, size, block=self._block)
            self._missing[piece] = size
            self._ahead += size


async def crowd(
    address: tuple[str, int], metainfo: Metainfo, data: bytes, count: int, seconds: float
) -> list[int]:
    """Let so many peers fetch for so long; returns the bytes that each got."""
    peers = [LightPeer(metainfo, data, number) for number in range(count)]
    async with trio.open_nursery() as nursery:
        for peer in peers:
            stream = await connect(address, 10.0)
            has_heard = trio.Event()
            nursery.start_soon(peer.talk, stream, has_heard)
            await has_heard.wait()
        print(f"{count} connected", flush=True)
        await trio.sleep(seconds)
        nursery.cancel_scope.cancel()
    return [peer.received for peer in peers]


def main() -> None:
    host, port, torrent, data, count, seconds = sys.argv[1:]
    received = trio.run(
        crowd,
        (host, int(port)),
        read_torrent(Path(torrent)),
        Path(data).read_bytes(),
        int(count),
        float(seconds),
    )
    served = sum(1 for each in received if each)
    print(f"{sum(received) / MIB:.0f} MiB to {served} of them")
    print("complete", flush=True)


if __name__ == "__main__":
    main()
