"""Odd answers of trackers: what is sound in them is taken, as libtorrent and aria2 do."""

import gzip
import zlib

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from tracker_scripts import HASH, REQUEST, connected_script, http_script, response, udp_script
from trio_swarm.announcing.clients import open_tracker_clients
from trio_swarm.errors import RemoteProtocolError, TrackerUnreachableError
from trio_swarm.protocol.bencode import encode
from trio_swarm.protocol.trackers import http as http_tracker
from trio_swarm.protocol.trackers import udp as udp_tracker
from trio_swarm.protocol.trackers.announces import ScrapeCounts
from trio_swarm.protocol.trackers.http_bodies import plain_body

PEERS = bytes((127, 0, 0, 1, 0, 8))
GOOD = encode({"interval": 900, "peers": PEERS})


def packed(data: bytes) -> bytes:
    return gzip.compress(data, mtime=0)  # without it, no two processes collect the same tests


def raw_deflate(data: bytes) -> bytes:
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    return packer.compress(data) + packer.flush()


@pytest.mark.parametrize(
    ("body", "headers"),
    [
        # libtorrent 2.1 parses the first bencoded value of a body; PHP scripts end with a newline.
        (GOOD + b"\n", ""),
        (GOOD + b"\r\n\r\n<!-- served in 3 ms -->", ""),
        (b"\xef\xbb\xbf\r\n" + GOOD, ""),
        # libtorrent 2.1 and aria2 1.36 unpack gzip; neither has to be told twice.
        (packed(GOOD), "Content-Encoding: gzip\r\n"),
        (packed(GOOD), "Content-Encoding: x-gzip\r\n"),
        (packed(GOOD), ""),
        (packed(GOOD), "Content-Type: application/x-gzip\r\n"),
        (packed(packed(GOOD)), "Content-Encoding: gzip, gzip\r\n"),
        (packed(GOOD) + b"\n", "Content-Encoding: gzip\r\n"),
        # RFC 9110, 8.4.1.2: "deflate" is zlib's format, and some servers send it raw.
        (zlib.compress(GOOD), "Content-Encoding: deflate\r\n"),
        (raw_deflate(GOOD), "Content-Encoding: deflate\r\n"),
        # A header that is not true, or names no encoding at all.
        (GOOD, "Content-Encoding: gzip\r\n"),
        (GOOD, "Content-Encoding: utf-8\r\n"),
        (GOOD, "Content-Encoding: br\r\n"),
        (GOOD, "Content-Encoding: \r\n"),
    ],
)
async def test_an_answer_is_found_in_what_is_around_it(body: bytes, headers: str) -> None:
    async with (
        http_script(response(body, headers=headers)) as (url, _),
        open_tracker_clients() as clients,
    ):
        answer = await clients.announce(url, REQUEST)
    assert answer.peers == (("127.0.0.1", 8),)
    assert answer.interval == 900


@pytest.mark.parametrize(
    "broken",
    [
        {"peers6": "12345"},  # libtorrent 2.1: the whole addresses of it
        {"peers6": 7},
        {"peers6": [1, 2]},
        {"complete": "many", "incomplete": [], "downloaded": {}},
        {"complete": -3, "incomplete": "7"},
        {"warning message": 5, "tracker id": {}},
        {"tracker id": "x" * 100_000},
        {"min interval": "soon", "external ip": "x"},
        {"failure code": 3, "retry in": "never"},
        {"failure reason": 3},
    ],
)
def test_one_broken_key_does_not_spoil_the_others(broken: dict[str, object]) -> None:
    body = encode({"interval": 900, "peers": PEERS, **broken})  # type: ignore[dict-item]
    answer = http_tracker.parse_announce_answer(body, tracker="t")
    assert answer.peers == (("127.0.0.1", 8),)
    assert (answer.interval, answer.min_interval) == (900, 0)
    assert answer.tracker_id is None
    assert answer.seeders == 0


