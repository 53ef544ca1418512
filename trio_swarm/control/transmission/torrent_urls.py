"""Fetches a .torrent from an address that a client named."""

from typing import Final

import httpx
import trio

from trio_swarm.control.transmission.calling import CallError, Code
from trio_swarm.foreign_text import error_words, shown
from trio_swarm.protocol.metainfo.torrent import MAX_TORRENT_SIZE

FETCH_SECONDS: Final = 60.0
"""For all of it. Clients wait for the answer, most of them for less."""

MAX_REDIRECTS: Final = 5
"""Indexers redirect once or twice, to another http or https address or to a magnet link."""


async def fetch_torrent(url: str, cookies: str) -> bytes | str:
    """Return what is at an http or https URL, at most as many bytes as a .torrent may have.

    Where the address leads to a magnet link, as those of some indexers do, that is returned. Raises
    CallError. Only a full token may ask for it: this machine and its network are reached by it,
    where indexers run beside a node.
    """
    try:
        with trio.fail_after(FETCH_SECONDS):
            async with httpx.AsyncClient(timeout=FETCH_SECONDS) as client:
                return await _follow(client, httpx.URL(url), cookies)
    except trio.TooSlowError as error:
        raise CallError(f"no .torrent within {FETCH_SECONDS:.0f} s", Code.HTTP_ERROR) from error
    except (httpx.HTTPError, httpx.InvalidURL, UnicodeError, OSError) as error:
        raise CallError(f"{shown(url, 80)}: {error_words(error)}", Code.HTTP_ERROR) from error


async def _follow(client: httpx.AsyncClient, url: httpx.URL, cookies: str) -> bytes | str:
    origin = (url.scheme, url.host, url.port)
    for _ in range(MAX_REDIRECTS + 1):
        if url.scheme not in {"http", "https"}:
            raise CallError("the address leads away from http and https", Code.HTTP_ERROR)
        # Cookies are for the server that the client named only.
        is_own = (url.scheme, url.host, url.port) == origin
        # Not packed: a small answer could become one of gigabytes.
        headers = {"accept-encoding": "identity"}
        if cookies and is_own:
            headers["cookie"] = cookies
        async with client.stream("GET", url, headers=headers) as response:
            location = str(response.headers.get("location", ""))
            if not response.has_redirect_location:
                return await _body(response)
        if location[:7].lower() == "magnet:":
            return location
        url = url.join(location)
    raise CallError(f"more than {MAX_REDIRECTS} redirects", Code.HTTP_ERROR)


async def _body(response: httpx.Response) -> bytes:
    if response.status_code != httpx.codes.OK:
        raise CallError(f"the server answered {response.status_code}", Code.HTTP_ERROR)
    body = bytearray()
    with trio.CancelScope() as enough:
        async for piece in response.aiter_raw():
            body += piece
            if len(body) > MAX_TORRENT_SIZE:
                # Not `break`: only an exception at the socket closes all the generators that httpx
                # has between it and us.
                enough.cancel()
    if len(body) > MAX_TORRENT_SIZE:
        raise CallError("what is there is too large for a .torrent", Code.HTTP_ERROR)
    return bytes(body)
