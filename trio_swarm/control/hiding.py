"""What a reader is told: everything but the keys of accounts in trackers' URLs.

It is looked for in whatever goes out, not in each field: a URL may be in the words of an error, in
a log line or in a name as well. The bytes of files are sent as they are.
"""

from collections.abc import Callable
from typing import Any, Final

import msgspec
import trio

from trio_swarm.control.asgi import App, Message, Receive, Scope, Send
from trio_swarm.protocol.trackers.url_secrets import hidden, may_hold_urls

IN_THREAD: Final = 64 * 1024
"""Bytes of an answer from which looking through it would hold up other tasks for a millisecond."""

_EVENT_DATA: Final = b"data: "


def for_readers(app: App) -> App:
    """Return an application whose answers have no secrets."""

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        # What is packed cannot be looked through.
        headers = [each for each in scope["headers"] if each[0].lower() != b"accept-encoding"]
        await app({**scope, "headers": headers}, receive, _Hiding(send).send)

    return answer


class _Hiding:
    """One answer on its way."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self._start: Message | None = None
        self._body = bytearray()
        self._is_stream = False

    async def send(self, message: Message) -> None:
        """Send what an application has to say."""
        if message["type"] == "http.response.start":
            kind = _content_type(message)
            self._is_stream = kind == "text/event-stream"
            if kind == "application/json":
                self._start = message
                return
        elif self._start is not None:
            self._body += message.get("body", b"")
            if message.get("more_body", False):
                return
            await self._send_json(self._start)
            return
        elif self._is_stream:
            body = await _in_time(_hidden_events, message.get("body", b""))
            message = {**message, "body": body}
        await self._send(message)

    async def _send_json(self, start: Message) -> None:
        body = await _in_time(_hidden_json, bytes(self._body))
        headers = [
            (name, b"%d" % len(body) if name.lower() == b"content-length" else value)
            for name, value in start["headers"]
        ]
        self._start = None
        await self._send({**start, "headers": headers})
        await self._send({"type": "http.response.body", "body": body, "more_body": False})


def _content_type(start: Message) -> str:
    for name, value in start.get("headers", ()):
        if name.lower() == b"content-type":
            kind: str = value.decode("latin-1").partition(";")[0]
            return kind.strip().lower()
    return ""


async def _in_time(hide: Callable[[bytes], bytes], data: bytes) -> bytes:
    if not may_hold_urls(data):
        return data
    if len(data) < IN_THREAD:
        return hide(data)
    return await trio.to_thread.run_sync(hide, data)


def _hidden_events(data: bytes) -> bytes:
    """Return server-sent events without secrets; each is written as a whole."""
    lines = data.split(b"\n")
    for number, line in enumerate(lines):
        if line.startswith(_EVENT_DATA) and may_hold_urls(line):
            lines[number] = _EVENT_DATA + _hidden_json(line.removeprefix(_EVENT_DATA))
    return b"\n".join(lines)


def _hidden_json(data: bytes) -> bytes:
    return msgspec.json.encode(_hidden_in(msgspec.json.decode(data))) if data else data


def _hidden_in(value: Any) -> Any:
    if isinstance(value, str):
        return hidden(value)
    if isinstance(value, list):
        return [_hidden_in(each) for each in value]
    if isinstance(value, dict):
        return {hidden(key): _hidden_in(each) for key, each in value.items()}
    return value
