"""HTTP requests to a tracker, read: heads, announces, scrapes, and who asks."""

import socket
from urllib.parse import quote, quote_from_bytes, unquote_to_bytes, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.errors import RemoteProtocolError
from trio_swarm.protocol.trackers import http as http_tracker
from trio_swarm.protocol.trackers.announces import AnnounceEvent, AnnounceRequest
from trio_swarm.protocol.trackers.urls import UrlShare
from trio_swarm.tracker.http.forwarded import MAX_PROXIES, TrustedProxies
from trio_swarm.tracker.http.heads import (
    MAX_FIELDS,
    MAX_HEAD,
    BadRequestError,
    NotHttpError,
    RequestHead,
    read_head,
)
from trio_swarm.tracker.http.requests import (
    MAX_HASHES,
    MAX_ITEMS,
    MAX_LEFT,
    NameFaultError,
    read_announce,
    read_scrape,
    unquoted,
)

HASH = bytes(range(90, 110))
PEER_ID = b"-LT2110-%& +=#/\\\x00\xff~'"
HOST = socket.inet_aton("192.0.2.9")


def head_of(data: bytes) -> RequestHead:
    head = read_head(data)
    assert head is not None
    return head


@given(data=st.binary(max_size=300), lines=st.booleans())
def test_no_bytes_raise_anything_but_what_is_said(data: bytes, lines: bool) -> None:  # noqa: FBT001
    for prefix in (b"", b"GET ", b"GET /announce HTTP/1.1\r\n"):
        whole = prefix + data + (b"\r\n\r\n" if lines else b"")
        try:
            head = read_head(whole)
        except (NotHttpError, BadRequestError):
            continue
        assert head is None or 0 < head.size <= len(whole)


@given(
    target=st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), max_size=80),
    fields=st.lists(
        st.tuples(
            st.sampled_from(["Accept", "X-Forwarded-For", "connection", "User-Agent"]),
            st.sampled_from(["close", "keep-alive", "Upgrade, close", "1.2.3.4", "", "a\xe9 b\tc"]),
        ),
        max_size=6,
    ),
    is_old=st.booleans(),
    method=st.sampled_from(["GET", "HEAD"]),
    more=st.binary(max_size=20),
)
def test_a_head_is_the_same_in_pieces_and_whatever_follows(
    target: str,
    fields: list[tuple[str, str]],
    is_old: bool,  # noqa: FBT001
    method: str,
    more: bytes,
) -> None:
    version = "HTTP/1.0" if is_old else "HTTP/1.1"
    lines = [f"{method} /{target} {version}", "Host: t.example:6969"]
    lines += [f"{name}: {value}" for name, value in fields]
    data = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
    for end in range(len(data)):
        assert read_head(data[:end]) is None
    head = head_of(data + more)
    assert head.size == len(data)
    path, _, query = f"/{target}".encode().partition(b"?")
    assert (head.path, head.query) == (path, query)
    assert head.wants_body == (method == "GET")
    told = [
        option for name, value in fields if name == "connection" for option in value.split(", ")
    ]
    assert head.keeps == (
        "keep-alive" in told and "close" not in told if is_old else "close" not in told
    )
    hops = [value.strip() for name, value in fields if name == "X-Forwarded-For"]
    assert head.forwarded == ",".join(hops).encode("latin-1")


