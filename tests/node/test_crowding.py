"""Hosts that hold many places, peers that come back, and addresses that lead nowhere."""

import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path

import pytest
import trio

from local_swarm import HOST, LIMIT, Recorder, contents, make_file, node, until
from strangers import GONE, PEER_ID, Stranger, stranger
from trio_swarm import events
from trio_swarm.engine.known_peers import crowding
from trio_swarm.peer import dialing
from trio_swarm.protocol.addresses import Address

CROWD = 250
"""What `max_connections` is by default."""

SOON = 60.0
"""Seconds, on a busy machine; it takes three, and without anybody making room 180."""


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return make_file(tmp_path / "in" / "x.bin", 300_000)


@asynccontextmanager
async def crowd(
    address: Address, info_hash: bytes, count: int, host: str = "127.0.0.2"
) -> AsyncIterator[None]:
    """Peers of one host that shake hands and then send keep-alives only.

    One after the other: where many connect at once, who is slow to shake hands has to give way
    (`HURRIED_HANDSHAKE`), and on a busy machine all are slow.
    """
    async with AsyncExitStack() as stack, trio.open_nursery() as nursery:

        async def idle(visitor: Stranger) -> None:
            try:
                while True:
                    await visitor.say(bytes(4))
                    await trio.sleep(0.5)
            except GONE:
                return

        for number in range(count):
            visitor = await stack.enter_async_context(stranger(address, host))
            await visitor.shake_hands(info_hash, peer_id=PEER_ID[:-4] + b"%04d" % number)
            nursery.start_soon(idle, visitor)
        yield
        nursery.cancel_scope.cancel()


async def test_a_host_that_holds_all_places_of_a_seeder_keeps_no_leecher_out(
    tmp_path: Path, original: Path
) -> None:
    with trio.fail_after(60):
        async with node(tmp_path / "s") as seeder, node(tmp_path / "l") as leecher:
            shared = await seeder.share(original)
            async with crowd((HOST, seeder.port), shared.info_hash, CROWD):
                await until(lambda: len(shared.peers()) == CROWD)
                with trio.fail_after(SOON):
                    torrent = await leecher.fetch(
                        shared.info_hash.hex(), folder=tmp_path / "out", peers=[(HOST, seeder.port)]
                    )
                    path = await torrent.wait_complete()
                assert len(shared.peers()) >= CROWD - 1
    assert contents(path) == contents(original)


async def test_a_host_that_holds_all_places_of_a_leecher_does_not_keep_it_from_dialling(
    tmp_path: Path, original: Path
) -> None:
    with trio.fail_after(60):
        async with (
            node(tmp_path / "s") as seeder,
            node(tmp_path / "l", max_connections=40) as leecher,
        ):
            shared = await seeder.share(original)
            torrent = await leecher.fetch(shared.info_hash.hex(), folder=tmp_path / "out")
            async with crowd((HOST, leecher.port), shared.info_hash, 40):
                await until(lambda: len(torrent.peers()) == 40)
                with trio.fail_after(SOON):
                    torrent.peer_set.candidates.add((HOST, seeder.port), trio.current_time())
                    torrent.peer_set.dial_wakeup.set()
                    path = await torrent.wait_complete()
    assert contents(path) == contents(original)


async def test_where_blocks_move_nobody_is_sent_away(
    tmp_path: Path, original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowding, "JOINING", 0.2)
    recorder = Recorder()
    with trio.fail_after(60):
        async with (
            node(tmp_path / "s", max_connections=8, upload_rate=100_000) as seeder,
            node(tmp_path / "l", listen_host="127.0.0.2", recorder=recorder) as leecher,
        ):
            shared = await seeder.share(original)
            torrent = await leecher.fetch(
                shared.info_hash.hex(), folder=tmp_path / "out", peers=[(HOST, seeder.port)]
            )
            await recorder.wait_for(events.PeerConnected)
            # All of the leecher's host, and it is the oldest of them.
            async with (
                crowd((HOST, seeder.port), shared.info_hash, 7),
                AsyncExitStack() as visitors,
            ):
                await until(lambda: len(shared.peers()) == 8)
                await trio.sleep(crowding.JOINING)
                for number in range(6):
                    visitor = await visitors.enter_async_context(
                        stranger((HOST, seeder.port), f"127.0.1.{number + 1}")
                    )
                    await visitor.shake_hands(
                        shared.info_hash, peer_id=PEER_ID[:-4] + b"x%03d" % number
                    )
                came = "127.0.1."
                await until(
                    lambda: sum(each.address.startswith(came) for each in shared.peers()) == 6
                )
                await torrent.wait_complete()
    # The seeder parts from who has everything; nothing ended the connection before.
    order = [type(each) for each in recorder.events if not isinstance(each, events.Completed)]
    assert order.index(events.PeerLost) > order.index(events.PieceVerified)
    assert events.PieceVerified not in order[order.index(events.PeerLost) :]


async def test_a_peer_that_comes_again_takes_the_place_of_its_silent_connection(
    tmp_path: Path, original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(crowding, "QUIET", 0.3)
    with trio.fail_after(LIMIT):
        async with node(tmp_path / "s") as seeder:
            shared = await seeder.share(original)
            async with stranger((HOST, seeder.port)) as dead:
                await dead.shake_hands(shared.info_hash)
                await until(lambda: len(shared.peers()) == 1)
                async with stranger((HOST, seeder.port)) as early:
                    await early.shake_hands(shared.info_hash)
                    await early.wait_gone()
                await trio.sleep(0.4)
                async with stranger((HOST, seeder.port), "127.0.0.3") as thief:
                    await thief.shake_hands(shared.info_hash)
                    await until(lambda: len(shared.peers()) == 2)
                async with stranger((HOST, seeder.port)) as again:
                    await again.shake_hands(shared.info_hash)
                    await dead.wait_gone()
                    await until(lambda: len(shared.peers()) == 1)


@contextmanager
def nowhere() -> Iterator[int]:
    """A port at every loopback address where connections are never taken, nor refused."""
    with socket.socket() as listener:
        listener.bind(("0.0.0.0", 0))
        listener.listen(0)
        port = listener.getsockname()[1]
        fillers = [socket.socket() for _ in range(4)]
        for filler in fillers:
            filler.settimeout(0)
            filler.connect_ex((HOST, port))
        yield port
        for filler in fillers:
            filler.close()


async def test_a_peer_behind_many_addresses_that_lead_nowhere_is_met_soon(
    tmp_path: Path, original: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dialing, "CONNECT_FIRST", 0.5)
    with trio.fail_after(60), nowhere() as port:
        async with node(tmp_path / "s") as seeder, node(tmp_path / "l") as leecher:
            shared = await seeder.share(original)
            dead = [(f"127.9.0.{number}", port) for number in range(1, 151)]
            with trio.fail_after(SOON):
                torrent = await leecher.fetch(
                    shared.info_hash.hex(),
                    folder=tmp_path / "out",
                    peers=[*dead, (HOST, seeder.port)],
                )
                await torrent.wait_complete()
