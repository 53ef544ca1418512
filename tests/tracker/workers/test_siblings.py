"""Stores of workers that ask each other say what one store of all swarms says."""

import math
import random
from collections.abc import Callable

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.protocol.trackers.announces import AnnounceEvent
from trio_swarm.protocol.trackers.urls import UrlShare
from trio_swarm.tracker.admission.checking import CheckingStore
from trio_swarm.tracker.admission.hash_lists import HashList
from trio_swarm.tracker.admission.patterns import NamePatterns
from trio_swarm.tracker.admission.refusals import Refusals
from trio_swarm.tracker.admission.rules import DENIED, AdmissionRules
from trio_swarm.tracker.settings import RegistrySettings
from trio_swarm.tracker.store.in_memory import InMemoryStore
from trio_swarm.tracker.store.interface import (
    Announce,
    AnnounceRefusedError,
    Claim,
    MatchPage,
    NameQuestion,
    NoRoomError,
    SwarmAnswer,
    TrackerStore,
)
from trio_swarm.tracker.store.registry import TrackerRegistry
from trio_swarm.tracker.udp.steering import owner_of
from trio_swarm.tracker.workers.messages import (
    MAX_MESSAGE,
    Answer,
    Question,
    decode,
    encode,
    packed_answer,
    unpacked_answer,
)
from trio_swarm.tracker.workers.siblings import SiblingStore, SteeredStore


def new_store() -> InMemoryStore:
    registry = TrackerRegistry(RegistrySettings(max_name_length=200), rng=random.Random(1))
    return InMemoryStore(registry, pause=trio.lowlevel.checkpoint)


class Direct:
    """A sibling in this process, through the bytes of messages; or one that is away."""

    def __init__(self) -> None:
        self.store: SiblingStore | None = None

    async def ask(self, ask: Callable[[int], Question], seconds: float) -> Answer | None:
        if self.store is None:
            return None
        asked = encode(ask(7))
        assert len(asked) <= MAX_MESSAGE
        question = decode(asked)
        told = encode(await self.store.answer(question))  # type: ignore[arg-type]
        assert len(told) <= MAX_MESSAGE
        return decode(told)  # type: ignore[return-value]


def new_workers(count: int) -> list[SiblingStore]:
    ways = [Direct() for _ in range(count)]
    stores = [
        SiblingStore(
            new_store(),
            {other: way for other, way in enumerate(ways) if other != number},
            number=number,
        )
        for number in range(count)
    ]
    for way, store in zip(ways, stores, strict=True):
        way.store = store
    return stores


def announce(info_hash: bytes, port: int, left: int, name: str | None, event: int = 0) -> Announce:
    share = None if name is None else UrlShare(name, 9)
    address = bytes((10, 0, 0, port % 250)) + (port + 1).to_bytes(2, "big")
    return info_hash, address, left, event, 50, share, b"-TS0001-" + bytes(12), 0


def shown(answer: SwarmAnswer | AnnounceRefusedError) -> object:
    if isinstance(answer, AnnounceRefusedError):
        return type(answer), str(answer)
    seeders, leechers, peers = answer
    return seeders, leechers, sorted(peers[at : at + 6] for at in range(0, len(peers), 6))


async def every_page(store: TrackerStore, pattern: str, most: int) -> MatchPage:
    """Return all pages of a search as one."""
    found, offset = [], 0
    while True:
        page = await store.search(NameQuestion(pattern, offset, most), trio.current_time())
        found += page.matches
        offset += most
        if offset >= page.total:
            return MatchPage(page.total, found)


hashes = st.integers(0, 11).map(lambda number: bytes((0, 0, number, number)) * 5)
names = st.sampled_from(["a", "ab", "b*", "ba", "", "x" * 201, None])
announces = st.lists(
    st.builds(
        announce,
        hashes,
        st.integers(0, 20),
        st.integers(0, 1),
        names,
        st.sampled_from([0, 1, 2, 3]),
    ),
    max_size=60,
)


