"""Questions to HTTP and HTTPS trackers, through httpx on Trio.

httpx takes 190 ms to import, so it is imported when the first HTTP tracker is asked.

What comes from strangers and from the environment makes httpx, and the libraries below it, raise
more than httpx's own errors: ValueError (UnicodeError in it) for hosts, ImportError and ValueError
for proxies, OSError for certificates. All of them end the question, and nothing else.
"""

import errno
import os
import socket
import ssl
import time
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack
from functools import partial
from typing import TYPE_CHECKING, TypeVar

import trio

from trio_swarm.announcing import http_environment
from trio_swarm.announcing.lookups import Lookups, family_of, is_ip_address
from trio_swarm.announcing.racing import all_answers
from trio_swarm.errors import (
    ConfigError,
    RemoteProtocolError,
    TrackerRefusedError,
    TrackerUnreachableError,
)
from trio_swarm.protocol.addresses import host_fault
from trio_swarm.protocol.trackers.announces import (
    NO_NAMES,
    AnnounceAnswer,
    AnnounceRequest,
    ScrapeCounts,
)
from trio_swarm.protocol.trackers.http import (
    MAX_BODY,
    MAX_SCRAPE,
    announce_url,
    is_whole_answer,
    names_url,
    parse_announce_answer,
    parse_refusal,
    parse_retry_after,
    parse_scrape_answer,
    scrape_url,
)
from trio_swarm.protocol.trackers.http_bodies import plain_body
from trio_swarm.protocol.trackers.http_names import parse_names_answer
from trio_swarm.protocol.trackers.udp import NamePage
from trio_swarm.protocol.trackers.url_secrets import without_echo
from trio_swarm.protocol.trackers.urls import TrackerUrl, what_to_check

if TYPE_CHECKING:
    import httpx

MAX_REDIRECTS = 5

MAX_REASON = 300
"""Characters shown of a library's message: it may quote a stranger's."""

_MAX_KEPT_CONNECTIONS = 8
_ANY_ADDRESS = {socket.AF_INET: "0.0.0.0", socket.AF_INET6: "::"}  # noqa: S104 - to connect from
_GONE = 410
_UNKNOWN = frozenset({400, 401, 403, 404, 405, 410})
"""What servers answer for a path that they do not know."""
_UNTRUSTED = "CERTIFICATE_VERIFY_FAILED"

T = TypeVar("T")


