"""One question to one tracker, whatever it speaks: announce, scrape, resolve, search."""

import ipaddress
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import cache
from typing import TYPE_CHECKING

import trio
from msgspec.structs import replace

from trio_swarm.announcing.lookups import Lookups
from trio_swarm.announcing.udp_client import UNANSWERED_NAMES, Question, UdpTrackerClient
from trio_swarm.errors import (
    ConfigError,
    TrackerError,
    TrackerRefusedError,
    TrackerUnreachableError,
)
from trio_swarm.protocol.trackers import udp as udp_tracker
from trio_swarm.protocol.trackers.announces import (
    AnnounceAnswer,
    AnnounceRequest,
    NameMatch,
    ScrapeCounts,
)
from trio_swarm.protocol.trackers.share_names import name_fault
from trio_swarm.protocol.trackers.udp import Action, NamePage
from trio_swarm.protocol.trackers.urls import (
    MAX_URL_DATA,
    TrackerUrl,
    parse_token,
    parse_tracker_url,
    url_data,
)

if TYPE_CHECKING:
    from trio_swarm.announcing.http_client import HttpTrackerClient

MAX_UDP_INTERVAL = 2.0**31
"""Seconds: from here on the 32 bits of an interval stand for a negative number."""

MAX_NAMELESS = 256
"""Trackers remembered that know no names."""

MAX_MATCHES = 10_000
"""Names read of one search: a list longer than anyone reads."""


OnPage = Callable[[Sequence[NameMatch]], None]


def _ignore(_matches: Sequence[NameMatch]) -> None:
    pass


class _Ahead:
    """A question for a name that was asked before anybody waits for its answer."""

    __slots__ = ("error", "matches", "over")

    def __init__(self) -> None:
        self.over = trio.Event()
        self.matches: list[NameMatch] = []
        self.error: TrackerError | None = None


