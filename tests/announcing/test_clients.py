"""Tracker clients against real sockets on loopback: good, slow, lying and absent trackers."""

import functools
import gzip
import shutil
import socket
import ssl
from contextlib import suppress
from pathlib import Path
from urllib.parse import unquote_to_bytes

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tracker_scripts import http_script, response, udp_script
from trio_swarm.announcing.clients import open_tracker_clients
from trio_swarm.errors import (
    ConfigError,
    RemoteProtocolError,
    TrackerRefusedError,
    TrackerUnreachableError,
)
from trio_swarm.protocol.bencode import Value, encode
from trio_swarm.protocol.trackers import http as http_tracker
from trio_swarm.protocol.trackers import udp as udp_tracker
from trio_swarm.protocol.trackers.announces import (
    AnnounceAnswer,
    AnnounceEvent,
    AnnounceRequest,
    ScrapeCounts,
)
from trio_swarm.tracker.server import serve_tracker
from trio_swarm.tracker.settings import TrackerSettings

HASH = bytes(range(20))
REQUEST = AnnounceRequest(
    info_hash=HASH, peer_id=b"-tS0100-%& +=#/\\\x00\xff~'", port=7000, left=5, key=0xABC
)


class Tracker:
    """Answers as it should; knows connection ids of its own life only."""

    def __init__(self, *, errors: bool = True) -> None:
        self.errors = errors
        self.connection = b"firstone"
        self.asked: list[int] = []
        self.requests: list[bytes] = []

    def __call__(self, data: bytes) -> bytes | None:
        action, transaction = (int.from_bytes(data[at : at + 4], "big") for at in (8, 12))
        self.asked.append(action)
        if action == udp_tracker.Action.CONNECT:
            return udp_tracker.connect_answer(transaction, self.connection)
        if data[:8] != self.connection:
            return udp_tracker.error_answer(transaction, "who?") if self.errors else None
        self.requests.append(data)
        return udp_tracker.announce_answer(
            transaction, interval=9, seeders=2, leechers=3, peers=bytes((127, 0, 0, 9, 0, 8))
        )


async def test_a_connection_id_is_used_for_a_minute(autojump_clock: object) -> None:
    tracker = Tracker()
    async with udp_script(tracker) as url, open_tracker_clients() as clients:
        for _ in range(3):
            answer = await clients.announce(url, REQUEST)
        assert answer == AnnounceAnswer(
            interval=9.0, seeders=2, leechers=3, peers=(("127.0.0.9", 8),)
        )
        assert tracker.asked == [0, 1, 1, 1]
        await trio.sleep(61)
        await clients.announce(url, REQUEST)
        assert tracker.asked == [0, 1, 1, 1, 0, 1]


@pytest.mark.parametrize("errors", [True, False])
async def test_a_restarted_tracker_is_told_within_the_same_announce(
    autojump_clock: object, *, errors: bool
) -> None:
    tracker = Tracker(errors=errors)
    async with udp_script(tracker) as url, open_tracker_clients() as clients:
        await clients.announce(url, REQUEST)
        tracker.connection = b"2nd life"
        assert (await clients.announce(url, REQUEST)).seeders == 2
        assert tracker.asked == [0, 1, 1, 0, 1]


async def test_the_name_travels_with_the_tracker_url(autojump_clock: object) -> None:
    tracker = Tracker()
    request = AnnounceRequest(
        info_hash=HASH, peer_id=HASH, port=1, left=0, key=1, share_name="a b", size=6
    )
    async with udp_script(tracker) as url, open_tracker_clients() as clients:
        await clients.announce(url + "?k=1", request)
        await clients.announce(url + "?k=1", REQUEST)
    options = [udp_tracker.parse_options(data[98:]) for data in tracker.requests]
    assert options == [b"/announce?k=1&name=a%20b&size=6", b"/announce?k=1"]


