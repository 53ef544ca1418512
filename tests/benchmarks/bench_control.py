"""What it costs a transfer that somebody looks at it: two nodes, the leecher's page open or not.

A node is told by its API to fetch from another one. Each round has one transfer that nobody looks
at, and one for each kind of visitor: a client that makes the page's requests, and the page in a
browser. A visitor gives way to the nodes, so what differs is what the node does for it.
"""

import base64
import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from bench_measuring import MIB, in_alternation, ratios, spread, table, warm_memory
from bench_metered import cpu_seconds
from bench_targets import TARGET_HEADS, Target

HOST = "127.0.0.1"
ALONE = "nobody"
VISITORS = {"requests of the page": "replay", "page in a browser": "browser"}
SPEED = Target(0.99, 0.98)
"""Of the speed without a visitor."""
TORRENT = "1"


class Run(NamedTuple):
    """One transfer: seconds, processor seconds of both nodes, requests of the visitor."""

    seconds: float
    leecher: float
    seeder: float
    requests: int


def run(
    scratch: Path, size: int, *, rounds: int, rate: int | None, kinds: Sequence[str]
) -> dict[str, list[Run]]:
    """Measure transfers of `size` bytes in turns; `rate` limits the seeder, in bytes a second."""
    source = scratch / "looked-at.bin"
    source.write_bytes(os.urandom(size))
    ground = _Ground(scratch, source, rate)
    results: dict[str, list[Run]] = {name: [] for name in (ALONE, *kinds)}
    with ground.seeder():
        for number in range(rounds):
            for name in in_alternation(number, list(results)):
                warm_memory(size)
                found = ground.transfer(VISITORS.get(name))
                results[name].append(found)
                sys.stderr.write(f"{name}: {found}\n")
    return results


def report(results: dict[str, list[Run]], size: int) -> str:
    """Return the table: speeds and costs, and speeds as shares of a transfer without a visitor."""
    heads = ("looked at by", "MiB/s", "leecher, CPU-s", "seeder, CPU-s", "requests")
    rows = [
        (
            name,
            spread(size / MIB / each.seconds for each in runs).text(),
            spread(each.leecher for each in runs).text(2),
            spread(each.seeder for each in runs).text(2),
            spread(each.requests for each in runs).text(),
        )
        for name, runs in results.items()
    ]
    alone = results[ALONE]
    verdicts = []
    for name, runs in results.items():
        if name == ALONE:
            continue
        speed = ratios([each.seconds for each in alone], [each.seconds for each in runs])
        cost = ratios([each.leecher for each in runs], [each.leecher for each in alone])
        verdicts += [
            (f"speed, {name}", speed.text(3), *SPEED.cells(speed.median, 2)),
            (f"leecher's CPU, {name}", cost.text(3), "", "", ""),
        ]
    return "\n\n".join((table(heads, rows), table(("", "ratio", *TARGET_HEADS), verdicts)))


class _Ground:
    def __init__(self, scratch: Path, source: Path, rate: int | None) -> None:
        self._scratch = scratch
        self._source = source
        self._rate = rate
        self._port = 0
        self._seeder = 0
        self._torrent = scratch / "looked-at.torrent"

    @contextmanager
    def seeder(self) -> Iterator[None]:
        """Run the seeder of all transfers."""
        subprocess.run(
            [sys.executable, "-m", "trio_swarm", "create", self._source, "--out", self._torrent],
            check=True,
            stdout=subprocess.DEVNULL,
        )
        limit = () if self._rate is None else ("--upload-limit", str(self._rate))
        flags = ("--listen", f"{HOST}:0", "--state-dir", self._scratch / "seeder", *limit)
        with _command("seed", self._source, *flags, "--tracker", "udp://127.0.0.1:1") as process:
            assert process.stdout is not None
            self._port = _event(process, "listening")["port"]
            _event(process, "sharing")
            self._seeder = process.pid
            # Whatever it says meanwhile is taken from it: a full pipe would stop it.
            threading.Thread(target=process.stdout.read, daemon=True).start()
            yield

    def transfer(self, visitor: str | None) -> Run:
        """Fetch once, with this kind of visitor."""
        folder = self._scratch / "leecher"
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir()
        door = _free_port()
        config = folder / "peer.toml"
        config.write_text(
            f'[node]\nlisten = "{HOST}:0"\nstate_folder = "state"\ndownload_folder = "down"\n'
            f'[control]\nlisten = "{HOST}:{door}"\n'
        )
        with ExitStack() as stack:
            node = stack.enter_context(_command("run", config))
            _event(node, "listening")
            addition = {
                "metainfo": base64.b64encode(self._torrent.read_bytes()).decode(),
                "peers": [f"{HOST}:{self._port}"],
                "paused": True,
            }
            _post(door, "/torrents", addition)
            guest = stack.enter_context(_visitor(visitor, door)) if visitor else None
            pids = node.pid, self._seeder
            before = [cpu_seconds(pid) for pid in pids]
            began = time.perf_counter()
            _post(door, f"/torrents/{TORRENT}/resume", {})
            _event(node, "completed")
            seconds = time.perf_counter() - began
            used = [cpu_seconds(pid) - at for pid, at in zip(pids, before, strict=True)]
            requests = 0
            if guest is not None:
                assert guest.stdin is not None
                assert guest.stdout is not None
                guest.stdin.close()
                requests = int(guest.stdout.readline())
        shutil.rmtree(folder, ignore_errors=True)
        return Run(seconds, *used, requests)


def _free_port() -> int:
    with socket.create_server((HOST, 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


def _post(door: int, path: str, body: object) -> None:
    connection = http.client.HTTPConnection(HOST, door, timeout=60)
    headers = {"content-type": "application/json"}
    connection.request("POST", f"/api/v1{path}", json.dumps(body), headers)
    answer = connection.getresponse()
    if answer.status >= 300:
        raise RuntimeError(f"{path}: {answer.status} {answer.read(500)!r}")
    connection.close()


@contextmanager
def _command(*arguments: object) -> "Iterator[subprocess.Popen[bytes]]":
    words = [sys.executable, "-m", "trio_swarm", *map(str, arguments), "--json"]
    with _ended_at_the_end(words) as process:
        yield process


@contextmanager
def _visitor(kind: str, door: int) -> "Iterator[subprocess.Popen[bytes]]":
    script = Path(__file__).with_name("bench_control_visitor.py")
    address = f"http://{HOST}:{door}"
    with _ended_at_the_end([sys.executable, str(script), kind, address, TORRENT]) as process:
        assert process.stdout is not None
        if process.stdout.readline() != b"open\n":
            raise RuntimeError(f"{kind}: the page cannot be looked at")
        yield process


@contextmanager
def _ended_at_the_end(words: Sequence[str]) -> "Iterator[subprocess.Popen[bytes]]":
    process = subprocess.Popen(words, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    try:
        yield process
    finally:
        process.terminate()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        process.stdout.read()
        process.stdout.close()
        process.wait()


def _event(process: "subprocess.Popen[bytes]", kind: str) -> dict[str, int]:
    """Return the next event of a kind."""
    assert process.stdout is not None
    for line in process.stdout:
        event: dict[str, int] = json.loads(line)
        if event["event"] == kind:
            return event
    raise RuntimeError(f"it ended without {kind}")
