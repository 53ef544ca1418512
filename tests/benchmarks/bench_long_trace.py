"""What TCP knows of every connection in a namespace, sample by sample, while a transfer runs.

By the kernel's own listing (`sock_diag(7)`), so the programs that are watched need not know.
"""

import socket
import struct
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

import trio
from bench_swarm_network import Host

from foreign_network import inside

TRACE_SECONDS = 0.02
_SOCK_DIAG = 4
_BY_FAMILY = 20
_REQUEST_AND_DUMP = 0x301
_DONE = 3
_ESTABLISHED = 1 << 1
_INFO = 2
_HEADER = struct.Struct("=IHHII")
_REQUEST = struct.Struct("=BBBxI48x")
_SOCKET = struct.Struct("!4x2H4s12x4s12x12x20x")
"""Ports and addresses of `struct inet_diag_msg`."""
_ATTRIBUTE = struct.Struct("=HH")
_TCP_INFO = struct.Struct("=8B24I4Q6I4Q2I2Q")
"""All of `struct tcp_info` up to the bytes sent again."""


class Sample(NamedTuple):
    """One connection at one moment; times in seconds, amounts in bytes if not said otherwise."""

    at: float
    local: str
    remote: str
    state: int
    """0 open, 1 disorder, 3 recovery, 4 loss."""
    is_app_limited: bool
    window: int
    """Segments, of congestion control."""
    threshold: int
    """Segments, where slow start ends."""
    in_flight: int
    """Segments."""
    lost: int
    """Segments."""
    round_trip: float
    unsent: int
    acknowledged: int
    delivery_rate: int
    receiver_limited: float
    """Seconds in all."""
    buffer_limited: float
    """Seconds in all in which the send buffer was full."""
    retransmitted: int

    def line(self) -> str:
        """Return a line of a trace."""
        return (
            f"{self.at:.3f} {self.local}>{self.remote} acked {self.acknowledged / 1e6:.2f}M "
            f"cwnd {self.window} ssthresh {self.threshold} flight {self.in_flight} "
            f"unsent {self.unsent} rtt {1000 * self.round_trip:.0f}ms state {self.state} "
            f"lost {self.lost} again {self.retransmitted} "
            f"{self.delivery_rate / 1e6:.1f}MB/s app {self.is_app_limited:d} "
            f"rwnd {self.receiver_limited:.2f}s sndbuf {self.buffer_limited:.2f}s"
        )


class Tracer:
    """Asks for the samples of the namespace that its socket is of."""

    def __init__(self, netlink: socket.socket) -> None:
        self.samples: list[Sample] = []
        self._netlink = netlink

    def take(self) -> None:
        """Take a sample of each connection."""
        body = _REQUEST.pack(socket.AF_INET, socket.IPPROTO_TCP, 1 << (_INFO - 1), _ESTABLISHED)
        length = _HEADER.size + len(body)
        self._netlink.send(_HEADER.pack(length, _BY_FAMILY, _REQUEST_AND_DUMP, 1, 0) + body)
        now = time.monotonic()
        while True:
            data = self._netlink.recv(1 << 16)
            for kind, message in messages(data):
                if kind == _DONE:
                    return
                if kind == _BY_FAMILY:
                    self.samples.extend(samples(message, now))

    def close(self, file: Path) -> None:
        """Write the samples down, and end."""
        self._netlink.close()
        file.write_text("".join(f"{sample.line()}\n" for sample in self.samples))


def open_netlink() -> socket.socket:
    """Return a socket that asks about connections in the namespace of this thread."""
    return socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _SOCK_DIAG)


def messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Take a netlink datagram apart: the kind and the body of each message."""
    at = 0
    while at + _HEADER.size <= len(data):
        length, kind, *_ = _HEADER.unpack_from(data, at)
        yield kind, data[at + _HEADER.size : at + length]
        at += (length + 3) & ~3


def samples(message: bytes, now: float) -> Iterator[Sample]:
    """Read one connection, if its state is told."""
    local_port, remote_port, local, remote = _SOCKET.unpack_from(message)
    at = _SOCKET.size
    while at + _ATTRIBUTE.size <= len(message):
        length, kind = _ATTRIBUTE.unpack_from(message, at)
        if kind == _INFO:
            told = message[at + _ATTRIBUTE.size : at + length]
            addresses = (
                f"{socket.inet_ntoa(local)}:{local_port}",
                f"{socket.inet_ntoa(remote)}:{remote_port}",
            )
            yield _sample(now, *addresses, _TCP_INFO.unpack_from(told))
        at += (length + 3) & ~3


def _sample(now: float, local: str, remote: str, told: Sequence[int]) -> Sample:
    return Sample(
        at=now,
        local=local,
        remote=remote,
        state=told[1],
        is_app_limited=bool(told[7] & 1),
        window=told[26],
        threshold=told[25],
        in_flight=told[12],
        lost=told[14],
        round_trip=told[23] * 1e-6,
        unsent=told[38],
        acknowledged=told[34],
        delivery_rate=told[42],
        receiver_limited=told[44] * 1e-6,
        buffer_limited=told[45] * 1e-6,
        retransmitted=told[49],
    )


async def trace(hosts: Sequence[Host], folder: Path) -> None:
    """Write what all connections of the hosts are like, until cancelled: a file for each host."""
    tracers = [Tracer(inside(host.name, open_netlink)) for host in hosts]
    try:
        while True:
            for tracer in tracers:
                tracer.take()
            await trio.sleep(TRACE_SECONDS)
    finally:
        for host, tracer in zip(hosts, tracers, strict=True):
            tracer.close(folder / f"{host.address}.txt")