@given(batches=st.lists(announces, max_size=4), count=st.integers(1, 4), number=st.integers(0, 3))
def test_workers_say_together_what_one_store_says(
    batches: list[list[Announce]], count: int, number: int
) -> None:
    async def check() -> None:
        one, workers = new_store(), new_workers(count)
        asked = workers[number % count]
        for at, batch in enumerate(batches):
            now = trio.current_time() + at
            expected = await one.announce(batch, now)
            got = await asked.announce(batch, now)
            assert list(map(shown, got)) == list(map(shown, expected))
        everything = [bytes((0, 0, each, each)) * 5 for each in range(12)]
        assert list(await asked.scrape(everything)) == list(await one.scrape(everything))
        claims = [
            Claim(name, each, bytes((10, 0, 0, 1)))
            for each in everything
            for name in ("a", "new", "")
        ]
        assert list(await asked.claim(claims)) == list(await one.claim(claims))
        for name in ("a", "ab", "b*", "none"):
            (whole,) = await one.resolve([NameQuestion(name, 0, 64)])
            for offset, most in ((0, 64), (1, 2), (5, 1), (60, 9)):
                (page,) = await asked.resolve([NameQuestion(name, offset, most)])
                assert page.total == whole.total
                expected_seeders = [each.seeders for each in whole.matches][offset : offset + most]
                assert [each.seeders for each in page.matches] == expected_seeders
        for pattern, most in (("*", 3), ("a*", 1), ("*", 100), ("[ab]?", 2), ("none*", 5)):
            expected_page = await every_page(one, pattern, most)
            page = await every_page(asked, pattern, most)
            assert page.total == expected_page.total
            assert [(each.name, -each.seeders) for each in page.matches] == sorted(
                (each.name, -each.seeders) for each in page.matches
            )
            assert sorted(each.info_hash for each in page.matches) == sorted(
                each.info_hash for each in expected_page.matches
            )

    trio.run(check)


async def test_holders_of_a_name_come_with_most_seeders_first_whoever_owns_them() -> None:
    workers = new_workers(2)
    owned = [number.to_bytes(4, "big") * 5 for number in range(4)]
    for number, info_hash in enumerate(owned):
        for port in range(1 + number):
            await workers[0].announce([announce(info_hash, port, 0, "n")], trio.current_time())
    for each in workers:
        (page,) = await each.resolve([NameQuestion("n", 0, 9)])
        assert [match.info_hash for match in page.matches] == owned[::-1]


def test_a_refusal_is_the_same_on_the_way() -> None:
    for refusal in (NoRoomError("full"), AnnounceRefusedError("no")):
        came = unpacked_answer(packed_answer(refusal))
        assert (type(came), str(came)) == (type(refusal), str(refusal))  # type: ignore[arg-type]


async def test_pages_of_a_search_are_of_one_result_whoever_is_asked() -> None:
    workers = new_workers(3)
    many = [
        announce(number.to_bytes(4, "big") * 5, number, 0, f"name {number:05}")
        for number in range(1500)
    ]
    for at in range(0, len(many), 60):
        await workers[0].announce(many[at : at + 60], trio.current_time())
    found: list[str] = []
    for page in range(math.ceil(1500 / 200)):
        question = NameQuestion("name *", 200 * page, 200)
        told = await workers[page % 3].search(question, trio.current_time())
        assert told.total == 1500
        found += [match.name for match in told.matches]
        # It comes too late for this result, and would move all that follow.
        extra = announce(b"e" * 20, 1, 0, "name 00000 too")
        await workers[1].announce([extra], trio.current_time())
    assert found == [f"name {number:05}" for number in range(1500)]


async def test_a_hybrid_torrent_whose_hashes_two_workers_own_is_found_once() -> None:
    """libtorrent 2.1.1 announces a name for both info-hashes, with one key (BEP 52)."""
    workers = new_workers(2)
    first, second, other = (number.to_bytes(4, "big") * 5 for number in (1, 2, 3))
    assert (owner_of(first, 2), owner_of(second, 2)) == (1, 0)

    async def tell(info_hash: bytes, host: int, key: int, event: int = 0) -> None:
        share, address = UrlShare("film", 9), bytes((10, 0, 0, host)) + b"\1\1"
        told = (info_hash, address, 0, event, 50, share, b"-LT2110-" + bytes(12), key)
        await workers[0].announce([told], trio.current_time())

    async def found() -> set[tuple[int, tuple[bytes, ...]]]:
        """What each worker says, to either question."""
        pages = []
        for each in workers:
            pages += await each.resolve([NameQuestion("film", 0, 9)])
            pages.append(await each.search(NameQuestion("f*", 0, 9), trio.current_time()))
        return {(page.total, tuple(match.info_hash for match in page.matches)) for page in pages}

    for host in range(250):  # of so many, the sum is still one number of a message
        await tell(first, host, 5 + host)
        await tell(second, host, 5 + host)
    ((total, (shown,)),) = await found()
    assert total == 1
    # Another peer announces it for the one that is not shown: so that may be another torrent.
    hidden = second if shown == first else first
    await tell(hidden, 251, 7)
    assert {total for total, _ in await found()} == {2}
    await tell(hidden, 251, 7, int(AnnounceEvent.STOPPED))
    assert {total for total, _ in await found()} == {1}
    # Without a key nobody knows whether it is one peer.
    await tell(first, 252, 0)
    await tell(second, 252, 0)
    assert {total for total, _ in await found()} == {2}
    await tell(other, 9, 999)
    assert {total for total, _ in await found()} == {3}