async def test_a_lost_datagram_is_asked_for_again(autojump_clock: object) -> None:
    tracker = Tracker()
    lost = [True, False, True, False, False]
    async with (
        udp_script(lambda data: None if lost.pop(0) else tracker(data)) as url,
        open_tracker_clients() as clients,
    ):
        started = trio.current_time()
        assert (await clients.announce(url, REQUEST)).seeders == 2
        assert 6.0 <= trio.current_time() - started < 6.1


async def test_a_silent_tracker_is_tried_four_times_with_growing_patience(
    autojump_clock: object,
) -> None:
    asked: list[float] = []
    async with (
        udp_script(lambda _data: asked.append(trio.current_time())) as url,
        open_tracker_clients() as clients,
    ):
        started = trio.current_time()
        with pytest.raises(TrackerUnreachableError, match="no answer"):
            await clients.announce(url, REQUEST)
        assert [round(at - started) for at in asked] == [0, 2, 6, 14]
        assert round(trio.current_time() - started) == 30
        asked.clear()
        with pytest.raises(TrackerUnreachableError):
            await clients.announce(url, REQUEST, tries=1)
        assert len(asked) == 1


async def test_a_refused_port_is_known_at_once(autojump_clock: object) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    async with open_tracker_clients() as clients:
        started = trio.current_time()
        with pytest.raises(TrackerUnreachableError, match="refused"):
            await clients.announce(f"udp://127.0.0.1:{port}", REQUEST)
        assert trio.current_time() - started < 0.5


async def test_the_address_that_answers_is_found_behind_a_host_name() -> None:
    async with trio.open_nursery() as nursery, open_tracker_clients() as clients:
        tracker = await nursery.start(serve_tracker, TrackerSettings(host="127.0.0.1", port=0))
        url = f"udp://localhost:{tracker.port}"
        with trio.fail_after(30):
            assert (await clients.announce(url, REQUEST)).leechers == 1
            assert await clients.search(url, "*") == []
        nursery.cancel_scope.cancel()


async def test_a_host_with_both_families_is_told_over_both() -> None:
    async with trio.open_nursery() as nursery, open_tracker_clients() as clients:
        tracker = await nursery.start(serve_tracker, TrackerSettings(port=0))
        found = await trio.socket.getaddrinfo("localhost", 1, type=socket.SOCK_DGRAM)
        hosts = {str(entry[4][0]) for entry in found}
        with trio.fail_after(30):
            await clients.announce(f"udp://localhost:{tracker.port}", REQUEST)
            for host in hosts:
                bracketed = f"[{host}]" if ":" in host else host
                other = AnnounceRequest(info_hash=HASH, peer_id=HASH, port=1, left=1, key=2)
                answer = await clients.announce(f"udp://{bracketed}:{tracker.port}", other)
                assert answer.peers == ((host, 7000),)
        nursery.cancel_scope.cancel()


async def test_announces_come_from_the_address_the_node_listens_at() -> None:
    async with trio.open_nursery() as nursery:
        tracker = await nursery.start(serve_tracker, TrackerSettings(host="127.0.0.1", port=0))
        url = f"udp://127.0.0.1:{tracker.port}"
        async with open_tracker_clients(source_host="127.0.0.7") as clients:
            await clients.announce(url, REQUEST)
        for source in ("", "0.0.0.0", "::", "::1"):
            async with open_tracker_clients(source_host=source) as clients:
                other = AnnounceRequest(info_hash=HASH, peer_id=HASH, port=1, left=1, key=2)
                assert (await clients.announce(url, other)).peers == (("127.0.0.7", 7000),)
        nursery.cancel_scope.cancel()
    with pytest.raises(ConfigError, match="not an IP address"):
        async with open_tracker_clients(source_host="localhost"):
            pass


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (b"\0\0\0\1", "too short"),
        (b"\0\0\0\1TTTT\0\0\0\1", "too short"),
        (b"\0\0\0\2TTTT", "action 2 answers action 1"),
    ],
)
async def test_a_bad_answer_is_a_failed_try(
    autojump_clock: object, fault: bytes, reason: str
) -> None:
    good = Tracker()

    def script(data: bytes) -> bytes | None:
        answer = good(data)
        return answer if good.asked[-1] == 0 else fault.replace(b"TTTT", data[12:16])

    async with udp_script(script) as url, open_tracker_clients() as clients:
        with pytest.raises(TrackerUnreachableError, match=f"bad answer: .*{reason}"):
            await clients.announce(url, REQUEST)
        assert good.asked == [0, 1] * 4


