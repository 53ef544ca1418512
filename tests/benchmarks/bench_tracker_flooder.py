"""Floods a tracker until it is killed.

    bench_tracker_flooder.py KIND ADDRESS PORT RATE

KIND: spoofed (datagrams that seem to come from all over 127/8 and hold no valid connection id),
swarms (announces of ever new info-hashes by the 250 hosts of a network), connections (TCP
connections that say nothing, or half a request) or readers (HTTP announces whose answers are not
read). RATE is how many datagrams or connections a second. Prints a line once it begins.
"""

import itertools
import os
import random
import socket
import struct
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import suppress

IP_PKTINFO = 8
ANNOUNCE = struct.Struct("!8sii20s20sqqqiiIiH")
CONNECT = struct.pack("!qii", 0x41727101980, 0, 7)
HOSTS = 250
"""Of the network that opens swarms."""
HELD = 4000
"""Connections kept open at once."""
STEP = 0.005
"""Seconds between two bursts."""


def announce(connection_id: bytes, info_hash: bytes) -> bytes:
    return ANNOUNCE.pack(
        connection_id, 1, 1, info_hash, b"-BB0000-" + bytes(12), 0, 1, 0, 0, 0, 0, 50, 6881
    )


def spoofed(address: str, port: int) -> Iterator[None]:
    sender = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    rng = random.Random(1)
    while True:
        source = bytes((127, rng.randrange(64, 250), rng.randrange(256), rng.randrange(1, 255)))
        info = struct.pack("=I4s4s", 0, source, source)
        data = announce(rng.randbytes(8), rng.randbytes(20)) if rng.random() < 0.5 else CONNECT
        sender.sendmsg([data], [(socket.IPPROTO_IP, IP_PKTINFO, info)], 0, (address, port))
        yield


def swarms(address: str, port: int) -> Iterator[None]:
    hosts = []
    for number in range(HOSTS):
        host = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        host.bind((f"127.70.0.{number + 1}", 0))
        host.connect((address, port))
        host.settimeout(5)
        host.send(CONNECT)
        hosts.append((host, host.recv(100)[8:16]))
    for host, connection_id in itertools.cycle(hosts):
        host.send(announce(connection_id, os.urandom(20)))
        yield


def connections(address: str, port: int) -> Iterator[None]:
    held: deque[socket.socket] = deque()
    for number in itertools.count():
        stranger = socket.socket()
        stranger.settimeout(0)
        stranger.bind((f"127.80.{number >> 8 & 255}.{number & 255 or 1}", 0))
        stranger.connect_ex((address, port))
        held.append(stranger)
        if len(held) > HELD // 2:
            with suppress(OSError):  # not there yet, or gone
                held[-HELD // 4].send(b"GET /announce?info_ha")
        if len(held) > HELD:
            held.popleft().close()
        yield


def readers(address: str, port: int) -> Iterator[None]:
    held: deque[socket.socket] = deque()
    request = (
        b"GET /announce?info_hash=aaaaaaaaaaaaaaaaaaaa&peer_id=aaaaaaaaaaaaaaaaaaaa&port=1&left=1 "
        b"HTTP/1.1\r\nHost: a\r\n\r\n"
    )
    for number in itertools.count():
        stranger = socket.socket()
        stranger.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        stranger.settimeout(0)
        stranger.bind((f"127.81.{number >> 8 & 255}.{number & 255 or 1}", 0))
        stranger.connect_ex((address, port))
        held.append(stranger)
        for other in list(held)[-20:-10]:
            with suppress(OSError):
                other.send(request * 20)
        if len(held) > HELD:
            held.popleft().close()
        yield


def main() -> None:
    kind, address, port, rate = sys.argv[1:]
    flood = {"spoofed": spoofed, "swarms": swarms, "connections": connections, "readers": readers}
    steps = flood[kind](address, int(port))
    print("begun", flush=True)
    due = time.monotonic()
    while True:
        for _ in range(max(1, round(int(rate) * STEP))):
            next(steps)
        due = max(due + STEP, time.monotonic())
        time.sleep(max(0.0, due - time.monotonic()))


if __name__ == "__main__":
    main()
