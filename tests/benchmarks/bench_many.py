"""What thousands of idle shares in one node cost: to begin, to keep, to stop, and to begin again.

A tracker, a node with one share of 16 KiB per torrent, and now and then somebody who fetches one of
them. The node's processor time and memory are read when the tracker lists every share, and its
processor time again after it was left alone for a while. Checkouts are measured in turns.
"""

import hashlib
import json
import os
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import NamedTuple

import trio
from bench_measuring import KIB, MIB, in_alternation, ratios, spread, table
from bench_metered import cpu_seconds
from bench_targets import TARGET_HEADS, Target

from trio_swarm.announcing.clients import TrackerClients, open_tracker_clients
from trio_swarm.errors import TrackerError
from trio_swarm.protocol.metainfo.torrent import build_info

HOST = "127.0.0.1"
SIZE = 16 * KIB
SHARES_PER_FOLDER = 100
SETTLING = 5.0
"""Seconds between the last listed share and the time of idling: what beginning left is over."""

PATIENCE = 240.0
"""Seconds until every share is listed, at most."""

STOP_PATIENCE = 30.0

LOOK = 0.2
"""Seconds between questions to the tracker how many are listed."""

OURS = "this checkout"

TARGETS = {"cpu": Target(0.2, 0.3), "memory": Target(0.33, 0.45), "idle": Target(0.15, 0.25)}
"""Of the costs of the checkout that it is measured against."""

AGAIN = Target(0.5, 0.6)
"""Processor time of a start with state, of that of the first start."""

FIRST_BYTE = Target(0.25, 0.5)
"""Seconds from a leecher that listens to a piece that it verified."""


class Run(NamedTuple):
    """One node: seconds, processor seconds, and bytes."""

    wall: float
    """Until every share was listed."""
    cpu: float
    memory: float
    """Resident, once it had settled."""
    idle: float
    """Processor seconds while nobody wanted anything."""
    fetch: float
    """From a leecher that listens to a verified piece."""
    stop: float
    left: int
    """Shares that the tracker listed still, after the node had ended."""


class Pair(NamedTuple):
    """A start without any state, and another with the state that it left."""

    first: Run
    again: Run


def run(
    scratch: Path,
    *,
    count: int,
    seconds: float,
    interval: float,
    descriptors: int | None,
    rounds: int,
    checkouts: Sequence[Path],
) -> dict[str, list[Pair]]:
    """Measure this checkout and others in turns; `descriptors` is the node's limit of open files.

    `seconds` is how long the node is left alone, `interval` how often the tracker wants to hear.
    """
    ground = _Ground(scratch, count, seconds, interval, descriptors)
    ground.make_content()
    pythons = {OURS: (Path(sys.executable), None)}
    for each in checkouts:
        pythons[each.name] = (each / ".venv/bin/python", each)
    results: dict[str, list[Pair]] = {name: [] for name in pythons}
    for number in range(rounds):
        for name in in_alternation(number, list(pythons)):
            pair = Pair(*(ground.start(*pythons[name], again) for again in (False, True)))
            results[name].append(pair)
            for kind, found in zip(Pair._fields, pair, strict=True):
                sys.stderr.write(f"{name}, {kind}: {_line(found)}\n")
    return results


def _line(found: Run) -> str:
    return (
        f"{found.wall:.1f} s, {found.cpu:.2f} CPU-s, {found.memory / MIB:.0f} MiB, "
        f"idle {found.idle:.3f} CPU-s, a fetch {found.fetch:.2f} s, "
        f"stopped in {found.stop:.2f} s, {found.left} left"
    )


def report(results: dict[str, list[Pair]], seconds: float) -> str:
    """Return the table: medians, and this checkout's ratios to each other one."""
    heads = ("", "start, s", "CPU, s", "MiB", f"idle {seconds:g} s, CPU-s", "get, s", "stop, s")
    rows = []
    for name, pairs in results.items():
        for kind in Pair._fields:
            runs: list[Run] = [getattr(pair, kind) for pair in pairs]
            rows.append(
                (
                    f"{name}, {kind}",
                    spread(each.wall for each in runs).text(1),
                    spread(each.cpu for each in runs).text(2),
                    spread(each.memory / MIB for each in runs).text(),
                    spread(each.idle for each in runs).text(3),
                    spread(each.fetch for each in runs).text(2),
                    spread(each.stop for each in runs).text(2),
                )
            )
    ours = results[OURS]
    ratio_rows = [
        (
            "CPU, again / first",
            ratios([each.again.cpu for each in ours], [each.first.cpu for each in ours]),
            AGAIN,
        ),
        ("get, s", spread(run.fetch for each in ours for run in each), FIRST_BYTE),
    ]
    for name, pairs in results.items():
        if name != OURS:
            ratio_rows += [
                (
                    f"{kind} / {name}",
                    ratios(
                        [getattr(each.first, kind) for each in ours],
                        [getattr(each.first, kind) for each in pairs],
                    ),
                    target,
                )
                for kind, target in TARGETS.items()
            ]
    verdicts = [
        (label, found.text(2), *target.cells(found.median, 2))
        for label, found, target in ratio_rows
    ]
    return "\n\n".join((table(heads, rows), table(("", "ratio", *TARGET_HEADS), verdicts)))


