"""A tracker's HTTP over real sockets on loopback: connections good, slow, many and hostile."""

import errno
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio

from local_swarm import until
from tracker_stores import new_store
from trio_swarm import NodeSettings, open_node
from trio_swarm.announcing.clients import open_tracker_clients
from trio_swarm.errors import ConfigError, TrackerRefusedError, TrackerUnreachableError
from trio_swarm.events import Event, NameRefused
from trio_swarm.protocol.trackers.announces import AnnounceRequest, NameMatch
from trio_swarm.protocol.trackers.http import parse_scrape_answer, scrape_url
from trio_swarm.tracker.http.answering import HttpTracker
from trio_swarm.tracker.http.connections import accept_waiting
from trio_swarm.tracker.http.forwarded import TrustedProxies
from trio_swarm.tracker.http.server import (
    HEAD_SECONDS,
    IDLE_SECONDS,
    MAX_PER_HOST,
    PROXY_IDLE_SECONDS,
    HttpServer,
)
from trio_swarm.tracker.server import TrackerHandle, serve_tracker
from trio_swarm.tracker.settings import TrackerSettings

HASH = b"h" * 20
ANNOUNCE = "/announce?info_hash=" + "h" * 20 + "&peer_id=" + "p" * 20 + "&left=5&port="
CLOSE = "Connection: close\r\n"


@asynccontextmanager
async def running_tracker(
    on_event: object = None, **settings: object
) -> AsyncIterator[TrackerHandle]:
    chosen = TrackerSettings(**({"port": 0, "host": "127.0.0.1"} | settings))  # type: ignore[arg-type]
    async with trio.open_nursery() as nursery:
        yield await nursery.start(serve_tracker, chosen)
        nursery.cancel_scope.cancel()


def get(target: str, fields: str = "", *, version: str = "1.1") -> bytes:
    host = "Host: t\r\n" if version == "1.1" else ""
    return f"GET {target} HTTP/{version}\r\n{host}{fields}\r\n".encode()


async def read_all(stream: trio.SocketStream) -> bytes:
    """Return what comes until the tracker closes the connection, in one way or another."""
    data = bytearray()
    try:
        async for chunk in stream:
            data += chunk
    except trio.BrokenResourceError:
        pass
    return bytes(data)


async def read_answer(stream: trio.SocketStream) -> tuple[bytes, bytes]:
    """Return head and body of one answer, of a connection that is kept."""
    data = b""
    while b"\r\n\r\n" not in data:
        data += await stream.receive_some()
    head, _, body = data.partition(b"\r\n\r\n")
    length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
    while len(body) < length:
        body += await stream.receive_some()
    assert len(body) == length
    return head, body


async def exchange(tracker: TrackerHandle, *pieces: bytes, host: str = "127.0.0.1") -> bytes:
    """Send pieces, and return what comes until the tracker closes."""
    async with await trio.open_tcp_stream(host, tracker.port) as stream:
        for number, piece in enumerate(pieces):
            if number:
                await trio.sleep(0.01)
            await stream.send_all(piece)
        return await read_all(stream)


async def test_http_and_udp_are_one_tracker_at_one_port() -> None:
    async with running_tracker(host=None) as tracker, open_tracker_clients() as clients:
        assert tracker.http_addresses == tracker.addresses
        for number, (scheme, host) in enumerate(
            [("http", "127.0.0.1"), ("udp", "127.0.0.1"), ("http", "[::1]"), ("udp", "[::1]")]
        ):
            request = AnnounceRequest(
                info_hash=HASH, peer_id=b"p" * 20, port=7000 + number, left=5, key=number
            )
            answer = await clients.announce(f"{scheme}://{host}:{tracker.port}/announce", request)
            assert answer.interval == 30
            assert answer.leechers == number + 1
            # Peers of one family hear of each other (BEP 7), whatever they speak.
            assert [port for _, port in answer.peers] == ([7000 + number - 1] if number % 2 else [])
        for url in (f"{scheme}://127.0.0.1:{tracker.port}/announce" for scheme in ("udp", "http")):
            counts = await clients.scrape(url, [HASH, b"u" * 20])
            assert counts[HASH].leechers == 4
            assert counts[b"u" * 20].leechers == 0
        assert (tracker.announces, tracker.http_announces) == (4, 2)


