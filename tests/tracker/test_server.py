"""The tracker as a server: its datagram function, and real sockets on loopback."""

import random
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from local_swarm import LIMIT, until
from tracker_stores import at_once, new_store
from trio_swarm import NodeSettings, open_node
from trio_swarm.announcing.clients import TrackerClients, open_tracker_clients
from trio_swarm.errors import ConfigError, TrackerRefusedError
from trio_swarm.events import Event, NameRefused, TrackerListening
from trio_swarm.protocol.trackers import udp as udp_tracker
from trio_swarm.protocol.trackers.announces import AnnounceEvent, AnnounceRequest, NameMatch
from trio_swarm.tracker.own_addresses import OwnAddresses
from trio_swarm.tracker.server import TrackerHandle, serve_tracker
from trio_swarm.tracker.settings import TrackerSettings
from trio_swarm.tracker.store.registry import TrackerRegistry
from trio_swarm.tracker.udp.answering import DatagramTracker
from trio_swarm.tracker.udp.batch import DatagramBatch
from trio_swarm.tracker.udp.connection_ids import ConnectionIds
from trio_swarm.tracker.udp.requests import SearchRequest

HASH = b"h" * 20
HOSTS = ["127.0.0.1", "[::1]"]
OWN = {
    ("192.0.2.9", 5000): socket.inet_aton("192.0.2.1"),
    ("2001:db8::9", 5000, 0, 0): bytes(15) + b"\7",
}


def announce(**fields: object) -> AnnounceRequest:
    values: dict[str, object] = {
        "info_hash": HASH, "peer_id": b"p" * 20, "port": 7000, "left": 5, "key": 1
    }  # fmt: skip
    return AnnounceRequest(**(values | fields))  # type: ignore[arg-type]


def new_tracker(**limits: int) -> tuple[DatagramTracker, TrackerRegistry]:
    store, registry = new_store(**limits)
    tracker = DatagramTracker(store, secret=b"s" * 32, interval=30, own_address=OWN.get)
    return tracker, registry


def sockaddr(host: str, port: int = 5000) -> tuple[str, int] | tuple[str, int, int, int]:
    return (host, port, 0, 0) if ":" in host else (host, port)


def ask(
    tracker: DatagramTracker, data: bytes, host: str, now: float = 0.0
) -> bytes | SearchRequest:
    """Let a tracker answer one datagram."""
    batch = DatagramBatch(socket.AF_INET6 if ":" in host else socket.AF_INET, capacity=1)
    # Whatever lies there is left from an earlier datagram.
    batch.memory[:] = bytes(range(256)) * (len(batch.memory) // 256) + bytes(
        len(batch.memory) % 256
    )
    batch.put(0, sockaddr(host), data)
    batch.lengths = [len(data)]
    (answer,), searches = at_once(tracker.answers(batch, now))
    assert not (answer and searches)
    return searches[0] if searches else answer


def connect(tracker: DatagramTracker, host: str, now: float = 0.0) -> bytes:
    answer = ask(tracker, udp_tracker.connect_request(1), host, now)
    assert isinstance(answer, bytes)
    return udp_tracker.parse_connect_answer(answer)


def tell(tracker: DatagramTracker, host: str, request: AnnounceRequest, now: float = 0.0) -> bytes:
    data = udp_tracker.announce_request(connect(tracker, host, now), 2, request)
    answer = ask(tracker, data, host, now)
    assert isinstance(answer, bytes)
    return answer


@asynccontextmanager
async def running_tracker(**settings: object) -> AsyncIterator[TrackerHandle]:
    async with trio.open_nursery() as nursery:
        yield await nursery.start(
            serve_tracker,
            TrackerSettings(**({"port": 0} | settings)),  # type: ignore[arg-type]
        )
        nursery.cancel_scope.cancel()


@given(
    data=st.binary(max_size=300), host=st.sampled_from(["192.0.2.9", "2001:db8::9", "fe80::1%eth0"])
)
def test_no_datagram_of_a_stranger_raises_grows_anything_or_gets_more_than_it_sent(
    data: bytes, host: str
) -> None:
    tracker, registry = new_tracker()
    for prefix in (b"", bytes.fromhex("0000041727101980 00000000"), bytes(8) + b"name"):
        datagram = prefix + data
        answer = ask(tracker, datagram, host, 5.0)
        assert isinstance(answer, bytes)
        assert len(answer) <= len(datagram)
    assert registry.counts() == (0, 0, 0)


