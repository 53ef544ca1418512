"""Progress never depends on a message that the other end may not send: peers silent in each state.

On a virtual clock, with real torrents and peers played by the test.
"""

from pathlib import Path

import trio
from trio.testing import MockClock

from scripted_peers import ScriptedPeer, fetching
from trio_swarm.piece_sets import iterate
from trio_swarm.protocol import peer_messages as msg
from trio_swarm.swarm.lazy_haves import LAZY_SECONDS


class SuperSeeder(ScriptedPeer):
    """Shows its next piece when it hears HAVE for the last (BEP 16; as libtorrent 2.1 does)."""

    ahead = 1
    """Pieces it shows at first."""

    def begin(self) -> None:
        self.shown = 0
        self.wire.send_bitfield(0)
        for _ in range(self.ahead):
            self.show()
        self.wire.send_unchoke()

    def show(self) -> None:
        if self.shown < self.info.piece_count:
            self.wire.send_have(self.shown)
            self.shown += 1

    def acts(self, event: msg.WireEvent) -> None:
        if isinstance(event, msg.RequestReceived):
            self.serve(event)
        elif isinstance(event, msg.HasPiece):
            self.show()


async def test_a_super_seeder_hears_of_each_piece_at_once(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    async with fetching(tmp_path, mock_clock, pieces=200) as swarm:
        began = trio.current_time()
        swarm.join(SuperSeeder)
        with trio.fail_after(1000):
            took = await swarm.until_complete() - began
    # 200 round trips over a link without delay, and no rest between them.
    assert took < LAZY_SECONDS


class SlowSeeder(ScriptedPeer):
    """Has everything, and gives one block each `pause` seconds."""

    pause = 0.21

    def begin(self) -> None:
        self.wire.send_bitfield(self.every)
        self.wire.send_unchoke()
        self.owed: list[msg.RequestReceived] = []

    def acts(self, event: msg.WireEvent) -> None:
        if isinstance(event, msg.RequestReceived):
            self.owed.append(event)

    async def run(self) -> None:
        async with trio.open_nursery() as nursery:
            nursery.start_soon(super().run)
            while True:
                await trio.sleep(self.pause)
                if self.owed:
                    self.serve(self.owed.pop(0))
                    await self.flush()


class ChokingSeeder(ScriptedPeer):
    """Has everything, gives nothing, and notes when it hears of which piece."""

    def begin(self) -> None:
        self.wire.send_bitfield(self.every)
        self.heard_at: dict[int, float] = {}

    def acts(self, event: msg.WireEvent) -> None:
        if isinstance(event, msg.HasPiece):
            self.heard_at[event.piece] = trio.current_time()


async def test_who_has_a_piece_hears_of_ours_within_a_second_though_nothing_else_is_said(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    async with fetching(tmp_path, mock_clock, pieces=20) as swarm:
        had_at: dict[int, float] = {}
        silent = swarm.join(ChokingSeeder)
        swarm.join(SlowSeeder)
        while swarm.torrent.state == "downloading":
            await trio.sleep(0.01)
            assert swarm.torrent.download is not None
            for piece in iterate(swarm.torrent.download.ledger.have):
                had_at.setdefault(piece, trio.current_time())
        await trio.sleep(1)
        delays = [silent.heard_at[piece] - when for piece, when in had_at.items()]
    assert len(delays) == 20
    # They are told together, which costs less, and some at once.
    assert LAZY_SECONDS / 4 < max(delays) <= LAZY_SECONDS