class _Ground:
    def __init__(
        self,
        scratch: Path,
        count: int,
        seconds: float,
        interval: float,
        descriptors: int | None,
    ) -> None:
        self._scratch = scratch
        self._count = count
        self._seconds = seconds
        self._interval = interval
        self._descriptors = descriptors
        self._paths: list[Path] = []
        self._hashes: list[bytes] = []

    def make_content(self) -> None:
        """Make the files, and know what their torrents are called."""
        for number in range(self._count):
            folder = self._scratch / "content" / str(number // SHARES_PER_FOLDER)
            folder.mkdir(parents=True, exist_ok=True)
            path = folder / f"share-{number}.bin"
            data = number.to_bytes(8, "big") * (SIZE // 8)
            path.write_bytes(data)
            info = build_info(
                name=path.name,
                piece_length=SIZE,
                piece_hashes=hashlib.sha1(data).digest(),
                files=None,
                length=SIZE,
            )
            self._paths.append(path)
            self._hashes.append(info.info_hash)

    def start(self, python: Path, checkout: Path | None, again: bool) -> Run:  # noqa: FBT001 - a fact
        """Start a node, look at it, and end it."""
        state = self._scratch / "state"
        if not again:
            shutil.rmtree(state, ignore_errors=True)
        flags = ("--listen", f"{HOST}:0", "--interval", str(self._interval))
        with _command(Path(sys.executable), None, self._scratch, "tracker", *flags) as tracker:
            url = f"udp://{HOST}:{tracker.event('tracker_listening')['port']}"
            config = self._write_config(url, state)
            began = time.monotonic()
            limit = partial(_limit_files, self._descriptors)
            with _command(python, checkout, self._scratch, "run", config, before=limit) as node:
                wall = trio.run(self._until_listed, url, began, self._count)
                cpu = cpu_seconds(node.pid)
                time.sleep(SETTLING)
                memory = _resident(node.pid)
                before = cpu_seconds(node.pid)
                time.sleep(self._seconds)
                idle = cpu_seconds(node.pid) - before
                fetch = self._fetch(url)
                began = time.monotonic()
                node.end()
                stop = time.monotonic() - began
            left = trio.run(self._listed, url)
        return Run(wall, cpu, memory, idle, fetch, stop, left)

    def _write_config(self, url: str, state: Path) -> Path:
        config = self._scratch / "peer.toml"
        head = f'trackers = ["{url}"]\n\n[node]\nlisten = "{HOST}:0"\nstate_folder = "{state}"\n'
        shares = "".join(f'\n[[share]]\npath = "{path}"\n' for path in self._paths)
        config.write_text(head + shares)
        return config

    async def _until_listed(self, url: str, began: float, count: int) -> float:
        async with open_tracker_clients() as clients:
            missing = list(self._hashes)
            while len(missing) > self._count - count:
                if time.monotonic() - began > PATIENCE:
                    raise RuntimeError(f"{len(missing)} are not listed after {PATIENCE:g} s")
                await trio.sleep(LOOK)
                missing = await _unlisted(clients, url, missing)
        return time.monotonic() - began

    async def _listed(self, url: str) -> int:
        async with open_tracker_clients() as clients:
            return self._count - len(await _unlisted(clients, url, self._hashes))

    def _fetch(self, url: str) -> float:
        """Return how long a leecher waits for a piece of one of the shares."""
        path = self._paths[self._count // 2]
        out, state = self._scratch / "out", self._scratch / "leecher"
        flags = ("--tracker", url, "--dir", out, "--no-seed", "--state-dir", state)
        listen = ("--listen", f"{HOST}:0")
        with _command(
            Path(sys.executable), None, self._scratch, "get", path.name, *flags, *listen
        ) as leecher:
            leecher.event("listening")
            began = time.monotonic()
            leecher.event("piece_verified")
            seconds = time.monotonic() - began
        shutil.rmtree(out, ignore_errors=True)
        shutil.rmtree(state, ignore_errors=True)
        return seconds


async def _unlisted(clients: TrackerClients, url: str, hashes: Sequence[bytes]) -> list[bytes]:
    try:
        counts = await clients.scrape(url, hashes)
    except TrackerError:
        return list(hashes)
    return [each for each in hashes if each not in counts or not counts[each].seeders]


class _Command:
    """A running command of trio-swarm."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self.pid = process.pid

    def event(self, kind: str) -> dict[str, object]:
        """Return the next event of a kind."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            event: dict[str, object] = json.loads(line)
            if event["event"] == kind:
                return event
        raise RuntimeError(f"it ended without {kind}")

    def end(self) -> None:
        """End it as Ctrl-C does, and wait until it has."""
        self._process.send_signal(signal.SIGINT)
        self._process.wait(STOP_PATIENCE)


@contextmanager
def _command(
    python: Path,
    checkout: Path | None,
    folder: Path,
    *arguments: object,
    before: "partial[None] | None" = None,
) -> Iterator[_Command]:
    environment = dict(os.environ)
    if checkout is not None:
        environment["PYTHONPATH"] = str(checkout)
    words = list(map(str, arguments))
    # Nobody reads what a node says for minutes: it says it as people have it, to a file.
    is_node = words[0] == "run"
    with (folder / f"said-{words[0]}").open("wb") as said:
        process = subprocess.Popen(
            [str(python), "-m", "trio_swarm", *words, *([] if is_node else ["--json"])],
            stdin=subprocess.DEVNULL,
            stdout=said if is_node else subprocess.PIPE,
            stderr=said,
            cwd=folder,
            env=environment,
            preexec_fn=before,  # noqa: PLW1509 - there are no threads here
        )
    try:
        yield _Command(process)
    finally:
        process.terminate()
        try:
            process.wait(STOP_PATIENCE)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if process.stdout is not None:
            process.stdout.close()


def _limit_files(descriptors: int | None) -> None:
    if descriptors is not None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (descriptors, descriptors))


def _resident(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * KIB for line in lines if line.startswith("VmRSS:"))
