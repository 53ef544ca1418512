"""Progress never depends on a message that the other end may not send: peers silent in each state.

On a virtual clock, with real torrents and peers played by the test.
"""

from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from local_swarm import until
from scripted_peers import ScriptedPeer, fetching, seeding
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


class Liar(ScriptedPeer):
    """Claims all pieces but one, is interested, takes nothing and says nothing."""

    def begin(self) -> None:
        self.wire.send_bitfield(self.every ^ (1 << self.info.piece_count - 1))
        self.wire.send_interested()


class Leecher(ScriptedPeer):
    """Asks for what it is shown, eight at a time, and tells what it got."""

    speed = 1e9
    """Bytes a second that it takes."""
    tells = True

    def begin(self) -> None:
        self.shown = self.got = self.asked = 0
        self.queued = 0
        self.complete_at: float | None = None
        self.wire.send_bitfield(0)

    def acts(self, event: msg.WireEvent) -> None:
        match event:
            case msg.HasPieces(pieces):
                self.shown |= pieces
            case msg.HasPiece(piece):
                self.shown |= 1 << piece
            case msg.Choked():
                self.asked &= self.got
                self.queued = 0
            case msg.BlockReceived(piece):
                self.queued -= 1
                self.got |= 1 << piece
                if self.tells:
                    self.wire.send_have(piece)
                if self.got == self.every:
                    self.complete_at = trio.current_time()
            case _:
                pass
        if self.shown & ~self.got:
            self.wire.send_interested()
        else:
            self.wire.send_not_interested()
        if not self.wire.peer_choking:
            for piece in iterate(self.shown & ~self.got & ~self.asked):
                if self.queued < 8:
                    self.queued += 1
                    self.asked |= 1 << piece
                    self.wire.send_request(piece, 0, self.info.piece_size(piece))

    async def flush(self) -> None:
        await super().flush()
        await trio.sleep(self.info.piece_length / self.speed)


class SlowLeecher(Leecher):
    """Takes three pieces a second."""

    speed = 3 * 16384


class MuteLeecher(Leecher):
    """Tells nobody what it has."""

    tells = False


class Idler(ScriptedPeer):
    """Is interested, and asks for nothing."""

    def begin(self) -> None:
        self.wire.send_bitfield(0)
        self.wire.send_interested()


async def _seconds_to_fetch_beside(
    folder: Path, clock: MockClock, others: list[type[ScriptedPeer]], **settings: Any
) -> float:
    """Return how long a leecher takes that comes a second after others, of a seeder alone."""
    async with seeding(folder, clock, pieces=1024, **settings) as swarm:
        for other in others:
            swarm.join(other)
        await trio.sleep(1.0)
        began = trio.current_time()
        leecher = swarm.join(Leecher)
        with trio.fail_after(100):
            await until(lambda: getattr(leecher, "complete_at", None) is not None)
        return float(leecher.complete_at - began)


@pytest.mark.parametrize(
    "others",
    [[Liar], [SlowLeecher], [MuteLeecher], [Idler], [Idler] * 6, [Liar, Idler, ScriptedPeer]],
    ids=lambda each: "+".join(kind.__name__ for kind in each),
)
async def test_a_seeder_hides_nothing_for_long_whatever_another_claims_or_leaves_unsaid(
    tmp_path: Path, mock_clock: MockClock, others: list[type[ScriptedPeer]]
) -> None:
    assert await _seconds_to_fetch_beside(tmp_path, mock_clock, others) < 5.0
