"""The routes of the page: each of its files, read once from the package, with the right headers.

Only what the package holds has a route of its own: no path that is asked for is ever looked up on
the disk. The page holds no secret, so it needs no login; what it asks of the API does.
"""

import hashlib
from collections.abc import Awaitable, Callable, Iterator, Mapping
from functools import cache
from importlib import resources
from importlib.resources.abc import Traversable
from types import MappingProxyType

import trio
from msgspec import Struct
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

INDEX = "index.html"
FOLDER = "/page/"
"""Below it are all files but the index, which is at `/`."""

CONTENT_TYPES: Mapping[str, str] = MappingProxyType(
    {
        "css": "text/css; charset=utf-8",
        "html": "text/html; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "svg": "image/svg+xml",
    }
)
"""By ending. Not the system's table: a wrong entry there would stop scripts, for the node sends
`nosniff` with every answer."""

HEADERS: Mapping[str, str] = MappingProxyType(
    {
        # Nothing from elsewhere, no inline script or style, no frame around or inside the page.
        "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'self';"
        " frame-ancestors 'none'; frame-src 'none'; object-src 'none'",
        "Cross-Origin-Opener-Policy": "same-origin",
        "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
        # After an update of the node all modules must be of one version: each is asked for again,
        # and is not sent again while its tag is the same.
        "Cache-Control": "no-cache",
    }
)


class PageFile(Struct, frozen=True):
    """One file of the page, as it is sent."""

    address: str
    """Its path in a URL."""
    content: bytes
    content_type: str
    tag: str
    """Its ETag: the same while the content is the same."""


@cache
def page_files() -> tuple[PageFile, ...]:
    """Return all files of the page, the index first; read from the package at the first call."""
    folder = resources.files("trio_swarm.control.page").joinpath("static")
    found = tuple(_read(folder, ""))
    return tuple(sorted(found, key=lambda file: file.address))


def _read(folder: Traversable, above: str) -> Iterator[PageFile]:
    for entry in folder.iterdir():
        path = above + entry.name
        if entry.is_dir():
            yield from _read(entry, f"{path}/")
            continue
        content_type = CONTENT_TYPES.get(path.rpartition(".")[2])
        if content_type is None:
            continue  # what an editor left there
        content = entry.read_bytes()
        yield PageFile(
            address="/" if path == INDEX else FOLDER + path,
            content=content,
            content_type=content_type,
            tag=f'"{hashlib.sha256(content).hexdigest()[:32]}"',
        )


def routes() -> list[Route]:
    """Return the routes of the page: `GET` and `HEAD` of `/` and of each file below `/page/`."""
    return [Route(file.address, _endpoint(file), methods=["GET"]) for file in page_files()]


def _endpoint(file: PageFile) -> Callable[[Request], Awaitable[Response]]:
    async def answer(request: Request) -> Response:
        await trio.lowlevel.checkpoint()
        headers = {**HEADERS, "ETag": file.tag}
        if _is_known(request.headers.get("if-none-match", ""), file.tag):
            return Response(status_code=304, headers=headers)
        return Response(file.content, media_type=file.content_type, headers=headers)

    return answer


def _is_known(tags: str, tag: str) -> bool:
    """Tell whether the browser has it: `If-None-Match`, weak comparison (RFC 9110, 13.1.2)."""
    known = {each.strip().removeprefix("W/") for each in tags.split(",")}
    return tag in known or "*" in known