async def test_a_connection_is_kept_for_those_who_want_it_and_closed_for_others() -> None:
    """RFC 9112, 9.3: HTTP/1.1 unless it says close, HTTP/1.0 if it says keep-alive."""
    async with running_tracker() as tracker:
        for version, fields, said in (
            ("1.1", "", b""),
            ("1.0", "Connection: keep-alive\r\n", b"Connection: keep-alive"),
        ):
            async with await trio.open_tcp_stream("127.0.0.1", tracker.port) as stream:
                for port in (7001, 7002, 7003):
                    await stream.send_all(get(f"{ANNOUNCE}{port}", fields, version=version))
                    head, body = await read_answer(stream)
                    assert said in head
                    assert b"close" not in head
                    assert body.startswith(b"d8:complete")
        for version, fields in (("1.1", CLOSE), ("1.0", "")):
            answer = await exchange(tracker, get(f"{ANNOUNCE}7001", fields, version=version))
            assert b"\r\nConnection: close\r\n" in answer
            assert tracker.counts().peers == 3


async def test_requests_sent_without_waiting_are_answered_in_their_order() -> None:
    """RFC 9112, 9.3.2."""
    ports = range(7001, 7041)
    first = b"".join(get(f"{ANNOUNCE}{port}&numwant=0") for port in ports)
    async with running_tracker() as tracker:
        sent = first + get("/nowhere") + get(f"{ANNOUNCE}7999", CLOSE)
        # The end of one request comes with the beginning of the next.
        for pieces in ([sent], [sent[:100], sent[100:300], sent[300:]]):
            answers = (await exchange(tracker, *pieces)).split(b"HTTP/1.1 ")[1:]
            assert len(answers) == len(ports) + 2
            assert [
                b"incompletei%de" % (number + 1) in answer
                for number, answer in enumerate(answers[:3])
            ]
            assert answers[-2].startswith(b"404 Not Found")
            assert b"peers" in answers[-1]
            assert tracker.counts().peers == len(ports) + 1


async def test_a_request_may_come_byte_by_byte() -> None:
    async with running_tracker() as tracker, trio.open_nursery() as nursery:
        whole = get(f"{ANNOUNCE}7001", CLOSE)

        async def trickle() -> None:
            async with await trio.open_tcp_stream("127.0.0.1", tracker.port) as stream:
                for byte in whole:
                    await stream.send_all(bytes([byte]))
                    await trio.lowlevel.checkpoint()
                assert b"incompletei1e" in await read_all(stream)

        for _ in range(5):
            nursery.start_soon(trickle)


async def test_who_is_too_slow_is_let_go(autojump_clock: object) -> None:
    async with running_tracker(proxies=("127.0.0.9",)) as tracker:
        started = trio.current_time()
        assert await exchange(tracker, b"GET /announce?") == b""
        assert trio.current_time() - started == pytest.approx(HEAD_SECONDS, abs=1)
        # A kept connection waits longer for a proxy than for others.
        for source, patience in (("127.0.0.1", IDLE_SECONDS), ("127.0.0.9", PROXY_IDLE_SECONDS)):
            async with await trio.open_tcp_stream(
                "127.0.0.1", tracker.port, local_address=source
            ) as stream:
                await stream.send_all(get(f"{ANNOUNCE}7001"))
                await read_answer(stream)
                started = trio.current_time()
                assert await read_all(stream) == b""
                assert trio.current_time() - started == pytest.approx(patience, abs=1)


@pytest.mark.parametrize(
    "data",
    [
        b"\x13BitTorrent protocol" + bytes(48),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500),
        b"GET /announce\r\n\r\n",
        b"hello\r\n",
    ],
)
async def test_what_is_not_http_gets_no_answer(data: bytes) -> None:
    async with running_tracker() as tracker:
        assert await exchange(tracker, data) == b""
        assert await exchange(tracker, data[:1], data[1:]) == b""


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (get("/nothing"), b"404"),
        (get("/announced?x", version="1.0").replace(b"GET", b"POST"), b"405"),
        (b"GET /announce HTTP/1.1\r\n\r\n", b"400"),
        (b"GET /" + b"x" * 70_000, b"414"),
        (get("/", "X: " + "y" * 70_000 + "\r\n"), b"431"),
        (get("/announce", "Content-Length: 70000\r\n") + bytes(70_000), b"400"),
    ],
)
async def test_faults_have_their_status_and_end_the_connection(data: bytes, status: bytes) -> None:
    async with running_tracker() as tracker:
        data = data.replace(b"Host: t", b"Host: t\r\nConnection: close")
        answer = await exchange(tracker, data)
        assert answer.startswith(b"HTTP/1.1 " + status + b" ")
        assert (b"Allow: GET, HEAD\r\n" in answer) == (status == b"405")


async def test_who_sends_on_after_a_fault_can_read_the_answer() -> None:
    """RFC 9112, 9.6: a plain end while more comes could destroy it on its way."""
    async with (
        running_tracker() as tracker,
        await trio.open_tcp_stream("127.0.0.1", tracker.port) as stream,
    ):
        await stream.send_all(get("/announce", "Content-Length: 9000\r\n"))
        assert (await read_all(stream)).startswith(b"HTTP/1.1 400 ")
        for _ in range(3):
            await stream.send_all(bytes(3000))
            await trio.sleep(0.01)


