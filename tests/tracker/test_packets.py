"""UDP tracker datagrams, tracker URLs and names: pure bytes and text."""

import contextlib
import struct
from collections.abc import Callable
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packed_addresses import packed
from trio_swarm.errors import ConfigError, RemoteProtocolError
from trio_swarm.protocol.trackers import udp as udp_tracker
from trio_swarm.protocol.trackers import urls as tracker_urls
from trio_swarm.protocol.trackers.announces import (
    AnnounceEvent,
    AnnounceRequest,
    NameMatch,
    ScrapeCounts,
)
from trio_swarm.protocol.trackers.share_names import MAX_NAME_BYTES, name_fault, registrable_name
from trio_swarm.protocol.trackers.urls import UrlShare

u16, u32, u64 = (st.integers(0, 2**bits - 1) for bits in (16, 32, 64))
hashes = st.binary(min_size=20, max_size=20)
names = st.text(min_size=1, max_size=80).filter(lambda name: name_fault(name) is None)
requests = st.builds(
    AnnounceRequest,
    info_hash=hashes,
    peer_id=hashes,
    port=u16,
    uploaded=u64,
    downloaded=u64,
    left=u64,
    event=st.sampled_from(AnnounceEvent),
    key=u32,
    num_want=st.integers(-1, 2**31 - 1),
)


@given(connection=st.binary(min_size=8, max_size=8), transaction=u32, request=requests)
def test_an_announce_request_comes_back_as_it_was(
    connection: bytes, transaction: int, request: AnnounceRequest
) -> None:
    data = udp_tracker.announce_request(connection, transaction, request)
    assert struct.unpack(">8sII20s20sQQQIIIiH", data) == (
        connection,
        1,
        transaction,
        request.info_hash,
        request.peer_id,
        request.downloaded,
        request.left,
        request.uploaded,
        request.event,
        0,
        request.key,
        request.num_want,
        request.port,
    )


def test_an_announce_request_lies_as_bep_15_draws_it() -> None:
    request = AnnounceRequest(
        info_hash=b"h" * 20,
        peer_id=b"p" * 20,
        port=6881,
        downloaded=1,
        left=2,
        uploaded=3,
        event=AnnounceEvent.STARTED,
        key=7,
        num_want=-1,
    )
    data = udp_tracker.announce_request(b"connect.", 9, request, b"/a")
    assert data[:16] == b"connect." + bytes.fromhex("00000001 00000009")
    assert data[16:56] == b"h" * 20 + b"p" * 20
    assert struct.unpack(">QQQ", data[56:80]) == (1, 2, 3)
    assert struct.unpack(">IIIiH", data[80:98]) == (2, 0, 7, -1, 6881)
    assert data[98:] == b"\x02\x02/a"


@given(data=st.binary(max_size=1024))
def test_url_data_of_any_length_survives_its_options(data: bytes) -> None:
    packet = udp_tracker.announce_request(
        bytes(8),
        0,
        AnnounceRequest(info_hash=bytes(20), peer_id=bytes(20), port=1, left=0, key=0),
        data,
    )
    assert udp_tracker.parse_options(packet[udp_tracker.ANNOUNCE_SIZE :]) == data


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        (b"\x02\x0c/dir?a=b&c=d", b"/dir?a=b&c=d"),
        (b"\x02\x0c/dir?a=b&c=d\x01\x01\x00", b"/dir?a=b&c=d"),
        (b"\x02\x00", b""),
        (b"\x01\x09\x02??\x02\x02/x\x02\x01y\x00\x02\x09", b"/xy"),
    ],
)
def test_options_are_read_as_in_the_examples_of_bep_41(options: bytes, expected: bytes) -> None:
    assert udp_tracker.parse_options(options) == expected


@pytest.mark.parametrize("option", [b"\x01", b"\x02\x00", b"\x09\x01x"])
def test_an_announce_has_a_limited_number_of_options(option: bytes) -> None:
    most = udp_tracker.MAX_OPTIONS
    assert udp_tracker.parse_options((most - 1) * option + b"\x02\x02/x") == b"/x"
    assert udp_tracker.parse_options((most - 1) * option + b"\x00" + option) == b""
    with pytest.raises(RemoteProtocolError, match="more than 64"):
        udp_tracker.parse_options((most + 1) * option)


