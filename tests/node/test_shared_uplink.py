"""Peers that get turns on a full uplink and do harm with them: the others have the rest of it.

On a virtual clock, over links in memory, with a limit of uploads that is to be shared.
"""

from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from scripted_peers import ScriptedPeer, seeding
from trio_swarm.identities import PieceIndex
from trio_swarm.protocol.extensions.handshake import ExtensionHandshake, encode_extension_handshake
from trio_swarm.protocol.extensions.table import HANDSHAKE_ID
from trio_swarm.protocol.wire import messages as msg

BLOCK = 16384
LIMIT = 200_000
SECONDS = 20
PIECES = 400


class Honest(ScriptedPeer):
    """Asks for block after block, ten ahead."""

    asked = 0
    got = 0

    def begin(self) -> None:
        self.wire.send_bitfield(0)
        self.wire.send_interested()

    def acts(self, event: msg.WireEvent) -> None:
        if isinstance(event, msg.Unchoked):
            self.ask(10)
        elif isinstance(event, msg.BlockReceived):
            self.got += len(event.data)
            self.ask(1)

    def ask(self, count: int) -> None:
        for _ in range(count):
            self.wire.send_request(PieceIndex(self.asked % self.info.piece_count), 0, BLOCK)
            self.asked += 1


class Bad(Honest):
    """Reads until it is unchoked; then it does harm."""

    async def run(self) -> None:
        self.begin()
        await self.flush()
        while self.wire.peer_choking:
            count = await self.end.receive_into(self.wire.receive_buffers())
            self.wire.received(count)
        await self.harm()

    async def harm(self) -> None:
        """Do it."""


class NeverReads(Bad):
    """Asks for a lot, and reads nothing from then on."""

    async def harm(self) -> None:
        self.ask(200)
        await self.flush()
        await trio.sleep_forever()


class ReadsAByteASecond(Bad):
    """Asks for a lot, and reads a byte a second."""

    async def harm(self) -> None:
        self.ask(200)
        await self.flush()
        while True:
            await trio.sleep(1)
            await self.end.receive_into([memoryview(bytearray(1))])


class TakesBack(Bad):
    """Takes each request back soon, and asks again."""

    async def harm(self) -> None:
        for _ in range(1000):
            self.ask(1)
            await self.flush()
            await trio.sleep(0.01)
            self.wire.send_cancel(PieceIndex((self.asked - 1) % self.info.piece_count), 0, BLOCK)
            await self.flush()
            await trio.sleep(0.1)


class ChangesItsMind(Bad):
    """Asks for a block, takes that back and stays."""

    async def harm(self) -> None:
        self.ask(1)
        await self.flush()
        await trio.sleep(0.01)
        self.wire.send_cancel(PieceIndex(0), 0, BLOCK)
        await self.flush()
        await trio.sleep_forever()


class AsksForLongBlocks(Bad):
    """Asks for whole pieces, as a trio-swarm peer may of one that sends without a limit."""

    def begin(self) -> None:
        super().begin()
        length = self.info.piece_length
        told = encode_extension_handshake(ExtensionHandshake(max_block=length))
        self.wire.send_extended(HANDSHAKE_ID, told)
        self.wire.expect_blocks_up_to(length)

    async def harm(self) -> None:
        for piece in range(self.info.piece_count):
            length = self.info.piece_length
            self.wire.send_request(PieceIndex(piece), 0, length, block=length)
        while True:
            await self.flush()
            self.wire.received(await self.end.receive_into(self.wire.receive_buffers()))


class ComesAndGoes(Bad):
    """Asks for a block, and is gone before it comes."""

    async def harm(self) -> None:
        self.ask(1)
        await self.flush()
        await trio.sleep(0.09)
        self.end.close()


@pytest.mark.parametrize("kind", [NeverReads, ReadsAByteASecond, TakesBack])
async def test_others_have_what_a_peer_does_not_take(
    tmp_path: Path, mock_clock: MockClock, kind: type[Honest]
) -> None:
    async with seeding(tmp_path, mock_clock, pieces=PIECES, upload_rate=LIMIT) as swarm:
        bad = [swarm.join(kind) for _ in range(5)]
        await trio.sleep(30)  # what the links of the bad ones take is gone over
        good = swarm.join(Honest)
        await trio.sleep(2)
        before = good.got
        await trio.sleep(SECONDS)
        assert good.got - before > 0.9 * LIMIT * SECONDS
        assert all(each.asked for each in bad)


async def test_peers_that_come_and_go_do_not_keep_a_peer_from_its_share(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    async with seeding(tmp_path, mock_clock, pieces=PIECES, upload_rate=LIMIT) as swarm:
        good = swarm.join(Honest)
        gone: list[ComesAndGoes] = []
        while len(gone) < SECONDS / 0.1:
            gone.append(swarm.join(ComesAndGoes))
            await trio.sleep(0.1)
        assert good.got > 0.45 * LIMIT * SECONDS
        assert sum(each.asked for each in gone) > 0.9 * len(gone)
        uplink = swarm.torrent.context.uplink
        await trio.sleep(1)
        assert len(uplink._asking) <= 1
        assert set(uplink._turns._ended) <= set(swarm.torrent.peer_set.connections)


async def test_peers_that_take_their_requests_back_cost_the_others_nothing(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    many = 60
    async with seeding(
        tmp_path, mock_clock, pieces=PIECES, upload_rate=LIMIT, upload_slots=many + 1
    ) as swarm:
        good = swarm.join(Honest)
        await trio.sleep(2)
        before = good.got
        bad = [swarm.join(ChangesItsMind) for _ in range(many)]
        await trio.sleep(SECONDS)
        assert good.got - before > 0.93 * LIMIT * SECONDS
        assert sum(each.asked for each in bad) == many


async def test_nobody_waits_for_the_long_blocks_of_others_under_a_low_limit(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    length = 1024 * 1024
    async with seeding(
        tmp_path, mock_clock, pieces=8, piece_length=length, upload_rate=LIMIT
    ) as swarm:
        for _ in range(5):
            swarm.join(AsksForLongBlocks)
        await trio.sleep(0.1)
        good = swarm.join(Honest)
        await trio.sleep(SECONDS)
        assert good.got > 0.16 * LIMIT * SECONDS
