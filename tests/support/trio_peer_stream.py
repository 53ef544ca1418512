"""A stream in memory as one to a peer: it cannot send files, nor be asked without waiting."""

from collections.abc import Sequence

import trio
from trio.testing import MemoryReceiveStream, MemorySendStream

from trio_swarm.protocol.addresses import Address

MemoryStream = trio.StapledStream[MemorySendStream, MemoryReceiveStream]


class TrioStream:
    """One end of a pair of Trio's."""

    def __init__(self, stream: MemoryStream, remote: Address) -> None:
        self._stream = stream
        self.remote = remote

    async def receive_into(self, buffers: Sequence[memoryview]) -> int:
        """Fill `buffers` from the first on; return the byte count, 0 at the end of the stream."""
        first = buffers[0]
        data = await self._stream.receive_some(len(first))
        first[: len(data)] = data
        return len(data)

    def try_receive_into(self, buffers: Sequence[memoryview]) -> None:
        """Return None: such a stream cannot be asked without waiting."""

    async def send_all(self, data: bytes | memoryview, *, more: bool = False) -> None:
        """Send all of `data`."""
        await self._stream.send_all(data)

    async def send_parts(self, parts: list[bytes | memoryview]) -> None:
        """Send all of several pieces of memory, none empty; the list is used up."""
        await self._stream.send_all(b"".join(parts))

    @property
    def can_send_files(self) -> bool:
        """False: the bytes go through memory."""
        return False

    def try_send_file(self, fd: int, offset: int, count: int) -> int:
        """Not to be called."""
        raise NotImplementedError

    async def wait_writable(self) -> None:
        """Return at once: `send_all` waits by itself."""
        await trio.lowlevel.checkpoint()

    def limit_unsent(self, length: int) -> None:
        """Do nothing: such a stream has no such limit."""

    def pace(self, rate: float | None) -> None:
        """Do nothing: there is no link."""

    def link_state(self) -> None:
        """Return None: there is no link."""

    def close(self) -> None:
        """Close at once, without any farewell."""
        for half in (self._stream.send_stream, self._stream.receive_stream):
            half.close()