async def test_a_full_tracker_is_no_failure_to_our_client_and_it_hears_the_reason() -> None:
    async with running_tracker(max_peers=1) as tracker, open_tracker_clients() as clients:
        url = f"http://127.0.0.1:{tracker.port}/announce"
        requests = [
            AnnounceRequest(info_hash=HASH, peer_id=b"p" * 20, port=port, left=5, key=1)
            for port in (7001, 7002)
        ]
        await clients.announce(url, requests[0])
        with pytest.raises(TrackerUnreachableError, match="no room for another peer") as refused:
            await clients.announce(url, requests[1])
        assert refused.value.retry_in == 30


async def test_only_trusted_proxies_say_for_whom_they_ask() -> None:
    async with running_tracker(proxies=("127.0.0.8/30", "::1")) as tracker:
        for source, seen in (("127.0.0.9", "203.0.113.5"), ("127.0.0.1", "127.0.0.1")):
            for fields in (CLOSE, ""):
                async with await trio.open_tcp_stream(
                    "127.0.0.1", tracker.port, local_address=source
                ) as stream:
                    told = "X-Forwarded-For: 9.9.9.9, 203.0.113.5\r\n"
                    await stream.send_all(get(f"{ANNOUNCE}7001", told + fields))
                    _, body = await read_answer(stream)
                    assert b"11:external ip4:" + socket.inet_aton(seen) in body
        async with await trio.open_tcp_stream(
            "127.0.0.1", tracker.port, local_address="127.0.0.9"
        ) as stream:
            # A client of the other family.
            told = "X-Forwarded-For: 2001:db8::5\r\n"
            await stream.send_all(get(f"{ANNOUNCE}7001", told))
            assert b"6:peers60:" in (await read_answer(stream))[1]
            await stream.send_all(get(f"{ANNOUNCE}7001", "X-Forwarded-For: unknown\r\n"))
            assert (await read_all(stream)).startswith(b"HTTP/1.1 400 ")


async def test_one_host_does_not_have_all_places() -> None:
    async with running_tracker() as tracker:
        streams = [
            await trio.open_tcp_stream("127.0.0.1", tracker.port) for _ in range(MAX_PER_HOST + 1)
        ]
        heads = []
        for number, stream in enumerate(streams):
            await stream.send_all(get(f"{ANNOUNCE}{7000 + number}"))
            heads.append((await read_answer(stream))[0])
        assert [b"Connection: close" in head for head in heads] == [False] * MAX_PER_HOST + [True]
        # It is answered all the same; who is slow is not waited for.
        assert b"incomplete" in await exchange(tracker, get(f"{ANNOUNCE}7000", CLOSE))
        assert await exchange(tracker, b"GET /ann") == b""
        assert (await exchange(tracker, get("/names?name=x", CLOSE))).startswith(
            b"HTTP/1.1 503 too many connections"
        )
        async with await trio.open_tcp_stream(
            "127.0.0.1", tracker.port, local_address="127.0.0.2"
        ) as other:
            await other.send_all(get("/names?name=x"))
            assert (await read_answer(other))[0].startswith(b"HTTP/1.1 200 ")
        # A place comes back with its connection's end.
        await streams[0].aclose()
        with trio.fail_after(30):
            while b"503" in await exchange(tracker, get("/names?name=x", CLOSE)):  # noqa: ASYNC110
                await trio.sleep(0.01)  # it is read, as no event tells of it
        for stream in streams:
            await stream.aclose()


async def test_a_storm_of_connections_is_answered() -> None:
    async with running_tracker() as tracker:
        opened = [socket.create_connection(("127.0.0.1", tracker.port)) for _ in range(300)]
        for number, connection in enumerate(opened):
            connection.sendall(get(f"{ANNOUNCE}{7000 + number}", CLOSE))
        await until(lambda: tracker.announces == 300)
        for connection in opened:
            with connection:
                connection.settimeout(30)
                assert connection.recv(4096).startswith(b"HTTP/1.1 200 OK")
        assert tracker.counts().peers == 300


async def test_an_asker_that_leaves_at_once_does_no_harm() -> None:
    async with running_tracker() as tracker:
        for data in (b"", b"GET /", get(f"{ANNOUNCE}7001"), get("/names?pattern=*")):
            gone = socket.create_connection(("127.0.0.1", tracker.port))
            gone.sendall(data)
            gone.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")  # by RST
            gone.close()
            answer = await exchange(tracker, get(f"{ANNOUNCE}7002", CLOSE))
            assert answer.startswith(b"HTTP/1.1 200 OK")


