"""A TrackerStore that takes only what is not refused, and looks at each question and answer."""

from collections.abc import Sequence
from itertools import compress
from typing import Final

from trio_swarm.protocol.trackers.announces import AnnounceEvent, ScrapeCounts
from trio_swarm.tracker.admission.refusals import Refusals
from trio_swarm.tracker.store.interface import (
    Announce,
    AnnounceRefusedError,
    Claim,
    ClaimAnswer,
    MatchPage,
    NameQuestion,
    StoreCounts,
    SwarmAnswer,
    TrackerStore,
)
from trio_swarm.tracker.store.names import MAX_HOLDERS_OF_NAME

_STOPPED: Final = int(AnnounceEvent.STOPPED)
_NO_COUNTS: Final = ScrapeCounts(seeders=0, completed=0, leechers=0)
_NOTHING: Final[SwarmAnswer] = (0, 0, b"")


class CheckingStore:
    """Asks `store` for what `refusals` let pass, and shows of its answers as much as they do.

    So nothing refused gets out, whatever the store holds. Who may register a name is left to the
    store that takes it.
    """

    def __init__(self, store: TrackerStore, refusals: Refusals) -> None:
        self._store = store
        self._refusals = refusals

    @property
    def loopback_peers(self) -> int:
        """As TrackerStore."""
        return self._store.loopback_peers

    def counts(self) -> StoreCounts:
        """As TrackerStore."""
        return self._store.counts()

    async def announce(
        self, announces: Sequence[Announce], now: float
    ) -> Sequence[SwarmAnswer | AnnounceRefusedError]:
        """As TrackerStore."""
        refusal_of = self._refusals.hash_refusal
        refusals = [refusal_of(announce[0]) for announce in announces]
        if not any(refusals):
            return await self._store.announce(announces, now)
        # Who parts may be listed from before, and wants nothing.
        asked = [
            announce
            for announce, refusal in zip(announces, refusals, strict=True)
            if refusal is None or announce[3] == _STOPPED
        ]
        taken = iter(await self._store.announce(asked, now) if asked else ())
        answers: list[SwarmAnswer | AnnounceRefusedError] = []
        for announce, refusal in zip(announces, refusals, strict=True):
            if refusal is None:
                answers.append(next(taken))
            elif announce[3] == _STOPPED:
                next(taken)
                answers.append(_NOTHING)
            else:
                answers.append(AnnounceRefusedError(refusal))
        return answers

    async def scrape(self, info_hashes: Sequence[bytes]) -> Sequence[ScrapeCounts]:
        """As TrackerStore."""
        refusal_of = self._refusals.hash_refusal
        tracked = [each for each in info_hashes if refusal_of(each) is None]
        found = dict(zip(tracked, await self._store.scrape(tracked), strict=True))
        return [found.get(each, _NO_COUNTS) for each in info_hashes]

    async def resolve(self, questions: Sequence[NameQuestion]) -> Sequence[MatchPage]:
        """As TrackerStore."""
        whole = [question._replace(offset=0, most=MAX_HOLDERS_OF_NAME) for question in questions]
        pages = []
        for question, page in zip(questions, await self._store.resolve(whole), strict=True):
            shown = self._shown(page)
            part = slice(question.offset, question.offset + question.most)
            pages.append(MatchPage(shown.total, shown.matches[part], shown.marks[part]))
        return pages

    async def claim(self, claims: Sequence[Claim]) -> Sequence[ClaimAnswer]:
        """As TrackerStore."""
        refusals = self._refusals
        return [
            said
            if (
                refusal := refusals.hash_refusal(claim.info_hash)
                or refusals.name_refusal(claim.name)
            )
            is None
            else ClaimAnswer(refusal, _NO_COUNTS)
            for claim, said in zip(claims, await self._store.claim(claims), strict=True)
        ]

    async def search(self, question: NameQuestion, now: float) -> MatchPage:
        """As TrackerStore."""
        return self._shown(await self._store.search(question, now))

    async def end_leases(self, now: float, limit: int) -> float | None:
        """As TrackerStore."""
        return await self._store.end_leases(now, limit)

    def _shown(self, page: MatchPage) -> MatchPage:
        """Return a page without what nobody may find."""
        hides = self._refusals.hides
        is_shown = [not hides(match.name, match.info_hash) for match in page.matches]
        return MatchPage(
            page.total - is_shown.count(False),
            list(compress(page.matches, is_shown)),
            list(compress(page.marks, is_shown)),
        )
