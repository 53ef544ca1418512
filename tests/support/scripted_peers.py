"""Peers played by a test, joined to a real torrent by memory, on a virtual clock.

See `simulated_link`: nothing depends on the machine, so what happens when is exact.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import trio

from local_swarm import Recorder, make_file, node, torrent_file
from simulated_link import LinkEnd, PromptDisk, Watch, _Direction, _hand_over
from trio_swarm.peer.torrent import Torrent
from trio_swarm.peer.transport.handshaking import Established
from trio_swarm.piece_sets import full_set
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.protocol.wire import messages as msg
from trio_swarm.protocol.wire.machine import PeerWire
from unusual_messages import send_block_data


class ScriptedPeer:
    """One peer: it does what `acts` does with each message, and what a test has its wire say."""

    def __init__(self, torrent: Torrent, info: Info, data: bytes, number: int) -> None:
        there, back = _Direction(), _Direction()
        self.info = info
        self.data = data
        self.end = LinkEnd(("127.0.0.9", 1), back, there)
        self.wire = PeerWire(
            peer_id=b"-XX0001-%012d" % number, info_hash=info.info_hash, is_initiator=True
        )
        incoming = PeerWire(peer_id=torrent.context.peer_id, info_hash=None, is_initiator=False)
        self.wire.send_handshake(info.info_hash)
        _hand_over(self.wire, incoming)
        incoming.send_handshake(info.info_hash)
        _hand_over(incoming, self.wire)
        self.wire.set_torrent(
            piece_count=info.piece_count, piece_length=info.piece_length, length=info.length
        )
        self.node_end = theirs = LinkEnd((f"127.0.1.{number}", number), there, back)
        assert (
            torrent.peer_set.admit(
                Established(theirs, incoming, info.info_hash, []), is_outgoing=False
            )
            is None
        )
        self.heard: list[msg.WireEvent] = []

    @property
    def every(self) -> int:
        """All pieces."""
        return full_set(self.info.piece_count)

    async def run(self) -> None:
        """Say what there is at first, and act on each message until the torrent closes."""
        self.begin()
        while True:
            await self.flush()
            count = await self.end.receive_into(self.wire.receive_buffers())
            if not count:
                return
            events = self.wire.received(count)
            while self.wire.is_behind:
                events += self.wire.parse_more()
            for event in events:
                self.heard.append(event)
                self.acts(event)

    async def flush(self) -> None:
        """Send what the wire has."""
        for segment in self.wire.data_to_send():
            assert isinstance(segment, bytes)
            await self.end.send_all(segment)

    def begin(self) -> None:
        """Say something first."""

    def acts(self, event: msg.WireEvent) -> None:
        """Act on a message."""

    def serve(self, event: msg.RequestReceived) -> None:
        """Send a block."""
        start = event.piece * self.info.piece_length + event.begin
        send_block_data(
            self.wire, event.piece, event.begin, self.data[start : start + event.length]
        )


class HonestSeeder(ScriptedPeer):
    """Has everything, and gives what it is asked for."""

    def begin(self) -> None:
        self.wire.send_bitfield(self.every)
        self.wire.send_unchoke()

    def acts(self, event: msg.WireEvent) -> None:
        if isinstance(event, msg.RequestReceived):
            self.serve(event)


@dataclass
class Fetching:
    """A torrent that lacks everything, and who joins it."""

    torrent: Torrent
    info: Info
    data: bytes
    nursery: trio.Nursery
    recorder: Recorder
    joined: int = 0

    def join(self, kind: type[ScriptedPeer], **options: Any) -> Any:
        """Let a scripted peer join."""
        self.joined += 1
        peer = kind(self.torrent, self.info, self.data, self.joined, **options)
        self.nursery.start_soon(peer.run)
        return peer

    async def until_complete(self) -> float:
        """Wait for the last piece; returns when it was verified."""
        while self.torrent.state == "downloading":  # noqa: ASYNC110 - there is no event for it
            await trio.sleep(0.01)
        return trio.current_time()


@asynccontextmanager
async def fetching(
    folder: Path, clock: trio.testing.MockClock, *, pieces: int, piece_length: int = 16384
) -> AsyncIterator[Fetching]:
    """A torrent of a real node that is about to fetch, at virtual time 0 from here on."""
    original = make_file(folder / "in" / "x.bin", pieces * piece_length)
    clock.rate = 1.0
    recorder = Recorder()
    async with (
        node(folder / "s") as seeder,
        node(folder / "l", recorder=recorder) as leecher,
        trio.open_nursery() as nursery,
    ):
        shared = await seeder.share(original, piece_length=piece_length)
        file = torrent_file(shared, folder)
        leecher._context.disk = PromptDisk(Watch().submitted)
        torrent = await leecher.fetch(str(file), folder=folder / "out")
        while torrent.state != "downloading":  # noqa: ASYNC110 - there is no event for it
            await trio.sleep(0.001)
        clock.rate = 0.0
        clock.autojump_threshold = 0.0
        yield Fetching(torrent, shared.info, original.read_bytes(), nursery, recorder)
        clock.autojump_threshold = float("inf")
        clock.rate = 1.0
        nursery.cancel_scope.cancel()


@dataclass
class Seeding:
    """A torrent that has everything, and who joins it."""

    torrent: Torrent
    info: Info
    data: bytes
    nursery: trio.Nursery
    joined: int = 0

    join = Fetching.join


@asynccontextmanager
async def seeding(
    folder: Path,
    clock: trio.testing.MockClock,
    *,
    pieces: int,
    piece_length: int = 16384,
    **settings: Any,
) -> AsyncIterator[Seeding]:
    """A torrent of a real node that seeds, on the virtual clock from here on."""
    original = make_file(folder / "in" / "x.bin", pieces * piece_length)
    clock.rate = 1.0
    async with node(folder / "s", **settings) as seeder, trio.open_nursery() as nursery:
        torrent = await seeder.share(original, piece_length=piece_length)
        while torrent.state != "seeding":  # noqa: ASYNC110 - there is no event for it
            await trio.sleep(0.001)
        assert torrent.info is not None
        clock.rate = 0.0
        clock.autojump_threshold = 0.0
        yield Seeding(torrent, torrent.info, original.read_bytes(), nursery)
        clock.autojump_threshold = float("inf")
        clock.rate = 1.0
        nursery.cancel_scope.cancel()