class HttpTrackerClient:
    """GETs from HTTP trackers, with limits on time and size; TLS certificates are verified.

    `stack` closes its connections. `timeout` is seconds for a whole answer. `source_host`: the
    address to connect from, "" for any. Proxies and certificates are taken from the environment
    (`http_environment`).
    """

    def __init__(
        self,
        stack: AsyncExitStack,
        lookups: Lookups,
        *,
        timeout: float,
        user_agent: str,
        source_host: str,
    ) -> None:
        self._stack = stack
        self._lookups = lookups
        self._timeout = timeout
        self._user_agent = user_agent
        self._source_host = source_host
        self._clients: dict[str, httpx.AsyncClient] = {}
        """By the address they connect from."""
        self._certificates: http_environment.Certificates | None = None

    async def announce(
        self, url: str, tracker: TrackerUrl, request: AnnounceRequest
    ) -> list[AnnounceAnswer]:
        """Announce to the tracker `url`, see `ask_each_family`."""
        parse = partial(parse_announce_answer, tracker=url)
        return await self.ask_each_family(url, tracker, announce_url(url, request), parse)

    async def scrape(
        self, url: str, tracker: TrackerUrl, info_hashes: Sequence[bytes]
    ) -> dict[bytes, ScrapeCounts]:
        """Return the counts of swarms by info-hash, as far as the tracker tells them.

        Raises as `ask`, and TrackerRefusedError if it has no URL for it.
        """
        parse = partial(parse_scrape_answer, tracker=url)
        counts: dict[bytes, ScrapeCounts] = {}
        for at in range(0, len(info_hashes), MAX_SCRAPE):
            batch = info_hashes[at : at + MAX_SCRAPE]
            try:
                target = scrape_url(url, batch)
            except ConfigError as error:
                raise TrackerRefusedError(str(error), tracker=url) from error
            found = await self.ask(url, tracker, target, parse)
            counts |= {asked: found[asked] for asked in batch if asked in found}
        return counts

    async def names(
        self,
        url: str,
        tracker: TrackerUrl,
        pattern: str,
        *,
        offset: int = 0,
        is_glob: bool = False,
        info_hash: bytes | None = None,
    ) -> tuple[NamePage, str | None]:
        """Return the torrents that hold a name, and why none does if it was told.

        As `trio_swarm.protocol.trackers.http.names_url`. Raises as `ask`, and TrackerRefusedError
        if the tracker knows no names.
        """
        try:
            target = names_url(url, pattern, offset=offset, is_glob=is_glob, info_hash=info_hash)
        except ConfigError as error:
            raise TrackerRefusedError(NO_NAMES, tracker=url) from error
        return await self.ask(url, tracker, target, partial(_parse_names, url), unknown=NO_NAMES)

    async def ask_each_family(
        self, url: str, tracker: TrackerUrl, target: str, parse: Callable[[bytes], T]
    ) -> list[T]:
        """GET `target` over IPv4 and over IPv6, as far as the tracker `url` has them; parse both.

        An announce lists us under the address it comes from, so both have to be told (BEP 7);
        through a proxy, only the proxy's address can be. `parse` raises RemoteProtocolError or
        TrackerRefusedError. Raises as `ask`, if neither answers.
        """
        sources = await self._sources(url, tracker)
        return await all_answers(
            [partial(self._ask_from, source, url, tracker, target, parse) for source in sources]
        )

    async def ask(
        self,
        url: str,
        tracker: TrackerUrl,
        target: str,
        parse: Callable[[bytes], T],
        *,
        unknown: str = "",
    ) -> T:
        """GET `target` of the tracker `url` and parse the body.

        TrackerRefusedError: HTTP says no (4xx), or `parse` does. TrackerUnreachableError: anything
        else that is not a body of at most MAX_BODY bytes in time. `unknown`: what a status says
        that servers have for paths which they do not know.
        """
        return await self._ask_from(self._source_host, url, tracker, target, parse, unknown=unknown)

    async def _sources(self, url: str, tracker: TrackerUrl) -> list[str]:
        """Return the addresses to connect from: one of each family if the tracker has both."""
        _check_host(url, tracker)
        if self._source_host or is_ip_address(tracker.host):
            return [self._source_host]
        if http_environment.proxy_variables(tracker.scheme, tracker.host):
            return [""]
        found = await self._lookups.find(url, tracker, socket.SOCK_STREAM)
        families = list(dict.fromkeys(map(family_of, found)))
        return [_ANY_ADDRESS[family] for family in families] if len(families) > 1 else [""]

    async def _ask_from(
        self,
        source: str,
        url: str,
        tracker: TrackerUrl,
        target: str,
        parse: Callable[[bytes], T],
        *,
        unknown: str = "",
    ) -> T:
        _check_host(url, tracker)
        client = self._open(source, url, tracker)
        # With an address to connect from, httpx uses no proxy.
        proxies = "" if source else http_environment.proxy_variables(tracker.scheme, tracker.host)
        body = await self._get(client, url, target, proxies, unknown)
        try:
            return parse(plain_body(body, limit=MAX_BODY))
        except RemoteProtocolError as error:
            raise TrackerUnreachableError(f"bad answer: {error}", tracker=url) from error

    def _open(self, source: str, url: str, tracker: TrackerUrl) -> "httpx.AsyncClient":
        import httpx  # noqa: PLC0415  see above

        if self._certificates is None:
            self._certificates = http_environment.load_certificates()
        if tracker.scheme == "https" and self._certificates.fault:
            raise TrackerUnreachableError(
                self._certificates.fault, tracker=url, retry_in=float("inf")
            )
        if source not in self._clients:
            context = self._certificates.context
            try:
                client = httpx.AsyncClient(
                    verify=context,
                    timeout=self._timeout,
                    limits=httpx.Limits(max_keepalive_connections=_MAX_KEPT_CONNECTIONS),
                    # An answer of a few hundred bytes needs no compression.
                    headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
                    transport=httpx.AsyncHTTPTransport(verify=context, local_address=source)
                    if source
                    else None,
                )
            except (httpx.InvalidURL, ValueError, ImportError, OSError) as error:
                raise TrackerUnreachableError(
                    http_environment.proxy_fault(error, context),
                    tracker=url,
                    retry_in=float("inf"),
                ) from error
            self._clients[source] = client
            self._stack.push_async_callback(client.aclose)
        return self._clients[source]

    async def _get(
        self, client: "httpx.AsyncClient", url: str, target: str, proxies: str, unknown: str
    ) -> bytes:
        import httpx  # noqa: PLC0415  see above

        body = bytearray()
        try:
            with trio.fail_after(self._timeout):
                await _read(client, url, target, body, unknown)
        except trio.TooSlowError:
            fault = f"no answer in {self._timeout:g} seconds; {what_to_check('http')}"
        except (httpx.HTTPError, httpx.InvalidURL, RemoteProtocolError) as error:
            fault = _describe(error)
        # OSError and ValueError come from resolvers and TLS, which httpx does not wrap everywhere.
        except (OSError, ValueError, OverflowError) as error:
            fault = _describe(error)
        except ExceptionGroup as group:
            # Trio connects to several addresses in a nursery.
            if group.split((OSError, ValueError, OverflowError))[1] is not None:
                raise
            fault = _describe(group.exceptions[0])
        else:
            return bytes(body)
        finally:
            # Trackers need no cookies, and could make us keep ever more of them.
            client.cookies.clear()
        if is_whole_answer(bytes(body)):
            return bytes(body)  # the server only was slow to close, or told a wrong length
        if _UNTRUSTED in fault and (variable := http_environment.certificate_variables()):
            fault += f" (by the certificates of {variable})"
        if proxies:
            fault += f" (through the proxy of {proxies})"
        raise TrackerUnreachableError(fault, tracker=url)


