"""A switch that delivers packets late, and may lose some, for kernels without netem.

    bench_swarm_switch.py SEED WAY...

Run in the namespace that has the ports' side of the hosts' links. A WAY is JSON: a port, and what
befalls the packets that its host sends (see `Way`). Packets come and go with their offload header,
so that one of up to 64 KiB stays one. What a host sends has passed its shaped uplink, and what is
written to a port passes its shaped downlink.
"""

import collections
import json
import math
import random
import select
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

SOL_PACKET = 263
PACKET_VNET_HDR = 15
PACKET_IGNORE_OUTGOING = 23
SO_SNDBUFFORCE = 32
SO_RCVBUFFORCE = 33
ETH_P_ALL = 3
VNET_HEADER = 10
ARP = b"\x08\x06"
LARGEST = VNET_HEADER + 14 + 65536
RECEIVE_BUFFER = 8 * 1024 * 1024
SEND_BUFFER = 256 * 1024 * 1024
"""What waits in a port's queueing discipline counts as unsent of our socket. With the system's 208
KiB that is the length of a queue, whatever the discipline was told."""
BATCH = 64
"""Packets taken from a port before others are looked at."""
IS_GROUP = 1
"""In the first byte of an Ethernet address."""


class Way(NamedTuple):
    """What befalls the packets that come from a port."""

    port: str
    delay: float = 0.0
    """Seconds."""
    loss: float = 0.0
    """Share of the packets that are lost."""
    rate: float | None = None
    """Bytes a second, where a modem behind the host limits it."""
    buffer: float = 0.0
    """Bytes that wait in front of that, first in, first out; further ones are lost."""


class Passage:
    """The packets from one port that are on their way. Times are in seconds."""

    def __init__(self, way: Way, rng: random.Random) -> None:
        self.late: collections.deque[tuple[float, bytes]] = collections.deque()
        """When each arrives, and the packet; the first to arrive first."""
        self.lost = 0
        self._way = way
        self._rng = rng
        self._free_at = 0.0

    def enter(self, packet: bytes, now: float) -> None:
        """Send a packet on its way."""
        _, delay, loss, rate, buffer = self._way
        if loss and self._rng.random() < loss:
            self.lost += 1
            return
        if rate is None:
            self.late.append((now + delay, packet))
            return
        begin = max(now, self._free_at)
        if (begin - now) * rate > buffer:
            self.lost += 1
            return
        self._free_at = begin + (len(packet) - VNET_HEADER) / rate
        self.late.append((self._free_at + delay, packet))


def open_port(name: str) -> socket.socket:
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    port.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    port.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    port.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER)
    port.setsockopt(socket.SOL_SOCKET, SO_SNDBUFFORCE, SEND_BUFFER)
    port.bind((name, ETH_P_ALL))
    port.settimeout(0)
    return port


def switch(ways: Sequence[Way], ports: Sequence[socket.socket], rng: random.Random) -> None:
    """Carry packets for ever, each to the port its address was last seen at."""
    poll = select.epoll()
    passages = [(Passage(way, rng), port) for way, port in zip(ways, ports, strict=True)]
    by_file = {port.fileno(): (passage, port) for passage, port in passages}
    for file in by_file:
        poll.register(file, select.EPOLLIN)
    places: dict[bytes, socket.socket] = {}
    while True:
        now = time.monotonic()
        due = math.inf
        for passage, port in passages:
            late = passage.late
            while late and late[0][0] <= now:
                deliver(late.popleft()[1], port, ports, places)
            if late and late[0][0] < due:
                due = late[0][0]
        wait = -1 if due == math.inf else max(0.0, due - time.monotonic())
        for file, _ in poll.poll(wait):
            passage, port = by_file[file]
            now = time.monotonic()
            for _ in range(BATCH):
                try:
                    packet = port.recv(LARGEST)
                except BlockingIOError:
                    break
                places[packet[VNET_HEADER + 6 : VNET_HEADER + 12]] = port
                if packet[VNET_HEADER + 12 : VNET_HEADER + 14] == ARP:
                    # Hosts that are far apart ask a router next door for addresses.
                    deliver(packet, port, ports, places)
                else:
                    passage.enter(packet, now)


def deliver(
    packet: bytes,
    source: socket.socket,
    ports: Sequence[socket.socket],
    places: dict[bytes, socket.socket],
) -> None:
    target = packet[VNET_HEADER : VNET_HEADER + 6]
    place = None if target[0] & IS_GROUP else places.get(target)
    for port in ports if place is None else [place]:
        if port is not source:
            try:
                port.send(packet)
            except OSError:
                # The port's queue is full, and a packet is lost as on any link.
                continue


@asynccontextmanager
async def switching(
    hub: str, ways: Sequence[Way], folder: Path, *, seed: int = 1
) -> AsyncIterator[None]:
    """Run a switch in the namespace `hub` for the duration of the block; `seed` is for losses."""
    # Here, for the program itself needs no more than Python.
    from foreign_network import Network
    from foreign_programs import running

    argv = [sys.executable, "-I", "-S", __file__, str(seed), *map(json.dumps, ways)]
    async with running(Network(hub), "switch", hub, argv, folder=folder / "switch") as program:
        await program.until(lambda: "switching" in program.output)
        yield


def main() -> None:
    seed, *ways = sys.argv[1:]
    found = [Way(*json.loads(text)) for text in ways]
    ports = [open_port(way.port) for way in found]
    print("switching", flush=True)
    switch(found, ports, random.Random(int(seed)))


if __name__ == "__main__":
    main()
