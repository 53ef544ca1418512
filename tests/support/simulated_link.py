"""Two nodes joined by memory, on a virtual clock: what a transfer does is the same on any machine.

The link takes and hands over bytes in fixed measures at a fixed speed, and pieces are verified and
written at once, in the same thread. So how much each read brings, when queues are filled up and how
blocks are batched depend on nothing but the code.
"""

import ctypes
import os
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import trio

from local_swarm import make_file, node, torrent_file
from trio_swarm import events
from trio_swarm.engine.upload.link_state import LinkState
from trio_swarm.node import Node
from trio_swarm.peer.disk import DiskThreads, PieceJob
from trio_swarm.peer.torrent import Torrent
from trio_swarm.peer.transport.handshaking import Established
from trio_swarm.peer.wakeup import Wakeup
from trio_swarm.protocol.wire.machine import PeerWire
from trio_swarm.storage.hashing import verify_piece

MIB = 1024 * 1024
CAPACITY = MIB
"""Bytes on their way in one direction at most."""
READ = 256 * 1024
"""Bytes one read brings at most."""
RATE = 50 * MIB
"""Bytes a virtual second."""


class _Direction:
    """The bytes on their way from one end to the other."""

    def __init__(self) -> None:
        self.memory = memoryview(bytearray(CAPACITY))
        self.start = self.end = 0
        self.taken = 0
        """Bytes that were read so far."""
        self.free_at = 0.0
        """When the last bytes that were read have gone over the link."""
        self.has_bytes, self.has_room = Wakeup(), Wakeup()
        self.is_closed = False

    def put(self, data: bytes | memoryview) -> int:
        count = min(len(data), CAPACITY - self.end)
        self.memory[self.end : self.end + count] = data[:count]
        self.end += count
        return count


class LinkEnd:
    """A `PeerStream` whose other end is in this process, too. It counts what a socket would do."""

    def __init__(self, remote: tuple[str, int], inward: _Direction, outward: _Direction) -> None:
        self.remote = remote
        self.system_calls: Counter[str] = Counter()
        """By what a socket would call; those that would block count as well."""
        self.sent: Counter[str] = Counter()
        """Bytes that came "from files", "from buffers", and "from objects" made for them."""
        self.received: Counter[str] = Counter()
        """Bytes by where they went, as `sort_bytes` tells it."""
        self.paces: list[float | None] = []
        """Limits that were set to its rate, bytes/s."""
        self.sort_bytes: Callable[[int], str] = lambda _address: "anywhere"
        self._inward, self._outward = inward, outward

    async def receive_into(self, buffers: Sequence[memoryview]) -> int:
        await trio.lowlevel.checkpoint()
        inward = self._inward
        if inward.free_at > trio.current_time():
            await trio.sleep_until(inward.free_at)
        while (count := self.try_receive_into(buffers)) is None:
            await inward.has_bytes.wait()
        return count

    def try_receive_into(self, buffers: Sequence[memoryview]) -> int | None:
        inward = self._inward
        self.system_calls["receive"] += 1
        if inward.start == inward.end:
            return 0 if inward.is_closed else None
        left = READ
        for buffer in buffers:
            count = min(left, len(buffer), inward.end - inward.start)
            if not count:
                break
            buffer[:count] = inward.memory[inward.start : inward.start + count]
            inward.start += count
            inward.taken += count
            left -= count
            self.received[self.sort_bytes(address_of(buffer))] += count
        if inward.start == inward.end:
            inward.start = inward.end = 0
            inward.has_room.set()
        inward.free_at = max(inward.free_at, trio.current_time()) + (READ - left) / RATE
        return READ - left

    async def send_all(self, data: bytes | memoryview, *, more: bool = False) -> None:
        rest = memoryview(data)
        self._count_sent(data)
        while rest:
            self.system_calls["send"] += 1
            count = self._outward.put(rest)
            rest = rest[count:]
            self._outward.has_bytes.set()
            if rest:
                await self._outward.has_room.wait()

    async def send_parts(self, parts: list[bytes | memoryview]) -> None:
        self.system_calls["send"] += 1
        for part in parts:
            self._count_sent(part)
            rest = memoryview(part)
            while rest := rest[self._outward.put(rest) :]:
                self._outward.has_bytes.set()
                await self._outward.has_room.wait()
                self.system_calls["send"] += 1
        self._outward.has_bytes.set()

    def _count_sent(self, data: bytes | memoryview) -> None:
        self.sent["from objects" if isinstance(data, bytes) else "from buffers"] += len(data)

    @property
    def can_send_files(self) -> bool:
        return True

    def try_send_file(self, fd: int, offset: int, count: int) -> int:
        self.system_calls["sendfile"] += 1
        outward = self._outward
        room = outward.memory[outward.end : outward.end + count]
        if not room:
            return 0
        # By none of the calls that read files for blocks, which are counted.
        os.lseek(fd, offset, os.SEEK_SET)
        sent = os.readv(fd, [room])
        outward.end += sent
        outward.has_bytes.set()
        self.sent["from files"] += sent
        return sent

    async def wait_writable(self) -> None:
        await self._outward.has_room.wait()

    def limit_unsent(self, length: int) -> None:
        pass

    def pace(self, rate: float | None) -> None:
        self.paces.append(rate)

    def link_state(self) -> LinkState:
        outward = self._outward
        return LinkState(
            acknowledged=outward.taken,
            delivery_rate=0.0,
            is_app_limited=False,
            round_trip=0.0,
            least_round_trip=0.0,
            in_flight=0,
            unsent=outward.end - outward.start,
            retransmitted=0,
            receiver_limited=0.0,
        )

    def close(self) -> None:
        self._outward.is_closed = self._inward.is_closed = True
        self._outward.has_bytes.set()
        self._inward.has_bytes.set()