@pytest.mark.parametrize("options", [b"\x02", b"\x02\x05abc", b"\x09\x01"])
def test_an_option_longer_than_its_datagram_is_refused(options: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        udp_tracker.parse_options(options)


@given(
    transaction=u32,
    interval=u32,
    seeders=u32,
    leechers=u32,
    ipv6=st.booleans(),
    count=st.integers(0, 65),
)
def test_an_announce_answer_comes_back_as_it_was(
    *, transaction: int, interval: int, seeders: int, leechers: int, ipv6: bool, count: int
) -> None:
    peers = [(f"2001:db8::{n:x}" if ipv6 else f"10.0.0.{n}", n + 1) for n in range(1, count + 1)]
    data = udp_tracker.announce_answer(
        transaction,
        interval=interval,
        seeders=seeders,
        leechers=leechers,
        peers=packed(peers),
    )
    assert len(data) <= udp_tracker.MAX_ANSWER
    assert udp_tracker.parse_answer_header(data) == (1, transaction)
    answer = udp_tracker.parse_announce_answer(data, ipv6=ipv6)
    assert (answer.interval, answer.seeders, answer.leechers) == (interval, seeders, leechers)
    assert list(answer.peers) == peers


@given(
    transaction=u32,
    counts=st.lists(st.builds(ScrapeCounts, seeders=u32, completed=u32, leechers=u32), max_size=74),
)
def test_a_scrape_comes_back_as_it_was(transaction: int, counts: list[ScrapeCounts]) -> None:
    asked = [bytes([n]) * 20 for n in range(len(counts))]
    data = udp_tracker.scrape_request(bytes(8), transaction, asked)
    if counts:
        assert udp_tracker.parse_scrape_request(data) == asked
    answer = udp_tracker.scrape_answer(transaction, counts)
    assert udp_tracker.parse_scrape_answer(answer, len(counts)) == counts


@given(transaction=u32, offset=u16, is_glob=st.booleans(), name=names)
def test_a_name_request_comes_back_as_it_was(
    *, transaction: int, offset: int, is_glob: bool, name: str
) -> None:
    data = udp_tracker.name_request(bytes(8), transaction, name, offset=offset, is_glob=is_glob)
    assert udp_tracker.parse_name_request(data) == (transaction, offset, is_glob, name)


@given(
    transaction=u32,
    total=st.integers(0, 10**6),
    matches=st.lists(st.builds(NameMatch, hashes, u64, u32, u32, names), max_size=40),
)
def test_a_name_answer_holds_as_many_matches_as_fit_1200_bytes(
    transaction: int, total: int, matches: list[NameMatch]
) -> None:
    data = udp_tracker.name_answer(transaction, total, matches)
    assert len(data) <= 1200
    page = udp_tracker.parse_name_answer(data)
    assert page.total == min(total, 65535)
    assert list(page.matches) == matches[: len(page.matches)]
    if len(page.matches) < len(matches):
        following = matches[len(page.matches)]
        assert len(data) + 38 + len(following.name.encode()) > 1200


def test_a_name_answer_lies_as_specified() -> None:
    data = udp_tracker.name_answer(7, 1, [NameMatch(b"h" * 20, 5, 2, 3, "ü")])
    assert data == (
        b"name"
        + bytes.fromhex("00000007 0001 0001")
        + b"h" * 20
        + bytes.fromhex("0000000000000005 00000002 00000003 0002")
        + "ü".encode()
    )


@given(data=st.binary(max_size=400))
def test_arbitrary_bytes_raise_only_remote_protocol_error(data: bytes) -> None:
    for parse in (
        udp_tracker.parse_options,
        udp_tracker.parse_scrape_request,
        udp_tracker.parse_name_request,
        udp_tracker.parse_answer_header,
        udp_tracker.parse_connect_answer,
        lambda d: udp_tracker.parse_announce_answer(d, ipv6=False),
        lambda d: udp_tracker.parse_announce_answer(d, ipv6=True),
        lambda d: udp_tracker.parse_scrape_answer(d, 3),
        udp_tracker.parse_name_answer,
        udp_tracker.parse_error_answer,
        tracker_urls.parse_url_data,
        lambda d: tracker_urls.parse_url_data(b"/announce?size=1&name=" + d),
        lambda d: udp_tracker.parse_name_answer(b"name\0\0\0\0\0\1\0\1" + bytes(32) + d),
    ):
        with contextlib.suppress(RemoteProtocolError):
            parse(data)


def test_an_error_message_cannot_move_the_cursor() -> None:
    data = udp_tracker.error_answer(1, "no\x1b[2J\nroom")
    assert udp_tracker.parse_error_answer(data) == "no[2Jroom"
    assert udp_tracker.parse_error_answer(data[:8]) == "error without a message"


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("udp://t.example:80", ("udp", "t.example", 80, "")),
        ("UDP://[::1]:6969/announce?a=b", ("udp", "::1", 6969, "/announce?a=b")),
        ("http://t.example/announce", ("http", "t.example", 80, "/announce")),
        ("https://t.example/x/announce?key=1#f", ("https", "t.example", 443, "/x/announce?key=1")),
    ],
)
def test_tracker_urls_are_split(url: str, parts: tuple[str, str, int, str]) -> None:
    parsed = tracker_urls.parse_tracker_url(url)
    assert (parsed.scheme, parsed.host, parsed.port, parsed.request) == parts
    assert tracker_urls.supports_names(url) == (parts[0] == "udp")