async def test_what_siblings_answer_is_judged_by_the_lists_of_the_worker_that_is_asked() -> None:
    """A sibling may not have read a changed list yet."""
    workers = new_workers(2)
    owned = [number.to_bytes(4, "big") * 5 for number in range(4)]
    now = trio.current_time()
    names = ["n", "n", "n", "n.exe"]
    for number, info_hash in enumerate(owned):
        await workers[0].announce([announce(info_hash, 1, 0, names[number])], now)
    denied = HashList()
    denied.add_packed(owned[0] + owned[1])
    rules = AdmissionRules(deny=denied, names_deny=NamePatterns(["*.exe"]))
    for each in workers:
        checked = CheckingStore(each, Refusals(rules))
        question = NameQuestion("n", 0, 9)
        (page,) = await checked.resolve([question])
        assert (page.total, [match.info_hash for match in page.matches]) == (1, [owned[2]])
        assert (await checked.resolve([question._replace(offset=1)]))[0].matches == []
        found = await checked.search(NameQuestion("*", 0, 9), now)
        assert (found.total, [match.info_hash for match in found.matches]) == (1, [owned[2]])
        assert [counts.seeders for counts in await checked.scrape(owned)] == [0, 0, 1, 1]
        answers = await checked.announce([announce(one, 2, 0, None) for one in owned], now)
        assert [isinstance(one, AnnounceRefusedError) for one in answers] == [
            True,
            True,
            False,
            False,
        ]
        said = await checked.claim([Claim("n", one, bytes(4)) for one in owned])
        assert [one.refusal for one in said] == [DENIED, DENIED, None, None]
        parting = await checked.announce([announce(one, 2, 0, None, 3) for one in owned], now)
        assert [type(one) for one in parting] == [tuple] * 4


async def test_without_a_sibling_the_rest_is_answered_and_its_announces_come_again() -> None:
    way = Direct()
    store = SiblingStore(new_store(), {1: way}, number=0)
    mine, other = bytes(20), b"\0\0\0\1" * 5
    assert (owner_of(mine, 2), owner_of(other, 2)) == (0, 1)
    now = trio.current_time()
    answers = await store.announce(
        [announce(other, 1, 0, "n"), announce(mine, 2, 0, "n"), announce(other, 3, 0, None)], now
    )
    assert [isinstance(each, NoRoomError) for each in answers] == [True, False, True]
    assert [each.seeders for each in await store.scrape([other, mine])] == [0, 1]
    assert [each.counts.seeders for each in await store.claim([Claim("n", mine, b"1234")])] == [1]
    (page,) = await store.resolve([NameQuestion("n", 0, 9)])
    assert [each.info_hash for each in page.matches] == [mine]
    found = await store.search(NameQuestion("n*", 0, 9), now)
    assert [each.info_hash for each in found.matches] == [mine]


async def test_datagrams_are_asked_of_the_own_store_alone() -> None:
    own = new_store()
    store = SteeredStore(own, SiblingStore(own, {1: Direct()}, number=0))
    assert store.announce == own.announce
    assert store.loopback_peers == 0


@pytest.mark.parametrize("count", [2, 5])
async def test_the_longest_names_of_a_full_page_fit_their_messages(count: int) -> None:
    workers = new_workers(count)
    long = "\N{EURO SIGN}" * 66
    many = [
        announce(number.to_bytes(4, "big") * 5, number, 0, long if number < 300 else f"x{number}")
        for number in range(400)
    ]
    for each in many:
        await workers[0].announce([each], trio.current_time())
    pages = await workers[0].resolve([NameQuestion(long, 0, 200)] * 9)
    assert {len(page.matches) for page in pages} == {min(200, 64 * count)}
    page = await workers[0].search(NameQuestion("*", 0, 200), trio.current_time())
    assert len(page.matches) == 200
