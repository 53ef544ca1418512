"""Outgoing segments arrive as they would one by one, however they are put together."""

import random
import socket
from itertools import pairwise
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from storage_samples import PIECE, Sample, folder, one_file, padded
from trio_peer_stream import TrioStream
from trio_swarm.errors import StorageError
from trio_swarm.peer.transport.sending import (
    BATCH_BUFFERS,
    BATCH_LENGTH,
    SHORT_BLOCK,
    BatchBuffers,
    gather,
    send_segments,
)
from trio_swarm.peer.transport.streams import PeerStream, SocketStream
from trio_swarm.protocol.wire.messages import FileBlock, Segment
from trio_swarm.storage.content import TorrentFiles

HERE = ("127.0.0.1", 1)


def plain(sample: Sample, segments: list[Segment]) -> bytes:
    """What should arrive."""
    return b"".join(
        segment
        if isinstance(segment, bytes)
        else sample.piece(segment.piece)[segment.begin : segment.begin + segment.length]
        for segment in segments
    )


def shared(sample: Sample, tmp_path: Path) -> TorrentFiles:
    sample.put(tmp_path / "data")
    files = TorrentFiles.for_share(sample.info, tmp_path / "data", tmp_path / "state")
    assert files.check().have == sample.every
    return files


def some_segments(sample: Sample, seed: int) -> list[Segment]:
    """Runs of neighbouring short blocks, lone blocks, and control messages between."""
    rng = random.Random(seed)
    segments: list[Segment] = []
    for _ in range(60):
        piece = rng.randrange(sample.info.piece_count)
        size = sample.info.piece_size(piece)
        cuts = sorted({0, size, *(rng.randrange(1, size) for _ in range(rng.randrange(4)))})
        for begin, end in pairwise(cuts):
            segments += [
                rng.randbytes(rng.choice([13, 13, 13, 40])),
                FileBlock(piece, begin, end - begin),
            ]
    return [*segments, b"and the end"]


async def sent(
    sample: Sample, files: TorrentFiles, segments: list[Segment], buffers: BatchBuffers, kind: str
) -> bytes:
    """Send over a socket that is read slowly in small bites, or over a stream of Trio's."""
    received = bytearray()
    expected = len(plain(sample, segments))
    stream: PeerStream
    if kind == "socket":
        ours, theirs = socket.socketpair()
        ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        stream = SocketStream(ours, HERE)
        other: trio.abc.Stream = trio.SocketStream(trio.socket.from_stdlib_socket(theirs))
    else:
        end, other = trio.testing.memory_stream_pair()
        stream = TrioStream(end, HERE)

    async def read() -> None:
        while len(received) < expected and (data := await other.receive_some(50_000)):
            received.extend(data)

    async with other, trio.open_nursery() as nursery:
        nursery.start_soon(read)
        try:
            await send_segments(stream, files, segments, buffers)
        finally:
            stream.close()
    return bytes(received)


@pytest.mark.parametrize("kind", ["socket", "stream"])
@pytest.mark.parametrize(
    "sample", [one_file(40), folder(), padded()], ids=["file", "folder", "pad"]
)
async def test_all_segments_arrive_in_order(sample: Sample, kind: str, tmp_path: Path) -> None:
    files = shared(sample, tmp_path)
    segments = some_segments(sample, 1)
    with trio.fail_after(30):
        assert await sent(sample, files, segments, BatchBuffers(), kind) == plain(sample, segments)
    files.close()


async def test_without_a_buffer_left_blocks_go_one_by_one(tmp_path: Path) -> None:
    sample = one_file(40)
    files = shared(sample, tmp_path)
    buffers = BatchBuffers()
    taken = [buffers.take() for _ in range(BATCH_BUFFERS)]
    assert None not in taken
    assert buffers.take() is None
    segments = some_segments(sample, 2)
    with trio.fail_after(30):
        assert await sent(sample, files, segments, buffers, "socket") == plain(sample, segments)
    files.close()


async def test_a_file_that_was_cut_while_served_ends_the_sending_and_gives_the_buffer_back(
    tmp_path: Path,
) -> None:
    sample = one_file(4)
    files = shared(sample, tmp_path)
    files.read_into(0, 0, memoryview(bytearray(10)))  # opened, and looked at for now
    with (tmp_path / "data").open("r+b") as file:
        file.truncate(100)
    buffers = BatchBuffers()
    segments: list[Segment] = [b"1", FileBlock(1, 0, 10), b"2", FileBlock(1, 10, 10)]
    with pytest.raises(ExceptionGroup) as raised:
        await sent(sample, files, segments, buffers, "socket")
    assert raised.group_contains(StorageError)
    assert [buffers.take() is None for _ in range(BATCH_BUFFERS)] == [False] * BATCH_BUFFERS
    files.close()


ROOM = memoryview(bytearray(BATCH_LENGTH))

segments_of_any_kind = st.lists(
    st.one_of(
        st.binary(max_size=20),
        st.builds(
            FileBlock,
            st.integers(0, 1),
            st.sampled_from([0, PIECE, 2 * PIECE]),
            st.sampled_from([PIECE, 2 * PIECE, SHORT_BLOCK - 1, SHORT_BLOCK, 4 * SHORT_BLOCK]),
        ),
    ),
    min_size=1,
    max_size=40,
)


@given(segments_of_any_kind, st.integers(1, BATCH_LENGTH))
def test_a_batch_is_two_or_more_neighbouring_short_blocks_that_fit(
    segments: list[Segment], room: int
) -> None:
    buffer = ROOM[:room]
    batch = gather(segments, 0, buffer)
    if batch is None:
        return
    end, run, parts = batch
    assert len(parts) == end
    blocks = [segment for segment in segments[:end] if isinstance(segment, FileBlock)]
    assert len(blocks) >= 2
    assert isinstance(segments[end - 1], FileBlock)
    assert all(block.length < SHORT_BLOCK for block in blocks)
    assert all(a.begin + a.length == b.begin for a, b in pairwise(blocks))
    assert run == FileBlock(blocks[0].piece, blocks[0].begin, sum(b.length for b in blocks))
    assert {block.piece for block in blocks} == {run.piece}
    assert run.length <= room
    assert [part for part in parts if isinstance(part, bytes)] == [
        segment for segment in segments[:end] if isinstance(segment, bytes)
    ]


def taken_by_the_kernel(limit: int | None) -> int:
    """Return how many bytes a socket takes at once whose other end reads nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        near = socket.create_connection(server.getsockname())
        far, _ = server.accept()
    with near, far:
        stream = SocketStream(near, HERE)
        if limit is not None:
            stream.limit_unsent(limit)
        taken = 0
        while True:
            try:
                taken += near.send(bytes(16384))
            except BlockingIOError:
                return taken


@pytest.mark.skipif(
    not hasattr(socket, "TCP_NOTSENT_LOWAT"), reason="this system has no such limit"
)
def test_little_waits_to_be_sent_in_a_socket_that_was_told_so() -> None:
    # The other end's receive buffer is filled in both cases.
    assert taken_by_the_kernel(32768) < taken_by_the_kernel(None) - 500_000