class TrackerClients:
    """Asks trackers by URL (`udp://`, `http://`, `https://`); made by `open_tracker_clients`.

    Every method raises TrackerUnreachableError (no usable answer after all tries, or no URL we can
    use) or TrackerRefusedError (the tracker said no), and nothing else.
    """

    def __init__(
        self,
        udp: UdpTrackerClient,
        http: Callable[[], "HttpTrackerClient"],
        nursery: trio.Nursery,
    ) -> None:
        self._udp = udp
        self._http = http
        """Called where an HTTP tracker is asked: most nodes ask none."""
        self._nursery = nursery
        self._ahead: dict[tuple[str, str], _Ahead] = {}
        """By URL and name, until somebody asks for it."""
        self._nameless: set[str] = set()
        """URLs of trackers that do not know the question for a name."""

    async def announce(
        self, url: str, request: AnnounceRequest, *, tries: int | None = None
    ) -> AnnounceAnswer:
        """Announce a torrent; a tracker with IPv4 and IPv6 is told over both, the answers merged.

        UDP trackers are told the path and query of their URL, and `share_name` and `size` with it
        (BEP 41). `tries` overrides how often a UDP tracker is tried.
        """
        tracker = _parse(url)
        if tracker.scheme != "udp":
            return _merge(await self._http().announce(url, tracker, request))
        try:
            question = _announce_over_udp(tracker, request)
        except ConfigError as error:
            raise TrackerUnreachableError(str(error), tracker=url) from error
        return _merge(await self._udp.ask_each_family(url, tracker, question, tries=tries))

    def announce_soon(
        self,
        url: str,
        request: AnnounceRequest,
        answered: Callable[[AnnounceAnswer], None],
        failed: Callable[[], None],
    ) -> Callable[[], None] | None:
        """Announce once, without waiting; see `UdpTrackerClient.ask_soon`."""
        try:
            tracker = parse_tracker_url(url)
            if tracker.scheme != "udp":
                return None
            question = _announce_over_udp(tracker, request)
        except ConfigError:
            return None
        return self._udp.ask_soon(
            url, tracker, question, lambda answer: answered(_merge([answer])), failed
        )

    async def scrape(self, url: str, info_hashes: Sequence[bytes]) -> dict[bytes, ScrapeCounts]:
        """Return the counts of swarms by info-hash; a tracker may leave out some."""
        tracker = _parse(url)
        if tracker.scheme != "udp":
            return await self._http().scrape(url, tracker, info_hashes)
        counts: dict[bytes, ScrapeCounts] = {}
        for at in range(0, len(info_hashes), udp_tracker.MAX_SCRAPE):
            batch = info_hashes[at : at + udp_tracker.MAX_SCRAPE]
            counts |= await self._scrape_udp(url, tracker, batch)
        return counts

    def ask_ahead(self, url: str, name: str | None) -> None:
        """Begin to ask a UDP tracker for `name`; the next `resolve` of it gets the answer.

        Without a name only connect to it (BEP 15, "Connect"), for the announce that follows.
        """
        if name is None:
            self._nursery.start_soon(self._greet, url)
        else:
            ahead = self._ahead[url, name] = _Ahead()
            self._nursery.start_soon(self._resolve_ahead, url, name, ahead)

    async def _greet(self, url: str) -> None:
        with suppress(TrackerError):  # whoever asks it is told
            tracker = _parse(url)
            if tracker.scheme == "udp":
                await self._udp.greet(url, tracker)

    async def _resolve_ahead(self, url: str, name: str, ahead: _Ahead) -> None:
        try:
            ahead.matches = await self._find_names(url, name, _ignore, is_glob=False)
        except TrackerError as error:
            ahead.error = error
        ahead.over.set()

    async def resolve(self, url: str, name: str, *, on_page: OnPage = _ignore) -> list[NameMatch]:
        """Return the torrents that hold `name`, most seeders first, then oldest; [] for unknown.

        `on_page` gets each part of the answer as it comes.
        """
        ahead = self._ahead.pop((url, name), None)
        if ahead is None:
            return await self._find_names(url, name, on_page, is_glob=False)
        await ahead.over.wait()
        if ahead.error is not None:
            raise ahead.error
        on_page(ahead.matches)
        return ahead.matches

    async def name_refusal(self, url: str, name: str, info_hash: bytes) -> str | None:
        """Return why a tracker does not hold `name` for a torrent we announce; None if it does.

        A tracker that knows no names is asked for one torrent only.
        """
        tracker = _parse(url)
        if not self._may_know_names(url, name):
            return None
        question = _claim(tracker, name, info_hash)
        try:
            if tracker.scheme != "udp":
                _, refusal = await self._http().names(url, tracker, name, info_hash=info_hash)
                return refusal
            return await self._udp.ask(url, tracker, question, tries=UNANSWERED_NAMES)
        except TrackerRefusedError:
            if len(self._nameless) < MAX_NAMELESS:
                self._nameless.add(url)
            raise

    def name_refusal_soon(
        self,
        url: str,
        name: str,
        info_hash: bytes,
        answered: Callable[[str | None], None],
        failed: Callable[[], None],
    ) -> Callable[[], None] | None:
        """Ask once as `name_refusal` does, without waiting; see `UdpTrackerClient.ask_soon`."""
        try:
            tracker = parse_tracker_url(url)
        except ConfigError:
            return None
        if tracker.scheme != "udp" or not self._may_know_names(url, name):
            return None
        return self._udp.ask_soon(url, tracker, _claim(tracker, name, info_hash), answered, failed)

    def _may_know_names(self, url: str, name: str) -> bool:
        return not name_fault(name) and url not in self._nameless

    async def search(self, url: str, glob: str, *, on_page: OnPage = _ignore) -> list[NameMatch]:
        """Return the torrents whose names match a glob, by name; at most MAX_MATCHES.

        `on_page` gets each part of the answer as it comes.
        """
        return await self._find_names(url, glob, on_page, is_glob=True)

    async def _find_names(
        self, url: str, pattern: str, on_page: OnPage, *, is_glob: bool
    ) -> list[NameMatch]:
        tracker = _parse(url)
        if fault := name_fault(pattern):
            raise TrackerRefusedError(fault, tracker=url)
        matches: dict[tuple[str, bytes], NameMatch] = {}
        offset = 0
        while len(matches) < MAX_MATCHES:
            if tracker.scheme == "udp":
                question = _ask_names(pattern, offset, is_glob=is_glob)
                page = await self._udp.ask(url, tracker, question)
            else:
                page, _ = await self._http().names(
                    url, tracker, pattern, offset=offset, is_glob=is_glob
                )
            on_page(page.matches)
            offset += page.listed
            known = len(matches)
            for match in page.matches:
                matches.setdefault((match.name, match.info_hash), match)
            # A page with nothing new is the last. The offset's field has 16 bits.
            if len(matches) == known or offset >= min(page.total, 0xFFFF):
                break
        return list(matches.values())[:MAX_MATCHES]

    async def _scrape_udp(
        self, url: str, tracker: TrackerUrl, info_hashes: Sequence[bytes]
    ) -> dict[bytes, ScrapeCounts]:
        counts = await self._udp.ask(
            url,
            tracker,
            Question(
                Action.SCRAPE,
                lambda connection, transaction: udp_tracker.scrape_request(
                    connection, transaction, info_hashes
                ),
                lambda datagram, _ipv6: udp_tracker.parse_scrape_answer(datagram, len(info_hashes)),
            ),
        )
        # A short answer leaves the counts of the rest unknown.
        return dict(zip(info_hashes, counts, strict=False))


