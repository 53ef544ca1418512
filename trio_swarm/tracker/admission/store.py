"""A TrackerStore that takes only what the rules of its tracker allow, around another one."""

from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Final

from trio_swarm.protocol.trackers.announces import AnnounceEvent, ScrapeCounts
from trio_swarm.protocol.trackers.urls import UrlShare
from trio_swarm.tracker.admission.rules import AdmissionRules
from trio_swarm.tracker.store.interface import (
    Announce,
    AnnounceRefusedError,
    Change,
    Claim,
    ClaimAnswer,
    MatchPage,
    NameQuestion,
    StoreCounts,
    SwarmAnswer,
    TrackerStore,
)
from trio_swarm.tracker.store.names import MAX_HOLDERS_OF_NAME

MAX_REMEMBERED: Final = 100_000
"""Info-hashes, and names, that were found right: some 10 MiB each. To look at one anew takes 1 µs,
and a name with many patterns 100 µs."""

_STOPPED: Final = int(AnnounceEvent.STOPPED)
_STARTED: Final = int(AnnounceEvent.STARTED)
_NO_COUNTS: Final = ScrapeCounts(seeders=0, completed=0, leechers=0)
_NOTHING: Final[SwarmAnswer] = (0, 0, b"")
_info_hash_of = itemgetter(0)
_share_of = itemgetter(5)


