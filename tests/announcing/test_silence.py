"""Silent trackers, addresses and name servers: none of them holds up the others for long."""

import contextlib
import socket
import threading
from collections.abc import Awaitable, Callable

import pytest
import trio

from deaf_name_server import deaf_name_server
from tracker_scripts import (
    HASH,
    REQUEST,
    Script,
    connected_script,
    http_script,
    response,
    silent_udp,
    udp_script,
)
from trio_swarm import events, search_names
from trio_swarm.announcing import racing
from trio_swarm.announcing.clients import TrackerClients, open_tracker_clients
from trio_swarm.announcing.names import find_name
from trio_swarm.errors import (
    NameAmbiguousError,
    NameUnknownError,
    TrackerRefusedError,
    TrackerUnreachableError,
)
from trio_swarm.protocol.bencode import encode
from trio_swarm.protocol.trackers import udp as udp_tracker
from trio_swarm.protocol.trackers.announces import NameMatch

MATCH = NameMatch(HASH, 5, 1, 0, "name")
OTHER = NameMatch(HASH[::-1], 5, 3, 0, "name")


def names(*matches: NameMatch) -> Script:
    """A tracker that knows these names."""
    return connected_script(
        lambda _request, transaction: udp_tracker.name_answer(transaction, len(matches), matches)
    )


def late(script: Script, datagrams: int) -> Script:
    """A tracker that loses its first datagrams."""
    left = datagrams

    def answer(data: bytes) -> bytes | list[bytes] | None:
        nonlocal left
        left -= 1
        return None if left >= 0 else script(data)

    return answer


async def find(*urls: str) -> tuple[NameMatch, list[events.Event], float]:
    told: list[events.Event] = []
    began = trio.current_time()
    async with open_tracker_clients() as clients:
        match = await find_name(clients, urls, "name", info_hash=None, emit=told.append)
    return match, told, trio.current_time() - began


async def test_a_silent_tracker_of_two_delays_a_name_by_a_second(autojump_clock: object) -> None:
    async with udp_script(names(MATCH)) as good, silent_udp() as silent:
        for urls in ((good, silent), (silent, good)):
            match, told, took = await find(*urls)
            assert match == MATCH
            assert took < 1.5
            assert [event.tracker for event in told if isinstance(event, events.TrackerSilent)] == [
                silent
            ]


async def test_one_that_does_not_know_the_name_is_not_the_last_word(
    autojump_clock: object,
) -> None:
    async with udp_script(names()) as empty, udp_script(late(names(MATCH), 1)) as slow:
        match, _, took = await find(empty, slow)
        assert match == MATCH
        assert took < 4


async def test_another_torrent_of_that_name_is_not_missed_within_the_grace(
    autojump_clock: object,
) -> None:
    async with udp_script(names(MATCH)) as one, udp_script(names(OTHER)) as other:
        with pytest.raises(NameAmbiguousError):
            await find(one, other)


async def test_an_unknown_name_names_who_was_silent(autojump_clock: object) -> None:
    async with udp_script(names()) as empty, silent_udp() as silent:
        began = trio.current_time()
        with pytest.raises(NameUnknownError, match=f"asked {empty}; no answer from {silent}"):
            await find(empty, silent)
        assert trio.current_time() - began < 6


async def test_a_single_silent_tracker_is_named_after_two_seconds(autojump_clock: object) -> None:
    told: list[tuple[float, events.Event]] = []
    began = trio.current_time()
    async with silent_udp() as silent:
        with pytest.raises(TrackerUnreachableError, match="firewall"):
            await search_names(
                [silent], on_event=lambda event: told.append((trio.current_time() - began, event))
            )
    ((at, event),) = told
    assert isinstance(event, events.TrackerSilent)
    assert (round(at), event.tracker) == (2, silent)


async def test_a_list_waits_two_seconds_for_the_rest_of_it(autojump_clock: object) -> None:
    told: list[events.Event] = []
    async with (
        udp_script(names(MATCH)) as good,
        udp_script(names(OTHER)) as other,
        silent_udp() as silent,
    ):
        began = trio.current_time()
        found = await search_names([silent, good, other], on_event=told.append)
        assert found == [OTHER, MATCH]
        assert trio.current_time() - began < 2.5
    (event,) = told
    assert isinstance(event, events.TrackerSilent)
    assert event.tracker == silent