def address_of(buffer: memoryview) -> int:
    """Return where writable memory lies."""
    return ctypes.addressof(ctypes.c_char.from_buffer(buffer))


class PromptDisk(DiskThreads):
    """Verifies and writes each piece at once, where it is submitted."""

    def __init__(self, submitted: Callable[[PieceJob], None]) -> None:
        super().__init__()
        self._submitted = submitted

    def submit(self, job: PieceJob) -> None:
        self._submitted(job)
        job.is_valid = verify_piece(job.info, job.piece, job.data)
        _, job.error = job.files.write_pieces([(job.piece, job.data)])
        job.done(job)


def join(seeding: Torrent, fetching: Torrent) -> tuple[LinkEnd, LinkEnd]:
    """Let two torrents of one info-hash be peers; returns the ends of the link between them."""
    there, back = _Direction(), _Direction()
    seeder_end = LinkEnd(("127.0.0.2", 1), back, there)
    leecher_end = LinkEnd(("127.0.0.3", 1), there, back)
    info_hash = seeding.info_hash
    outgoing = PeerWire(peer_id=fetching.context.peer_id, info_hash=info_hash, is_initiator=True)
    incoming = PeerWire(peer_id=seeding.context.peer_id, info_hash=None, is_initiator=False)
    outgoing.send_handshake(info_hash)
    _hand_over(outgoing, incoming)
    incoming.send_handshake(info_hash)
    _hand_over(incoming, outgoing)
    assert (
        seeding.peer_set.admit(Established(seeder_end, incoming, info_hash, []), is_outgoing=False)
        is None
    )
    assert (
        fetching.peer_set.admit(Established(leecher_end, outgoing, info_hash, []), is_outgoing=True)
        is None
    )
    return seeder_end, leecher_end


def _hand_over(wire: PeerWire, other: PeerWire) -> None:
    for segment in wire.data_to_send():
        assert isinstance(segment, bytes)
        assert len(other.receive(segment)) == 1


