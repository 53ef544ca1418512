"""Peers that leave: who stayed a while is dialled again soon, who left at once after a pause."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
import trio
import trio.testing

from local_swarm import make_file, node
from trio_swarm.engine.known_peers.candidates import FIRST_RETRY
from trio_swarm.peer.peer_set import HOUSEKEEPING, KEEP_ALIVE, STAY
from trio_swarm.peer.torrent import Torrent
from trio_swarm.peer.transport.handshaking import Established
from trio_swarm.peer.transport.streams import PeerStream
from trio_swarm.protocol.metainfo.torrent import Metainfo
from trio_swarm.protocol.wire.handshake import encode_handshake
from trio_swarm.protocol.wire.machine import PeerWire
from trio_swarm.storage.shares import hash_share

ADDRESS = ("10.0.0.7", 6881)


class Leaver:
    """The stream to a peer that says nothing and leaves after a while."""

    can_send_files = False
    remote = ADDRESS

    def __init__(self, stays: float, end: BaseException | None = None) -> None:
        self.sent: list[tuple[float, bytes]] = []
        self._stays = stays
        self._end = end

    async def receive_into(self, _buffers: Sequence[memoryview]) -> int:
        await trio.sleep(self._stays)
        if self._end is not None:
            raise self._end
        return 0

    def try_receive_into(self, _buffers: Sequence[memoryview]) -> None:
        pass

    async def send_all(self, data: bytes | memoryview, *, more: bool = False) -> None:
        self.sent.append((trio.current_time(), bytes(data)))

    async def send_parts(self, parts: list[bytes | memoryview]) -> None:
        await self.send_all(b"".join(parts))

    def try_send_file(self, fd: int, offset: int, count: int) -> int:
        raise NotImplementedError

    async def wait_writable(self) -> None:
        pass

    def limit_unsent(self, length: int) -> None:
        pass

    def pace(self, rate: float | None) -> None:
        pass

    def link_state(self) -> None:
        pass

    def close(self) -> None:
        pass


async def meet(torrent: Torrent, stream: Leaver) -> None:
    """Have the torrent connected with the peer until it leaves."""
    peers = torrent.peer_set
    assert peers.candidates.take_due(trio.current_time()) == ADDRESS
    info_hash = torrent.info_hash
    wire = PeerWire(peer_id=torrent.context.peer_id, info_hash=info_hash, is_initiator=True)
    wire.send_handshake(info_hash)
    wire.receive(encode_handshake(info_hash, b"A2-1-36-0-0123456789"))
    wire.data_to_send()
    typed: PeerStream = stream
    assert peers.admit(Established(typed, wire, info_hash, []), is_outgoing=True) is None
    while peers.connections:  # noqa: ASYNC110 - the clock jumps
        await trio.sleep(0.1)


async def pauses(
    folder: Path, clock: trio.testing.MockClock, streams: Sequence[Leaver]
) -> list[float]:
    """Return how long a download waits before it dials the peer again, after each of these."""
    found = []
    clock.rate = 1.0
    original = make_file(folder / "in" / "x.bin", 100_000)
    info = hash_share(original, piece_length=16384, state_folder=folder / "hashes")
    file = folder / "x.torrent"
    file.write_bytes(Metainfo(info=info).to_bytes())
    async with node(folder / "l") as leecher:
        torrent = await leecher.fetch(str(file), folder=folder / "out")
        while torrent.state != "downloading":  # noqa: ASYNC110 - there is no event for it
            await trio.sleep(0.001)
        clock.rate = 0.0
        clock.autojump_threshold = 0.0
        candidates = torrent.peer_set.candidates
        candidates.add(ADDRESS, trio.current_time())
        for stream in streams:
            await meet(torrent, stream)
            # The true dialler must not take it before the next turn.
            due = candidates.next_due()
            found.append(due - trio.current_time())
            clock.jump(max(0.0, due - trio.current_time()))
        clock.autojump_threshold = float("inf")
        clock.rate = 1.0
    return found


@pytest.mark.parametrize("end", [None, ConnectionResetError(104, "Connection reset by peer")])
async def test_who_parts_for_want_of_something_to_do_is_dialled_again_soon_however_often(
    tmp_path: Path, mock_clock: trio.testing.MockClock, end: BaseException | None
) -> None:
    """aria2 1.36 leaves after 30 s without interest and after 60 s without a request."""
    stays = [Leaver(30.0, end), Leaver(60.0, end), Leaver(30.0, end), Leaver(30.0, end)]
    waited = await pauses(tmp_path, mock_clock, stays)
    assert all(each <= FIRST_RETRY for each in waited), waited


async def test_who_has_no_place_for_us_is_asked_more_and_more_rarely(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    waited = await pauses(tmp_path, mock_clock, [Leaver(0.01) for _ in range(4)])
    assert waited == pytest.approx([1, 2, 4, 8], abs=0.2)


async def test_a_silent_connection_is_kept_alive_well_within_two_minutes(
    tmp_path: Path, mock_clock: trio.testing.MockClock
) -> None:
    """BEP 3: "generally sent once every two minutes"; libtorrent 2.1 waits no longer."""
    silent = Leaver(170.0)
    await pauses(tmp_path, mock_clock, [silent])
    times = [at for at, _ in silent.sent]
    alive = [at for at, data in silent.sent if data == bytes(4)]
    assert alive
    assert max(b - a for a, b in pairwise(times)) < 115
    assert KEEP_ALIVE + HOUSEKEEPING < 115
    assert STAY < 30
