"""Progress never depends on a message that the other end may not send: peers silent in each state.

On a virtual clock, with real torrents and peers played by the test.
"""

import struct
from pathlib import Path
from typing import Any

import pytest
import trio
from trio.testing import MockClock

from local_swarm import until
from scripted_peers import HonestSeeder, ScriptedPeer, fetching, seeding
from trio_swarm.engine.download.source import FIRST_PATIENCE, PATIENCE
from trio_swarm.engine.lazy_haves import LAZY_SECONDS
from trio_swarm.piece_sets import iterate
from trio_swarm.protocol.extensions.handshake import ExtensionHandshake, encode_extension_handshake
from trio_swarm.protocol.wire import messages as msg


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
            self.wire.send_haves(1 << self.shown)
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
                    self.wire.send_haves(1 << piece)
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


class NeverAnswers(HonestSeeder):
    """Unchokes, and answers no request: no block, no reject, no choke."""

    def acts(self, event: msg.WireEvent) -> None:
        pass


class NeverUnchokes(NeverAnswers):
    """Has everything, and says no more than that."""

    def begin(self) -> None:
        self.wire.send_bitfield(self.every)


class ShowsOneByOne(NeverAnswers):
    """Has nothing by its bitfield, and everything by its HAVEs."""

    def begin(self) -> None:
        self.wire.send_bitfield(0)
        for piece in iterate(self.every):
            self.wire.send_haves(1 << piece)
        self.wire.send_unchoke()


class ChokesWithoutRejects(HonestSeeder):
    """Chokes at the first request and rejects none, though it speaks the Fast Extension."""

    def acts(self, event: msg.WireEvent) -> None:
        if isinstance(event, msg.RequestReceived) and not self.wire.am_choking:
            self.wire.send_choke()


class RejectsAll(HonestSeeder):
    """Rejects each request (BEP 6), and stays unchoked."""

    def acts(self, event: msg.WireEvent) -> None:
        if isinstance(event, msg.RequestReceived):
            self.wire.send_reject(event.piece, event.begin, event.length)


class StopsWithinABlock(HonestSeeder):
    """Sends half of the first block, and nothing more for ever."""

    has_begun = False

    def acts(self, event: msg.WireEvent) -> None:
        if isinstance(event, msg.RequestReceived):
            self.serve(event)

    async def flush(self) -> None:
        if not self.has_begun:
            for segment in self.wire.data_to_send():
                assert isinstance(segment, bytes)
                self.has_begun |= len(segment) > 8192
                await self.end.send_all(segment[:8192])
                if self.has_begun:
                    break


class OneBlockAMinute(SlowSeeder):
    """Sends a block each minute."""

    pause = 60.0


SILENT = [
    ScriptedPeer,
    NeverUnchokes,
    NeverAnswers,
    ShowsOneByOne,
    ChokesWithoutRejects,
    RejectsAll,
    StopsWithinABlock,
    OneBlockAMinute,
]


@pytest.mark.parametrize("silent", SILENT, ids=lambda each: each.__name__)
async def test_a_download_ends_beside_a_peer_that_is_silent_in_any_state(
    tmp_path: Path, mock_clock: MockClock, silent: type[ScriptedPeer]
) -> None:
    async with fetching(tmp_path, mock_clock, pieces=60, piece_length=65536) as swarm:
        began = trio.current_time()
        swarm.join(silent)
        await trio.sleep(1.0)
        swarm.join(HonestSeeder)
        with trio.fail_after(1000):
            took = await swarm.until_complete() - began
    # A block that was asked of a peer that never delivered is late after five seconds.
    assert took < 1.0 + FIRST_PATIENCE + PATIENCE


async def test_a_download_ends_though_an_honest_peer_comes_after_many_silent_ones(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    async with fetching(tmp_path, mock_clock, pieces=60, piece_length=65536) as swarm:
        began = trio.current_time()
        for silent in SILENT:
            swarm.join(silent)
        await trio.sleep(40.0)
        swarm.join(HonestSeeder)
        with trio.fail_after(1000):
            took = await swarm.until_complete() - began
    assert took < 40.0 + FIRST_PATIENCE + PATIENCE


class Trickler(ScriptedPeer):
    """Has everything, and gives so many bytes a second of a block as long as a piece."""

    def begin(self) -> None:
        self.wire.send_bitfield(self.every)
        long = ExtensionHandshake(max_block=self.info.piece_length)
        self.wire.send_extended(0, encode_extension_handshake(long))
        self.wire.send_unchoke()

    @property
    def asked(self) -> list[msg.RequestReceived]:
        return [event for event in self.heard if isinstance(event, msg.RequestReceived)]

    async def trickle(self, rate: int, seconds: int) -> None:
        """Send of one block what comes in so many seconds."""
        await self.flush()
        piece, length = self.asked[0].piece, self.info.piece_length
        head = struct.pack(">IBII", 9 + length, 7, piece, 0)  # BEP 3: length, "piece", where
        frame = head + self.data[piece * length :][:length]
        for second in range(seconds):
            await self.end.send_all(frame[rate * second : rate * (second + 1)])
            await trio.sleep(1)


@pytest.mark.parametrize(("rate", "stands"), [(5, True), (130, False)])
async def test_bytes_of_a_block_count_as_coming_from_a_least_rate_on(
    tmp_path: Path,
    mock_clock: MockClock,
    rate: int,
    stands: bool,  # noqa: FBT001 - a case
) -> None:
    """A peer that gave a byte now and then was waited for without end."""
    async with fetching(tmp_path, mock_clock, pieces=4, piece_length=262_144) as swarm:
        peer = swarm.join(Trickler)
        with trio.fail_after(1000):
            await until(lambda: bool(peer.asked))
            await peer.trickle(rate, 120)
        seconds = swarm.torrent.standstill().seconds
    assert (seconds > 100) == stands
    assert (seconds < 10) != stands