async def test_a_long_list_is_read_on_after_a_short_one_has_come(autojump_clock: object) -> None:
    """Each page of it takes a round trip; the tracker is slow, and not silent."""
    long = [NameMatch(HASH, 1, 1, 0, f"name {number:03}") for number in range(20)]

    lost = set(range(1, 20))

    def page(request: bytes, transaction: int) -> bytes | None:
        offset = int.from_bytes(request[16:18], "big")
        if offset in lost:
            lost.remove(offset)  # it comes when it is asked for again, 2 s later
            return None
        return udp_tracker.name_answer(transaction, len(long), long[offset : offset + 1])

    told: list[events.Event] = []
    async with udp_script(names(MATCH)) as quick, udp_script(connected_script(page)) as url:
        found = await search_names([quick, url], on_event=told.append)
    # What comes within 20 s is taken.
    assert [match.name for match in found] == ["name", *(f"name {n:03}" for n in range(10))]
    assert told == []


async def test_a_tracker_that_fails_beside_one_that_answers_is_named(
    autojump_clock: object,
) -> None:
    told: list[events.Event] = []
    async with udp_script(names(MATCH)) as good:
        assert await search_names(["udp://a..b:1", good], on_event=told.append) == [MATCH]
    (event,) = told
    assert isinstance(event, events.TrackerFailed)
    assert "not a host name" in event.reason


@pytest.mark.parametrize(
    "answer",
    [
        response(b"not found", status="404 Not Found"),  # opentracker 0.0~git20210823
        response(b"d8:completei0ee"),
        response(b"<html>"),
    ],
)
async def test_an_http_tracker_that_knows_no_names_is_no_news_beside_one_that_does(
    answer: bytes,
) -> None:
    told: list[events.Event] = []
    async with udp_script(names(MATCH)) as good, http_script(answer) as (url, targets):
        assert await search_names([good, url], on_event=told.append) == [MATCH]
        assert targets == [b"/t/names?passkey=1&pattern=%2A"]
        assert told == []
        with pytest.raises(TrackerRefusedError, match="it knows no names"):
            await search_names([url])


async def test_an_http_tracker_that_is_not_there_is_no_news_beside_one_that_answers(
    autojump_clock: object,
) -> None:
    told: list[events.Event] = []
    async with udp_script(names(MATCH)) as good:
        urls = [good, "http://127.0.0.1:1/announce"]
        assert await search_names(urls, on_event=told.append) == [MATCH]
    assert told == []


@pytest.fixture
def hosts(monkeypatch: pytest.MonkeyPatch) -> dict[str, list[str]]:
    """A resolver of the test's own: host → addresses."""
    known: dict[str, list[str]] = {}
    getaddrinfo = socket.getaddrinfo

    def look_up(host: str | bytes, port: int, *args: int, **named: int) -> list[tuple[object, ...]]:
        name = host.decode() if isinstance(host, bytes) else host
        return [
            entry
            for address in known.get(name, [name])
            for entry in getaddrinfo(address, port, *args, **named)
        ]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return known