async def test_answers_to_other_questions_are_passed_over(autojump_clock: object) -> None:
    tracker = Tracker()

    def script(data: bytes) -> list[bytes]:
        answer = tracker(data)
        assert answer is not None
        late = answer[:4] + bytes(byte ^ 1 for byte in answer[4:8]) + answer[8:]
        return [late, late, answer]

    async with udp_script(script) as url, open_tracker_clients() as clients:
        assert (await clients.announce(url, REQUEST)).seeders == 2
        assert tracker.asked == [0, 1]


async def test_a_refusal_comes_with_the_trackers_words(autojump_clock: object) -> None:
    tracker = Tracker()

    def script(data: bytes) -> bytes | None:
        answer = tracker(data)
        if tracker.asked[-1] == 0:
            return answer
        return udp_tracker.error_answer(int.from_bytes(data[12:16], "big"), "not you")

    async with udp_script(script) as url, open_tracker_clients() as clients:
        for _ in range(2):
            with pytest.raises(TrackerRefusedError, match="not you"):
                await clients.announce(url, REQUEST)


async def test_a_tracker_that_pages_for_ever_is_left(autojump_clock: object) -> None:
    tracker = Tracker()
    match = udp_tracker.NameMatch(HASH, 1, 1, 1, "same again")

    def script(data: bytes) -> bytes | None:
        answer = tracker(data)
        if tracker.asked[-1] == 0:
            return answer
        return udp_tracker.name_answer(int.from_bytes(data[12:16], "big"), 65535, [match] * 20)

    async with udp_script(script) as url, open_tracker_clients() as clients:
        assert await clients.search(url, "*") == [match]
        assert len(tracker.asked) == 3


@pytest.mark.parametrize(
    "url", ["wss://t.example/announce", "udp://127.0.0.1", "x", "udp://no host:1"]
)
async def test_a_url_of_no_use_is_out_of_reach(url: str) -> None:
    async with open_tracker_clients() as clients:
        with pytest.raises(TrackerUnreachableError, match="tracker URL"):
            await clients.announce(url, REQUEST)


async def test_a_name_that_cannot_be_is_refused_before_asking() -> None:
    async with open_tracker_clients() as clients:
        for name in ("", "x" * 256, "\udcff"):
            with pytest.raises(TrackerRefusedError):
                await clients.resolve("udp://127.0.0.1:9", name)
        # Where an HTTP tracker's other questions go, only its path says (BEP 48).
        with pytest.raises(TrackerRefusedError, match="knows no names"):
            await clients.search("http://127.0.0.1:9/a", "*")


async def test_an_http_tracker_that_knows_no_names_is_asked_for_ours_once() -> None:
    async with (
        http_script(response(b"?", status="404 Not Found")) as (url, targets),
        open_tracker_clients() as clients,
    ):
        with pytest.raises(TrackerRefusedError, match="knows no names"):
            await clients.name_refusal(url, "x", HASH)
        assert await clients.name_refusal(url, "x", HASH) is None
    assert len(targets) == 1


# HTTP


def query_of(target: bytes) -> dict[bytes, bytes]:
    items = (item.partition(b"=") for item in target.partition(b"?")[2].split(b"&"))
    return {key: unquote_to_bytes(value) for key, _, value in items}


