"""Moving a wire's outgoing segments into a stream: long blocks from the file, short ones batched.

A long block goes by sendfile, behind its header. For short ones (16 KiB, what foreign clients ask
for) two system calls a block cost more than copying them: neighbours are read into one buffer and
sent together with their headers by one call.
"""

from collections.abc import Sequence
from mmap import mmap

from trio_swarm.errors import FileChangedError
from trio_swarm.identities import PieceIndex
from trio_swarm.peer.transport.streams import PeerStream, TruncatedFileError
from trio_swarm.protocol.wire.messages import FileBlock, Segment
from trio_swarm.storage.content import TorrentFiles

SHORT_BLOCK = 64 * 1024
"""Bytes below which a block is copied. Measured: 16 KiB blocks in batches of 256 KiB take 0.7 of
the processor time of a sendfile each, 512 KiB blocks by sendfile half of that of copies."""

BATCH_LENGTH = 256 * 1024
"""Bytes of short blocks read and sent at a time."""

BATCH_BUFFERS = 16
"""Buffers of a node, 4 MiB. They are held while a peer takes a batch; with more peers than that at
once, blocks are sent one by one."""


class BatchBuffers:
    """The buffers for batches of short blocks, shared by all connections of a node."""

    def __init__(self) -> None:
        self._free: list[memoryview] = []
        self._left = BATCH_BUFFERS

    def take(self) -> memoryview | None:
        """Return BATCH_LENGTH bytes to be given back, or None if all are in use."""
        if self._free:
            return self._free.pop()
        if not self._left:
            return None
        self._left -= 1
        return memoryview(mmap(-1, BATCH_LENGTH))

    def give_back(self, buffer: memoryview) -> None:
        """Take a buffer back."""
        self._free.append(buffer)


def gather(
    segments: Sequence[Segment], start: int, buffer: memoryview
) -> tuple[int, FileBlock, list[bytes | memoryview]] | None:
    """Lay neighbouring short blocks, and the bytes before each, out for one reading and sending.

    Returns where they end in `segments`, all blocks as one, which is what belongs at the start of
    `buffer`, and what is then to be sent, in order. None if there are not two such blocks.
    """
    parts: list[bytes | memoryview] = []
    end = start
    kept = blocks = at = first = following = 0
    piece = PieceIndex(-1)
    for index in range(start, len(segments)):
        segment = segments[index]
        if type(segment) is bytes:
            parts.append(segment)
            continue
        assert isinstance(segment, FileBlock)
        length, begin = segment.length, segment.begin
        if length >= SHORT_BLOCK or at + length > len(buffer):
            break
        if not blocks:
            piece, first = segment.piece, begin
        elif begin != following or segment.piece != piece:
            break
        parts.append(buffer[at : at + length])
        at += length
        following = begin + length
        blocks += 1
        end, kept = index + 1, len(parts)
    if blocks < 2:
        return None
    del parts[kept:]
    return end, FileBlock(piece, first, at), parts


async def send_segments(
    stream: PeerStream,
    files: TorrentFiles | None,
    segments: Sequence[Segment],
    buffers: BatchBuffers,
) -> None:
    """Send all of `segments`; `files` hold the blocks.

    Raises OSError or trio.BrokenResourceError if the peer is gone, StorageError if a shared file
    cannot be read, FileChangedError if it is not as it was verified.
    """
    index = 0
    last = len(segments) - 1
    while index <= last:
        if files is not None and index < last and (buffer := buffers.take()) is not None:
            try:
                batch = gather(segments, index, buffer)
                if batch is not None:
                    index, run, parts = batch
                    files.read_into(run.piece, run.begin, buffer[: run.length])
                    await stream.send_parts(parts)
                    continue
            finally:
                buffers.give_back(buffer)
        segment = segments[index]
        if isinstance(segment, FileBlock):
            assert files is not None
            await _send_file_block(stream, files, segment)
        else:
            more = index < last and isinstance(segments[index + 1], FileBlock)
            await stream.send_all(segment, more=more)
        index += 1


async def _send_file_block(stream: PeerStream, files: TorrentFiles, block: FileBlock) -> None:
    if not stream.can_send_files:
        await stream.send_all(files.read(block.piece, block.begin, block.length))
        return
    begin, length = block.begin, block.length
    while length:
        # The descriptors are good until the next call of `slices`, which another connection
        # may make while this one waits: so they are asked for anew after every wait.
        first = files.slices(block.piece, begin, length)[0]
        try:
            if first.fd is None:
                sent = first.length
                await stream.send_all(bytes(sent), more=length > sent)
            else:
                sent = stream.try_send_file(first.fd, first.offset, first.length)
        except TruncatedFileError:
            raise FileChangedError("is shorter now than before", path=files.root) from None
        if sent == 0:
            await stream.wait_writable()
        begin += sent
        length -= sent