@pytest.mark.parametrize(
    "body",
    [
        b"d8:intervali0900e5:peers6:%be",
        b"d8:intervali900e05:peers0006:%be",
        b"d8:intervali900e5:peers6:%b8:intervali7ee",  # the first one counts
        b"d8:completei-0e8:intervali900e5:peers6:%be",
    ],
)
def test_an_answer_may_be_no_exact_bencode(body: bytes) -> None:
    """libtorrent 2.1.1 reads a tracker's answer as leniently as a torrent."""
    body = body.replace(b"%b", PEERS)
    assert http_tracker.is_whole_answer(body)
    answer = http_tracker.parse_announce_answer(body, tracker="t")
    assert (answer.interval, answer.peers) == (900, (("127.0.0.1", 8),))


def test_a_refusal_may_be_no_exact_bencode() -> None:
    body = b"d14:failure reason02:no14:failure reason3:yes8:retry ini05ee"
    refusal = http_tracker.parse_refusal(body, tracker="t")
    assert refusal is not None
    assert (refusal.reason, refusal.retry_in) == ("no", 300)


@pytest.mark.parametrize(
    "peers",
    [
        PEERS + b"12345",  # libtorrent 2.1 takes the whole ones
        [
            {"ip": "127.0.0.1", "port": 8},
            {"ip": "127.0.0.2", "port": -1},
            {"ip": "127.0.0.3", "port": 70_000},
            {"ip": 7, "port": 8},
            {"ip": "127.0.0.4", "port": "x"},
            [],
            "127.0.0.1:8",
        ],
        [{"ip": "127.0.0.1", "port": "8"}],
    ],
)
def test_peers_that_make_sense_are_taken_from_a_list_that_does_not(peers: object) -> None:
    body = encode({"peers": peers, "interval": "900"})  # type: ignore[dict-item]
    answer = http_tracker.parse_announce_answer(body, tracker="t")
    assert answer.peers == (("127.0.0.1", 8),)
    assert answer.interval == 900


