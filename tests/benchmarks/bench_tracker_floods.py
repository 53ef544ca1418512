"""What a flooded tracker keeps in memory, and how soon an honest client has its answer.

The tracker has the bounds it is installed with and one core to itself. An honest client announces
all the while, over UDP and over HTTP, and each answer is timed.
"""

import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from bench_measuring import MIB, table
from bench_tracker_flooder import CONNECT, announce

HOST = "127.50.0.1"
HONEST = "127.60.0.1"
FLOODER = Path(__file__).with_name("bench_tracker_flooder.py")
RATES = {"none": 0, "spoofed": 40_000, "swarms": 30_000, "connections": 4_000, "readers": 400}
"""Kinds of floods, and datagrams or connections a second: about half of what one core can take."""
PATIENCE = 1.0
"""Seconds after which an answer is lost."""
PAUSE = 0.005
"""Seconds between an answer and the next question."""
SERVE = ["-m", "trio_swarm", "tracker", "--listen", f"{HOST}:0", "--json"]


class Flooded(NamedTuple):
    """What was seen of one flood."""

    kind: str
    before: float
    """MiB of the tracker's resident memory."""
    middle: float
    """Of the same, in the middle of the flood."""
    after: float
    udp: list[float]
    """Seconds until each answer; PATIENCE: lost."""
    http: list[float]
    busy: float
    """Part of its core that the tracker took."""


def run(seconds: float, kinds: list[str]) -> list[Flooded]:
    """Measure each kind with a tracker of its own."""
    return [_flooded(kind, seconds) for kind in kinds]


def report(results: list[Flooded]) -> str:
    """Return a table."""
    heads = ["flood", "MiB before", "in the middle", "at the end", "UDP p50 ms", "p99"]
    heads += ["lost", "HTTP p50 ms", "p99", "lost", "busy"]
    rows = [
        (
            each.kind,
            *(f"{size:.0f}" for size in (each.before, each.middle, each.after)),
            *_latencies(each.udp),
            *_latencies(each.http),
            f"{each.busy:.0%}",
        )
        for each in results
    ]
    return table(heads, rows)


def _latencies(times: list[float]) -> tuple[str, str, str]:
    answered = sorted(each for each in times if each < PATIENCE)
    if not answered:
        return "-", "-", f"{len(times)}"
    return (
        f"{1000 * answered[len(answered) // 2]:.1f}",
        f"{1000 * answered[len(answered) * 99 // 100]:.1f}",
        f"{len(times) - len(answered)} of {len(times)}",
    )


def _flooded(kind: str, seconds: float) -> Flooded:
    core, *others = sorted(os.sched_getaffinity(0))
    with _running([sys.executable, *SERVE], {core}) as (server, said):
        port = json.loads(said)["port"]
        # A swarm that was there before.
        client = _connected(port)
        _ask_udp(client, port)
        before, cpu, udp, http = _resident(server), _cpu(server), list[float](), list[float]()
        flood = [sys.executable, str(FLOODER), kind, HOST, str(port), str(RATES[kind])]
        with _running(flood if kind != "none" else ["echo"], set(others) or {core}):
            began, middle = time.monotonic(), 0.0
            while (gone := time.monotonic() - began) < seconds:
                if not middle and gone > seconds / 2:
                    middle = _resident(server)
                udp.append(_ask_udp(client, port))
                http.append(_ask_http(port))
                time.sleep(PAUSE)
            after, busy = _resident(server), (_cpu(server) - cpu) / gone
    return Flooded(kind, before, middle, after, udp, http, busy)


def _connected(port: int) -> tuple[socket.socket, bytes]:
    client = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    client.bind((HONEST, 0))
    client.connect((HOST, port))
    client.settimeout(PATIENCE)
    client.send(CONNECT)
    return client, client.recv(100)[8:16]


def _ask_udp(client: tuple[socket.socket, bytes], port: int) -> float:
    sock, connection_id = client
    began = time.perf_counter()
    sock.send(announce(connection_id, b"h" * 20))
    try:
        answer = sock.recv(2048)
    except TimeoutError:
        return PATIENCE
    assert struct.unpack_from("!i", answer)[0] == 1, answer
    return time.perf_counter() - began


def _ask_http(port: int) -> float:
    began = time.perf_counter()
    query = f"info_hash={'h' * 20}&peer_id={'a' * 20}&port=6882&left=1"
    try:
        with socket.create_connection((HOST, port), PATIENCE, (HONEST, 0)) as client:
            client.sendall(f"GET /announce?{query} HTTP/1.0\r\n\r\n".encode())
            answer = client.recv(4096)
    except OSError:
        return PATIENCE
    return time.perf_counter() - began if b"interval" in answer else PATIENCE


def _resident(process: "subprocess.Popen[str]") -> float:
    pages = int(Path(f"/proc/{process.pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


def _cpu(process: "subprocess.Popen[str]") -> float:
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _running(argv: list[str], cores: set[int]) -> Iterator[tuple["subprocess.Popen[str]", str]]:
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            os.sched_setaffinity(process.pid, cores)
            first = process.stdout.readline()
            # A program whose output nobody reads waits for its reader, some 15 s after it began.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield process, first
        finally:
            process.kill()