@given(
    data=st.binary(max_size=300),
    action=st.sampled_from([0, 1, 2, 3, 4, int(udp_tracker.Action.NAME)]),
    options=st.binary(max_size=40)
    | st.binary(max_size=40).map(lambda name: b"\x02%c/?name=%b" % (len(name) + 7, name)),
    host=st.sampled_from(["192.0.2.9", "2001:db8::9", "fe80::1%eth0"]),
)
def test_no_datagram_of_an_acquaintance_raises_or_gets_more_than_1200_bytes(
    data: bytes, action: int, options: bytes, host: str
) -> None:
    tracker, registry = new_tracker(max_names=2)
    connection = connect(tracker, host)
    for body in (data, data[:82].ljust(82, b"\1") + options):
        datagram = connection + action.to_bytes(4, "big") + b"\0\0\0\7" + body
        answer = ask(tracker, datagram, host, 5.0)
        if isinstance(answer, bytes):
            assert udp_tracker.parse_answer_header(answer)[1] == 7
            assert len(answer) <= 1200
        else:
            assert isinstance(answer, SearchRequest)
    assert registry.counts().peers <= 2


def test_a_connection_id_is_good_for_one_to_two_minutes_and_one_address() -> None:
    host, other = socket.inet_aton("192.0.2.9"), socket.inet_aton("192.0.2.8")
    ids = ConnectionIds(b"secret")
    for issued in (600.0, 630.0, 659.9):
        connection = ids.issue(host, issued)
        assert ids.is_valid(connection, host, issued)
        assert ids.is_valid(connection, host, issued + 60)
        assert not ids.is_valid(connection, host, issued + 120)
        assert not ids.is_valid(connection, other, issued)
        assert not ConnectionIds(b"another").is_valid(connection, host, issued)
    # A slot number repeats after 256 slots; the hash does not.
    assert not ids.is_valid(ids.issue(host, 600.0), host, 600.0 + 256 * 60)


def test_a_wrong_connection_id_gets_an_error_and_is_not_listed() -> None:
    tracker, registry = new_tracker()
    data = udp_tracker.announce_request(b"guessed!", 9, announce())
    answer = ask(tracker, data, "192.0.2.9")
    assert answer == udp_tracker.error_answer(9, "connection id expired")
    assert registry.counts().peers == 0


@pytest.mark.parametrize(
    ("peer", "asker"),
    [("127.0.0.1", "192.0.2.9"), ("127.1.2.3", "192.0.2.9"), ("::1", "2001:db8::9")],
)
def test_a_peer_on_the_trackers_machine_is_given_as_the_asker_reaches_that_machine(
    peer: str, asker: str
) -> None:
    tracker, _ = new_tracker()
    other = "2001:db8::7f" if ":" in asker else "192.0.127.2"
    tell(tracker, peer, announce(port=7001, left=0))
    tell(tracker, other, announce(port=0x7F7F, left=0))
    answer = tell(tracker, asker, announce())
    own = socket.inet_ntop(
        socket.AF_INET6 if ":" in asker else socket.AF_INET, OWN[sockaddr(asker)]
    )
    peers = udp_tracker.parse_announce_answer(answer, ipv6=":" in asker).peers
    assert set(peers) == {(own, 7001), (other, 0x7F7F)}
    # One on the same machine reaches it as it announced itself.
    same = tell(tracker, peer, announce(port=7002))
    assert (peer, 7001) in udp_tracker.parse_announce_answer(same, ipv6=":" in asker).peers


def test_a_peer_nobody_else_can_reach_is_left_out_if_our_address_is_unknown() -> None:
    tracker, _ = new_tracker()
    tell(tracker, "127.0.0.1", announce(port=7001, left=0))
    answer = udp_tracker.parse_announce_answer(
        tell(tracker, "198.51.100.1", announce()), ipv6=False
    )
    assert (answer.seeders, answer.peers) == (1, ())


def test_own_addresses_come_from_the_routing_table() -> None:
    own = OwnAddresses()
    for _ in range(2):
        assert own.facing(("127.0.0.1", 5000)) == socket.inet_aton("127.0.0.1")
    assert own.facing(("no address", 5000)) is None


def test_the_ip_field_of_an_announce_is_ignored() -> None:
    tracker, _ = new_tracker()
    data = bytearray(
        udp_tracker.announce_request(connect(tracker, "192.0.2.9"), 2, announce(left=0))
    )
    data[84:88] = socket.inet_aton("198.51.100.77")
    ask(tracker, bytes(data), "192.0.2.9")
    answer = udp_tracker.parse_announce_answer(tell(tracker, "192.0.2.10", announce()), ipv6=False)
    assert answer.peers == (("192.0.2.9", 7000),)


