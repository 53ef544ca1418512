"""What libraries raise for strangers' hosts and for the environment: that tracker fails, in a line.

The faults are those of httpx 0.28, httpcore 1, idna, ssl and getaddrinfo on Python 3.11 to 3.13.
"""

import math
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from tracker_scripts import HASH, REQUEST, http_script, response
from trio_swarm.announcing.clients import TrackerClients, open_tracker_clients
from trio_swarm.config.values import parse_tracker, parse_tracker_list
from trio_swarm.errors import ConfigError, MetainfoError, TrackerError, TrackerUnreachableError
from trio_swarm.protocol.addresses import host_fault
from trio_swarm.protocol.bencode import encode
from trio_swarm.protocol.metainfo.magnet import parse_magnet
from trio_swarm.protocol.metainfo.torrent import usable_tracker_urls

ANSWER = response(encode({"peers": b""}))

HOSTS = [
    "a..b",
    ".a",
    "a..",
    "x" * 64,
    f"{'x' * 64}.example",
    "x." * 150,
    "xn--ü.example",
    "\u200d.example",
    "a\x00b.example",
    "\ud800.example",
    "a_b..example",
    "-",
    "%00",
    "%2e%2e",
    "*",
    "[::1%25lo]",
    "[::1%25nowhere]",
    "[fe80::1%25]",
    "[::g]",
    "[v1.fe]",
    "1.2.3.4.5",
    "999.1.1.1",
    "1e10",
    "0x7f.1",
]
PORTS = ["", ":", ":0", ":1", ":65535", ":65536", ":99999999999999999999", ":-1", ":x", ":٣"]


getaddrinfo = socket.getaddrinfo


def look_up_nothing(  # noqa: PLR0917 - as the real one is called
    host: str | bytes | None,
    port: int,
    family: int = 0,
    type: int = 0,  # noqa: A002
    proto: int = 0,
    flags: int = 0,
) -> list[tuple[object, ...]]:
    """Ask no server, after the real one's own checks; addresses are all on this machine."""
    if isinstance(host, str):
        host.encode("idna")
    found = getaddrinfo(host, port, family, type, proto, flags | socket.AI_NUMERICHOST)
    return [entry for entry in found if str(entry[4][0]).startswith(("127.", "::", "0.0.0.0"))]


@pytest.fixture
def no_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(socket, "getaddrinfo", look_up_nothing)


async def fails(clients: TrackerClients, url: str) -> None:
    """Ask all there is to ask: an answer or a TrackerError of one line is all there may be."""
    questions: list[Callable[[], Awaitable[object]]] = [
        lambda: clients.announce(url, REQUEST, tries=1),
        lambda: clients.scrape(url, [HASH]),
        lambda: clients.resolve(url, "name"),
    ]
    for question in questions:
        try:
            await question()
        except TrackerError as error:
            assert len(str(error)) < 5000  # noqa: PT017 - none is fine, too


@pytest.mark.parametrize("host", HOSTS)
@pytest.mark.parametrize("scheme", ["udp", "http", "https"])
async def test_a_host_that_cannot_be_is_a_failed_tracker(
    no_names: None, host: str, scheme: str
) -> None:
    async with open_tracker_clients(first_timeout=0.05, tries=1, http_timeout=1) as clients:
        for port in (":1", "" if scheme != "udp" else ":9"):
            await fails(clients, f"{scheme}://{host}{port}/announce")


@pytest.mark.parametrize("host", ["a..b", "x" * 64, ".a", "a_b..example"])
@pytest.mark.parametrize("scheme", ["udp", "http", "https"])
async def test_a_host_that_no_resolver_can_encode_is_named_and_not_tried_again(
    no_names: None, host: str, scheme: str
) -> None:
    async with open_tracker_clients() as clients:
        with pytest.raises(TrackerUnreachableError, match=f"not a host name: '{host}'") as raised:
            await clients.announce(f"{scheme}://{host}:80/announce", REQUEST)
    assert raised.value.retry_in == math.inf
    assert "\n" not in str(raised.value)


@pytest.mark.parametrize("port", PORTS)
@pytest.mark.parametrize("scheme", ["udp", "http", "https"])
async def test_a_port_out_of_range_is_a_failed_tracker(scheme: str, port: str) -> None:
    async with open_tracker_clients(first_timeout=0.05, tries=1, http_timeout=1) as clients:
        await fails(clients, f"{scheme}://127.0.0.1{port}/announce")


@pytest.mark.parametrize(
    "location",
    [
        *(f"http://{host.encode('latin-1', 'replace').decode('latin-1')}/" for host in HOSTS),
        "http://[",
        "http://[::1",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1:x/",
        "udp://127.0.0.1:1/",
        "//",
        "\x00",
        "http://a b/",
        "/" + "x" * 70_000,
        "http://\xff\xfe/",
    ],
)
async def test_a_redirect_to_such_is_a_failed_tracker(no_names: None, location: str) -> None:
    answer = response(b"", status="302 Found", headers=f"Location: {location}\r\n")
    async with http_script(answer) as (url, _), open_tracker_clients(http_timeout=5) as clients:
        with pytest.raises(TrackerUnreachableError) as raised:
            await clients.announce(url, REQUEST)
    assert len(str(raised.value)) < 1000


