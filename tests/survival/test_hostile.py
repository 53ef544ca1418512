"""Strangers that lie, flood, hang or vanish: good peers are served, memory stays bounded."""

import random
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from pathlib import Path

import pytest
import trio

from hostile_peers import HostileSeeder, flush, hostile
from local_swarm import HOST, Recorder, contents, make_file, node, until
from swarm_processes import make_big_file, processes
from trio_swarm import Node, events
from trio_swarm.engine.lengths import BLOCK_LENGTH
from trio_swarm.peer.transport import admission
from trio_swarm.protocol.addresses import Address, format_address
from trio_swarm.protocol.extensions.handshake import (
    ExtensionHandshake,
    encode_extension_handshake,
    parse_extension_handshake,
)
from trio_swarm.protocol.extensions.metadata import (
    METADATA_PIECE,
    UT_METADATA,
    MetadataData,
    MetadataRequest,
    encode_metadata_message,
    parse_metadata_message,
)
from trio_swarm.protocol.extensions.table import OUR_MESSAGE_IDS
from trio_swarm.protocol.metainfo.torrent import Info, build_info
from trio_swarm.protocol.peer_ids import make_peer_id
from trio_swarm.protocol.wire import messages as msg
from trio_swarm.protocol.wire.machine import PeerWire
from trio_swarm.storage.shares import hash_share
from unusual_messages import send_block_data

MIB = 1 << 20
SIZE = 6_000_000
PIECE = 262_144
CONNECTION_ERRORS = (trio.BrokenResourceError, trio.ClosedResourceError, OSError)


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return make_file(tmp_path / "in" / "x.bin", SIZE)


@pytest.fixture
def data(original: Path) -> bytes:
    return original.read_bytes()


@pytest.fixture
def info(original: Path, tmp_path: Path) -> Info:
    return hash_share(original, piece_length=PIECE, state_folder=tmp_path / "hashes")


async def fetched(leecher: Node, info: Info, folder: Path, *peers: Address) -> Path:
    torrent = await leecher.fetch(info.info_hash.hex(), folder=folder, peers=peers)
    return await torrent.wait_complete()


@asynccontextmanager
async def good_seeder(folder: Path, original: Path, **settings: object) -> AsyncIterator[Address]:
    async with node(folder, **settings) as opened:
        await opened.share(original, piece_length=PIECE)
        yield HOST, opened.port


# --- seeders that do harm ----------------------------------------------------------------------


async def spoil_one_block(
    seeder: HostileSeeder, _stream: trio.SocketStream, wire: PeerWire, request: msg.RequestReceived
) -> None:
    """Send what was asked, but one byte of the third block of every piece is wrong."""
    data = bytearray(seeder.block(request))
    at = 2 * BLOCK_LENGTH - request.begin
    if 0 <= at < len(data):
        data[at] ^= 1
    send_block_data(wire, request.piece, request.begin, data)


async def test_who_spoils_one_block_among_good_peers_is_banned_and_nobody_else(
    tmp_path: Path, original: Path, info: Info, data: bytes
) -> None:
    recorder = Recorder()
    bad = HostileSeeder(info, data, spoil_one_block)
    with trio.fail_after(100):
        async with AsyncExitStack() as stack:
            address = await stack.enter_async_context(hostile(bad))
            good = [
                await stack.enter_async_context(
                    good_seeder(tmp_path / f"s{number}", original, upload_rate=2_000_000)
                )
                for number in range(3)
            ]
            leecher = await stack.enter_async_context(node(tmp_path / "l", recorder=recorder))
            path = await fetched(leecher, info, tmp_path / "out", address, *good)
    assert contents(path) == contents(original)
    failed = recorder.of(events.PieceFailed)
    assert failed
    assert all(format_address(address) in event.peers for event in failed)
    assert [event.address for event in recorder.of(events.PeerBanned)] == [format_address(address)]


async def send_too_little(
    seeder: HostileSeeder, _stream: trio.SocketStream, wire: PeerWire, request: msg.RequestReceived
) -> None:
    send_block_data(wire, request.piece, request.begin, seeder.block(request)[:-1])


async def send_elsewhere(
    seeder: HostileSeeder, _stream: trio.SocketStream, wire: PeerWire, request: msg.RequestReceived
) -> None:
    other = (request.piece + 5) % (seeder.info.piece_count - 1)
    send_block_data(wire, other, request.begin, seeder.block(request))


async def send_too_much(
    _seeder: HostileSeeder, stream: trio.SocketStream, _wire: PeerWire, request: msg.RequestReceived
) -> None:
    length = 40 * MIB
    await stream.send_all(msg.PIECE_FRAME.pack(9 + length, 7, request.piece, request.begin))


