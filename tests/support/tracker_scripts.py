"""Trackers that say what a test wants them to say, on loopback sockets of their own."""

import functools
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import trio

from trio_swarm.protocol.trackers import udp as udp_tracker
from trio_swarm.protocol.trackers.announces import AnnounceRequest

HASH = bytes(range(20))
REQUEST = AnnounceRequest(info_hash=HASH, peer_id=HASH, port=7000, left=5, key=0xABC)
Script = Callable[[bytes], bytes | list[bytes] | None]


@asynccontextmanager
async def udp_script(script: Script, *, host: str = "127.0.0.1") -> AsyncIterator[str]:
    """Run a tracker that answers each datagram with what `script` makes of it; yield its URL."""

    async def serve(udp: trio.socket.SocketType) -> None:
        while True:
            data, source = await udp.recvfrom(2048)
            answers = script(data)
            for answer in [answers] if isinstance(answers, bytes) else answers or []:
                await udp.sendto(answer, source)

    with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp:
        await udp.bind((host, 0))
        async with trio.open_nursery() as nursery:
            nursery.start_soon(serve, udp)
            yield f"udp://{host}:{udp.getsockname()[1]}/announce"
            nursery.cancel_scope.cancel()


def silent_udp() -> "udp_script":  # type: ignore[valid-type]  # what it returns
    """A tracker that takes every datagram and says nothing."""
    return udp_script(lambda _data: None)


def connected_script(answer: Callable[[bytes, int], bytes | None]) -> Script:
    """Answer connect requests, and others with `answer(request, transaction id)`."""

    def script(data: bytes) -> bytes | None:
        action, transaction = (int.from_bytes(data[at : at + 4], "big") for at in (8, 12))
        if action == udp_tracker.Action.CONNECT:
            return udp_tracker.connect_answer(transaction, b"12345678")
        return answer(data, transaction)

    return script


def response(body: bytes, *, status: str = "200 OK", headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status}\r\nContent-Length: {len(body)}\r\nConnection: close\r\n{headers}\r\n"
    return head.encode() + body


@asynccontextmanager
async def http_script(
    answer: bytes | Callable[[trio.SocketStream], Awaitable[None]], *, host: str = "127.0.0.1"
) -> AsyncIterator[tuple[str, list[bytes]]]:
    """Run an HTTP server that gives everyone `answer`; yield its URL and the request targets."""
    targets: list[bytes] = []

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            head = b""
            async for data in stream:
                head += data
                if b"\r\n\r\n" in head:
                    break
            targets.append(head.split(b" ", 2)[1])
            try:
                if isinstance(answer, bytes):
                    await stream.send_all(answer)
                else:
                    await answer(stream)
            except trio.BrokenResourceError:
                return

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(functools.partial(trio.serve_tcp, host=host), serve, 0)
        port = listener.socket.getsockname()[1]
        yield f"http://{host}:{port}/t/announce?passkey=1", targets
        nursery.cancel_scope.cancel()
