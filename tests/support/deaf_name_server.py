"""A name server that does not answer, for tests."""

import contextlib
import socket
import threading
from collections.abc import Iterator

import pytest


@contextlib.contextmanager
def deaf_name_server(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Lookups of `*.deaf` take until the end of the block."""
    over = threading.Event()
    getaddrinfo = socket.getaddrinfo

    def look_up(host: str | bytes, port: int, *args: int, **named: int) -> list[tuple[object, ...]]:
        name = host.decode() if isinstance(host, bytes) else host
        if name.endswith(".deaf"):
            over.wait()
            raise socket.gaierror(socket.EAI_AGAIN, "no answer")
        return list(getaddrinfo(host, port, *args, **named))

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    try:
        yield
    finally:
        over.set()
