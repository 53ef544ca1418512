"""A TrackerStore that takes only what the rules of its tracker allow, around another one."""

from collections.abc import Awaitable, Callable, Sequence

from trio_swarm.protocol.trackers.announces import ScrapeCounts
from trio_swarm.protocol.trackers.urls import UrlShare
from trio_swarm.tracker.admission.checking import CheckingStore
from trio_swarm.tracker.admission.refusals import Refusals
from trio_swarm.tracker.store.interface import (
    Announce,
    AnnounceRefusedError,
    Claim,
    ClaimAnswer,
    MatchPage,
    NameQuestion,
    SwarmAnswer,
    TrackerStore,
)
from trio_swarm.tracker.store.names import MAX_HOLDERS_OF_NAME
from trio_swarm.tracker.store.registry import TrackerRegistry


class AdmittingStore(CheckingStore):
    """Answers from `store`, whose `registry` takes nothing that `refusals` refuse.

    The registry asks when a torrent or a name is new there, so an announce of what it knows costs
    what it costs without rules. New rules may refuse what is listed: until `settle` has taken that
    out, all questions and answers are looked at one by one.
    """

    def __init__(
        self, store: TrackerStore, refusals: Refusals, *, registry: TrackerRegistry
    ) -> None:
        super().__init__(store, refusals)
        self._registry = registry
        self._is_settled: bool
        """Nothing refused is listed, so `store` may be asked as it is."""
        registry.admission = refusals
        self.distrust()

    def distrust(self) -> None:
        """Note that the rules have changed."""
        self._is_settled = not self._registry.counts().swarms

    async def settle(self, pause: Callable[[], Awaitable[None]]) -> None:
        """Take out what is refused since the rules changed; `pause` lets others have turns."""
        for _ in self._registry.drop_refused():
            await pause()
        self._is_settled = True

    async def announce(
        self, announces: Sequence[Announce], now: float
    ) -> Sequence[SwarmAnswer | AnnounceRefusedError]:
        """As TrackerStore."""
        if self._is_settled:
            return await self._store.announce(announces, now)
        return await super().announce(announces, now)

    async def scrape(self, info_hashes: Sequence[bytes]) -> Sequence[ScrapeCounts]:
        """As TrackerStore."""
        if self._is_settled:
            return await self._store.scrape(info_hashes)
        return await super().scrape(info_hashes)

    async def resolve(self, questions: Sequence[NameQuestion]) -> Sequence[MatchPage]:
        """As TrackerStore."""
        if self._is_settled:
            return await self._store.resolve(questions)
        return await super().resolve(questions)

    async def claim(self, claims: Sequence[Claim]) -> Sequence[ClaimAnswer]:
        """As TrackerStore."""
        answers = await super().claim([claim._replace(token=b"") for claim in claims])
        return [
            await self._judged(claim, said) for claim, said in zip(claims, answers, strict=True)
        ]

    async def search(self, question: NameQuestion, now: float) -> MatchPage:
        """As TrackerStore."""
        if self._is_settled:
            return await self._store.search(question, now)
        return await super().search(question, now)

    async def _judged(self, claim: Claim, said: ClaimAnswer) -> ClaimAnswer:
        """Return an answer to a claim that says who may register names, too."""
        share = UrlShare(claim.name, 0, claim.token)
        refusal = self._refusals.rules.registrar_refusal(share, claim.host)
        if refusal is None or said.refusal is not None:
            return said
        # Somebody else may have registered it for this torrent.
        (held,) = await self._store.resolve([NameQuestion(claim.name, 0, MAX_HOLDERS_OF_NAME)])
        if any(match.info_hash == claim.info_hash for match in held.matches):
            return said
        return ClaimAnswer(refusal, said.counts)