async def _read(
    client: "httpx.AsyncClient", tracker: str, url: str, body: bytearray, unknown: str
) -> None:
    """Read what is at `url` into `body`, which stays empty unless HTTP says that all is well."""
    request = client.build_request("GET", url)
    # httpx would read the whole body of a redirect, however long, and unpack it.
    for _ in range(MAX_REDIRECTS + 1):
        response = await client.send(request, stream=True)
        try:
            if response.next_request is None:
                await _read_body(response, tracker, body, unknown)
                return
            request = response.next_request
        finally:
            await response.aclose()
    raise RemoteProtocolError(f"more than {MAX_REDIRECTS} redirects")


async def _read_body(
    response: "httpx.Response", tracker: str, body: bytearray, unknown: str
) -> None:
    received = body if response.is_success else bytearray()
    with trio.CancelScope() as enough:
        async for chunk in response.aiter_raw():
            received += chunk
            if len(received) > MAX_BODY:
                # Not `break`: only an exception at the socket closes all the generators that
                # httpx has between it and us.
                enough.cancel()
    if len(received) > MAX_BODY:
        raise RemoteProtocolError(f"an answer of more than {MAX_BODY} bytes")
    if not response.is_success:
        _raise_status(response, tracker, bytes(received), unknown)


def _raise_status(response: "httpx.Response", tracker: str, body: bytes, unknown: str) -> None:
    """Raise what a status other than 2xx says, and when it says to come again."""
    status = f"HTTP {response.status_code} {response.reason_phrase}".strip()[:MAX_REASON]
    header = response.headers.get("Retry-After", "")
    # 0 is as good as nothing.
    wait = parse_retry_after(header, time.time()) or None
    said = parse_refusal(plain_body(body, limit=MAX_BODY), tracker=tracker)
    if unknown and said is None and response.status_code in _UNKNOWN:
        raise TrackerRefusedError(unknown, tracker=tracker)
    if response.status_code == _GONE:
        wait = float("inf")
    if said is not None or response.is_client_error:
        told = [each for each in (wait, said.retry_in if said else None) if each is not None]
        raise TrackerRefusedError(
            said.reason if said else status, tracker=tracker, retry_in=max(told, default=None)
        )
    raise TrackerUnreachableError(status, tracker=tracker, retry_in=wait)


def _parse_names(url: str, body: bytes) -> tuple[NamePage, str | None]:
    try:
        page, reason = parse_names_answer(body)
    except RemoteProtocolError:
        refusal = parse_refusal(body, tracker=url)
        raise refusal or TrackerRefusedError(NO_NAMES, tracker=url) from None
    return page, None if reason is None else without_echo(reason, url)


def _check_host(url: str, tracker: TrackerUrl) -> None:
    if fault := host_fault(tracker.host):
        raise TrackerUnreachableError(fault, tracker=url, retry_in=float("inf"))


def _describe(error: BaseException) -> str:
    """Return the reason of an error: httpx and Trio often leave the words to the one they wrap."""
    words = str(error)
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, BaseExceptionGroup):
            cause = cause.exceptions[0]
        if isinstance(cause, ConnectionRefusedError):
            return f"{os.strerror(errno.ECONNREFUSED)}; is this its port?"
        if isinstance(cause, OSError) and cause.strerror and not isinstance(cause, ssl.SSLError):
            # A resolver's numbers are not the system's. Trio puts the address into the words.
            is_lookup = isinstance(cause, socket.gaierror) or cause.errno is None
            return cause.strerror if is_lookup else os.strerror(cause.errno or 0)
        words = words or str(cause)
        cause = cause.__cause__ or cause.__context__
    return words[:MAX_REASON] or type(error).__name__