@pytest.mark.parametrize("host", HOSTS)
async def test_peers_find_each_other_and_leave(host: str) -> None:
    async with running_tracker() as tracker, open_tracker_clients() as clients:
        url = f"udp://{host}:{tracker.port}/announce"
        seeder = announce(port=7001, left=0, event=AnnounceEvent.STARTED)
        first = await clients.announce(url, seeder)
        assert (first.interval, first.seeders, first.peers) == (30, 1, ())
        answer = await clients.announce(url, announce(port=7002))
        assert answer.peers == ((host.strip("[]"), 7001),)
        await clients.announce(url, announce(port=7001, left=0, event=AnnounceEvent.STOPPED))
        counts = await clients.scrape(url, [HASH, b"x" * 20])
        assert [(c.seeders, c.leechers) for c in counts.values()] == [(0, 1), (0, 0)]


async def test_a_killed_seeder_is_gone_after_its_lease(autojump_clock: object) -> None:
    async with (
        running_tracker(interval=1, lease=2.5) as tracker,
        open_tracker_clients() as clients,
    ):
        url = f"udp://127.0.0.1:{tracker.port}/announce"
        await clients.announce(url, announce(left=0, share_name="x.iso"))
        await trio.sleep(2.4)
        assert tracker.counts() == (1, 1, 1)
        await trio.sleep(0.2)
        assert tracker.counts() == (0, 0, 0)
        await clients.announce(url, announce(left=0))
        assert tracker.counts().peers == 1


def test_libtorrent_is_listed_between_announces_and_an_announce_tells_peer_ids_apart() -> None:
    """libtorrent 2.1.1 and qBittorrent 4.5.2 announce every 300 s, whatever they are told."""
    tracker, registry = new_tracker()
    for now in (0.0, 300.0, 600.0):
        event = AnnounceEvent.NONE if now else AnnounceEvent.STARTED
        for number, peer_id in enumerate((b"-LT2110-etRnQ4tOO)ww", b"-qB4520-r*QI-H4lMleC")):
            request = announce(port=7001 + number, left=0, event=event, peer_id=peer_id)
            tell(tracker, "192.0.2.9", request, now)
        for second in range(300):
            registry.expire(now + second, 1000)
            assert registry.scrape(HASH).seeders == 2
    tell(tracker, "192.0.2.9", announce(peer_id=b"-tS0100-abcdefghijkl"), 601.0)
    registry.expire(601.0 + 75.0, 1000)
    assert registry.scrape(HASH).leechers == 0


@pytest.mark.skipif(sys.platform != "linux", reason="IP_PKTINFO")
@pytest.mark.parametrize("listen", [None, "0.0.0.0"])
async def test_every_address_of_the_machine_answers_for_itself(listen: str | None) -> None:
    async with running_tracker(host=listen) as tracker, open_tracker_clients(tries=1) as clients:
        for host in ("127.0.0.1", "127.0.0.2", "127.8.9.1", *(["[::1]"] if not listen else [])):
            url = f"udp://{host}:{tracker.port}"
            await clients.announce(url, announce(share_name="x.iso", left=0))
            assert [match.name for match in await clients.search(url, "*")] == ["x.iso"]


@pytest.mark.parametrize("host", HOSTS)
async def test_names_are_resolved_and_searched_page_by_page(host: str) -> None:
    async with running_tracker() as tracker, open_tracker_clients() as clients:
        url = f"udp://{host}:{tracker.port}"
        for number in range(130):
            name = f"disk {number:03} ü.iso"
            request = announce(info_hash=bytes([number]) * 20, share_name=name, size=number, left=0)
            await clients.announce(url, request)
        (match,) = await clients.resolve(url, "disk 077 ü.iso")
        assert (match.info_hash, match.size, match.seeders) == (b"\x4d" * 20, 77, 1)
        assert await clients.resolve(url, "disk 077") == []
        found = await clients.search(url, "disk*iso")
        assert [match.size for match in found] == list(range(130))
        with pytest.raises(TrackerRefusedError, match="16 wildcards"):
            await clients.search(url, "?" * 20)
        with pytest.raises(TrackerRefusedError, match="control character"):
            await clients.announce(url, announce(share_name="a\tb"))


async def test_a_search_shows_what_changed_since_the_same_search_before() -> None:
    async with running_tracker() as tracker, open_tracker_clients() as clients:
        url = f"udp://127.0.0.1:{tracker.port}"
        assert await clients.search(url, "*") == []
        await clients.announce(url, announce(share_name="x.iso", left=0))
        assert [match.name for match in await clients.search(url, "*")] == ["x.iso"]
        await clients.announce(url, announce(event=AnnounceEvent.STOPPED))
        assert await clients.search(url, "*") == []