class Watch:
    """What a test wants to do in the middle of a transfer, where it has settled."""

    def begin(self, seeder: LinkEnd, leecher: LinkEnd) -> None:
        """Begin to measure."""

    def end(self, seeder: LinkEnd, leecher: LinkEnd) -> None:
        """End it."""

    def submitted(self, job: PieceJob) -> None:
        """Take note of a whole piece."""


async def transfer(
    folder: Path,
    clock: trio.testing.MockClock,
    watch: Watch,
    *,
    begin: int,
    end: int,
    size: int,
    piece_length: int = MIB,
) -> None:
    """Transfer a file of `size` bytes, and compare it; `begin` and `end` count verified pieces."""
    original = make_file(folder / "in" / "x.bin", size)
    verified = 0
    ends: list[LinkEnd] = []

    def on_event(event: events.Event) -> None:
        nonlocal verified
        if isinstance(event, events.PieceVerified):
            verified += 1
            if verified == begin:
                watch.begin(*ends)
            elif verified == end:
                watch.end(*ends)

    clock.rate = 1.0
    async with (
        node(folder / "s") as seeder,
        node(folder / "l", recorder=on_event) as leecher,  # type: ignore[arg-type]
    ):
        shared = await seeder.share(original, piece_length=piece_length)
        file = torrent_file(shared, folder)
        leecher._context.disk = PromptDisk(watch.submitted)
        torrent = await leecher.fetch(str(file), folder=folder / "out")
        while torrent.state != "downloading":  # noqa: ASYNC110 - there is no event for it
            await trio.sleep(0.001)
        clock.rate = 0.0
        clock.autojump_threshold = 0.0
        ends += join(shared, torrent)
        while torrent.state == "downloading":  # noqa: ASYNC110 - there is no event for it
            await trio.sleep(0.01)
        clock.autojump_threshold = float("inf")
        clock.rate = 1.0
        path = await torrent.wait_complete()
        assert verified >= end
        assert path.read_bytes() == original.read_bytes()


class Meeting:
    """A seeder and leechers of one file that are about to be peers; none knows another yet."""

    def __init__(
        self, seeding: Torrent, fetching: Sequence[Torrent], nodes: Mapping[str, Node]
    ) -> None:
        self.seeding = seeding
        self.fetching = fetching
        self.nodes = nodes
        """The "seeder"'s, and the last "leecher"'s."""

    def begin(self) -> None:
        """Let the seeder meet each leecher, over a link of its own."""
        for each in self.fetching:
            join(self.seeding, each)


@asynccontextmanager
async def meeting(
    folder: Path,
    clock: trio.testing.MockClock,
    *,
    size: int,
    leechers: int = 1,
    seeder: Mapping[str, Any] | None = None,
    leecher: Mapping[str, Any] | None = None,
) -> AsyncIterator[Meeting]:
    """Real nodes with these settings, on virtual time from here to the end of the context."""
    original = make_file(folder / "in" / "x.bin", size)
    clock.rate = 1.0
    async with AsyncExitStack() as stack:
        sharing = await stack.enter_async_context(node(folder / "s", **(seeder or {})))
        shared = await sharing.share(original)
        file = torrent_file(shared, folder)
        fetching = []
        for number in range(leechers):
            one = await stack.enter_async_context(node(folder / f"l{number}", **(leecher or {})))
            one._context.disk = PromptDisk(lambda _job: None)
            fetching.append(await one.fetch(str(file), folder=folder / f"out{number}"))
        while {each.state for each in fetching} != {"downloading"}:  # noqa: ASYNC110 - no event
            await trio.sleep(0.001)
        clock.rate = 0.0
        clock.autojump_threshold = 0.0
        yield Meeting(shared, fetching, {"seeder": sharing, "leecher": one})
        clock.autojump_threshold = float("inf")
        clock.rate = 1.0
