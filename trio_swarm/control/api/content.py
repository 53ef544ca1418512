"""The files of a torrent, read while it downloads: play one, or copy it.

What is in them is a stranger's, and they come from the same host as the page. So a browser may show
pictures, play media and print plain text; everything else is only kept. Nothing in them may run,
load anything, or see the page: RFC 9110 for ranges, CSP for the rest.
"""

from typing import Final
from urllib.parse import quote

import trio
from starlette.responses import Response, StreamingResponse

from trio_swarm.control.api.byte_ranges import Wanted, wanted_bytes
from trio_swarm.control.api.table import Asked, Operation, Parameter
from trio_swarm.control.api.torrents import OF_ONE, meant
from trio_swarm.control.asgi import Receive, Scope, Send
from trio_swarm.control.context import ControlContext
from trio_swarm.control.problems import RequestError, problem, refusal_of
from trio_swarm.errors import TrioSwarmError
from trio_swarm.foreign_text import shown
from trio_swarm.logs import logger_of
from trio_swarm.peer.torrent import Torrent
from trio_swarm.protocol.metainfo.torrent import Info

log = logger_of(__name__)

MAX_READERS: Final = 32
"""Files that are sent at once: half of all connections."""

FIRST_BYTES: Final = 64 * 1024
MOST_BYTES: Final = 1024 * 1024
"""Bytes that are read at once: few at first, since somebody waits for them; then as many as are
quick to read and not much memory."""

WAIT_FOR_ERRORS: Final = 1.0
"""Seconds in which an error still becomes the status; then the head is sent, and bytes follow when
they are here."""

_TEXT = "text/plain; charset=utf-8"
SHOWN_TYPES: Final = {
    "aac": "audio/aac",
    "avif": "image/avif",
    "avi": "video/x-msvideo",
    "bmp": "image/bmp",
    "flac": "audio/flac",
    "gif": "image/gif",
    "jpeg": "image/jpeg",
    "jpg": "image/jpeg",
    "log": _TEXT,
    "m4a": "audio/mp4",
    "m4v": "video/mp4",
    "md": _TEXT,
    "mkv": "video/x-matroska",
    "mov": "video/quicktime",
    "mp3": "audio/mpeg",
    "mp4": "video/mp4",
    "mpeg": "video/mpeg",
    "mpg": "video/mpeg",
    "nfo": _TEXT,
    "oga": "audio/ogg",
    "ogg": "audio/ogg",
    "ogv": "video/ogg",
    "opus": "audio/ogg",
    "png": "image/png",
    "srt": _TEXT,
    "ts": "video/mp2t",
    "txt": _TEXT,
    "wav": "audio/wav",
    "weba": "audio/webm",
    "webm": "video/webm",
    "webp": "image/webp",
}
"""By the end of the name, what a browser may show; an SVG is no picture here, but a program."""

KEPT_TYPE: Final = "application/octet-stream"
"""Of everything else: with `nosniff` it is no script and no style of any page."""

_HEADERS: Final = {
    "accept-ranges": "bytes",
    "cache-control": "private, no-cache",
    "content-security-policy": "sandbox; default-src 'none'; media-src 'self'; img-src 'self'; "
    "style-src 'unsafe-inline'",
}
"""The browser's own player and picture view are pages, too, which load the file itself."""


async def file(asked: Asked) -> Response:
    """Return a file of a torrent, or some bytes of it."""
    _, entry = await meant(asked)
    torrent = entry.torrent
    if torrent is None or torrent.info is None:
        message = f"{shown(entry.name)} is {entry.state}: its files can be read while it runs"
        raise RequestError(409, "not-running", message)
    info = entry.info or torrent.info
    index = _index_of(info, asked.path["path"])
    length = info.files[index].length
    tag = f'"{torrent.info_hash.hex()}-{index}"'
    wanted = wanted_bytes(asked.headers, length, tag)
    headers = {**_HEADERS, "etag": tag}
    match wanted.status:
        case 304:
            return Response(status_code=304, headers=headers)
        case 412:
            raise RequestError(412, "changed", "the file is not the one that was meant")
        case 416:
            refusal = RequestError(416, "wrong-range", f"the file has {length} bytes").refusal
            answer = problem(refusal)
            answer.headers["content-range"] = f"bytes */{length}"
            return answer
    headers |= _described(asked.path["path"], is_kept=asked.query["download"])
    headers["content-length"] = str(wanted.end - wanted.begin)
    if wanted.status == 206:
        headers["content-range"] = f"bytes {wanted.begin}-{wanted.end - 1}/{length}"
    if asked.context.readers >= MAX_READERS:
        raise RequestError(503, "too-many", f"{MAX_READERS} files are being sent already")
    return _Sent(asked.context, torrent, index, wanted, headers)


