"""How requests that came together are answered: read, ask the store, encode. No socket."""

from collections.abc import Callable, Sequence
from itertools import islice
from typing import Final, NamedTuple

from trio_swarm.errors import RemoteProtocolError
from trio_swarm.tracker.http.answers import (
    announce_body,
    failure_body,
    not_now_answer,
    ok_answer,
    scrape_body,
    status_answer,
)
from trio_swarm.tracker.http.heads import RequestHead
from trio_swarm.tracker.http.pages import (
    ForbiddenError,
    NotNowError,
    PageRequest,
    Pages,
    page_at,
)
from trio_swarm.tracker.http.requests import NameFaultError, read_announce, read_scrape
from trio_swarm.tracker.own_addresses import SocketAddress, has_loopback, replace_loopback
from trio_swarm.tracker.store.compact_peers import is_loopback
from trio_swarm.tracker.store.interface import (
    Announce,
    AnnounceRefusedError,
    Change,
    NoRoomError,
    SwarmAnswer,
    TrackerStore,
)

REFUSED_SECONDS: Final = 300
"""Until who is refused comes again: a torrent may be put on a list of allowed ones, or off one of
denied ones, a moment later, and clients would stay away for half an hour."""

RETRY_SEARCH: Final = 5
"""Seconds after which a search that found no place may come again."""


class Asked(NamedTuple):
    """A request and who asks."""

    head: RequestHead
    host: bytes
    """The asker's packed IP address."""
    source: SocketAddress
    """The same as the socket module has it; the port is anything."""
    keeps: bool
    """Whether the connection is kept after the answer."""


class HttpTracker:
    """Answers HTTP requests from a store.

    `interval` (seconds) is what peers are told. `own_address` maps an asker's socket address to our
    packed IP as that asker reaches us (`own_addresses`). `pages` are further paths. `watch` gets
    the announces that are refused.
    """

    def __init__(
        self,
        store: TrackerStore,
        *,
        interval: int,
        own_address: Callable[[SocketAddress], bytes | None],
        pages: Pages,
        watch: Callable[[Change], None] | None = None,
    ) -> None:
        self._store = store
        self._interval = interval
        self._own_address = own_address
        self._pages = pages
        self._watch = watch
        self.announces = 0
        """Answered since the start, refused ones among them."""
        self.scrapes = 0
        """Requests answered since the start."""

    async def answers(self, asked: Sequence[Asked], now: float) -> list[bytes]:
        """Return the answer to each request, b"" for one that `page` answers; never raises."""
        answers = [b""] * len(asked)
        announces: list[Announce] = []
        told: list[tuple[int, bool]] = []
        scrapes: dict[int, list[bytes]] = {}
        for index, each in enumerate(asked):
            head = each.head
            try:
                if head.path.startswith(b"/announce"):
                    announce, is_packed = read_announce(head.query, each.host, head.path)
                    announces.append(announce)
                    told.append((index, is_packed))
                elif head.path.startswith(b"/scrape"):
                    scrapes[index] = read_scrape(head.query)
            except RemoteProtocolError as error:
                answers[index] = self._fault(each, error)
        if announces:
            taken = await self._store.announce(announces, now)
            self.announces += len(taken)
            for (index, is_packed), announce, answer in zip(told, announces, taken, strict=True):
                answers[index] = self._announced(asked[index], announce, answer, packed=is_packed)
        if scrapes:
            self.scrapes += len(scrapes)
            await self._scrape(asked, scrapes, answers)
        return answers

    async def page(self, asked: Asked, now: float) -> bytes:
        """Return the answer to a request for a page; this may take long."""
        head = asked.head
        page = page_at(self._pages, head.path)
        if page is None:
            return status_answer(head, 404, "Not Found", keeps=asked.keeps)
        try:
            found = await page(PageRequest(head.path, head.query, asked.host, now))
        except NotNowError as error:
            return not_now_answer(head, str(error), retry_after=RETRY_SEARCH, keeps=asked.keeps)
        except ForbiddenError as error:
            return status_answer(head, 403, str(error), keeps=asked.keeps)
        except RemoteProtocolError as error:
            return ok_answer(head, failure_body(str(error)), keeps=asked.keeps)
        return ok_answer(head, found.body, keeps=asked.keeps, kind=found.kind)

    def _announced(
        self,
        asked: Asked,
        announce: Announce,
        answer: SwarmAnswer | AnnounceRefusedError,
        *,
        packed: bool,
    ) -> bytes:
        """Return the answer to an announce that the store has seen."""
        if isinstance(answer, AnnounceRefusedError):
            return self._refused(asked, announce, answer)
        seeders, leechers, peers = answer
        host = asked.host
        if self._store.loopback_peers and not is_loopback(host):
            ipv6 = len(host) == 16
            if has_loopback(peers, ipv6=ipv6):
                peers = replace_loopback(peers, self._own_address(asked.source), ipv6=ipv6)
        # By position: keywords take longer.
        body = announce_body(self._interval, seeders, leechers, host, peers, packed)
        return ok_answer(asked.head, body, keeps=asked.keeps)

    def _refused(self, asked: Asked, announce: Announce, refusal: AnnounceRefusedError) -> bytes:
        reason = str(refusal)
        if self._watch is not None:
            self._watch(Change("refused", announce[0], announce[1], reason=reason))
        if isinstance(refusal, NoRoomError):
            # libtorrent comes back sooner than after a failure reason.
            return not_now_answer(asked.head, reason, retry_after=self._interval, keeps=asked.keeps)
        body = failure_body(reason, retry_in=REFUSED_SECONDS)
        return ok_answer(asked.head, body, keeps=asked.keeps)

    def _fault(self, asked: Asked, fault: RemoteProtocolError) -> bytes:
        """Return the answer to a question that makes no sense."""
        if isinstance(fault, NameFaultError):
            self.announces += 1
            if self._watch is not None:
                self._watch(Change("refused", fault.info_hash, fault.address, reason=str(fault)))
        return ok_answer(asked.head, failure_body(str(fault)), keeps=asked.keeps)

    async def _scrape(
        self, asked: Sequence[Asked], scrapes: dict[int, list[bytes]], answers: list[bytes]
    ) -> None:
        hashes = [each for own in scrapes.values() for each in own]
        counts = iter(await self._store.scrape(hashes))
        for index, own in scrapes.items():
            body = scrape_body(own, islice(counts, len(own)))
            answers[index] = ok_answer(asked[index].head, body, keeps=asked[index].keeps)