@pytest.mark.parametrize(
    "data",
    [
        b"\x13BitTorrent protocol" + bytes(48),
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",  # TLS
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"GET /announce\r\n",  # HTTP/0.9
        b"GET /announce HTTP/2.0\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"get /announce HTTP/1.1\r\n\r\n",
        b"GET /a b HTTP/1.1\r\n\r\n",
        b"GET /announce HTTP/1.1\nHost: t\n\n",
        b"\r\n\r\nGET / HTTP/1.1\r\n\r\n",
        b"GET  / HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_http_is_told_apart_as_soon_as_it_is_seen(data: bytes) -> None:
    with pytest.raises(NotHttpError):
        read_head(data)


@pytest.mark.parametrize(
    ("data", "status"),
    [
        (b"GET /announce HTTP/1.1\r\n\r\n", 400),  # RFC 9112, 3.2: no Host
        (b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\n folded\r\n\r\n", 400),  # RFC 9112, 5.2
        (b"GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400),  # RFC 9112, 5.1
        (b"GET / HTTP/1.1\r\nHost: a\x00\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\nX: b\r\n\r\n", 400),
        (b"GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\nabc", 400),
        (b"GET / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
        (b"GET /\xff HTTP/1.0\r\n\r\n", 400),
        (b"GET * HTTP/1.0\r\n\r\n", 400),
        (b"POST / HTTP/1.1\r\nHost: a\r\n\r\n", 405),
        (b"GET / HTTP/1.0\r\n" + b"A: b\r\n" * (MAX_FIELDS + 1) + b"\r\n", 431),
        (b"GET / HTTP/1.0\r\nA: " + b"b" * MAX_HEAD, 431),
        (b"GET /" + b"a" * MAX_HEAD, 414),
    ],
)
def test_a_request_that_two_servers_might_read_differently_is_refused(
    data: bytes, status: int
) -> None:
    with pytest.raises(BadRequestError) as refused:
        read_head(data)
    assert refused.value.status == status


def test_old_clients_send_no_host_and_proxies_whole_urls() -> None:
    """HTTP/1.0 has no Host (RFC 1945); RFC 9112, 3.2.2 and 2.2."""
    assert head_of(b"GET /scrape?a HTTP/1.0\r\n\r\n").path == b"/scrape"
    absolute = head_of(b"GET HTTP://t.example:80/announce?a=b HTTP/1.1\r\nHost: x\r\n\r\n")
    assert (absolute.path, absolute.query) == (b"/announce", b"a=b")
    assert absolute.size == len(b"GET HTTP://t.example:80/announce?a=b HTTP/1.1\r\nHost: x\r\n\r\n")
    bare = b"GET http://t.example?a HTTP/1.0\r\n\r\n"
    assert (head_of(bare).path, head_of(bare).query, head_of(bare).size) == (b"/", b"a", len(bare))
    line_first = b"\r\nGET / HTTP/1.0\r\n\r\n"
    assert head_of(line_first).size == len(line_first)


@given(
    value=st.binary(max_size=40),
    safe=st.sampled_from(["", "=", "=+&", "~-_.!*'()"]),
    lower=st.booleans(),
)
def test_values_are_unquoted_as_urllib_does(value: bytes, safe: str, lower: bool) -> None:  # noqa: FBT001
    quoted = quote_from_bytes(value, safe=safe)
    if lower:
        quoted = quoted.lower()
    assert unquoted(quoted.encode()) == unquote_to_bytes(quoted)
    assert unquoted(b"".join(b"%%%02x" % byte for byte in value)) == value


@pytest.mark.parametrize("value", [b"%", b"%4", b"%zz", b"a%", b"%%41", b"%41%", b"%=41", b"==%"])
def test_an_escape_that_is_none_makes_the_value_nothing(value: bytes) -> None:
    assert unquoted(value) == b""


@given(
    request=st.builds(
        AnnounceRequest,
        info_hash=st.binary(min_size=20, max_size=20),
        peer_id=st.binary(min_size=20, max_size=20),
        port=st.integers(0, 0xFFFF),
        left=st.integers(0, 2**60),
        event=st.sampled_from(AnnounceEvent),
        key=st.integers(0, 2**32 - 1),
        num_want=st.integers(-1, 500),
        share_name=st.none() | st.text(st.characters(codec="utf-8"), min_size=1, max_size=40),
        size=st.none() | st.integers(0, 2**60),
    ),
    url=st.sampled_from(["http://t/announce", "http://t/announce/KEY?name=old&size=7", "http://t"]),
)
def test_what_our_client_asks_is_understood(request: AnnounceRequest, url: str) -> None:
    target = urlsplit(http_tracker.announce_url(url, request))
    assert target.path.startswith("/announce")
    announce, is_packed = read_announce(target.query.encode(), HOST)
    assert is_packed
    info_hash, address, left, event, num_want, share, peer_id, key = announce
    assert (info_hash, peer_id, key) == (request.info_hash, request.peer_id, request.key)
    assert address == HOST + request.port.to_bytes(2, "big")
    assert (left, event, num_want) == (request.left, request.event, request.num_want)
    if request.share_name is not None:
        assert share is not None
        assert share.name == request.share_name
        old = 7 if "size=7" in url else 0
        assert share.size == (old if request.size is None else request.size)


BASIC = f"info_hash={quote(HASH)}&peer_id={quote(PEER_ID)}&port=6881".encode()


@pytest.mark.parametrize(
    ("more", "number", "value"),
    [
        (b"&left=0", 2, 0),
        (b"&left=000", 2, 0),
        (b"", 2, MAX_LEFT),  # who does not say is no seeder
        (b"&left=", 2, MAX_LEFT),
        (b"&left=-1", 2, MAX_LEFT),
        (b"&left=99999999999999999999999", 2, MAX_LEFT),
        (b"&event=started", 3, 2),
        (b"&event=completed", 3, 1),
        (b"&event=stopped", 3, 3),
        (b"&event=", 3, 0),
        (b"&event=paused", 3, 0),  # BEP 21
        (b"&numwant=0", 4, 0),
        (b"&numwant=80", 4, 80),
        (b"&numwant=-1", 4, -1),  # the default, as over UDP (BEP 15)
        (b"&numwant=x", 4, -1),
        (b"", 4, -1),
        (b"&name=a%20b&size=9", 5, UrlShare("a b", 9)),
        (b"&name=a&token=T", 5, UrlShare("a", 0, b"T")),
        (b"&filename=x", 5, None),
        (b"&key=0000ABCD", 7, 0xABCD),
        (b"&key=-1", 7, 808_273_962),  # another text: any number that stays the same
        (b"&key=", 7, 0),
        # The address it names would be a victim's (BEP 7, "IP announce parameters").
        (b"&ip=203.0.113.1&ipv4=203.0.113.1:1&ipv6=::2", 1, HOST + b"\x1a\xe1"),
        # A torrent's URL may hold other people's fields; the client's own come last.
        (b"&port=6882", 1, HOST + b"\x1a\xe2"),
        (b"&supportcrypto&&x", 1, HOST + b"\x1a\xe1"),
    ],
)
def test_fields_of_an_announce(more: bytes, number: int, value: object) -> None:
    announce, is_packed = read_announce(BASIC + more, HOST)
    assert announce[number] == value
    assert is_packed


def test_peers_are_listed_only_for_those_who_write_compact_0() -> None:
    """npm's bittorrent-tracker 11.2 reads compact peers only; BEP 23."""
    assert [read_announce(BASIC + more, HOST)[1] for more in (b"&compact=0", b"&compact=1")] == [
        False,
        True,
    ]


@pytest.mark.parametrize(
    "query",
    [
        b"",
        b"port=1",
        b"info_hash=abc&port=1",
        b"info_hash=" + b"%zz" + b"a" * 17 + b"&port=1",
        BASIC[: BASIC.index(b"&port")],
        BASIC + b"&port=65536",
        BASIC + b"&port=-1",
        BASIC + b"&port=1e3",
        BASIC + b"&a=b" * MAX_ITEMS,
    ],
)
def test_an_announce_that_says_too_little_or_too_much_is_refused(query: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read_announce(query, HOST)


def test_a_name_that_is_no_text_is_refused_with_its_announce() -> None:
    with pytest.raises(NameFaultError) as refused:
        read_announce(BASIC + b"&name=%ff", HOST)
    assert refused.value.info_hash == HASH
    assert refused.value.address == HOST + b"\x1a\xe1"


@given(query=st.binary(max_size=200))
def test_no_query_raises_anything_else(query: bytes) -> None:
    for prefix in (b"", BASIC):
        try:
            announce, _ = read_announce(prefix + query, HOST)
        except RemoteProtocolError:
            continue
        assert 0 <= announce[7] < 2**32
        assert 0 <= announce[2] <= 2**64
    try:
        assert read_scrape(query)
    except RemoteProtocolError:
        return


@given(hashes=st.lists(st.binary(min_size=20, max_size=20), min_size=1, max_size=MAX_HASHES))
def test_a_scrape_is_of_each_info_hash_once(hashes: list[bytes]) -> None:
    """BEP 48."""
    url = urlsplit(http_tracker.scrape_url("http://t/announce?passkey=1", hashes))
    assert read_scrape(url.query.encode()) == list(dict.fromkeys(hashes))


@pytest.mark.parametrize(
    "query",
    [b"", b"a=b", b"info_hash=", b"info_hash=a", b"&".join([b"info_hash=" + b"a" * 20] * 101)],
)
def test_a_scrape_of_nothing_of_everything_or_too_much_is_refused(query: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        read_scrape(query)


@pytest.mark.parametrize(
    ("url", "scrape", "names"),
    [
        ("http://t/announce", "http://t/scrape", "http://t/names"),
        ("http://t/announce.php?k=1", "http://t/scrape.php?k=1", "http://t/names.php?k=1"),
        ("http://t/announce/KEY", "http://t/scrape/KEY", "http://t/names/KEY"),
        ("http://t/KEY/announce?name=x", "http://t/KEY/scrape?name=x", "http://t/KEY/names"),
        ("http://t", "http://t/scrape", "http://t/names"),
    ],
)
def test_keys_stay_where_they_are_in_the_urls_of_other_questions(
    url: str, scrape: str, names: str
) -> None:
    """BEP 48: "announce" is replaced, and nothing else."""
    sign = "&" if "?" in scrape else "?"
    assert http_tracker.scrape_url(url, [b"a" * 20]) == f"{scrape}{sign}info_hash={'a' * 20}"
    sign = "&" if "?" in names else "?"
    assert http_tracker.names_url(url, "a b", offset=3) == f"{names}{sign}name=a%20b&offset=3"
    assert (
        http_tracker.names_url(url, "*", is_glob=True, info_hash=b"a" * 20)
        == f"{names}{sign}pattern=%2A&info_hash={'a' * 20}"
    )


PROXIES = TrustedProxies(["192.0.2.0/24", "::1", "2001:db8:1::/48"])


def packed(text: str) -> bytes:
    return socket.inet_pton(socket.AF_INET6 if ":" in text else socket.AF_INET, text)


@pytest.mark.parametrize(
    ("host", "forwarded", "asker"),
    [
        ("198.51.100.1", b"203.0.113.5", "198.51.100.1"),  # a stranger's word
        ("192.0.2.1", b"", "192.0.2.1"),
        ("192.0.2.1", b"203.0.113.5", "203.0.113.5"),
        # What the client itself wrote stands before the address that the proxy saw.
        ("192.0.2.1", b"203.0.113.99, 203.0.113.5", "203.0.113.5"),
        ("192.0.2.1", b"203.0.113.99,203.0.113.5 ,192.0.2.7", "203.0.113.5"),
        ("192.0.2.1", b"192.0.2.3, 192.0.2.7", "192.0.2.3"),
        ("::1", b"2001:db8::5", "2001:db8::5"),
        ("::1", b"[2001:db8::5]:4711", "2001:db8::5"),
        ("::1", b"203.0.113.5:4711", "203.0.113.5"),
        ("::1", b"::ffff:203.0.113.5", "203.0.113.5"),
        ("192.0.2.1", b"203.0.113.5," + b"192.0.2.7," * MAX_PROXIES + b"192.0.2.8", "192.0.2.7"),
    ],
)
def test_who_asks_is_what_the_last_trusted_proxy_saw(
    host: str, forwarded: bytes, asker: str
) -> None:
    assert PROXIES.asker(packed(host), forwarded) == packed(asker)


@pytest.mark.parametrize(
    "forwarded", [b"unknown", b"203.0.113.5,", b"1.2.3", b"\xff", b"1.2.3.4\0"]
)
def test_a_proxy_that_tells_no_address_is_an_error(forwarded: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        PROXIES.asker(packed("192.0.2.1"), forwarded)


@given(forwarded=st.binary(max_size=60))
def test_nothing_that_a_proxy_tells_raises_anything_else(forwarded: bytes) -> None:
    try:
        assert len(PROXIES.asker(packed("192.0.2.1"), forwarded)) in {4, 16}
    except RemoteProtocolError:
        return