async def send_absurd_index(
    _seeder: HostileSeeder, stream: trio.SocketStream, _wire: PeerWire, _r: msg.RequestReceived
) -> None:
    await stream.send_all(msg.INDEX_FRAME.pack(5, msg.MessageId.HAVE, 0xFFFFFFFF))


async def flood_with_messages(
    _seeder: HostileSeeder, stream: trio.SocketStream, _wire: PeerWire, _r: msg.RequestReceived
) -> None:
    """Send legal nonsense as fast as the other end takes it, for ever."""
    noise = b"".join(
        [
            bytes(4),
            msg.INDEX_FRAME.pack(5, msg.MessageId.HAVE, 0),
            msg.BARE_FRAME.pack(1, msg.MessageId.INTERESTED),
            msg.BARE_FRAME.pack(1, msg.MessageId.NOT_INTERESTED),
            msg.BARE_FRAME.pack(1, msg.MessageId.CHOKE),
            msg.BARE_FRAME.pack(1, msg.MessageId.UNCHOKE),
            msg.INDEX_FRAME.pack(5, msg.MessageId.SUGGEST, 1),
            msg.INDEX_FRAME.pack(5, msg.MessageId.ALLOWED_FAST, 1),
            struct.pack(">IBH", 3, msg.MessageId.PORT, 1),
            msg.BARE_FRAME.pack(101, 99) + bytes(100),
        ]
    )
    with suppress(*CONNECTION_ERRORS):
        while True:
            await stream.send_all(noise * 1000)


async def flood_with_blocks(
    seeder: HostileSeeder, stream: trio.SocketStream, wire: PeerWire, request: msg.RequestReceived
) -> None:
    """Send blocks nobody asked for, for ever."""
    with suppress(*CONNECTION_ERRORS):
        while True:
            for piece in range(seeder.info.piece_count - 1):
                send_block_data(wire, piece, request.begin, bytes(BLOCK_LENGTH))
            await flush(stream, wire)


async def die(
    seeder: HostileSeeder, stream: trio.SocketStream, wire: PeerWire, request: msg.RequestReceived
) -> None:
    """Send the block, and leave."""
    send_block_data(wire, request.piece, request.begin, seeder.block(request))
    await flush(stream, wire)
    await stream.aclose()


@pytest.mark.parametrize(
    "behaviour",
    [
        send_too_little,
        send_elsewhere,
        send_too_much,
        send_absurd_index,
        flood_with_messages,
        flood_with_blocks,
        die,
    ],
    ids=lambda behaviour: behaviour.__name__.replace("_", " "),
)
async def test_a_download_ends_with_the_good_seeder_whatever_another_sends(
    tmp_path: Path,
    original: Path,
    info: Info,
    data: bytes,
    behaviour: Callable[..., Awaitable[None]],
) -> None:
    recorder = Recorder()
    bad = HostileSeeder(info, data, behaviour)
    with trio.fail_after(100):
        async with (
            good_seeder(tmp_path / "s", original, upload_rate=4_000_000) as good,
            hostile(bad) as address,
            node(tmp_path / "l", recorder=recorder) as leecher,
        ):
            path = await fetched(leecher, info, tmp_path / "out", address, good)
            assert contents(path) == contents(original)
    assert bad.requests > 0


# --- strangers at the door ---------------------------------------------------------------------


async def test_five_hundred_silent_connections_do_not_keep_a_peer_out(
    tmp_path: Path, original: Path, info: Info, endless_handshakes: None
) -> None:
    with trio.fail_after(100):
        async with AsyncExitStack() as stack:
            good = await stack.enter_async_context(good_seeder(tmp_path / "s", original))
            async with trio.open_nursery() as nursery:
                for _ in range(500):
                    nursery.start_soon(_hold_open, stack, good)
            leecher = await stack.enter_async_context(node(tmp_path / "l"))
            with trio.fail_after(50):
                path = await fetched(leecher, info, tmp_path / "out", good)
    assert contents(path) == contents(original)


async def _hold_open(stack: AsyncExitStack, address: Address) -> None:
    stream = await stack.enter_async_context(await trio.open_tcp_stream(*address))
    await stream.send_all(b"\x13BitTorrent")