@asynccontextmanager
async def open_tracker_clients(
    *,
    first_timeout: float = 2.0,
    tries: int = 4,
    http_timeout: float = 20.0,
    source_host: str = "",
    user_agent: str = "trio-swarm",
) -> AsyncIterator[TrackerClients]:
    """Make clients for trackers; leaving the context closes their connections.

    A UDP tracker gets `tries`, the first waits `first_timeout` seconds, each further one twice as
    long; an HTTP tracker gets one of `http_timeout` seconds. `source_host` is the IP address to
    send from where a node listens at one only ("", "0.0.0.0" and "::" leave it to the system;
    "0.0.0.0" keeps to IPv4 where a tracker has both): trackers list the address that announces
    come from. ConfigError if it is not an IP address.
    """
    loopback = False
    if source_host == "::":
        source_host = ""
    if source_host:
        try:
            loopback = ipaddress.ip_address(source_host).is_loopback
        except ValueError:
            raise ConfigError(f"not an IP address to send from: {source_host!r}") from None
    lookups = Lookups()
    body_error: Exception | None = None
    async with (
        AsyncExitStack() as stack,
        trio.open_nursery() as nursery,
        trio.open_nursery() as asking_ahead,
    ):
        udp = UdpTrackerClient(
            nursery, lookups, first_timeout=first_timeout, tries=tries, source_host=source_host
        )

        @cache
        def http() -> "HttpTrackerClient":
            from trio_swarm.announcing.http_client import HttpTrackerClient  # noqa: PLC0415 - see above

            return HttpTrackerClient(
                stack,
                lookups,
                timeout=http_timeout,
                user_agent=user_agent,
                # From a loopback address no other machine can be reached.
                source_host="" if loopback else source_host,
            )

        try:
            yield TrackerClients(udp, http, asking_ahead)
        except Exception as error:  # noqa: BLE001 - raised again below, outside the nursery
            # A nursery would wrap it in a group, and the program's `except` would miss it.
            body_error = error
        finally:
            asking_ahead.cancel_scope.cancel()
            udp.close()
    if body_error is not None:
        raise body_error


def _parse(url: str) -> TrackerUrl:
    try:
        return parse_tracker_url(url)
    except ConfigError as error:
        # Metainfo files name all kinds of trackers (wss://, dht://); they are out of reach for us.
        raise TrackerUnreachableError(str(error), tracker=url[:200]) from error


def _announce_over_udp(tracker: TrackerUrl, request: AnnounceRequest) -> Question[AnnounceAnswer]:
    """Return the question of an announce; raises ConfigError for one that fits no datagram."""
    data = url_data(tracker.request, share_name=request.share_name, size=request.size)
    return Question(
        Action.ANNOUNCE,
        lambda connection, transaction: udp_tracker.announce_request(
            connection, transaction, request, data
        ),
        _parse_udp_answer,
    )


def _claim(tracker: TrackerUrl, name: str, info_hash: bytes) -> Question[str | None]:
    data = tracker.request.encode("utf-8", "replace")[:MAX_URL_DATA]
    if not parse_token(data):
        data = b""
    return Question(
        Action.NAME,
        lambda connection, transaction: udp_tracker.claim_request(
            connection, transaction, name, info_hash, data
        ),
        lambda datagram, _ipv6: udp_tracker.parse_claim_answer(datagram),
    )


def _parse_udp_answer(datagram: bytes, ipv6: bool) -> AnnounceAnswer:  # noqa: FBT001 - as `Question` has it
    answer = udp_tracker.parse_announce_answer(datagram, ipv6=ipv6)
    # The interval has a sign (BEP 15); one below zero tells nothing, as 0 does.
    return replace(answer, interval=0.0) if answer.interval >= MAX_UDP_INTERVAL else answer


def _merge(answers: Sequence[AnnounceAnswer]) -> AnnounceAnswer:
    """Return the answers over IPv4 and IPv6 as one: all peers, the patience of the least patient.

    A tracker lists the same peers over both where it can, so the larger counts are right.
    """
    only = answers[0]
    if len(answers) == 1 and len(set(only.peers)) == len(only.peers):
        return only
    return AnnounceAnswer(
        interval=min((answer.interval for answer in answers if answer.interval), default=0.0),
        min_interval=max(answer.min_interval for answer in answers),
        seeders=max(answer.seeders for answer in answers),
        leechers=max(answer.leechers for answer in answers),
        peers=tuple(dict.fromkeys(peer for answer in answers for peer in answer.peers)),
        warning=next((answer.warning for answer in answers if answer.warning), None),
        tracker_id=next((answer.tracker_id for answer in answers if answer.tracker_id), None),
    )


def _ask_names(pattern: str, offset: int, *, is_glob: bool) -> Question[NamePage]:
    return Question(
        Action.NAME,
        lambda connection, transaction: udp_tracker.name_request(
            connection, transaction, pattern, offset=offset, is_glob=is_glob
        ),
        lambda datagram, _ipv6: udp_tracker.parse_name_answer(datagram),
    )