class AdmittingStore:
    """Asks `store` for what `rules` allow, and refuses the rest.

    `watch` gets the names that are not taken. Nearly all announces are of torrents and names that
    were looked at before: of a batch of those nothing is looked at one by one.
    """

    def __init__(
        self,
        store: TrackerStore,
        rules: AdmissionRules,
        *,
        watch: Callable[[Change], None] | None = None,
    ) -> None:
        self._store = store
        self._watch = watch
        self._right_hashes: set[bytes] = set()
        self._right_shares: set[UrlShare | None] = {None}
        """Names that everybody may register who announces them so."""
        self._names: dict[str, str | None] = {}
        """Why not, by name."""
        self.rules = rules

    @property
    def rules(self) -> AdmissionRules:
        """What is allowed; new rules hold from the next question on."""
        return self._rules

    @rules.setter
    def rules(self, rules: AdmissionRules) -> None:
        self._rules = rules
        self._right_hashes.clear()
        self._right_shares = {None}
        self._names.clear()
        self._has_names = (
            rules.has_registrars or rules.names_allow is not None or rules.names_deny is not None
        )

    @property
    def loopback_peers(self) -> int:
        """As TrackerStore."""
        return self._store.loopback_peers

    def counts(self) -> StoreCounts:
        """As TrackerStore; what is not allowed any more counts until its leases end."""
        return self._store.counts()

    async def announce(
        self, announces: Sequence[Announce], now: float
    ) -> Sequence[SwarmAnswer | AnnounceRefusedError]:
        """As TrackerStore."""
        if (
            not self._rules.has_hashes
            or self._right_hashes.issuperset(map(_info_hash_of, announces))
        ) and (not self._has_names or self._right_shares.issuperset(map(_share_of, announces))):
            return await self._store.announce(announces, now)
        return await self._announce_some(announces, now)

    async def scrape(self, info_hashes: Sequence[bytes]) -> Sequence[ScrapeCounts]:
        """As TrackerStore."""
        if not self._rules.has_hashes:
            return await self._store.scrape(info_hashes)
        tracked = [each for each in info_hashes if self._hash_refusal(each) is None]
        found = dict(zip(tracked, await self._store.scrape(tracked), strict=True))
        return [found.get(each, _NO_COUNTS) for each in info_hashes]

    async def resolve(self, questions: Sequence[NameQuestion]) -> Sequence[MatchPage]:
        """As TrackerStore."""
        return await self._store.resolve(questions)

    async def claim(self, claims: Sequence[Claim]) -> Sequence[ClaimAnswer]:
        """As TrackerStore."""
        answers = await self._store.claim([claim._replace(token=b"") for claim in claims])
        return [
            await self._judged(claim, said) for claim, said in zip(claims, answers, strict=True)
        ]

    async def search(self, question: NameQuestion, now: float) -> MatchPage:
        """As TrackerStore."""
        return await self._store.search(question, now)

    async def end_leases(self, now: float, limit: int) -> float | None:
        """As TrackerStore."""
        return await self._store.end_leases(now, limit)

    def is_hidden(self, name: str, info_hash: bytes) -> bool:
        """Whether a name held by an info-hash is not to be found: see `registry.hide_names`."""
        return self._hash_refusal(info_hash) is not None or self._name_refusal(name) is not None

    async def _announce_some(
        self, announces: Sequence[Announce], now: float
    ) -> list[SwarmAnswer | AnnounceRefusedError]:
        """Take those announces of a batch that are allowed."""
        answers: list[SwarmAnswer | AnnounceRefusedError] = []
        asked: list[Announce] = []
        places: list[int] = []
        for announce in announces:
            refusal = self._hash_refusal(announce[0])
            if refusal is None:
                places.append(len(answers))
                asked.append(self._with_name_if_allowed(announce))
                answers.append(_NOTHING)
            elif announce[3] == _STOPPED:
                # It may be listed from before, and wants nothing.
                asked.append(announce)
                places.append(-1)
                answers.append(_NOTHING)
            else:
                answers.append(AnnounceRefusedError(refusal))
        if asked:
            taken = await self._store.announce(asked, now)
            for place, answer in zip(places, taken, strict=True):
                if place >= 0:
                    answers[place] = answer
        return answers

    def _with_name_if_allowed(self, announce: Announce) -> Announce:
        """Return an announce, without its name if the peer may not register that."""
        info_hash, address, left, event, num_want, share, peer_id, key = announce
        if share is None or not self._has_names:
            return announce
        refusal = self._share_refusal(share, address[:-2])
        if refusal is None:
            return announce
        if event == _STARTED and self._watch is not None:
            # A heartbeat tries again each time; it is told once.
            self._watch(Change("name_refused", info_hash, address, share.name, refusal))
        return info_hash, address, left, event, num_want, None, peer_id, key

    def _hash_refusal(self, info_hash: bytes) -> str | None:
        right = self._right_hashes
        if info_hash in right:
            return None
        refusal = self._rules.hash_refusal(info_hash)
        if refusal is None and self._rules.has_hashes:
            if len(right) >= MAX_REMEMBERED:
                right.clear()
            right.add(info_hash)
        return refusal

    def _name_refusal(self, name: str) -> str | None:
        names = self._names
        if name in names:
            return names[name]
        if len(names) >= MAX_REMEMBERED:
            names.clear()
        refusal = names[name] = self._rules.name_refusal(name)
        return refusal

    def _share_refusal(self, share: UrlShare, host: bytes) -> str | None:
        """Return why a peer may not register a name, None if it may."""
        shares = self._right_shares
        if share in shares:
            return None
        rules = self._rules
        refusal = self._name_refusal(share.name) or rules.registrar_refusal(share, host)
        if refusal is None and (not rules.has_registrars or rules.knows_token(share.token)):
            if len(shares) >= MAX_REMEMBERED:
                shares.clear()
                shares.add(None)
            shares.add(share)
        return refusal

    async def _judged(self, claim: Claim, said: ClaimAnswer) -> ClaimAnswer:
        """Return an answer of the store to a claim as the rules have it."""
        refusal = self._hash_refusal(claim.info_hash) or self._name_refusal(claim.name)
        if refusal is not None:
            return ClaimAnswer(refusal, _NO_COUNTS)
        share = UrlShare(claim.name, 0, claim.token)
        refusal = self._rules.registrar_refusal(share, claim.host)
        if refusal is None:
            return said
        # Somebody else may have registered it for this torrent.
        (held,) = await self._store.resolve([NameQuestion(claim.name, 0, MAX_HOLDERS_OF_NAME)])
        if any(match.info_hash == claim.info_hash for match in held.matches):
            return said
        return ClaimAnswer(refusal, said.counts)
