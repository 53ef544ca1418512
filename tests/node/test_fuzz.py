"""Whatever a stranger says, in whatever order: the node lives, serves, and completes its download.

One seeding and one fetching node run in a thread for all examples. In each example a few strangers
connect, from addresses of their own, and follow scripts of well-formed and half-formed messages.
"""

import itertools
import random
import socket
import struct
import threading
from collections.abc import Awaitable, Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from local_swarm import HOST, make_file, node
from strangers import GONE, ID, extended, frame
from trio_swarm import Node
from trio_swarm.peer.torrent import Torrent
from trio_swarm.piece_sets import full_set, to_bitfield
from trio_swarm.protocol import bencode
from trio_swarm.protocol.addresses import Address
from trio_swarm.protocol.extensions.metadata import (
    METADATA_PIECE,
    MetadataData,
    MetadataReject,
    MetadataRequest,
    encode_metadata_message,
)
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.protocol.wire import messages as msg
from trio_swarm.protocol.wire.handshake import PROTOCOL_PREFIX
from trio_swarm.protocol.wire.machine import PeerWire

BLOCK = 16384
PIECE = 2 * BLOCK
PIECES = 13
SIZE = (PIECES - 1) * PIECE + 5000

EXAMPLES = max(10, settings.default.max_examples // 4)
"""An example is a whole download with several peers."""


# --- what a stranger may say -------------------------------------------------------------------


@dataclass(frozen=True)
class Say:
    """Send these bytes in one go."""

    data: bytes


@dataclass(frozen=True)
class Pause:
    """Let the node run for so many turns of its loop; 50 are about a round trip."""

    turns: int


@dataclass(frozen=True)
class Answer:
    """Hear what the node asks, and answer all of it in one way."""

    how: str


@dataclass(frozen=True)
class Leave:
    """End the connection; nothing after it is done."""

    how: str


Step = Say | Pause | Answer | Leave


@dataclass(frozen=True)
class Stranger:
    """One connection, by whom it is opened, and what is said on it."""

    is_dialled: bool
    hello: bytes
    steps: list[Step] = field(default_factory=list)


pieces = st.integers(0, PIECES) | st.sampled_from([PIECES - 1, 2**32 - 1])
begins = st.sampled_from([0, BLOCK, PIECE, 1, 2**32 - 1])
lengths = st.sampled_from([BLOCK, BLOCK, 5000, 1, 0, PIECE, 131072, 131073, 2**32 - 1])
good_ranges = st.tuples(st.integers(0, PIECES - 2), st.sampled_from([0, BLOCK]), st.just(BLOCK))
ranges = (good_ranges | st.just((PIECES - 1, 0, 5000)) | st.tuples(pieces, begins, lengths)).map(
    lambda r: struct.pack(">III", *r)
)
bare = st.sampled_from(
    [ID.CHOKE, ID.UNCHOKE, ID.INTERESTED, ID.NOT_INTERESTED, ID.HAVE_ALL, ID.HAVE_NONE]
).map(frame)
odd_values = st.recursive(
    st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.binary(max_size=8), inner),
    max_leaves=5,
)
hello_fields = st.fixed_dictionaries(
    {"m": st.sampled_from([{"ut_metadata": 1}, {"ut_metadata": 3}, {"ut_metadata": 0}, {}])},
    optional={
        "metadata_size": st.sampled_from([0, 1, BLOCK, 300, 1 << 24, 1 << 40, -1]),
        "p": st.sampled_from([0, 1, 6881, 65536]),
        "reqq": st.sampled_from([0, 1, 3, 1000, 1 << 60]),
        "ts_max_block": st.sampled_from([0, BLOCK, 131072, 1 << 40]),
        "upload_only": st.sampled_from([0, 1]),
        "ts_upload_only": st.sampled_from([0, 1]),
        "v": st.sampled_from([b"stranger", b"\xff\x1b[2J"]),
        "yourip": st.binary(max_size=5),
    },
)
metadata_messages = (
    st.builds(MetadataRequest, st.integers(0, 2))
    | st.builds(MetadataReject, st.integers(0, 2))
    | st.builds(
        MetadataData, st.integers(0, 1), st.sampled_from([None, 300, BLOCK]), st.just(bytes(300))
    )
).map(encode_metadata_message)
messages = st.one_of(
    bare,
    bare,
    st.just(bytes(4)),
    st.builds(
        lambda number, piece: frame(number, struct.pack(">I", piece)),
        st.sampled_from([ID.HAVE, ID.SUGGEST, ID.ALLOWED_FAST]),
        pieces,
    ),
    st.builds(frame, st.sampled_from([ID.REQUEST, ID.CANCEL, ID.REJECT]), ranges),
    st.integers(0, full_set(PIECES)).map(
        lambda some: frame(ID.BITFIELD, to_bitfield(some, PIECES))
    ),
    st.binary(max_size=4).map(lambda bits: frame(ID.BITFIELD, bits)),
    st.builds(
        lambda r, size: frame(ID.PIECE, r[:8] + bytes(size)),
        ranges,
        st.sampled_from([BLOCK, 5000, 1, 0]),
    ),
    hello_fields.map(lambda told: extended(0, bencode.encode(told))),
    odd_values.map(lambda value: extended(0, bencode.encode(value))),
    metadata_messages.map(lambda payload: extended(1, payload)),
    st.builds(extended, st.integers(0, 255), st.binary(max_size=20)),
    st.just(frame(ID.PORT, b"\x1a\xe1")),
    st.builds(frame, st.integers(0, 255), st.binary(max_size=20)),
)
says = st.lists(messages, min_size=1, max_size=6).map(lambda said: Say(b"".join(said)))
offers = st.sampled_from(
    [
        frame(ID.HAVE_ALL) + frame(ID.UNCHOKE),
        frame(ID.BITFIELD, to_bitfield(full_set(PIECES), PIECES)) + frame(ID.UNCHOKE),
        frame(ID.HAVE_NONE) + frame(ID.INTERESTED),
    ]
).map(Say)
steps = st.one_of(
    says,
    says,
    offers,
    st.sampled_from([1, 2, 3, 4, 5, 8, 50]).map(Pause),
    st.sampled_from(["right", "wrong", "reject", "half", "silence"]).map(Answer),
    st.sampled_from(["close", "half close", "reset", "in a message"]).map(Leave),
)
RESERVED = {
    "plain": bytes(8),
    "fast": bytes([0, 0, 0, 0, 0, 0, 0, 4]),
    "extensions": bytes([0, 0, 0, 0, 0, 16, 0, 0]),
    "both": bytes([0, 0, 0, 0, 0, 16, 0, 4]),
    "all": b"\xff" * 8,
}
PLACE_OF_HASH = b"<the info-hash here>"
PLACE_OF_OWN_ID = b"<the node's own id.>"
hellos = st.builds(
    lambda reserved, peer_id: PROTOCOL_PREFIX + RESERVED[reserved] + PLACE_OF_HASH + peer_id,
    st.sampled_from(["both", "both", "fast", "plain", "extensions", "all"]),
    st.sampled_from([b"-XX0001-000000000001", b"-XX0001-000000000002", PLACE_OF_OWN_ID])
    | st.binary(min_size=20, max_size=20),
)
odd_hellos = st.binary(max_size=80) | hellos.map(lambda hello: hello[:-1])
scripts = st.lists(steps, max_size=10)
strangers = st.lists(
    st.builds(Stranger, st.booleans(), hellos | hellos | hellos | odd_hellos, scripts),
    min_size=1,
    max_size=4,
)


