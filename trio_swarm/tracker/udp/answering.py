"""How a batch of datagrams is answered: read, ask the store, encode. No socket."""

from collections.abc import Callable, Sequence

from trio_swarm.protocol.trackers.announces import NameMatch
from trio_swarm.protocol.trackers.udp import (
    announce_answer,
    claim_answer,
    error_answer,
    name_answer,
    scrape_answer,
)
from trio_swarm.tracker.store.compact_peers import LOOPBACK6
from trio_swarm.tracker.store.interface import (
    AnnounceRefusedError,
    Change,
    SwarmAnswer,
    TrackerStore,
)
from trio_swarm.tracker.udp.batch import DatagramBatch, SocketAddress
from trio_swarm.tracker.udp.own_addresses import has_loopback, replace_loopback
from trio_swarm.tracker.udp.requests import RequestReader, Requests, SearchRequest

_MATCHES_PER_PAGE = 31
"""More than fit one answer: a match takes at least 39 bytes of 1,200."""


class DatagramTracker:
    """Answers datagrams from a store.

    `interval` (seconds) is what peers are told. `own_address` maps an asker's socket address to our
    packed IP as that asker reaches us (`own_addresses`). `watch` gets the announces that are
    refused.
    """

    def __init__(
        self,
        store: TrackerStore,
        *,
        secret: bytes,
        interval: int,
        own_address: Callable[[SocketAddress], bytes | None],
        watch: Callable[[Change], None] | None = None,
    ) -> None:
        self._store = store
        self._reader = RequestReader(secret)
        self._interval = interval
        self._own_address = own_address
        self._watch = watch
        self.announces = 0
        """Answered since the start, refused ones among them."""

    async def answers(
        self, batch: DatagramBatch, now: float
    ) -> tuple[list[bytes], list[SearchRequest]]:
        """Return the answer to each datagram, b"" for silence, and searches to do; never raises.

        The batch must stay as it is until then.
        """
        requests = self._reader.read(batch, now)
        taken: Sequence[SwarmAnswer | AnnounceRefusedError] = ()
        if requests.announces:
            taken = await self._store.announce(requests.announces, now)
        await self._answer_questions(requests)
        self.announces += len(taken) + len(requests.refused)
        if self._watch is not None:
            for refused in requests.refused:
                self._watch(refused)
        answers = self._encode(batch, requests, taken)
        # Each finds its place, as those before it are there already.
        for index in sorted(requests.answered):
            answers.insert(index, requests.answered[index])
        return answers, requests.searches

    async def search(self, search: SearchRequest, now: float) -> bytes:
        """Return the answer to a search; this may take long."""
        number, offset, _, pattern = search.query
        page = await self._store.search(pattern, offset, _MATCHES_PER_PAGE, now)
        return name_answer(number, page.total, page.matches)

    async def _answer_questions(self, requests: Requests) -> None:
        """Answer what is neither an announce nor a search."""
        answered = requests.answered
        if scrapes := requests.scrapes:
            hashes = [each for scrape in scrapes.values() for each in scrape.info_hashes]
            counts = iter(await self._store.scrape(hashes))
            for index, scrape in scrapes.items():
                own = [next(counts) for _ in scrape.info_hashes]
                answered[index] = scrape_answer(scrape.transaction_id, own)
        if names := requests.names:
            found = await self._store.resolve([query.pattern for query in names.values()])
            for (index, query), matches in zip(names.items(), found, strict=True):
                page = matches[query.offset :]
                answered[index] = name_answer(query.transaction_id, len(matches), page)
        if claims := requests.claims:
            said = await self._store.claim([request.claim for request in claims.values()])
            for (index, (number, claim)), (refusal, counts_) in zip(
                claims.items(), said, strict=True
            ):
                match = NameMatch(claim.info_hash, 0, counts_.seeders, counts_.leechers, claim.name)
                answered[index] = claim_answer(
                    number, match if refusal is None else None, refusal or ""
                )

    def _encode(
        self,
        batch: DatagramBatch,
        requests: Requests,
        taken: Sequence[SwarmAnswer | AnnounceRefusedError],
    ) -> list[bytes]:
        """Return the answers to the announces of a batch."""
        interval, loopback_peers = self._interval, self._store.loopback_peers
        near = b"\x7f" if batch.is_v4 else LOOPBACK6
        answers: list[bytes] = []
        for transaction_id, announce, answer in zip(
            requests.transaction_ids, requests.announces, taken, strict=True
        ):
            if isinstance(answer, AnnounceRefusedError):
                answers.append(error_answer(transaction_id, str(answer)))
                if self._watch is not None:
                    self._watch(Change("refused", announce[0], announce[1], reason=str(answer)))
                continue
            seeders, leechers, peers = answer
            if loopback_peers and not announce[1].startswith(near):
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
