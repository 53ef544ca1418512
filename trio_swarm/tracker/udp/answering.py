"""How a batch of datagrams is answered: read, ask the store, encode. No socket."""

from collections.abc import Callable, Sequence
from itertools import islice

from trio_swarm.protocol.trackers.announces import NameMatch
from trio_swarm.protocol.trackers.udp import (
    NameQuery,
    announce_answer,
    claim_answer,
    error_answer,
    name_answer,
    scrape_answer,
)
from trio_swarm.tracker.own_addresses import SocketAddress, has_loopback, replace_loopback
from trio_swarm.tracker.store.compact_peers import LOOPBACK6
from trio_swarm.tracker.store.interface import (
    AnnounceRefusedError,
    Change,
    ClaimAnswer,
    NameQuestion,
    SwarmAnswer,
    TrackerStore,
)
from trio_swarm.tracker.udp.batch import DatagramBatch
from trio_swarm.tracker.udp.requests import (
    ClaimRequest,
    RequestReader,
    Requests,
    ScrapeRequest,
    SearchRequest,
)

_MATCHES_PER_PAGE = 31
"""More than fit one answer: a match takes at least 39 bytes of 1,200."""


class DatagramTracker:
    """Answers datagrams from a store.

    `interval` (seconds) is what peers are told. `own_address` maps an asker's socket address to our
    packed IP as that asker reaches us (`own_addresses`). `watch` gets the announces that are
    refused. `wall_clock` is the time by which connection ids are made; None: by that of each batch.
    """

    def __init__(
        self,
        store: TrackerStore,
        *,
        secret: bytes,
        interval: int,
        own_address: Callable[[SocketAddress], bytes | None],
        watch: Callable[[Change], None] | None = None,
        wall_clock: Callable[[], float] | None = None,
    ) -> None:
        self._store = store
        self._wall_clock = wall_clock
        self._reader = RequestReader(secret)
        self._interval = interval
        self._own_address = own_address
        self._watch = watch
        self.announces = 0
        """Answered since the start, refused ones among them."""
        self.scrapes = 0
        """Requests answered since the start."""
        self.questions = 0
        """Questions for names, searches and claims among them, answered since the start."""

    async def answers(
        self, batch: DatagramBatch, now: float
    ) -> tuple[list[bytes], list[SearchRequest]]:
        """Return the answer to each datagram, b"" for silence, and searches to do; never raises.

        The batch must stay as it is until then.
        """
        wall = None if self._wall_clock is None else self._wall_clock()
        requests = self._reader.read(batch, now, wall)
        taken: Sequence[SwarmAnswer | AnnounceRefusedError] = ()
        if requests.announces:
            taken = await self._store.announce(requests.announces, now)
        if requests.questions:
            await self._answer_questions(requests)
        if requests.refused and self._watch is not None:
            for refused in requests.refused:
                self._watch(refused)
        self.announces += len(taken) + len(requests.refused)
        answers = self._encode(batch, requests, taken)
        if requests.answered:
            # Each finds its place, as those before it are there already.
            for index in sorted(requests.answered):
                answers.insert(index, requests.answered[index])
        return answers, requests.searches

    async def search(self, search: SearchRequest, now: float) -> bytes:
        """Return the answer to a search; this may take long."""
        self.questions += 1
        page = await self._store.search(_question(search.query), now)
        return name_answer(search.query.transaction_id, page.total, page.matches)

    async def _answer_questions(self, requests: Requests) -> None:
        """Answer all but announces and searches."""
        questions = requests.questions.items()
        if scrapes := {at: asked for at, asked in questions if isinstance(asked, ScrapeRequest)}:
            self.scrapes += len(scrapes)
            requests.answered |= await self._scrape(scrapes)
        if names := {at: asked for at, asked in questions if isinstance(asked, NameQuery)}:
            self.questions += len(names)
            requests.answered |= await self._resolve(names)
        if claims := {at: asked for at, asked in questions if isinstance(asked, ClaimRequest)}:
            self.questions += len(claims)
            requests.answered |= await self._judge(claims)

    async def _scrape(self, scrapes: dict[int, ScrapeRequest]) -> dict[int, bytes]:
        hashes = [each for scrape in scrapes.values() for each in scrape.info_hashes]
        counts = iter(await self._store.scrape(hashes))
        return {
            index: scrape_answer(transaction_id, islice(counts, len(own)))
            for index, (transaction_id, own) in scrapes.items()
        }

    async def _resolve(self, names: dict[int, NameQuery]) -> dict[int, bytes]:
        pages = await self._store.resolve([_question(query) for query in names.values()])
        return {
            index: name_answer(query.transaction_id, page.total, page.matches)
            for (index, query), page in zip(names.items(), pages, strict=True)
        }

    async def _judge(self, claims: dict[int, ClaimRequest]) -> dict[int, bytes]:
        judged = await self._store.claim([request.claim for request in claims.values()])
        return {
            index: _claim_answer(request, said)
            for (index, request), said in zip(claims.items(), judged, strict=True)
        }

    def _encode(
        self,
        batch: DatagramBatch,
        requests: Requests,
        taken: Sequence[SwarmAnswer | AnnounceRefusedError],
    ) -> list[bytes]:
        """Return the answers to the announces of a batch."""
        interval = self._interval
        has_far = requests.has_far and self._store.loopback_peers
        near = b"\x7f" if batch.is_v4 else LOOPBACK6
        answers: list[bytes] = []
        # The compiler makes a plain loop of a `zip` without keywords only.
        for transaction_id, announce, answer in zip(  # noqa: B905
            requests.transaction_ids, requests.announces, taken
        ):
            if not isinstance(answer, tuple):
                answers.append(error_answer(transaction_id, str(answer)))
                if self._watch is not None:
                    self._watch(Change("refused", announce[0], announce[1], reason=str(answer)))
                continue
            seeders, leechers, peers = answer
            if has_far and not announce[1].startswith(near):
                peers = self._without_loopback(peers, batch, requests, len(answers))
            # By position: keywords take longer.
            answers.append(announce_answer(transaction_id, interval, seeders, leechers, peers))
        return answers

    def _without_loopback(
        self, peers: bytes | bytearray, batch: DatagramBatch, requests: Requests, number: int
    ) -> bytes | bytearray:
        """Give peers on this machine to the sender of an announce as it can reach them.

        `number` is that of the announce among those of the batch.
        """
        ipv6 = not batch.is_v4
        if not has_loopback(peers, ipv6=ipv6):
            return peers
        own = self._own_address(batch.source(requests.index_of(number)))
        return replace_loopback(peers, own, ipv6=ipv6)


def _question(query: NameQuery) -> NameQuestion:
    return NameQuestion(query.pattern, query.offset, _MATCHES_PER_PAGE)


def _claim_answer(request: ClaimRequest, said: ClaimAnswer) -> bytes:
    number, claim = request
    if said.refusal is not None:
        return claim_answer(number, None, said.refusal)
    counts = said.counts
    match = NameMatch(claim.info_hash, 0, counts.seeders, counts.leechers, claim.name)
    return claim_answer(number, match, "")