def _index_of(info: Info, path: str) -> int:
    """Return the number of a file by its path; 404 if the torrent has none like that."""
    if info.is_single_file:
        if path == info.name:
            return 0
    else:
        parts = tuple(path.split("/"))
        for index, each in enumerate(info.files):
            if each.path == parts and not each.padding:
                return index
    raise RequestError(404, "unknown-file", f"the torrent has no file {shown(path)}")


def _described(path: str, *, is_kept: bool) -> dict[str, str]:
    """Return the headers that say what a file is, and what a browser may do with it."""
    name = path.rpartition("/")[2]
    kind = SHOWN_TYPES.get(name.rpartition(".")[2].lower())
    done = "attachment" if kind is None or is_kept else "inline"
    return {
        "content-type": kind or KEPT_TYPE,
        "content-disposition": f"{done}; filename*=UTF-8''{quote(name, safe='')}",
    }


class _Sent(StreamingResponse):
    """Bytes of a file, each as soon as it is verified; whoever reads them is waited for."""

    def __init__(
        self,
        context: ControlContext,
        torrent: Torrent,
        index: int,
        wanted: Wanted,
        headers: dict[str, str],
    ) -> None:
        super().__init__((), wanted.status, headers)
        self._context = context
        self._torrent = torrent
        self._index = index
        self._wanted = wanted

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer; whoever closes the connection cancels this."""
        if scope["method"] == "HEAD":
            await self._begin(send)
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        self._context.readers += 1
        try:
            await self._send_all(scope, receive, send)
        finally:
            self._context.readers -= 1

    async def _begin(self, send: Send) -> None:
        await send(
            {
                "type": "http.response.start",
                "status": self.status_code,
                "headers": self.raw_headers,
            }
        )

    async def _send_all(self, scope: Scope, receive: Receive, send: Send) -> None:
        at, end, size = self._wanted.begin, self._wanted.end, FIRST_BYTES
        data = b""
        try:
            with trio.move_on_after(WAIT_FOR_ERRORS):
                data = await self._read(at, min(size, end - at))
        except TrioSwarmError as error:
            await problem(refusal_of(error))(scope, receive, send)
            return
        await self._begin(send)
        try:
            while at < end:
                data = data or await self._read(at, min(size, end - at))
                at += len(data)
                is_last = at >= end or not data
                body = {"type": "http.response.body", "body": data, "more_body": not is_last}
                await send(body)
                data, size = b"", min(MOST_BYTES, size * 2)
        except TrioSwarmError as error:
            # The head is out: only the end of the connection tells that this is not all.
            log.info("%s: a file is sent no further: %s", self._torrent.name, error)
        if self._wanted.begin >= end:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _read(self, at: int, size: int) -> bytes:
        return await self._torrent.read_at(self._index, at, size) if size else b""


OPERATIONS = (
    Operation(
        method="GET",
        path="/torrents/{id}/files/{path}",
        words="A file, or a range of it, while it downloads: what is read next is fetched first.",
        query=(
            Parameter(
                name="download", kind=bool, default=False, words="Keep it, show it in no browser."
            ),
        ),
        answer=file,
        gives=None,
        kind="*/*",
        errors={
            **OF_ONE,
            206: "The bytes that Range asks for.",
            304: "It is the one that If-None-Match names.",
            412: "It is not the one that If-Match names.",
            416: "It has no such bytes.",
        },
    ),
)