async def test_silent_addresses_of_a_host_do_not_use_up_the_tries_of_the_others(
    hosts: dict[str, list[str]],
) -> None:
    """Each is asked by itself, the next one a second later: RFC 8305 does so for TCP."""
    hosts["tracker.example"] = ["127.0.0.2", "127.0.0.3", "127.0.0.1"]
    async with contextlib.AsyncExitStack() as stack:
        url = await stack.enter_async_context(udp_script(names(MATCH)))
        port = int(url.rsplit(":", 1)[1].split("/")[0])
        for host in ("127.0.0.2", "127.0.0.3"):
            udp = stack.enter_context(trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
            await udp.bind((host, port))
        async with open_tracker_clients(tries=2) as clients:
            found = await clients.resolve(f"udp://tracker.example:{port}", "name")
        assert found == [MATCH]


async def test_an_http_tracker_of_both_families_is_told_over_both(
    hosts: dict[str, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """BEP 7: one announce for each family; libtorrent 2.1 does so from each of its sockets."""
    monkeypatch.setattr(racing, "OTHER_FAMILY_GRACE", 30.0)  # the machine may be busy
    hosts["tracker.example"] = ["127.0.0.1", "::1"]
    sources: list[str] = []

    def talk(number: int) -> object:
        peer = bytes((10, 0, 0, number, 0, 8))
        body = encode({"interval": 60, "peers": peer, "complete": number})

        async def answer(stream: trio.SocketStream) -> None:
            sources.append(stream.socket.getpeername()[0])
            await stream.send_all(response(body))

        return answer

    async with http_script(talk(1)) as (url, _):  # type: ignore[arg-type]
        port = int(url.split(":")[2].split("/")[0])
        async with trio.open_nursery() as nursery:
            six = trio.socket.socket(socket.AF_INET6, socket.SOCK_STREAM)
            try:
                await six.bind(("::1", port))
            except OSError:
                pytest.skip("no IPv6 here")
            six.listen(5)

            async def serve(stream: trio.SocketStream) -> None:
                await stream.receive_some()
                await talk(2)(stream)  # type: ignore[operator]
                await stream.aclose()

            nursery.start_soon(trio.serve_listeners, serve, [trio.SocketListener(six)])
            async with open_tracker_clients() as clients:
                answer = await clients.announce(f"http://tracker.example:{port}/announce", REQUEST)
            nursery.cancel_scope.cancel()
    assert sorted(answer.peers) == [("10.0.0.1", 8), ("10.0.0.2", 8)]
    assert (answer.seeders, answer.interval) == (2, 60)
    assert sorted(sources) == ["127.0.0.1", "::1"]


async def test_a_refusal_from_one_address_does_not_wait_for_a_silent_one(
    autojump_clock: trio.testing.MockClock, hosts: dict[str, list[str]]
) -> None:
    """The addresses of a host are one tracker: what it says over IPv4 holds for IPv6."""
    autojump_clock.autojump_threshold = 1.0
    hosts["tracker.example"] = ["127.0.0.1", "::1"]
    refusing = connected_script(
        lambda _request, transaction: udp_tracker.error_answer(transaction, "not you")
    )
    async with udp_script(refusing) as url, open_tracker_clients() as clients:
        port = int(url.rsplit(":", 1)[1].split("/")[0])
        with trio.socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as silent:
            try:
                await silent.bind(("::1", port))
            except OSError:
                pytest.skip("no IPv6 here")
            asked = f"udp://tracker.example:{port}"
            for question in (clients.announce(asked, REQUEST), clients.resolve(asked, "name")):
                began = trio.current_time()
                with pytest.raises(TrackerRefusedError, match="not you"):
                    await question
                assert trio.current_time() - began < 5


async def test_a_deaf_name_server_fails_its_tracker_and_blocks_no_threads(
    autojump_clock: trio.testing.MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    autojump_clock.autojump_threshold = 1.0
    with deaf_name_server(monkeypatch):
        async with open_tracker_clients() as clients, trio.open_nursery() as nursery:

            async def ask(url: str) -> None:
                with pytest.raises(TrackerUnreachableError, match="no answer of a name server"):
                    await clients.announce(url, REQUEST)

            for number in range(64):
                scheme = "http" if number % 2 else "udp"
                nursery.start_soon(ask, f"{scheme}://h{number}.deaf:1/announce")
            await trio.testing.wait_all_tasks_blocked()
            # The disk's threads come from Trio's own, of which there are 40.
            with trio.fail_after(1):
                await trio.to_thread.run_sync(threading.get_ident)


NameQuestion = Callable[[TrackerClients, str], Awaitable[object]]


@pytest.mark.parametrize(
    "ask",
    [
        lambda clients, url: clients.search(url, "*"),
        lambda clients, url: clients.resolve(url, "x"),
        lambda clients, url: clients.name_refusal(url, "x", HASH),
    ],
)
@pytest.mark.parametrize(
    "answer",
    [
        lambda _request, _transaction: None,  # opentracker, 0.0~git20210823
        lambda _request, transaction: udp_tracker.announce_answer(transaction, 9, 0, 0, b""),
    ],
)
async def test_a_tracker_of_another_kind_is_said_to_know_no_names(
    autojump_clock: trio.testing.MockClock,
    ask: NameQuestion,
    answer: Callable[[bytes, int], bytes | None],
) -> None:
    async with udp_script(connected_script(answer)) as url, open_tracker_clients() as clients:
        start = trio.current_time()
        with pytest.raises(TrackerRefusedError, match=r"knows no names.*magnet link"):
            await ask(clients, url)
        assert trio.current_time() - start < 7


async def test_a_tracker_that_knows_no_names_is_asked_for_one_torrent_only(
    autojump_clock: object,
) -> None:
    asked: list[bytes] = []

    def answer(request: bytes, _transaction: int) -> None:
        asked.append(request)

    async with udp_script(connected_script(answer)) as url, open_tracker_clients() as clients:
        with pytest.raises(TrackerRefusedError):
            await clients.name_refusal(url, "x", HASH)
        count = len(asked)
        assert await clients.name_refusal(url, "y", bytes(20)) is None
        assert len(asked) == count == 2


async def test_a_lost_answer_about_names_is_asked_for_again(autojump_clock: object) -> None:
    asked: list[bytes] = []

    def answer(request: bytes, transaction: int) -> bytes | None:
        asked.append(request)
        return None if len(asked) == 1 else udp_tracker.name_answer(transaction, 0, [])

    async with udp_script(connected_script(answer)) as url, open_tracker_clients() as clients:
        assert await clients.search(url, "*") == []
