"""However many torrents ask one tracker: one socket, one connection id, one look at its name."""

import socket
from pathlib import Path

import pytest
import trio

from tracker_scripts import REQUEST, connected_script, udp_script
from trio_swarm.announcing import lookups
from trio_swarm.announcing.clients import TrackerClients, open_tracker_clients
from trio_swarm.announcing.udp_socket import LINGER
from trio_swarm.errors import TrackerUnreachableError
from trio_swarm.protocol.trackers import udp as udp_tracker

COUNT = 200


def announced(data: bytes, transaction: int) -> bytes:
    """Answer with as many seeders as bytes 16 to 20 of the request say: part of its info-hash."""
    return udp_tracker.announce_answer(transaction, 1800, data[16], 0, b"")


async def announce(clients: TrackerClients, url: str, count: int) -> list[int]:
    """Announce so many torrents at once; return what each was answered."""
    answers: dict[int, int] = {}

    async def one(number: int) -> None:
        info_hash = bytes([number % 256]) * 20
        request = type(REQUEST)(
            info_hash=info_hash,  # type: ignore[arg-type]
            peer_id=REQUEST.peer_id,
            port=1,
            left=0,
            key=1,
        )
        answers[number] = (await clients.announce(url, request)).seeders

    async with trio.open_nursery() as nursery:
        for number in range(count):
            nursery.start_soon(one, number)
    return [answers[number] for number in range(count)]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


async def test_many_questions_share_a_socket_and_each_gets_its_own_answer(
    autojump_clock: object,
) -> None:
    """BEP 15: an answer has the transaction id of its request."""
    asked: list[int] = []

    def note(data: bytes) -> bytes | list[bytes] | None:
        asked.append(int.from_bytes(data[8:12], "big"))
        return connected_script(announced)(data)

    async with udp_script(note) as url, open_tracker_clients() as clients:
        before = descriptors()
        assert await announce(clients, url, COUNT) == [number % 256 for number in range(COUNT)]
        assert descriptors() == before + 1
        assert sorted(asked) == [udp_tracker.Action.CONNECT] + [udp_tracker.Action.ANNOUNCE] * COUNT
        await trio.sleep(LINGER + 1)
        assert descriptors() == before
        assert await announce(clients, url, 1) == [0]
        assert descriptors() == before + 1
    assert descriptors() == before - 1  # nor is there the tracker's


async def test_answers_in_another_order_reach_their_askers(autojump_clock: object) -> None:
    held: list[bytes] = []

    def hold(data: bytes, transaction: int) -> list[bytes]:
        held.append(announced(data, transaction))
        return held[::-1] if len(held) == 10 else []

    async with (
        udp_script(connected_script(hold)) as url,  # type: ignore[arg-type]  # several at once
        open_tracker_clients() as clients,
    ):
        assert await announce(clients, url, 10) == list(range(10))


async def test_a_refused_port_is_known_to_all_who_ask(autojump_clock: object) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    refused = 0

    async def one() -> None:
        nonlocal refused
        with pytest.raises(TrackerUnreachableError, match="refused"):
            await clients.announce(f"udp://127.0.0.1:{port}", REQUEST)
        refused += 1

    async with open_tracker_clients() as clients:
        began = trio.current_time()
        async with trio.open_nursery() as nursery:
            for _ in range(20):
                nursery.start_soon(one)
        # The kernel tells of one refusal for each datagram at most; the others ask again.
        assert trio.current_time() - began <= 2.5
    assert refused == 20


async def test_who_gives_up_waiting_for_a_connection_id_leaves_it_to_the_others(
    autojump_clock: object,
) -> None:
    connects = 0

    def lose_first(data: bytes) -> bytes | list[bytes] | None:
        nonlocal connects
        if int.from_bytes(data[8:12], "big") == udp_tracker.Action.CONNECT:
            connects += 1
            if connects == 1:
                return None
        return connected_script(announced)(data)

    async with udp_script(lose_first) as url, open_tracker_clients() as clients:
        with trio.move_on_after(0.1):
            await clients.announce(url, REQUEST)
        assert await announce(clients, url, 3) == [0, 1, 2]
    assert connects == 2


async def test_a_host_is_looked_up_once_for_many_and_again_after_a_while(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_up = 0
    real = socket.getaddrinfo

    def look_up(host: str, port: int, **more: int) -> object:
        nonlocal looked_up
        looked_up += host == "tracker.example"
        return real("127.0.0.1", port, type=socket.SOCK_DGRAM)

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    async with udp_script(connected_script(announced)) as url, open_tracker_clients() as clients:
        named = url.replace("127.0.0.1", "tracker.example")
        await announce(clients, named, 50)
        assert looked_up == 1
    monkeypatch.setattr(lookups, "FRESH", 0.0)  # nothing counts as known
    async with udp_script(connected_script(announced)) as url, open_tracker_clients() as clients:
        named = url.replace("127.0.0.1", "tracker.example")
        for _ in range(2):
            await announce(clients, named, 1)
        assert looked_up == 3


async def test_a_host_that_is_not_found_is_told_to_all_who_asked(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked_up = 0

    def look_up(*_: object, **__: object) -> object:
        nonlocal looked_up
        looked_up += 1
        raise socket.gaierror(socket.EAI_NONAME, "unknown")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    failed: list[str] = []

    async def one(number: int) -> None:
        try:
            await clients.announce(f"udp://tracker.example:1/{number}", REQUEST)
        except TrackerUnreachableError as error:
            failed.append(error.tracker)

    async with open_tracker_clients() as clients, trio.open_nursery() as nursery:
        for number in range(50):
            nursery.start_soon(one, number)
    assert len(set(failed)) == 50
    assert looked_up == 1
