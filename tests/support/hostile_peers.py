"""Seeders that misbehave, over real sockets: they shake hands like anybody, then do harm."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import partial

import trio

from trio_swarm.piece_sets import full_set
from trio_swarm.protocol.addresses import Address
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.protocol.peer_ids import make_peer_id
from trio_swarm.protocol.wire import messages as msg
from trio_swarm.protocol.wire.machine import PeerWire
from unusual_messages import send_block_data

Behaviour = Callable[
    ["HostileSeeder", trio.SocketStream, PeerWire, msg.RequestReceived], Awaitable[None]
]


class HostileSeeder:
    """Claims to have everything, unchokes, and answers each request by `behaviour`."""

    def __init__(
        self, info: Info, data: bytes, behaviour: Behaviour, *, unchokes: bool = True
    ) -> None:
        self.info = info
        self.data = data
        self.behaviour = behaviour
        self.unchokes = unchokes
        self.requests = 0
        self.connections = 0
        self.peer_id = make_peer_id(random.Random(id(self)))

    def block(self, request: msg.RequestReceived) -> bytes:
        start = request.piece * self.info.piece_length + request.begin
        return self.data[start : start + request.length]

    async def serve(self, stream: trio.SocketStream) -> None:
        self.connections += 1
        with suppress(trio.BrokenResourceError, trio.ClosedResourceError):
            await self._talk(stream)

    async def _talk(self, stream: trio.SocketStream) -> None:
        wire = PeerWire(peer_id=self.peer_id, info_hash=None, is_initiator=False)
        shaken = False
        while True:
            data = await stream.receive_some(65536)
            if not data:
                return
            for event in wire.receive(data):
                if isinstance(event, msg.HandshakeReceived):
                    wire.send_handshake(event.info_hash)
                    wire.set_torrent(
                        piece_count=self.info.piece_count,
                        piece_length=self.info.piece_length,
                        length=self.info.length,
                    )
                    shaken = True
                    wire.send_bitfield(full_set(self.info.piece_count))
                    if self.unchokes:
                        wire.send_unchoke()
                elif isinstance(event, msg.RequestReceived):
                    self.requests += 1
                    await self.behaviour(self, stream, wire, event)
            if shaken:
                await flush(stream, wire)


async def flush(stream: trio.SocketStream, wire: PeerWire) -> None:
    for segment in wire.data_to_send():
        assert isinstance(segment, bytes)
        await stream.send_all(segment)


async def send_garbage(
    seeder: HostileSeeder, _stream: trio.SocketStream, wire: PeerWire, request: msg.RequestReceived
) -> None:
    send_block_data(wire, request.piece, request.begin, bytes(len(seeder.block(request))))


async def stay_silent(
    _seeder: HostileSeeder, _stream: trio.SocketStream, _wire: PeerWire, _r: msg.RequestReceived
) -> None:
    return


async def send_one_byte_a_second(
    seeder: HostileSeeder, stream: trio.SocketStream, wire: PeerWire, request: msg.RequestReceived
) -> None:
    send_block_data(wire, request.piece, request.begin, seeder.block(request))
    for segment in wire.data_to_send():
        assert isinstance(segment, bytes)
        for byte in segment:
            await stream.send_all(bytes([byte]))
            await trio.sleep(1)


@asynccontextmanager
async def hostile(seeder: HostileSeeder) -> AsyncIterator[Address]:
    async with trio.open_nursery() as nursery:
        listeners = await nursery.start(partial(trio.serve_tcp, host="127.0.0.1"), seeder.serve, 0)
        yield "127.0.0.1", listeners[0].socket.getsockname()[1]
        nursery.cancel_scope.cancel()