async def test_an_answer_for_which_there_is_no_room_leaves_bit_by_bit() -> None:
    store, _ = new_store()
    tracker = HttpTracker(store, interval=30, own_address=lambda _asker: None, pages={})
    server = HttpServer(tracker, store, proxies=TrustedProxies(()))
    info_hashes = [number.to_bytes(20, "big") for number in range(100)]
    url = scrape_url("http://t/announce", info_hashes).removeprefix("http://t")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)  # the least that there is
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.serve, listener)
            for fields in (CLOSE, ""):
                asker = trio.socket.socket()
                asker.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
                await asker.connect(listener.getsockname())
                stream = trio.SocketStream(asker)
                async with stream:
                    await stream.send_all(get(url, fields))
                    _, body = await read_answer(stream)
                    assert parse_scrape_answer(body, tracker="t").keys() == set(info_hashes)
            nursery.cancel_scope.cancel()


async def test_names_are_registered_and_found_over_http() -> None:
    async with running_tracker() as tracker, open_tracker_clients() as clients:
        url = f"http://127.0.0.1:{tracker.port}/announce/some-key"
        for number in range(250):  # more than a page
            request = AnnounceRequest(
                info_hash=number.to_bytes(20, "big"), peer_id=b"p" * 20, port=7000, left=0, key=1,
                share_name=f"é {number:03}", size=9,
            )  # fmt: skip
            await clients.announce(url, request)
        found = await clients.search(url, "é *")
        assert [match.name for match in found] == [f"é {number:03}" for number in range(250)]
        (match,) = await clients.resolve(url, "é 007")
        assert match == NameMatch((7).to_bytes(20, "big"), 9, 1, 0, "é 007")
        assert await clients.resolve(url, "unknown") == []
        assert await clients.name_refusal(url, "é 007", (7).to_bytes(20, "big")) is None
        with pytest.raises(TrackerRefusedError, match="16 wildcards"):
            await clients.search(url, "?" * 17)


async def test_a_share_is_found_by_its_name_through_an_http_tracker(tmp_path: Path) -> None:
    source = tmp_path / "film.bin"
    source.write_bytes(bytes(100_000))
    seen: list[Event] = []
    async with running_tracker(max_names=1) as tracker:
        settings = {
            "trackers": (f"http://127.0.0.1:{tracker.port}",),
            "listen_host": "127.0.0.1",
        }
        async with (
            open_node(
                NodeSettings(**settings, state_folder=tmp_path / "a", on_event=seen.append)
            ) as seeder,  # type: ignore[arg-type]
            open_node(NodeSettings(**settings, state_folder=tmp_path / "b")) as leecher,  # type: ignore[arg-type]
        ):
            await seeder.share(source)
            await until(lambda: tracker.counts().names == 1)
            torrent = await leecher.fetch("film.bin", folder=tmp_path / "out")
            with trio.fail_after(30):
                await torrent.wait_complete()
            assert (tmp_path / "out" / "film.bin").read_bytes() == source.read_bytes()
            # A second name finds no room, and that is told.
            other = tmp_path / "other.bin"
            other.write_bytes(bytes(50_000))
            await seeder.share(other)
            await until(lambda: any(isinstance(event, NameRefused) for event in seen))


async def test_a_taken_tcp_port_is_one_clear_error_and_udp_alone_does_without() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigError,
            match=rf"TCP 127\.0\.0\.1:{port}: the port is in use; .*--listen.*http = false",
        ):
            await serve_tracker(TrackerSettings(host="127.0.0.1", port=port))
        async with running_tracker(port=port, http=False) as tracker:
            assert tracker.addresses == [("127.0.0.1", port)]
            assert tracker.http_addresses == []


async def test_a_restarted_tracker_listens_at_its_port_at_once() -> None:
    async with running_tracker() as tracker:
        port = tracker.port
        await exchange(tracker, get(f"{ANNOUNCE}7001", CLOSE))
    async with running_tracker(port=port) as tracker:
        assert b"200 OK" in await exchange(tracker, get(f"{ANNOUNCE}7001", CLOSE))


class _FullListener:
    """A listener of a process that has too many open files."""

    family, type, proto = socket.AF_INET, socket.SOCK_STREAM, 0

    def _accept(self) -> tuple[int, object]:
        raise OSError(errno.EMFILE, "Too many open files")


def test_too_many_open_files_are_told_apart_from_nobody_there() -> None:
    connections, fault = accept_waiting(_FullListener())  # type: ignore[arg-type]
    assert connections == []
    assert fault is not None
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0)
        assert accept_waiting(listener) == ([], None)