async def test_an_answer_that_is_whole_needs_no_end_of_its_connection(
    autojump_clock: trio.testing.MockClock,
) -> None:
    """The server told a wrong length, and waits for a next request (libtorrent 2.1 takes it)."""

    async def talk(stream: trio.SocketStream) -> None:
        await stream.send_all(b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\n\r\n" + GOOD)
        await trio.sleep_forever()

    autojump_clock.autojump_threshold = 0.2
    async with http_script(talk) as (url, _), open_tracker_clients() as clients:
        assert (await clients.announce(url, REQUEST)).peers == (("127.0.0.1", 8),)


async def test_an_answer_cut_short_by_its_connection_is_whole_if_it_says_so() -> None:
    cut = b"HTTP/1.1 200 OK\r\nContent-Length: 9000\r\nConnection: close\r\n\r\n"
    async with open_tracker_clients() as clients:
        async with http_script(cut + GOOD) as (url, _):
            assert (await clients.announce(url, REQUEST)).peers == (("127.0.0.1", 8),)
        async with http_script(cut + GOOD[:-5]) as (url, _):
            with pytest.raises(TrackerUnreachableError, match="closed connection"):
                await clients.announce(url, REQUEST)


@pytest.mark.parametrize("layers", [1, 2, 3])
def test_what_unpacks_to_too_much_is_not_unpacked(layers: int) -> None:
    bomb = b"d" + b"0" * 10**7
    for _ in range(layers):
        bomb = packed(bomb)
    with pytest.raises(RemoteProtocolError, match="more than 1000 bytes"):
        plain_body(bomb, limit=1000)


def test_a_body_packed_too_often_stays_packed() -> None:
    body = GOOD
    for _ in range(10):
        body = packed(body)
    assert plain_body(body, limit=2**20)[:2] == b"\x1f\x8b"


@given(body=st.binary(max_size=300) | st.binary(max_size=100).map(gzip.compress))
def test_any_body_is_unpacked_or_refused(body: bytes) -> None:
    try:
        assert len(plain_body(body, limit=200)) <= 200
    except RemoteProtocolError:
        return


async def test_info_hashes_of_a_scrape_may_be_written_as_text() -> None:
    """npm's bittorrent-tracker 11.2.3 writes Latin-1 text in UTF-8."""
    info_hash = bytes(range(246, 256)) + bytes(range(10))
    key = info_hash.decode("latin-1").encode()
    body = encode({"files": {key: {"complete": 1, "downloaded": 2, "incomplete": 3}}})  # type: ignore[dict-item]
    async with http_script(response(body)) as (url, _), open_tracker_clients() as clients:
        counts = await clients.scrape(url, [info_hash, HASH])
    assert counts == {info_hash: ScrapeCounts(seeders=1, completed=2, leechers=3)}


async def test_bytes_behind_the_last_peer_of_a_udp_answer_are_ignored() -> None:
    """BEP 15, "Extensions"; libtorrent 2.1 divides the length by 6 and rounds down."""

    def answer(_request: bytes, transaction: int) -> bytes:
        return udp_tracker.announce_answer(transaction, 9, 1, 1, PEERS + b"12345")

    async with udp_script(connected_script(answer)) as url, open_tracker_clients() as clients:
        assert (await clients.announce(url, REQUEST)).peers == (("127.0.0.1", 8),)


@pytest.mark.parametrize("size", [12, 13, 23, 24])
async def test_the_whole_counts_of_a_short_udp_scrape_are_taken(size: int) -> None:
    """BEP 15, "Scrape": the counts are in the order of the request, so each stands by itself."""

    def answer(_request: bytes, transaction: int) -> bytes:
        counts = ScrapeCounts(seeders=1, completed=2, leechers=3)
        return udp_tracker.scrape_answer(transaction, [counts, counts])[: 8 + size]

    other = bytes(20)
    async with udp_script(connected_script(answer)) as url, open_tracker_clients() as clients:
        counts = await clients.scrape(url, [HASH, other])
    assert list(counts) == [HASH, other][: size // 12]


async def test_a_name_that_cannot_be_does_not_hide_the_others() -> None:
    """Whoever reaches a tracker can register a name; another tracker may check less than ours."""

    def answer(_request: bytes, transaction: int) -> bytes:
        names = (b"good", b"\xff\xfe", b"a\nb", b"fine")
        return (
            udp_tracker.name_answer(transaction, len(names), [])[:10]
            + len(names).to_bytes(2, "big")
            + b"".join(HASH + bytes(16) + len(name).to_bytes(2, "big") + name for name in names)
        )

    async with udp_script(connected_script(answer)) as url, open_tracker_clients() as clients:
        found = await clients.search(url, "*")
        assert [match.name for match in found] == ["good", "fine"]
    page = udp_tracker.parse_name_answer(answer(b"", 7)[:-2])
    assert [match.name for match in page.matches] == ["good"]
    assert page.listed == 3


@pytest.mark.parametrize("headers", ["", "Content-Encoding: gzip\r\n"])
async def test_the_body_of_a_redirect_is_not_read(headers: str) -> None:
    """httpx 0.28 reads and unpacks it whole before it goes on."""

    async def talk(stream: trio.SocketStream) -> None:
        head = f"HTTP/1.1 302 Found\r\nLocation: {good}\r\n{headers}\r\n"
        await stream.send_all(head.encode() + packed(bytes(10**6)))
        while True:
            await stream.send_all(bytes(65536))

    async with (
        http_script(response(GOOD)) as (good, _),
        http_script(talk) as (url, _),
        open_tracker_clients(http_timeout=60) as clients,
    ):
        with trio.fail_after(30):
            assert (await clients.announce(url, REQUEST)).interval == 900