# --- strangers at work --------------------------------------------------------------------------


class Talk:
    """A stranger's end of one connection."""

    def __init__(self, stream: trio.SocketStream, stranger: Stranger, world: "World") -> None:
        self._stream = stream
        self._stranger = stranger
        self._world = world
        # Reads what the node says, and so holds it to the protocol, too.
        self._heard = bytearray()

    async def run(self) -> None:
        with suppress(*GONE), trio.move_on_after(1):
            async with self._stream:
                hello = self._stranger.hello
                hello = hello.replace(PLACE_OF_HASH, self._world.info.info_hash)
                hello = hello.replace(PLACE_OF_OWN_ID, self._world.own_id)
                await self._stream.send_all(hello)
                for step in self._stranger.steps:
                    await self._do(step)

    async def _do(self, step: Step) -> None:
        match step:
            case Say(data):
                await self._stream.send_all(data)
            case Pause(turns):
                for _ in range(turns):
                    await trio.sleep(0.002 if turns > 8 else 0)
            case Answer(how):
                await self._answer(how)
            case Leave("half close"):
                await self._stream.send_eof()
            case Leave("reset"):
                linger = struct.pack("ii", 1, 0)
                self._stream.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                await self._stream.aclose()
            case Leave("in a message"):
                await self._stream.send_all(b"\0\0")
                await self._stream.aclose()
            case Leave():
                await self._stream.aclose()

    async def _answer(self, how: str) -> None:
        with trio.move_on_after(0.02):
            while data := await self._stream.receive_some(65536):
                self._heard += data
        del self._heard[: 68 if self._heard[:1] == b"\x13" else 0]
        while len(self._heard) >= 4:
            (length,) = struct.unpack_from(">I", self._heard)
            if len(self._heard) < 4 + length:
                return
            body = bytes(self._heard[4 : 4 + length])
            del self._heard[: 4 + length]
            if body[:1] == bytes([ID.REQUEST]):
                await self._stream.send_all(self._reply(body[1:], how))
            elif body[:2] == bytes([ID.EXTENDED, 3]):
                await self._stream.send_all(self._metadata(body[2:], how))

    def _reply(self, wanted: bytes, how: str) -> bytes:
        piece, begin, length = struct.unpack(">III", wanted)
        at = piece * PIECE + begin
        data = self._world.data[at : at + length]
        match how:
            case "right":
                return frame(ID.PIECE, wanted[:8] + data)
            case "wrong":
                return frame(ID.PIECE, wanted[:8] + bytes(len(data)))
            case "half":
                return frame(ID.PIECE, wanted[:8] + data[: length // 2])
            case "reject":
                return frame(ID.REJECT, wanted)
        return b""

    def _metadata(self, payload: bytes, how: str) -> bytes:
        raw = self._world.info.raw
        answers = {
            "right": MetadataData(0, len(raw), raw[:METADATA_PIECE]),
            "wrong": MetadataData(0, len(raw), bytes(len(raw))),
            "half": MetadataData(0, len(raw), raw[: len(raw) // 2]),
            "reject": MetadataReject(0),
        }
        return extended(1, encode_metadata_message(answers[how])) if how in answers else b""


@dataclass
class World:
    """What strangers know."""

    info: Info
    data: bytes
    own_id: bytes


class Laboratory:
    """Two nodes in a thread of their own, for as long as nothing ends them."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._numbers = itertools.count()
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None
        self.seeder: Node
        self.leecher: Node
        self.world: World
        self._original = make_file(folder / "in" / "x.bin", SIZE)

    def run(self, job: Callable[..., Awaitable[None]], *args: object) -> None:
        """Run `job(self, ...)` beside the nodes; raises what ended either."""
        if self._thread is None:
            self._start()
        assert self._thread is not None
        try:
            trio.from_thread.run(job, self, *args, trio_token=self._token)
        except BaseException as error:
            if isinstance(error, (trio.Cancelled, trio.RunFinishedError)):
                self._thread.join()
                self._thread = None
                assert self._error is not None
                raise self._error from None
            self.stop()
            raise

    def _start(self) -> None:
        self._error = None
        ready = threading.Event()
        self._thread = threading.Thread(target=self._live, args=[ready])
        self._thread.start()
        ready.wait()
        if self._error is not None:
            raise self._error

    def stop(self) -> None:
        if self._thread is not None:
            with suppress(trio.RunFinishedError):
                self._token.run_sync_soon(self._end.set)
            self._thread.join()
            self._thread = None
        if self._error is not None:
            raise self._error

    def _live(self, ready: threading.Event) -> None:
        try:
            trio.run(self._main, ready)
        except BaseException as error:  # noqa: BLE001 - raised by `run` in the test's thread
            self._error = error
        finally:
            ready.set()

    async def _main(self, ready: threading.Event) -> None:
        self._token = trio.lowlevel.current_trio_token()
        self._end = trio.Event()
        number = next(self._numbers)
        async with (
            node(self._folder / f"s{number}") as self.seeder,
            node(self._folder / f"l{number}") as self.leecher,
        ):
            torrent = await self.seeder.share(self._original, piece_length=PIECE)
            assert torrent.metainfo is not None
            self.torrent_file = self._folder / "x.torrent"
            self.torrent_file.write_bytes(torrent.metainfo.to_bytes())
            self.world = World(torrent.metainfo.info, self._original.read_bytes(), b"")
            ready.set()
            await self._end.wait()

    def new_folder(self) -> Path:
        return self._folder / f"out{next(self._numbers)}"


@pytest.fixture(scope="module")
def laboratory(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Laboratory]:
    laboratory = Laboratory(tmp_path_factory.mktemp("fuzz"))
    yield laboratory
    laboratory.stop()


async def visit(nursery: trio.Nursery, target: Node, world: World, cast: list[Stranger]) -> None:
    """Connect the strangers that come by themselves, each from a loopback address of its own."""
    for number, stranger in enumerate(cast):
        if not stranger.is_dialled:
            stream = await trio.open_tcp_stream(
                HOST, target.port, local_address=f"127.0.0.{number + 2}"
            )
            nursery.start_soon(Talk(stream, stranger, world).run)


async def receive_dials(nursery: trio.Nursery, world: World, cast: list[Stranger]) -> list[Address]:
    """Let the others listen; return where."""
    result: list[Address] = []
    for number, stranger in enumerate(cast):
        if stranger.is_dialled:
            host = f"127.0.1.{number + 2}"
            listeners = await trio.open_tcp_listeners(0, host=host)

            async def serve(stream: trio.SocketStream, stranger: Stranger = stranger) -> None:
                await Talk(stream, stranger, world).run()

            nursery.start_soon(trio.serve_listeners, serve, listeners)
            result.append((host, listeners[0].socket.getsockname()[1]))
    return result


async def fetch_a_block(target: Node, world: World) -> None:
    """Fetch one block as a good peer does."""
    wire = PeerWire(
        peer_id=random.Random().randbytes(20), info_hash=world.info.info_hash, is_initiator=True
    )
    wire.send_handshake(world.info.info_hash)
    with trio.fail_after(30):
        stream = await trio.open_tcp_stream(HOST, target.port)
        async with stream:
            while True:
                for segment in wire.data_to_send():
                    assert isinstance(segment, bytes)
                    await stream.send_all(segment)
                for event in wire.receive(await stream.receive_some(65536)):
                    match event:
                        case msg.HandshakeReceived():
                            wire.set_torrent(piece_count=PIECES, piece_length=PIECE, length=SIZE)
                            wire.send_bitfield(0)
                            wire.send_interested()
                        case msg.Unchoked():
                            wire.send_request(3, BLOCK, BLOCK)
                        case msg.BlockReceived(piece, begin, data):
                            at = piece * PIECE + begin
                            assert bytes(data) == world.data[at : at + BLOCK]
                            return


async def trouble_a_seeder(laboratory: Laboratory, cast: list[Stranger]) -> None:
    world = World(laboratory.world.info, laboratory.world.data, laboratory.seeder.peer_id)
    async with trio.open_nursery() as nursery:
        await visit(nursery, laboratory.seeder, world, cast)
    await fetch_a_block(laboratory.seeder, world)
    (torrent,) = laboratory.seeder.torrents
    assert torrent.error is None


async def trouble_a_download(
    laboratory: Laboratory, cast: list[Stranger], what: str, delay: int
) -> None:
    leecher, seeder = laboratory.leecher, laboratory.seeder
    world = World(laboratory.world.info, laboratory.world.data, leecher.peer_id)
    with trio.fail_after(60):
        async with trio.open_nursery() as nursery:
            listening = await receive_dials(nursery, world, cast)
            torrent = await leecher.fetch(what, folder=laboratory.new_folder(), peers=listening)
            async with trio.open_nursery() as visitors:
                await visit(visitors, leecher, world, cast)
                for _ in range(delay):
                    await trio.sleep(0.001)
                meet(torrent, (HOST, seeder.port))
                path = await torrent.wait_complete()
            nursery.cancel_scope.cancel()
        assert path.read_bytes() == world.data
        await torrent.remove()


def meet(torrent: Torrent, address: Address) -> None:
    torrent.peer_set.candidates.add(address, trio.current_time())
    torrent.peer_set.dial_wakeup.set()


@settings(max_examples=EXAMPLES)
@given(cast=strangers)
def test_no_stranger_ends_a_seeding_node(laboratory: Laboratory, cast: list[Stranger]) -> None:
    laboratory.run(trouble_a_seeder, cast)


@settings(max_examples=EXAMPLES)
@given(cast=strangers, delay=st.integers(0, 30))
def test_no_stranger_keeps_a_download_from_its_end(
    laboratory: Laboratory, cast: list[Stranger], delay: int
) -> None:
    laboratory.run(start_download, cast, delay)


async def start_download(laboratory: Laboratory, cast: list[Stranger], delay: int) -> None:
    await trouble_a_download(laboratory, cast, str(laboratory.torrent_file), delay)


@settings(max_examples=EXAMPLES)
@given(cast=strangers, delay=st.integers(0, 30))
def test_no_stranger_keeps_a_magnet_link_from_its_torrent(
    laboratory: Laboratory, cast: list[Stranger], delay: int
) -> None:
    laboratory.run(start_magnet, cast, delay)


async def start_magnet(laboratory: Laboratory, cast: list[Stranger], delay: int) -> None:
    await trouble_a_download(laboratory, cast, laboratory.world.info.info_hash.hex(), delay)