async def test_peers_of_a_flash_crowd_do_not_push_each_other_out(
    tmp_path: Path, original: Path, info: Info, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Only a slow machine takes longer for a handshake than this is by default.
    monkeypatch.setattr(admission, "HURRIED_HANDSHAKE", 9.0)
    crowd = 2 * admission.PENDING_HANDSHAKES + 1
    inside = 0
    everybody_in = trio.Event()

    async def come(address: Address, number: int) -> None:
        nonlocal inside
        async with await trio.open_tcp_stream(*address) as stream:
            await trio.sleep(1)  # the way to a peer is long
            await _shake_hands(stream, info, number)
            inside += 1
            if inside == crowd:
                everybody_in.set()
            await everybody_in.wait()

    with trio.fail_after(100):
        async with (
            good_seeder(tmp_path / "s", original, max_connections=crowd) as good,
            trio.open_nursery() as nursery,
        ):
            for number in range(crowd):
                nursery.start_soon(come, good, number)


async def test_a_stranger_that_comes_and_goes_a_thousand_times_disturbs_nobody(
    tmp_path: Path, original: Path, info: Info
) -> None:
    recorder = Recorder()
    with trio.fail_after(100):
        async with (
            good_seeder(tmp_path / "s", original, recorder=recorder, upload_rate=3_000_000) as good,
            trio.open_nursery() as nursery,
        ):

            async def come_and_go() -> None:
                for number in range(1000):
                    async with connected(good, info, number):
                        pass

            nursery.start_soon(come_and_go)
            async with node(tmp_path / "l") as leecher:
                path = await fetched(leecher, info, tmp_path / "out", good)
    assert contents(path) == contents(original)
    await trio.lowlevel.checkpoint()
    assert len(recorder.of(events.PeerConnected)) == len(recorder.of(events.PeerLost))


@asynccontextmanager
async def connected(address: Address, info: Info, number: int) -> AsyncIterator[trio.SocketStream]:
    """A leecher that has shaken hands, said what it speaks, and is interested."""
    async with await trio.open_tcp_stream(*address) as stream:
        await _shake_hands(stream, info, number)
        yield stream


async def _shake_hands(stream: trio.SocketStream, info: Info, number: int) -> None:
    wire = PeerWire(
        peer_id=make_peer_id(random.Random(number)), info_hash=info.info_hash, is_initiator=True
    )
    wire.send_handshake(info.info_hash)
    await flush(stream, wire)
    while wire.peer_id is None:
        wire.receive(await stream.receive_some(68))
    wire.set_torrent(
        piece_count=info.piece_count, piece_length=info.piece_length, length=info.length
    )
    told = ExtensionHandshake(message_ids={UT_METADATA: 1})
    wire.send_extended(0, encode_extension_handshake(told))
    wire.send_bitfield(0)
    wire.send_interested()
    await flush(stream, wire)


# --- leechers that take without reading ----------------------------------------------------------


def _requests(info: Info) -> bytes:
    frames = (
        msg.RANGE_FRAME.pack(13, msg.MessageId.REQUEST, piece, 0, BLOCK_LENGTH)
        for piece in range(info.piece_count - 1)
    )
    return b"".join(frames) * 1000


def _requests_and_cancels(info: Info) -> bytes:
    return (
        b"".join(
            msg.RANGE_FRAME.pack(13, kind, piece, 0, BLOCK_LENGTH)
            for piece in range(info.piece_count - 1)
            for kind in (msg.MessageId.REQUEST, msg.MessageId.CANCEL)
        )
        * 1000
    )


def _metadata_requests(_info: Info) -> bytes:
    payload = encode_metadata_message(MetadataRequest(0))
    frame = msg.EXTENDED_FRAME.pack(
        2 + len(payload), msg.MessageId.EXTENDED, OUR_MESSAGE_IDS[UT_METADATA]
    )
    # As many as are taken: 16 MiB of answers.
    return (frame + payload) * 1000


@pytest.mark.parametrize(
    "flood",
    [_requests, _requests_and_cancels, _metadata_requests],
    ids=["requests", "requests and cancels", "metadata"],
)
async def test_leechers_that_ask_for_ever_and_never_read_cost_little_memory(
    tmp_path: Path, flood: Callable[[Info], bytes]
) -> None:
    original = make_big_file(tmp_path / "in" / "x.bin", 64 * MIB)
    info = hash_share(original, state_folder=tmp_path / "hashes")
    noise = flood(info)

    async def ask_for_ever(address: Address, number: int) -> None:
        # Until it is thrown out.
        with suppress(*CONNECTION_ERRORS):
            async with connected(address, info, number) as stream:
                while True:
                    await stream.send_all(noise)
                    if flood is _metadata_requests:
                        await trio.sleep(2)  # in which the answers are made, and not taken

    with trio.fail_after(100):
        async with processes(tmp_path) as start:
            url = await start.tracker_here()
            seeder = await start.seed(original, tracker=url, state="s")
            address = HOST, seeder.of("listening")[0]["port"]
            before = seeder.most_memory()
            async with trio.open_nursery() as nursery:
                for number in range(20):
                    nursery.start_soon(ask_for_ever, address, number)
            assert seeder.most_memory() - before < 60 * MIB
            good = await start.get(
                "x.bin", tmp_path / "out", tracker=url, state="l", flags=["--no-seed"]
            )
            assert await good.wait() == 0


# --- metadata ------------------------------------------------------------------------------------


def _other_metadata(info: Info) -> bytes:
    return build_info(
        name="evil",
        piece_length=info.piece_length,
        piece_hashes=bytes(len(info.piece_hashes)),
        files=None,
        length=info.length,
    ).raw


def _padded_metadata(info: Info) -> bytes:
    return info.raw + bytes(3 * METADATA_PIECE)


def _huge_metadata(_info: Info) -> bytes:
    return bytes(15 * MIB)


async def _lie(stream: trio.SocketStream, metadata: bytes) -> None:
    """Offer metadata that is not the torrent's to whoever dials."""
    port = stream.socket.getsockname()[1]
    wire = PeerWire(peer_id=make_peer_id(random.Random(port)), info_hash=None, is_initiator=False)
    number = 0
    with suppress(*CONNECTION_ERRORS):
        while data := await stream.receive_some(65536):
            for event in wire.receive(data):
                if isinstance(event, msg.HandshakeReceived):
                    wire.send_handshake(event.info_hash)
                    told = ExtensionHandshake(
                        message_ids={UT_METADATA: OUR_MESSAGE_IDS[UT_METADATA]},
                        metadata_size=len(metadata),
                    )
                    wire.send_extended(0, encode_extension_handshake(told))
                    wire.send_bitfield(0)
                elif isinstance(event, msg.ExtendedReceived) and event.message_id == 0:
                    number = parse_extension_handshake(event.payload).message_ids[UT_METADATA]
                elif isinstance(event, msg.ExtendedReceived):
                    request = parse_metadata_message(event.payload)
                    assert isinstance(request, MetadataRequest)
                    begin = request.piece * METADATA_PIECE
                    part = metadata[begin : begin + METADATA_PIECE]
                    answer = MetadataData(request.piece, len(metadata), part)
                    wire.send_extended(number, encode_metadata_message(answer))
            await flush(stream, wire)


@pytest.mark.parametrize(
    "make_lie",
    [_other_metadata, _padded_metadata, _huge_metadata],
    ids=["of another torrent", "too long", "of 15 MiB"],
)
async def test_liars_about_the_metadata_do_not_keep_a_magnet_link_from_its_torrent(
    tmp_path: Path, original: Path, info: Info, make_lie: Callable[[Info], bytes]
) -> None:
    lie = make_lie(info)
    recorder = Recorder()
    with trio.fail_after(100):
        async with trio.open_nursery() as nursery:
            liars: list[Address] = []
            for _ in range(5):
                lying = partial(trio.serve_tcp, partial(_lie, metadata=lie), 0, host=HOST)
                listeners = await nursery.start(lying)
                liars.append((HOST, listeners[0].socket.getsockname()[1]))
            async with node(tmp_path / "l", recorder=recorder) as leecher:
                torrent = await leecher.fetch(
                    info.info_hash.hex(), folder=tmp_path / "out", peers=liars
                )
                await until(lambda: len(recorder.of(events.PeerConnected)) >= 5)
                async with good_seeder(tmp_path / "s", original) as good:
                    torrent.peer_set.candidates.add(good, trio.current_time())
                    torrent.peer_set.dial_wakeup.set()
                    path = await torrent.wait_complete()
            nursery.cancel_scope.cancel()
    assert contents(path) == contents(original)


# --- trackers ------------------------------------------------------------------------------------


async def test_thousands_of_dead_addresses_from_a_tracker_do_not_hide_the_seeder(
    tmp_path: Path, original: Path, info: Info
) -> None:
    with trio.fail_after(100):
        async with (
            good_seeder(tmp_path / "s", original) as good,
            node(tmp_path / "l") as leecher,
        ):
            torrent = await leecher.fetch(info.info_hash.hex(), folder=tmp_path / "out")
            candidates = torrent.peer_set.candidates
            now = trio.current_time()
            # Nothing listens at port 1 of these: they refuse at once.
            for number in range(5000):
                candidates.add((f"127.{number // 250 + 1}.0.{number % 250 + 2}", 1), now)
            torrent.peer_set.dial_wakeup.set()
            await until(lambda: candidates.add(good, trio.current_time()))
            torrent.peer_set.dial_wakeup.set()
            path = await torrent.wait_complete()
    assert contents(path) == contents(original)