async def test_an_http_tracker_is_told_every_byte_and_its_peers_are_understood() -> None:
    body = encode(
        {
            "interval": 1800, "min interval": 60, "complete": 4, "incomplete": 2,
            "peers": bytes((127, 0, 0, 1, 0, 8, 127, 0, 0, 2, 0, 0)),
            "peers6": bytes(15) + b"\1\0\x09",
            "warning message": "soon closed\x1b[2J",
        }
    )  # fmt: skip
    async with http_script(response(body)) as (url, targets), open_tracker_clients() as clients:
        answer = await clients.announce(url, REQUEST)
    assert answer == AnnounceAnswer(
        interval=1800.0,
        min_interval=60.0,
        seeders=4,
        leechers=2,
        peers=(("127.0.0.1", 8), ("::1", 9)),
        warning="soon closed[2J",
    )
    (target,) = targets
    assert target.startswith(b"/t/announce?passkey=1&")
    assert query_of(target) == {
        b"passkey": b"1", b"info_hash": HASH, b"peer_id": REQUEST.peer_id, b"port": b"7000",
        b"uploaded": b"0", b"downloaded": b"0", b"left": b"5", b"compact": b"1",
        b"no_peer_id": b"1", b"key": b"00000ABC", b"numwant": b"50",
    }  # fmt: skip


def test_peers_may_come_as_a_list() -> None:
    body = encode(
        {
            "peers": [
                {"ip": "10.0.0.1", "port": 1, "peer id": "x" * 20},
                {"ip": "peer.example", "port": 2},
                {"ip": "2001:db8::1", "port": 3},
                {"ip": "a b", "port": 4},
                {"ip": "10.0.0.2", "port": 0},
                {"port": 5},
                7,
            ]
        }
    )
    answer = http_tracker.parse_announce_answer(body, tracker="t")
    assert answer.peers == (("10.0.0.1", 1), ("peer.example", 2), ("2001:db8::1", 3))
    assert answer.interval == 0  # it did not say


@pytest.mark.parametrize("event", AnnounceEvent)
def test_an_event_is_in_the_url_unless_it_is_none(event: AnnounceEvent) -> None:
    request = AnnounceRequest(info_hash=HASH, peer_id=HASH, port=1, left=0, key=1, event=event)
    url = http_tracker.announce_url("http://h/announce", request)
    assert query_of(url.encode()).get(b"event", b"none").decode() == event.name.lower()


@pytest.mark.parametrize(
    ("answer", "error", "reason"),
    [
        (response(encode({"failure reason": "go\x07 away"})), TrackerRefusedError, "go away"),
        (response(b"Not here", status="404 Not Found"), TrackerRefusedError, "HTTP 404 Not Found"),
        (
            response(encode({"failure reason": "banned"}), status="403 Forbidden"),
            TrackerRefusedError,
            "banned",
        ),
        (response(b"", status="503 Busy"), TrackerUnreachableError, "HTTP 503"),
        (response(b"<html>"), TrackerUnreachableError, "bad answer"),
        (response(b"le"), TrackerUnreachableError, "no dictionary"),
        (
            response(gzip.compress(b"0" * 10**7), headers="Content-Encoding: gzip\r\n"),
            TrackerUnreachableError,
            "unpacks to more than 1048576 bytes",
        ),
        (
            response(b"", status="302 Found", headers="Location: /t/announce\r\n"),
            TrackerUnreachableError,
            "redirect",
        ),
        (
            response(b"", status="302 Found", headers="Location: file:///etc/passwd\r\n"),
            TrackerUnreachableError,
            "protocol",
        ),
        (b"SSH-2.0\r\n\r\n", TrackerUnreachableError, "t/announce"),
        (b"", TrackerUnreachableError, "disconnected"),
    ],
)
async def test_what_an_http_tracker_may_say_instead(
    answer: bytes, error: type[Exception], reason: str
) -> None:
    async with http_script(answer) as (url, _), open_tracker_clients() as clients:
        with pytest.raises(error, match=reason) as raised:
            await clients.announce(url, REQUEST)
        assert "\x07" not in str(raised.value)


