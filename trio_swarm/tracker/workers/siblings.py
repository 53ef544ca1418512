"""The store of a worker: its own swarms, and questions to siblings for all others."""

import zlib
from collections import OrderedDict, defaultdict
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Final, Protocol, TypeVar

import trio

from trio_swarm.protocol.trackers.announces import ScrapeCounts
from trio_swarm.tracker.seen.figures import Seen, TrackerFigures
from trio_swarm.tracker.store.interface import (
    Announce,
    AnnounceRefusedError,
    Claim,
    ClaimAnswer,
    MatchPage,
    NameQuestion,
    NoRoomError,
    StoreCounts,
    SwarmAnswer,
    TrackerStore,
)
from trio_swarm.tracker.store.names import MAX_HOLDERS_OF_NAME
from trio_swarm.tracker.store.searches import MAX_RESULTS, RESULT_LIFE
from trio_swarm.tracker.udp.steering import owner_of
from trio_swarm.tracker.workers.merging import MergedSearch, merged_holders
from trio_swarm.tracker.workers.messages import (
    ANNOUNCES_AT_ONCE,
    HASHES_AT_ONCE,
    MATCHES_AT_ONCE,
    NAMES_AT_ONCE,
    Answer,
    AskAnnounces,
    AskClaims,
    AskNames,
    AskScrapes,
    AskSearch,
    AskSeen,
    Question,
    ToldAnnounces,
    ToldClaims,
    ToldNames,
    ToldScrapes,
    ToldSearch,
    ToldSeen,
    packed_answer,
    unpacked_answer,
)

FORWARD_SECONDS: Final = 0.5
"""For a sibling's answer: a killed one has a successor by then, and no client asks so soon again.
"""

SEARCH_SECONDS: Final = 4.0
"""The same for a search, which waits in a task of its own."""

_NOT_NOW: Final = "the tracker cannot answer for this torrent at the moment"

Asked = TypeVar("Asked")
Told = TypeVar("Told")


def home_of(pattern: str, workers: int) -> int:
    """Return the number of the worker that has the results of searches for a pattern."""
    return zlib.crc32(pattern.encode()) % workers


class Sibling(Protocol):
    """Another worker, as this one asks it."""

    async def ask(self, ask: Callable[[int], Question], seconds: float) -> Answer | None:
        """Return the answer to what `ask` makes with a number; None if there is none in time."""


