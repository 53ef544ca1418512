"""Questions to HTTP and HTTPS trackers, through httpx on Trio.

httpx takes 190 ms to import, so it is imported when the first HTTP tracker is asked.
"""

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

import trio

from trio_swarm.errors import RemoteProtocolError, TrackerRefusedError, TrackerUnreachableError
from trio_swarm.protocol.http_tracker import MAX_BODY, failure_reason

if TYPE_CHECKING:
    import httpx

MAX_REDIRECTS = 5

_MAX_KEPT_CONNECTIONS = 8


class HttpTrackerClient:
    """GETs from HTTP trackers, with limits on time and size; TLS certificates are verified.

    `stack` closes its connections. `timeout` is seconds for a whole answer. `source_host`: the
    address to connect from, "" for any.
    """

    def __init__(
        self, stack: AsyncExitStack, *, timeout: float, user_agent: str, source_host: str
    ) -> None:
        self._stack = stack
        self._timeout = timeout
        self._user_agent = user_agent
        self._source_host = source_host
        self._client: httpx.AsyncClient | None = None
        self._opening = trio.Lock()

    async def get(self, tracker: str, url: str) -> bytes:
        """Return the body at `url`; `tracker` is the name of it in errors.

        TrackerRefusedError: HTTP says no (4xx). TrackerUnreachableError: anything else that is not
        a body of at most MAX_BODY bytes in time.
        """
        import httpx  # noqa: PLC0415  see above

        client = await self._open()
        try:
            with trio.fail_after(self._timeout):
                return await self._read(client, tracker, url)
        except trio.TooSlowError:
            raise TrackerUnreachableError(
                f"no answer in {self._timeout:g} seconds", tracker=tracker
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL, RemoteProtocolError) as error:
            raise TrackerUnreachableError(_describe(error), tracker=tracker) from error
        finally:
            # Trackers need no cookies, and could make us keep ever more of them.
            client.cookies.clear()

    async def _open(self) -> "httpx.AsyncClient":
        import httpx  # noqa: PLC0415  see above

        # Two torrents that start together must not open two clients.
        async with self._opening:
            if self._client is None:
                self._client = await self._stack.enter_async_context(
                    httpx.AsyncClient(
                        follow_redirects=True,
                        max_redirects=MAX_REDIRECTS,
                        timeout=self._timeout,
                        limits=httpx.Limits(max_keepalive_connections=_MAX_KEPT_CONNECTIONS),
                        # An answer of a few hundred bytes needs no compression, and without it no
                        # small body unpacks to a huge one.
                        headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
                        transport=httpx.AsyncHTTPTransport(local_address=self._source_host)
                        if self._source_host
                        else None,
                    )
                )
        return self._client

    async def _read(self, client: "httpx.AsyncClient", tracker: str, url: str) -> bytes:
        async with client.stream("GET", url) as response:
            if response.headers.get("Content-Encoding", "identity") != "identity":
                raise RemoteProtocolError("the answer is compressed, which was not asked for")
            body = bytearray()
            with trio.CancelScope() as enough:
                async for chunk in response.aiter_raw():
                    body += chunk
                    if len(body) > MAX_BODY:
                        # Not `break`: only an exception at the socket closes all the generators
                        # that httpx has between it and us.
                        enough.cancel()
            if len(body) > MAX_BODY:
                raise RemoteProtocolError(f"an answer of more than {MAX_BODY} bytes")
            if response.is_client_error:
                said = failure_reason(bytes(body))
                status = f"HTTP {response.status_code} {response.reason_phrase}".strip()
                raise TrackerRefusedError(said or status, tracker=tracker)
            if not response.is_success:
                raise RemoteProtocolError(f"HTTP {response.status_code}")
            return bytes(body)


def _describe(error: BaseException) -> str:
    """Return what went wrong: httpx often leaves the words to the error it wraps."""
    while not str(error) and (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return str(error) or type(error).__name__