text = st.text(max_size=60) | st.text(alphabet="ab.:/[]%@?#-_0159 \\é\u200d\x00", max_size=40)
urls = text | st.builds(
    "{}://{}{}".format,
    st.sampled_from(["udp", "http", "https", "HTTP", "wss", ""]),
    text | st.sampled_from(HOSTS),
    st.sampled_from([*PORTS, "/announce", ":1/announce", ":80/announce?name=%ff"]),
)


@given(url=urls)
@settings(deadline=None)
def test_any_text_as_a_url_is_refused_or_a_tracker(url: str) -> None:
    for parse in (parse_tracker, parse_tracker_list):
        try:
            parse(url)
        except ConfigError as error:
            assert len(str(error)) < 1000  # noqa: PT017 - none is fine, too
    assert len(usable_tracker_urls([url])) <= 1
    host_fault(url)
    try:
        parse_magnet(f"magnet:?xt=urn:btih:{'a' * 40}&tr={url}&x.pe={url}&dn={url}")
    except MetainfoError:
        return


@given(several=st.lists(urls, min_size=1, max_size=5))
@settings(deadline=None, max_examples=60)
def test_any_text_as_a_url_is_an_answer_or_a_failed_tracker(several: list[str]) -> None:
    async def ask() -> None:
        async with (
            open_tracker_clients(first_timeout=0.02, tries=1, http_timeout=0.5) as clients,
            trio.open_nursery() as nursery,
        ):
            for url in several:
                nursery.start_soon(fails, clients, url)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(socket, "getaddrinfo", look_up_nothing)
        trio.run(ask)


BAD_ENVIRONMENTS = [
    ("HTTP_PROXY", "socks5://127.0.0.1:1"),
    ("HTTP_PROXY", "ftp://127.0.0.1:1"),
    ("HTTP_PROXY", "http://[::1"),
    ("HTTP_PROXY", "http://127.0.0.1:99999999"),
    ("http_proxy", "garbage://"),
    ("HTTPS_PROXY", "socks4a://x"),
    ("ALL_PROXY", "socks5h://127.0.0.1:1080"),
    ("ALL_PROXY", "://"),
    ("ALL_PROXY", "http://a\x7fb/"),
    ("NO_PROXY", "[::1"),
    ("NO_PROXY", "a b\x01"),
]


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    certificates = ("SSL_CERT_FILE", "SSL_CERT_DIR", "SSLKEYLOGFILE")
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", *certificates):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    return monkeypatch


@pytest.mark.parametrize(("variable", "value"), BAD_ENVIRONMENTS)
async def test_a_proxy_that_cannot_be_used_is_a_failed_tracker_that_names_the_variable(
    environment: pytest.MonkeyPatch, variable: str, value: str
) -> None:
    environment.setenv(variable, value)
    if variable == "NO_PROXY":
        environment.setenv("HTTP_PROXY", "http://127.0.0.1:1")
    async with http_script(ANSWER) as (url, _), open_tracker_clients(http_timeout=5) as clients:
        with pytest.raises(TrackerUnreachableError, match=variable) as raised:
            await clients.announce(url, REQUEST)
    assert url in str(raised.value)
    assert "\n" not in str(raised.value)


async def test_a_proxys_password_is_not_told(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PROXY", "ftp://me:hunter2@127.0.0.1:1")
    async with http_script(ANSWER) as (url, _), open_tracker_clients() as clients:
        with pytest.raises(TrackerUnreachableError, match="HTTP_PROXY") as raised:
            await clients.announce(url, REQUEST)
    assert "hunter2" not in str(raised.value)


async def test_a_proxy_that_is_not_there_is_named(environment: pytest.MonkeyPatch) -> None:
    environment.setenv("HTTP_PROXY", "127.0.0.1:1")
    async with http_script(ANSWER) as (url, _), open_tracker_clients() as clients:
        with pytest.raises(TrackerUnreachableError, match="through the proxy of HTTP_PROXY"):
            await clients.announce(url, REQUEST)
        environment.setenv("NO_PROXY", "127.0.0.1")
    async with http_script(ANSWER) as (url, _), open_tracker_clients() as clients:
        assert (await clients.announce(url, REQUEST)).peers == ()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("SSL_CERT_FILE", "missing/file"),
        ("SSL_CERT_FILE", "junk.pem"),
        ("SSL_CERT_FILE", "."),
        ("SSLKEYLOGFILE", "missing/file"),
        ("SSLKEYLOGFILE", "."),
    ],
)
async def test_certificates_that_cannot_be_used_fail_https_and_name_the_variable(
    environment: pytest.MonkeyPatch, tmp_path: Path, variable: str, value: str
) -> None:
    (tmp_path / "junk.pem").write_text("junk")
    environment.setenv(variable, str(tmp_path / value))
    async with http_script(ANSWER) as (url, _), open_tracker_clients() as clients:
        # Plain HTTP needs none.
        assert (await clients.announce(url, REQUEST)).peers == ()
        with pytest.raises(TrackerUnreachableError, match=f"{variable} cannot be used") as raised:
            await clients.announce(url.replace("http://", "https://"), REQUEST)
        assert raised.value.retry_in == math.inf
