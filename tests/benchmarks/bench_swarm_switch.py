"""A switch that delivers every packet late, for kernels without netem.

    bench_swarm_switch.py SECONDS PORT...

Run in the namespace that has the ports' side of the hosts' links. Packets come and go with their
offload header, so that one of up to 64 KiB stays one. What a host sends has passed its shaped
uplink, and what is written to a port passes its shaped downlink.
"""

import collections
import select
import socket
import sys
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

SOL_PACKET = 263
PACKET_VNET_HDR = 15
PACKET_IGNORE_OUTGOING = 23
SO_RCVBUFFORCE = 33
ETH_P_ALL = 3
VNET_HEADER = 10
LARGEST = VNET_HEADER + 14 + 65536
BUFFER = 8 * 1024 * 1024
IS_GROUP = 1
"""In the first byte of an Ethernet address."""


def open_port(name: str) -> socket.socket:
    port = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, 0)
    port.setsockopt(SOL_PACKET, PACKET_VNET_HDR, 1)
    port.setsockopt(SOL_PACKET, PACKET_IGNORE_OUTGOING, 1)
    port.setsockopt(socket.SOL_SOCKET, SO_RCVBUFFORCE, BUFFER)
    port.bind((name, ETH_P_ALL))
    port.settimeout(0)
    return port


def switch(delay: float, ports: Sequence[socket.socket]) -> None:
    """Carry packets for ever, each to the port its address was last seen at."""
    poll = select.epoll()
    by_file = {port.fileno(): port for port in ports}
    for file in by_file:
        poll.register(file, select.EPOLLIN)
    places: dict[bytes, socket.socket] = {}
    late: collections.deque[tuple[float, socket.socket, bytes]] = collections.deque()
    while True:
        now = time.monotonic()
        while late and late[0][0] <= now:
            _, source, packet = late.popleft()
            deliver(packet, source, ports, places)
        wait = late[0][0] - now if late else -1
        for file, _ in poll.poll(wait):
            source = by_file[file]
            while True:
                try:
                    packet = source.recv(LARGEST)
                except BlockingIOError:
                    break
                places[packet[VNET_HEADER + 6 : VNET_HEADER + 12]] = source
                late.append((time.monotonic() + delay, source, packet))


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
    hub: str, ports: Sequence[str], delay: float, folder: Path
) -> AsyncIterator[None]:
    """Run a switch in the namespace `hub` for the duration of the block."""
    # Here, for the program itself needs no more than Python.
    from foreign_network import Network
    from foreign_programs import running

    argv = [sys.executable, "-I", "-S", __file__, str(delay), *ports]
    async with running(Network(hub), "switch", hub, argv, folder=folder / "switch") as program:
        await program.until(lambda: "switching" in program.output)
        yield


def main() -> None:
    delay, *names = sys.argv[1:]
    ports = [open_port(name) for name in names]
    print("switching", flush=True)
    switch(float(delay), ports)


if __name__ == "__main__":
    main()