@pytest.mark.parametrize(
    "url",
    [
     "", "t.example:80", "udp://t.example", "udp://:80/", "udp://h:0/", "udp://h:99999/",
     "wss://t.example/announce", "udp://[::1/announce", "http://a b/announce",
     "udp://h:1/" + "x" * 3000],
)  # fmt: skip
def test_what_is_no_tracker_url_is_a_config_error(url: str) -> None:
    with pytest.raises(ConfigError):
        tracker_urls.parse_tracker_url(url)
    assert not tracker_urls.supports_names(url)


@given(text=st.text(max_size=60))
def test_arbitrary_text_as_a_tracker_url_is_a_config_error(text: str) -> None:
    for url in (text, "udp://" + text, "http://[" + text):
        with contextlib.suppress(ConfigError):
            tracker_urls.parse_tracker_url(url)


@given(name=names, size=st.integers(0, 2**63 - 1))
def test_a_name_travels_in_the_url_data(name: str, size: int) -> None:
    data = tracker_urls.url_data("/announce", share_name=name, size=size)
    assert data.startswith(b"/announce?name=")
    assert tracker_urls.parse_url_data(data) == UrlShare(name, size)


def test_a_share_name_replaces_the_one_in_the_url_and_keeps_the_rest() -> None:
    data = tracker_urls.url_data("/a?k=1&name=old&size=3&name=older", share_name="new", size=4)
    assert data == b"/a?k=1&name=new&size=4"
    assert tracker_urls.url_data("/a?size=3", share_name="new") == b"/a?size=3&name=new"
    assert tracker_urls.url_data("", share_name="c++ 50%") == b"/announce?name=c%2B%2B%2050%25"
    assert tracker_urls.url_data("/a?name=x") == b"/a?name=x"


@pytest.mark.parametrize(
    ("data", "share"),
    [
        (b"/announce?name=c++.iso", UrlShare("c++.iso", 0)),
        (b"/announce?size=7&name=a%20b", UrlShare("a b", 7)),
        (b"/announce?name=a&size=-7", UrlShare("a", 0)),
        (b"/announce?name=a&size=99999999999999999999999", UrlShare("a", 0)),
        (b"/announce?name=a&size=9999999999999999999", UrlShare("a", 2**63 - 1)),
        (b"/announce?token=T&name=a&token=x", UrlShare("a", 0, b"T")),
        (b"/announce/T?name=a", UrlShare("a", 0, b"T")),
        (b"/announce/T?name=a&token=U", UrlShare("a", 0, b"U")),
        (b"/announce/T/U?name=a&mytoken=1", UrlShare("a", 0)),
        (b"/announce?name=a&token=" + b"x" * 99, UrlShare("a", 0, b"x" * 65)),
        (b"/announce?filename=a", None),
        (b"/announce?name=", None),
        (b"/announce", None),
        (b"name=a", None),
    ],
)
def test_url_data_names_a_share(data: bytes, share: UrlShare | None) -> None:
    assert tracker_urls.parse_url_data(data) == share


