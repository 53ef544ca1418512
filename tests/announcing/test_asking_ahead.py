"""Questions that are asked before anybody waits for their answers."""

import pytest
import trio

from tracker_scripts import HASH, REQUEST, Script, silent_udp, udp_script
from trio_swarm.announcing.clients import open_tracker_clients
from trio_swarm.errors import TrackerRefusedError, TrackerUnreachableError
from trio_swarm.protocol.trackers import udp as udp_tracker
from trio_swarm.protocol.trackers.announces import NameMatch

MATCH = NameMatch(HASH, 5, 1, 0, "name")


def heard(asked: list[int], *, refusal: str = "") -> Script:
    """A tracker that knows one name, or refuses to tell it; `asked` gets the actions."""

    def script(data: bytes) -> bytes:
        action, transaction = (int.from_bytes(data[at : at + 4], "big") for at in (8, 12))
        asked.append(action)
        if action == udp_tracker.Action.CONNECT:
            return udp_tracker.connect_answer(transaction, b"12345678")
        if refusal:
            return udp_tracker.error_answer(transaction, refusal)
        if action == udp_tracker.Action.NAME:
            return udp_tracker.name_answer(transaction, 1, [MATCH])
        return udp_tracker.announce_answer(
            transaction, interval=9, seeders=2, leechers=3, peers=b""
        )

    return script


async def test_the_next_who_asks_for_a_name_gets_the_answer_to_the_question_before(
    autojump_clock: object,
) -> None:
    asked: list[int] = []
    pages: list[NameMatch] = []
    async with udp_script(heard(asked)) as url, open_tracker_clients() as clients:
        clients.ask_ahead(url, "name")
        await trio.sleep(1)
        assert asked == [0, udp_tracker.Action.NAME]
        assert await clients.resolve(url, "name", on_page=pages.extend) == [MATCH]
        assert pages == [MATCH]
        assert asked == [0, udp_tracker.Action.NAME]
        await clients.resolve(url, "name")
        assert asked == [0, udp_tracker.Action.NAME, udp_tracker.Action.NAME]


async def test_a_question_that_is_on_its_way_is_waited_for(autojump_clock: object) -> None:
    asked: list[int] = []
    async with udp_script(heard(asked)) as url, open_tracker_clients() as clients:
        clients.ask_ahead(url, "name")
        assert await clients.resolve(url, "name") == [MATCH]
        assert asked == [0, udp_tracker.Action.NAME]


async def test_a_refusal_is_told_who_asks(autojump_clock: object) -> None:
    async with udp_script(heard([], refusal="no")) as url, open_tracker_clients() as clients:
        clients.ask_ahead(url, "name")
        await trio.sleep(1)
        with pytest.raises(TrackerRefusedError, match="no"):
            await clients.resolve(url, "name")


async def test_a_tracker_that_was_greeted_is_announced_to_in_one_round_trip(
    autojump_clock: object,
) -> None:
    asked: list[int] = []
    async with udp_script(heard(asked)) as url, open_tracker_clients() as clients:
        clients.ask_ahead(url, None)
        await trio.sleep(1)
        assert asked == [0]
        await clients.announce(url, REQUEST)
        assert asked == [0, 1]


async def test_a_greeting_without_an_answer_holds_nobody_up(autojump_clock: object) -> None:
    async with silent_udp() as url, open_tracker_clients() as clients:
        clients.ask_ahead(url, None)
        clients.ask_ahead("udp://no.such.host.invalid:1", None)
        clients.ask_ahead("http://127.0.0.1:1/announce", None)
        clients.ask_ahead("wss://127.0.0.1:1", None)
        before = trio.current_time()
        with pytest.raises(TrackerUnreachableError):
            await clients.announce(url, REQUEST, tries=1)
        assert trio.current_time() - before <= 2


async def test_what_nobody_waits_for_ends_with_the_clients(autojump_clock: object) -> None:
    before = trio.current_time()
    async with silent_udp() as url:
        async with open_tracker_clients() as clients:
            clients.ask_ahead(url, "name")
            clients.ask_ahead(url, None)
            await trio.sleep(0.1)
        assert trio.current_time() - before < 1