async def test_an_endless_body_is_not_read_to_its_end() -> None:
    async def talk(stream: trio.SocketStream) -> None:
        await stream.send_all(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n")
        while True:
            await stream.send_all(b"x" * 65536)

    async with http_script(talk) as (url, _), open_tracker_clients() as clients:
        with trio.fail_after(60), pytest.raises(TrackerUnreachableError, match="1048576 bytes"):
            await clients.announce(url, REQUEST)


async def test_a_silent_http_tracker_is_given_up(autojump_clock: trio.testing.MockClock) -> None:
    async def be_silent(_stream: trio.SocketStream) -> None:
        await trio.sleep_forever()

    # Real packets need real time to arrive before the clock jumps.
    autojump_clock.autojump_threshold = 0.2
    async with http_script(be_silent) as (url, _), open_tracker_clients() as clients:
        started = trio.current_time()
        with pytest.raises(TrackerUnreachableError, match="no answer in 20 seconds"):
            await clients.announce(url, REQUEST)
        assert trio.current_time() - started < 21


async def test_a_certificate_nobody_vouches_for_is_refused(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("needs openssl to make a certificate")
    made = [str(tmp_path / name) for name in ("cert.pem", "key.pem")]
    await trio.run_process(
        [openssl, "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes",
         "-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1",
         "-out", made[0], "-keyout", made[1]],
        capture_stderr=True,
    )  # fmt: skip
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(*made)

    async def serve(stream: trio.SSLStream[trio.SocketStream]) -> None:
        with suppress(trio.BrokenResourceError):
            await stream.do_handshake()
        await trio.aclose_forcefully(stream)

    async with trio.open_nursery() as nursery, open_tracker_clients() as clients:
        serve_tls = functools.partial(trio.serve_ssl_over_tcp, host="127.0.0.1")
        (listener,) = await nursery.start(serve_tls, serve, 0, context)
        port = listener.transport_listener.socket.getsockname()[1]
        with pytest.raises(TrackerUnreachableError, match="CERTIFICATE_VERIFY_FAILED"):
            await clients.announce(f"https://127.0.0.1:{port}/announce", REQUEST)
        nursery.cancel_scope.cancel()


async def test_an_http_tracker_is_scraped() -> None:
    body = encode(
        {b"files": {HASH: {b"complete": 1, b"downloaded": 2, b"incomplete": 3}, b"short": {}}}
    )
    async with http_script(response(body)) as (url, targets), open_tracker_clients() as clients:
        counts = await clients.scrape(url, [HASH, b"x" * 20])
        assert counts == {HASH: ScrapeCounts(seeders=1, completed=2, leechers=3)}
        assert targets[0].startswith(b"/t/scrape?passkey=1&info_hash=")
        with pytest.raises(TrackerRefusedError, match="not a tracker that can be"):
            await clients.scrape(url.replace("announce", "a"), [HASH])


values = st.recursive(
    st.integers(-(2**63), 2**63 - 1) | st.binary(max_size=40),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(
        [b"peers", b"peers6", b"interval", b"min interval", b"complete", b"files", b"ip", b"port",
         b"failure reason", b"warning message", HASH]), inner, max_size=4),
    max_leaves=12,
)  # fmt: skip


@given(value=values)
def test_any_value_as_an_http_answer_raises_only_documented_errors(value: Value) -> None:
    check_body(encode(value))


@given(body=st.binary(max_size=200))
def test_any_bytes_as_an_http_answer_raise_only_documented_errors(body: bytes) -> None:
    check_body(body)


def check_body(body: bytes) -> None:
    for parse in (http_tracker.parse_announce_answer, http_tracker.parse_scrape_answer):
        try:
            parse(body, tracker="t")
        except (RemoteProtocolError, TrackerRefusedError):
            continue
