"""Addresses of .torrent files, fetched from a real server on loopback."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from functools import partial

import pytest
import trio

from trio_swarm.control.transmission import torrent_urls
from trio_swarm.control.transmission.calling import CallError, Code
from trio_swarm.control.transmission.torrent_urls import MAX_REDIRECTS, fetch_torrent
from trio_swarm.protocol.metainfo.torrent import MAX_TORRENT_SIZE


@dataclass
class Indexer:
    """A web server that answers every request by `answer(path)`, and notes what it was asked."""

    address: str
    requests: list[str] = field(default_factory=list)


def response(body: bytes, status: str = "200 OK", *more: str) -> bytes:
    lines = (f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", "Connection: close", *more)
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


def redirect(location: str) -> bytes:
    return response(b"", "302 Found", f"Location: {location}")


@asynccontextmanager
async def indexer(answer: Callable[[str], bytes]) -> AsyncIterator[Indexer]:
    server = Indexer("")

    async def serve(stream: trio.SocketStream) -> None:
        async with stream:
            head = b""
            while b"\r\n\r\n" not in head:
                head += await stream.receive_some()
            server.requests.append(head.decode())
            with suppress(trio.BrokenResourceError):  # the client has heard enough
                await stream.send_all(answer(head.split()[1].decode()))

    async with trio.open_nursery() as nursery:
        (listener,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        server.address = f"http://127.0.0.1:{listener.socket.getsockname()[1]}"
        yield server
        nursery.cancel_scope.cancel()


async def refused(url: str, cookies: str = "") -> str:
    with pytest.raises(CallError) as raised:
        await fetch_torrent(url, cookies)
    assert raised.value.code == Code.HTTP_ERROR
    return raised.value.reason


async def test_what_is_there_is_fetched_with_the_clients_cookies() -> None:
    async with indexer(lambda _path: response(b"d4:infode")) as server:
        assert await fetch_torrent(f"{server.address}/x.torrent", "pass=word") == b"d4:infode"
        assert "cookie: pass=word" in server.requests[0].lower()


async def test_redirects_are_followed_and_cookies_are_for_the_first_server_only() -> None:
    async with (
        indexer(lambda _path: response(b"there")) as other,
        indexer(
            lambda path: redirect("/b") if path == "/a" else redirect(f"{other.address}/c")
        ) as first,
    ):
        assert await fetch_torrent(f"{first.address}/a", "pass=word") == b"there"
        assert all("pass=word" in request for request in first.requests)
        assert "pass=word" not in other.requests[0]


async def test_a_redirect_may_be_a_magnet_link() -> None:
    async with indexer(lambda _path: redirect("magnet:?xt=urn:btih:" + "a" * 40)) as server:
        assert await fetch_torrent(server.address, "") == "magnet:?xt=urn:btih:" + "a" * 40


async def test_redirects_end() -> None:
    async with indexer(lambda _path: redirect("/again")) as server:
        assert "redirects" in await refused(server.address)
        assert len(server.requests) == MAX_REDIRECTS + 1


@pytest.mark.parametrize("location", ["file:///etc/passwd", "ftp://x/", "gopher://x/", "//[/"])
async def test_a_redirect_leads_to_no_other_kind_of_address(location: str) -> None:
    async with indexer(lambda _path: redirect(location)) as server:
        assert await refused(server.address)


async def test_a_server_that_refuses_is_told() -> None:
    async with indexer(lambda _path: response(b"", "404 Not Found")) as server:
        assert "404" in await refused(server.address)


async def test_nobody_there_is_told() -> None:
    async with indexer(lambda _path: b"") as server:
        pass
    assert server.address in await refused(server.address)


async def test_what_is_larger_than_any_torrent_is_not_taken() -> None:
    body = bytes(MAX_TORRENT_SIZE + 1)
    async with indexer(lambda _path: response(body)) as server:
        assert "too large" in await refused(server.address)


async def test_a_server_that_never_ends_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torrent_urls, "FETCH_SECONDS", 0.2)
    async with indexer(lambda _path: b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nd") as server:
        assert await refused(server.address)


@pytest.mark.parametrize("url", ["http://", "http://[", "http://a b/", "http://" + "x" * 70_000])
async def test_an_address_that_is_none_is_told_in_one_line(url: str) -> None:
    assert (await refused(url)).isprintable()
