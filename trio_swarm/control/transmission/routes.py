"""HTTP around Transmission's RPC: its paths, the session id that each request must carry, gzip.

Host, origin and passwords are looked at before a request comes here. The session id is asked of
everybody: a page of another site cannot read it (Transmission's "CSRF protection").
"""

import gzip
import secrets
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from functools import partial
from typing import Final

import trio
from starlette.background import BackgroundTask
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from trio_swarm.control.transmission.adding import MAX_BASE64
from trio_swarm.control.transmission.answering import answer
from trio_swarm.control.transmission.rpc_session import RpcSession
from trio_swarm.control.transmission.session_fields import RPC_VERSION_SEMVER

PATH: Final = "/transmission/rpc"
"""Every path that begins so is meant, as in the daemon 3.00: transmission-remote asks for
`/transmission/rpc/`, and takes a redirect for a failure."""

SESSION_HEADER: Final = "x-transmission-session-id"
VERSION_HEADER: Final = "x-transmission-rpc-version"

MAX_BODY: Final = MAX_BASE64 + 2**20
"""Bytes of a request: the largest .torrent in base64, and as much around it as anybody needs."""

MAX_LARGE: Final = 2
"""Requests beyond SMALL_BODY that are read at once: each may take as much memory as a .torrent."""
SMALL_BODY: Final = 2**20

LEAST_PACKED: Final = 2**10
"""Bytes of an answer from which packing pays."""
PACK_IN_THREAD: Final = 2**16
"""Bytes of an answer whose packing would hold up other tasks for more than a millisecond."""

_JSON: Final = "application/json; charset=UTF-8"


def new_session_id() -> str:
    """Return a text that nobody can guess."""
    return secrets.token_hex(24)


Finish = Callable[[Callable[[], Awaitable[bytes | None]]], Awaitable[bytes | None]]
"""Does some work to its end, though whoever asked for it may go away meanwhile."""


async def _at_once(work: Callable[[], Awaitable[bytes | None]]) -> bytes | None:
    return await work()


def routes(session: RpcSession, *, finish: Finish = _at_once) -> list[Route]:
    """Return the routes of Transmission's RPC; `scope["state"]["level"]` tells who may change."""
    large = trio.CapacityLimiter(MAX_LARGE)

    async def endpoint(request: Request) -> Response:
        given = request.headers.get(SESSION_HEADER, "")
        if not secrets.compare_digest(given.encode(), session.id.encode()):
            return _needs_session_id(session.id)
        try:
            body = await _read_body(request, large)
        except ClientDisconnect:
            return Response(status_code=400)
        if body is None:
            return Response("the request is too large", 413)
        may_change = request.scope.get("state", {}).get("level") == "full"
        content = await finish(partial(answer, body, session, may_change=may_change))
        response = Response(status_code=204)
        if content is not None:
            response = await _response(content, accepts=request.headers.get("accept-encoding", ""))
        if session.is_closing:
            response.background = BackgroundTask(_stop, session)
        return response

    return [Route(PATH + "{rest:path}", endpoint, methods=["POST"], name="transmission-rpc")]


async def _stop(session: RpcSession) -> None:
    session.target.stop()


def _needs_session_id(session_id: str) -> Response:
    headers = {SESSION_HEADER: session_id, VERSION_HEADER: RPC_VERSION_SEMVER}
    words = f"send the request again with the header {SESSION_HEADER} of this answer"
    return Response(words, 409, headers, media_type="text/plain")


async def _read_body(request: Request, large: trio.CapacityLimiter) -> bytes | None:
    """Return the body; None if it is too large. Few large ones are read at once."""
    body = bytearray()
    is_large = False
    try:
        async with aclosing(request.stream()) as stream:
            async for piece in stream:
                body += piece
                if len(body) > MAX_BODY:
                    return None
                if len(body) > SMALL_BODY and not is_large:
                    await large.acquire()
                    is_large = True
    finally:
        if is_large:
            large.release()
    return bytes(body)


async def _response(content: bytes, *, accepts: str) -> Response:
    headers = {"cache-control": "no-store", "vary": "accept-encoding"}
    if len(content) >= LEAST_PACKED and _takes_gzip(accepts):
        if len(content) >= PACK_IN_THREAD:
            content = await trio.to_thread.run_sync(_packed, content)
        else:
            content = _packed(content)
        headers["content-encoding"] = "gzip"
    return Response(content, 200, headers, media_type=_JSON)


def _packed(content: bytes) -> bytes:
    # The first level: twice as fast as the usual one, and lists of torrents are as small.
    return gzip.compress(content, compresslevel=1, mtime=0)


def _takes_gzip(accepts: str) -> bool:
    """Whether an Accept-Encoding header names gzip (RFC 9110, 12.5.3)."""
    for coding in accepts.lower().split(","):
        name, _, weight = coding.partition(";")
        if name.strip() in {"gzip", "x-gzip", "*"}:
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