async def test_a_flood_of_searches_and_rubbish_holds_nobody_up() -> None:
    async with (
        running_tracker() as tracker,
        open_tracker_clients() as clients,
    ):
        url = f"udp://127.0.0.1:{tracker.port}"
        await clients.announce(url, announce(share_name="a" * 200))
        with trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as flood:
            await flood.connect(("127.0.0.1", tracker.port))
            await flood.send(udp_tracker.connect_request(1))
            connection = udp_tracker.parse_connect_answer(await flood.recv(99))
            for number in range(300):
                pattern = "*a" * 15 + f"*{number}"
                await flood.send(
                    udp_tracker.name_request(connection, number, pattern, is_glob=True)
                )
                await flood.send(random.Random(number).randbytes(number))
            assert (await clients.announce(url, announce(port=7002))).leechers == 2
            # Whoever asked is answered, or was too many.
            assert (await flood.recv(2000)).startswith(b"name")
        assert len(await clients.search(url, "a*")) == 1


async def test_a_host_that_asks_for_many_searches_keeps_nobody_else_from_searching() -> None:
    async with running_tracker(host="127.0.0.1") as tracker:
        sockets = []
        for host in ("127.0.0.1", "127.0.0.5"):
            asker = trio.socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            await asker.bind((host, 0))
            await asker.connect(("127.0.0.1", tracker.port))
            await asker.send(udp_tracker.connect_request(1))
            sockets.append((asker, udp_tracker.parse_connect_answer(await asker.recv(99))))
        (flood, flooding), (honest, connection) = sockets
        for number in range(100):
            # All of them are there before the tracker looks.
            flood._sock.send(udp_tracker.name_request(flooding, number, "*", is_glob=True))
        honest._sock.send(udp_tracker.name_request(connection, 7, "*", is_glob=True))
        with trio.fail_after(30):
            assert udp_tracker.parse_answer_header(await honest.recv(99))[1] == 7
        flood.close()
        honest.close()


async def test_it_listens_everywhere_at_one_port_unless_told_where() -> None:
    seen: list[object] = []
    async with trio.open_nursery() as nursery:
        tracker = await nursery.start(
            lambda task_status: serve_tracker(
                TrackerSettings(port=0, host=""), on_event=seen.append, task_status=task_status
            )
        )
        assert tracker.addresses[0] == ("0.0.0.0", tracker.port)
        assert {port for _, port in tracker.addresses} == {tracker.port}
        assert seen == [
            TrackerListening(host=host, port=port, interval=30.0, lease=75.0, http=True)
            for host, port in tracker.addresses
        ]
        nursery.cancel_scope.cancel()
    async with running_tracker(host="127.0.0.1") as tracker:
        assert tracker.addresses == [("127.0.0.1", tracker.port)]


async def test_a_taken_port_is_one_clear_error() -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(
            ConfigError, match=rf"127\.0\.0\.1:{port}: the port is in use; .*--listen"
        ):
            await serve_tracker(TrackerSettings(host="127.0.0.1", port=port))


async def test_an_address_of_another_machine_is_one_clear_error() -> None:
    with pytest.raises(ConfigError, match=r"cannot listen at UDP 192\.0\.2\.1:9"):
        await serve_tracker(TrackerSettings(host="192.0.2.1", port=9))


async def test_the_lease_moves_with_the_interval_unless_it_is_given() -> None:
    assert TrackerSettings().lease_seconds == 75
    assert TrackerSettings(interval=100).lease_seconds == 250
    assert TrackerSettings(interval=100, lease=400).lease_seconds == 400
    TrackerSettings(interval=3600).check()
    seen: list[Event] = []
    async with trio.open_nursery() as nursery:
        settings = TrackerSettings(host="127.0.0.1", port=0, interval=100)
        await nursery.start(partial(serve_tracker, settings, on_event=seen.append))
        nursery.cancel_scope.cancel()
    assert [event.as_dict()["lease"] for event in seen] == [250]


@pytest.mark.parametrize(
    ("settings", "key"),
    [
        ({"port": 65536}, "port"),
        ({"interval": 0.5}, "interval"),
        ({"interval": float("nan")}, "interval"),
        ({"interval": 60, "lease": 59}, "lease"),
        ({"interval": 60, "lease": 60}, "lease"),
        ({"interval": 60, "lease": float("nan")}, "lease"),
        ({"max_names_per_host": -1}, "max_names_per_host"),
        ({"max_swarms": 0}, "max_swarms"),
        ({"proxies": ("10.0.0.1/8",)}, "proxies"),
        ({"proxies": ("a proxy",)}, "proxies"),
        ({"max_names": -1}, "max_names"),
        ({"max_name_length": 256}, "max_name_length"),
    ],
)
async def test_impossible_settings_are_named(settings: dict[str, object], key: str) -> None:
    with pytest.raises(ConfigError, match=f"^{key}: "):
        await serve_tracker(TrackerSettings(**settings))  # type: ignore[arg-type]


