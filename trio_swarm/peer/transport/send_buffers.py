"""Send buffers beyond the size to which Linux grows them by itself.

A send buffer holds all that the other end has not acknowledged, so it limits a long fat link: the
4 MiB at which Linux stops (`tcp_wmem`) carry some 250 Mbit/s over a round trip of 100 ms. A program
may ask for twice `wmem_max` (`socket(7)`, SO_SNDBUF): less on an untouched system, and more where
an operator has raised it.
"""

import socket
from functools import cache
from pathlib import Path
from typing import Final, NamedTuple

LARGEST: Final = 16 * 1024 * 1024
"""Bytes of the system's memory for one connection, at most: 1,000 Mbit/s over 100 ms. A peer that
acknowledges nothing cannot have it, for its congestion window has to grow first."""

_SYSTEM: Final = Path("/proc/sys/net")


class Limits(NamedTuple):
    """How large a send buffer may be, bytes; both 0 where it is unknown."""

    grown: int
    """Linux grows one to this size by itself."""
    asked: int
    """A program may have this size."""


@cache
def limits() -> Limits:
    """Return what this machine allows."""
    try:
        grown = int((_SYSTEM / "ipv4/tcp_wmem").read_text(encoding="ascii").split()[-1])
        asked = 2 * int((_SYSTEM / "core/wmem_max").read_text(encoding="ascii"))
    except (OSError, ValueError, IndexError):
        return Limits(0, 0)
    return Limits(grown, asked)


def wider(size: int, most: Limits) -> int | None:
    """Return the size to which to bring a buffer of `size` bytes; None: to leave it.

    One that Linux still grows is left, for it grows no further once a size was asked for.
    """
    larger = min(most.asked, LARGEST)
    return larger if most.grown <= size < larger else None


def widen(sock: socket.socket, most: Limits) -> None:
    """Bring the send buffer of a TCP connection to the size that `wider` says."""
    try:
        size = wider(sock.getsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF), most)
        if size is not None:
            # The system doubles what is asked for.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size // 2)
    except OSError:
        return