@pytest.mark.parametrize("lead", ["", "a", "ab", "abc", "abcd", "abcde"])
@pytest.mark.parametrize("character", ["\xe4", "\u3042", "\U0001f600"])
@pytest.mark.parametrize("write", [quote, str])
def test_a_name_cut_off_within_a_character_ends_with_the_one_before(
    lead: str, character: str, write: Callable[[str], str]
) -> None:
    """libtorrent 2.1.1 sends 255 bytes of path and query, wherever that cuts them."""
    name = lead + 255 * character
    data = f"/announce?name={write(name)}".encode()
    share = tracker_urls.parse_url_data(data[:255])
    assert share is not None
    whole = (255 - len(f"/announce?name={lead}")) // len(write(character).encode())
    assert share.name == name[: len(lead) + whole]


@pytest.mark.parametrize(
    "data",
    [
        b"/announce?name=a%C3",  # nobody cut it
        b"/announce?name=%C3&size=" + b"1" * 231,
        b"/announce?name=%FF" + b"a" * 237,
    ],
)
def test_a_name_that_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="not UTF-8"):
        tracker_urls.parse_url_data(data)


def test_a_file_name_that_is_not_text_becomes_a_readable_hint() -> None:
    assert tracker_urls.url_data("", share_name="a\udcffb") == b"/announce?name=a%3Fb"


@pytest.mark.parametrize(
    "name", ["", "a\nb", "\x1b[2J", "a\u202egpj.exe", "a\u2028b", "\ud800", "x" * 256, "ü" * 128]
)
def test_names_that_would_disturb_a_terminal_are_faulty(name: str) -> None:
    assert name_fault(name)


@pytest.mark.parametrize(
    "name", ["ubuntu.iso", "x" * MAX_NAME_BYTES, "naïve 日本.txt", "👩\u200d🚀.png", "a/b"]
)
def test_ordinary_names_are_not(name: str) -> None:
    assert name_fault(name) is None


def test_whether_an_info_hash_holds_a_name_is_asked_and_answered() -> None:
    request = udp_tracker.claim_request(b"12345678", 7, "größe.iso", b"h" * 20)
    assert udp_tracker.is_claim(request)
    assert udp_tracker.parse_claim_request(request) == (7, "größe.iso", b"h" * 20, b"")
    for cut in range(1, 20):
        with pytest.raises(RemoteProtocolError):
            udp_tracker.parse_claim_request(request[:-cut])
    assert not udp_tracker.is_claim(
        udp_tracker.name_request(b"12345678", 7, "größe.iso", is_glob=True)
    )
    match = udp_tracker.NameMatch(b"h" * 20, 5, 1, 0, "größe.iso")
    assert udp_tracker.parse_claim_answer(udp_tracker.claim_answer(7, match, "")) is None
    refused = udp_tracker.claim_answer(7, None, "no room\n\x1b[2J" + "!" * 999)
    assert len(refused) <= udp_tracker.MAX_ANSWER
    assert (udp_tracker.parse_claim_answer(refused) or "").startswith("no room[2J!!")
    # Who knows no such question takes it for an unknown name.
    assert udp_tracker.parse_name_answer(refused) == udp_tracker.NamePage(0, (), 0)
    assert udp_tracker.parse_claim_answer(udp_tracker.name_answer(7, 0, ())) is None


@given(st.binary(max_size=60))
def test_no_answer_to_a_claim_raises_anything_else(data: bytes) -> None:
    try:
        reason = udp_tracker.parse_claim_answer(data)
    except RemoteProtocolError:
        return
    assert reason is None or reason.isprintable()


@pytest.mark.parametrize(
    ("name", "registered"),
    [
        ("ubuntu.iso", "ubuntu.iso"),
        ("", ""),
        ("line\nbreak \x1b[31m", "line_break _[31m"),
        ("gpj\u202e.exe\udcff", "gpj_.exe_"),
        ("é" * 200, "é" * 127),
    ],
)
def test_a_file_of_any_name_can_be_registered(name: str, registered: str) -> None:
    """Our tracker refuses the announce of another name, and then nobody finds the seeder."""
    assert registrable_name(name) == registered
    assert not registered or name_fault(registered) is None