async def test_libtorrent_registers_a_name_by_its_tracker_url() -> None:
    libtorrent = pytest.importorskip("libtorrent")
    session = libtorrent.session(
        {
            "listen_interfaces": "127.0.0.1:0",
            "stop_tracker_timeout": 0,
            "enable_dht": False, "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
        }
    )  # fmt: skip
    async with running_tracker() as tracker, open_tracker_clients() as clients:
        parameters = libtorrent.add_torrent_params()
        parameters.info_hash = libtorrent.sha1_hash(HASH)
        parameters.save_path = "/nonexistent"
        parameters.trackers = [f"udp://127.0.0.1:{tracker.port}/announce?name=x%20y.iso&size=9"]
        session.add_torrent(parameters)
        (match,) = await found_in_time(clients, parameters.trackers[0], "x y.iso")
        assert (match.info_hash, match.size, match.leechers) == (HASH, 9, 1)
        answer = await clients.announce(parameters.trackers[0], announce(left=0))
        assert answer.peers == (("127.0.0.1", session.listen_port()),)
        # It sends 255 bytes of path and query (2.1.1): here that ends within a character.
        for number, name in enumerate((27 * "%E3%81%82", "a" + 80 * "\u3042")):
            parameters.info_hash = libtorrent.sha1_hash(bytes([number + 1]) * 20)
            parameters.trackers = [f"udp://127.0.0.1:{tracker.port}/announce?name={name}"]
            session.add_torrent(parameters)
        for number, name in enumerate((26 * "\u3042", "a" + 79 * "\u3042")):
            (match,) = await found_in_time(clients, parameters.trackers[0], name)
            assert (match.info_hash, match.leechers) == (bytes([number + 1]) * 20, 1)


async def found_in_time(clients: TrackerClients, tracker: str, name: str) -> list[NameMatch]:
    with trio.fail_after(LIMIT):
        while not (  # noqa: ASYNC110  libtorrent's threads cannot set an event of ours
            found := await clients.resolve(tracker, name)
        ):
            await trio.sleep(0.02)
    return found


@pytest.mark.parametrize("host", HOSTS)
async def test_a_seeder_whose_name_finds_no_room_is_listed_and_may_ask_why(host: str) -> None:
    """The answer to an announce has no place for a warning (BEP 15), so it is a question."""
    async with running_tracker(max_names=1) as tracker, open_tracker_clients() as clients:
        url = f"udp://{host}:{tracker.port}"
        await clients.announce(url, announce(info_hash=b"o" * 20, share_name="one", left=0))
        answer = await clients.announce(url, announce(share_name="two", left=0))
        assert answer.seeders == 1
        assert tracker.counts() == (2, 2, 1)
        assert await clients.name_refusal(url, "two", HASH) == (
            "the tracker has no room for another name: it has 1 (max_names)"
        )
        assert await clients.name_refusal(url, "one", b"o" * 20) is None
        await clients.announce(
            url, announce(info_hash=b"o" * 20, share_name="one", event=AnnounceEvent.STOPPED)
        )
        assert await clients.name_refusal(url, "two", HASH) is None


async def test_a_node_tells_that_it_cannot_be_found_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "two.bin").write_bytes(b"2" * 1000)
    told: list[Event] = []
    async with running_tracker(max_names=1) as tracker, open_tracker_clients() as clients:
        url = f"udp://127.0.0.1:{tracker.port}"
        await clients.announce(url, announce(info_hash=b"o" * 20, share_name="one", left=0))
        settings = NodeSettings(
            trackers=(url,),
            listen_host="127.0.0.1",
            state_folder=tmp_path / "state",
            on_event=told.append,
        )
        async with open_node(settings) as node:
            torrent = await node.share(tmp_path / "two.bin")
            with trio.fail_after(30):
                await until(lambda: any(isinstance(event, NameRefused) for event in told))
            assert (await clients.scrape(url, [torrent.info_hash]))[torrent.info_hash].seeders == 1
    (refused,) = [event for event in told if isinstance(event, NameRefused)]
    assert (refused.share_name, refused.tracker) == ("two.bin", url)
    assert refused.reason == "the tracker has no room for another name: it has 1 (max_names)"