class SiblingStore:
    """A TrackerStore of worker `number`, around the store `own` with the swarms it owns.

    Whatever a sibling does not answer in time is answered without it: an announce by a refusal that
    says to come again, a scrape by what is known here, names by those of the others.
    """

    def __init__(self, own: TrackerStore, siblings: Mapping[int, Sibling], *, number: int) -> None:
        self._own = own
        self._siblings = siblings
        self._number = number
        self._workers = len(siblings) + 1
        self._results: OrderedDict[str, tuple[float, MergedSearch]] = OrderedDict()
        """By pattern, oldest first: when it was asked for, and what was found."""
        self.see: Callable[[], Awaitable[Seen]] | None = None
        """Returns what is seen of this worker; there once it serves."""

    @property
    def loopback_peers(self) -> int:
        """As TrackerStore; at least 1, for siblings may list some."""
        return max(1, self._own.loopback_peers)

    def counts(self) -> StoreCounts:
        """As TrackerStore: of this worker."""
        return self._own.counts()

    async def announce(
        self, announces: Sequence[Announce], now: float
    ) -> Sequence[SwarmAnswer | AnnounceRefusedError]:
        """As TrackerStore."""

        async def ask(
            sibling: Sibling, asked: list[Announce]
        ) -> list[SwarmAnswer | AnnounceRefusedError] | None:
            told = await sibling.ask(lambda number: AskAnnounces(number, asked), FORWARD_SECONDS)
            if not isinstance(told, ToldAnnounces):
                return None
            return [unpacked_answer(each) for each in told.answers]

        async def refuse(asked: list[Announce]) -> list[SwarmAnswer | AnnounceRefusedError]:
            return [NoRoomError(_NOT_NOW) for _ in asked]

        return await self._of_owners(
            announces,
            [announce[0] for announce in announces],
            ANNOUNCES_AT_ONCE,
            own=lambda asked: self._own.announce(asked, now),
            ask=ask,
            without=refuse,
        )

    async def scrape(self, info_hashes: Sequence[bytes]) -> Sequence[ScrapeCounts]:
        """As TrackerStore."""

        async def ask(sibling: Sibling, asked: list[bytes]) -> list[ScrapeCounts] | None:
            told = await sibling.ask(lambda number: AskScrapes(number, asked), FORWARD_SECONDS)
            return told.counts if isinstance(told, ToldScrapes) else None

        return await self._of_owners(
            info_hashes,
            info_hashes,
            HASHES_AT_ONCE,
            own=self._own.scrape,
            ask=ask,
            without=self._own.scrape,
        )

    async def claim(self, claims: Sequence[Claim]) -> Sequence[ClaimAnswer]:
        """As TrackerStore."""

        async def ask(sibling: Sibling, asked: list[Claim]) -> list[ClaimAnswer] | None:
            told = await sibling.ask(lambda number: AskClaims(number, asked), FORWARD_SECONDS)
            return told.answers if isinstance(told, ToldClaims) else None

        return await self._of_owners(
            claims,
            [claim.info_hash for claim in claims],
            HASHES_AT_ONCE,
            own=self._own.claim,
            ask=ask,
            without=self._own.claim,
        )

    async def resolve(self, questions: Sequence[NameQuestion]) -> Sequence[MatchPage]:
        """As TrackerStore."""
        whole = [question._replace(offset=0, most=MAX_HOLDERS_OF_NAME) for question in questions]
        pages = [dict[int, MatchPage]() for _ in questions]
        for found, page in zip(pages, await self._own.resolve(whole), strict=True):
            found[self._number] = page

        async def add(worker: int, sibling: Sibling, first: int) -> None:
            asked = whole[first : first + NAMES_AT_ONCE]
            told = await sibling.ask(lambda number: AskNames(number, asked), FORWARD_SECONDS)
            if isinstance(told, ToldNames):
                for found, page in zip(pages[first:], told.pages, strict=False):
                    found[worker] = page

        async with trio.open_nursery() as nursery:
            for worker, sibling in self._siblings.items():
                for first in range(0, len(whole), NAMES_AT_ONCE):
                    nursery.start_soon(add, worker, sibling, first)
        # In the same order whoever is asked, and whoever answers first.
        return [
            merged_holders([found[at] for at in sorted(found)], question.offset, question.most)
            for found, question in zip(pages, questions, strict=True)
        ]

    async def search(self, question: NameQuestion, now: float) -> MatchPage:
        """As TrackerStore.

        Pages of one search may be asked of any worker, and are to be pages of one result. So one
        worker, chosen by the pattern, has the result.
        """
        home = home_of(question.name, self._workers)
        if home != self._number:
            told = await self._siblings[home].ask(
                lambda number: AskSearch(number, question, everywhere=True), SEARCH_SECONDS
            )
            if isinstance(told, ToldSearch):
                return told.page
        return await self.search_everywhere(question, now)

    async def search_everywhere(self, question: NameQuestion, now: float) -> MatchPage:
        """Return a page of a search among the names of all, whose result is kept here a while."""
        pattern, offset, most = question
        results = self._results
        while results and now - next(iter(results.values()))[0] >= RESULT_LIFE:
            results.popitem(last=False)
        if offset == 0 or pattern not in results:
            results.pop(pattern, None)
            if len(results) >= MAX_RESULTS:
                results.popitem(last=False)
            results[pattern] = (now, MergedSearch(self._workers))
        merged = results[pattern][1]
        async with trio.open_nursery() as nursery:
            for worker in range(self._workers):
                nursery.start_soon(self._fetch, merged, worker, pattern, offset + most, now)
        return merged.page(offset, most)

    async def _fetch(
        self, merged: MergedSearch, worker: int, pattern: str, count: int, now: float
    ) -> None:
        """Get as many matches of one worker as the first `count` of all may need."""
        async with merged.turns[worker]:
            while (offset := merged.wanted(worker, count)) is not None:
                question = NameQuestion(pattern, offset, min(count - offset, MATCHES_AT_ONCE))
                page = await self._search_at(worker, question, now)
                if page is None:
                    merged.lose(worker)
                else:
                    merged.add(worker, page)

    async def _search_at(self, worker: int, question: NameQuestion, now: float) -> MatchPage | None:
        if worker == self._number:
            return await self._own.search(question, now)
        told = await self._siblings[worker].ask(
            lambda number: AskSearch(number, question, everywhere=False), SEARCH_SECONDS
        )
        return told.page if isinstance(told, ToldSearch) else None

    async def see_all(self) -> list[Seen]:
        """Return what is seen of all workers that answer in time, by their numbers."""
        found: dict[int, Seen] = {}

        async def ask(number: int, sibling: Sibling) -> None:
            told = await sibling.ask(AskSeen, FORWARD_SECONDS)
            if isinstance(told, ToldSeen):
                found[number] = told.seen

        async with trio.open_nursery() as nursery:
            for number, sibling in self._siblings.items():
                nursery.start_soon(ask, number, sibling)
            if self.see is not None:
                found[self._number] = await self.see()
        return [found[number] for number in sorted(found)]

    async def end_leases(self, now: float, limit: int) -> float | None:
        """As TrackerStore: of this worker's peers."""
        return await self._own.end_leases(now, limit)

    async def answer(self, question: Question) -> Answer:  # noqa: PLR0911 - one per question
        """Return the answer to a sibling's question, or to the parent's."""
        now, own = trio.current_time(), self._own
        match question:
            case AskAnnounces(number, announces):
                taken = await own.announce(announces, now)
                return ToldAnnounces(number, [packed_answer(each) for each in taken])
            case AskScrapes(number, info_hashes):
                return ToldScrapes(number, list(await own.scrape(info_hashes)))
            case AskNames(number, questions):
                return ToldNames(number, list(await own.resolve(questions)))
            case AskClaims(number, claims):
                return ToldClaims(number, list(await own.claim(claims)))
            case AskSearch(number, asked, everywhere=True):
                return ToldSearch(number, await self.search_everywhere(asked, now))
            case AskSearch(number, asked):
                return ToldSearch(number, await own.search(asked, now))
            case AskSeen(number):
                seen = Seen(TrackerFigures(), []) if self.see is None else await self.see()
                return ToldSeen(number, seen)

    async def _of_owners(
        self,
        asked: Sequence[Asked],
        info_hashes: Sequence[bytes],
        at_once: int,
        *,
        own: Callable[[list[Asked]], Awaitable[Sequence[Told]]],
        ask: Callable[[Sibling, list[Asked]], Awaitable[Sequence[Told] | None]],
        without: Callable[[list[Asked]], Awaitable[Sequence[Told]]],
    ) -> Sequence[Told]:
        """Return the answers to questions, in their order, each from the owner of its info-hash.

        `ask` returns None where a sibling does not answer, and `without` answers in its place.
        """
        by_owner: defaultdict[int, list[int]] = defaultdict(list)
        for index, info_hash in enumerate(info_hashes):
            by_owner[owner_of(info_hash, self._workers)].append(index)
        if by_owner.keys() == {self._number}:
            return await own(list(asked))
        answers: dict[int, Told] = {}

        async def fill(owner: int, indexes: list[int]) -> None:
            part = [asked[index] for index in indexes]
            found: Sequence[Told] | None
            if owner == self._number:
                found = await own(part)
            else:
                found = await ask(self._siblings[owner], part)
            if found is None:
                found = await without(part)
            answers.update(zip(indexes, found, strict=True))

        async with trio.open_nursery() as nursery:
            for owner, indexes in by_owner.items():
                for first in range(0, len(indexes), at_once):
                    nursery.start_soon(fill, owner, indexes[first : first + at_once])
        return [answers[index] for index in range(len(asked))]


class SteeredStore:
    """A store of all for datagrams: the system brings announces of this worker's swarms only.

    `around` is a SiblingStore, or what checks its answers.
    """

    def __init__(self, own: TrackerStore, around: TrackerStore) -> None:
        self._own = own
        self.announce = own.announce
        """As TrackerStore."""
        self.end_leases = own.end_leases
        """As TrackerStore."""
        self.counts = own.counts
        """As TrackerStore."""
        self.scrape, self.resolve = around.scrape, around.resolve
        self.claim, self.search = around.claim, around.search

    @property
    def loopback_peers(self) -> int:
        """As TrackerStore."""
        return self._own.loopback_peers
