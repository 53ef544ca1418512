"""Announces a second and memory a peer: trio-swarm's tracker against opentracker.

Each server has one core to itself, the generator another. Wall-clock rates depend on who else uses
the machine, so the processor time a server takes for an announce is measured as well. How busy both
were tells whose rate it was: a server's, if its core was all its own and the generator had time.
"""

import itertools
import json
import os
import shutil
import subprocess
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import trio
from bench_announcing import info_hash
from bench_loopback import NO_MARKS, Loopback
from bench_measuring import in_alternation, ratios, spread, table

from foreign_clients import Tracker, opentracker
from foreign_programs import running

SERVER_SCRIPT = Path(__file__).with_name("bench_tracker_server.py")
GENERATOR_SCRIPT = Path(__file__).with_name("bench_announcing.py")
HTTP_GENERATOR_SCRIPT = Path(__file__).with_name("bench_announcing_http.py")
CARRIERS = ("UDP", "HTTP")
MEMORY_SCRIPT = Path(__file__).with_name("bench_tracker_memory.py")
WANTED = 50
"""Peers asked for in an announce."""
START_SECONDS = 60
FILL_RATE = 5_000
"""Announces a second; who is slower is taken to hang."""


@dataclass(frozen=True)
class Registry:
    """How much a tracker holds while it is measured."""

    swarms: int
    peers: int
    """In each swarm."""

    @classmethod
    def parse(cls, text: str) -> "Registry":
        """Read `SWARMSxPEERS`."""
        swarms, _, peers = text.partition("x")
        return cls(int(swarms), int(peers))

    def __str__(self) -> str:
        return f"{self.swarms:,} swarms of {self.peers:,}"


class Load(NamedTuple):
    """One measurement."""

    rate: float
    """Announces answered per second."""
    cpu: float
    """Seconds of the server's processor time for one announce."""
    lost: float
    """Part of the announces that got no answer."""
    peers: float
    """In an answer, on average."""
    busy: float
    """Part of its core that the server took."""
    generator_busy: float
    """Part of its core that the generator took."""


class Server:
    """A tracker under load."""

    def __init__(self, network: Loopback, tracker: Tracker) -> None:
        self.tracker = tracker
        self._network = network
        self._pid = network.pid(tracker.program)
        self._empty = self._resident()
        server_core, *others = sorted(os.sched_getaffinity(0))
        self._generator_core = others[0] if others else server_core
        # Threads too: opentracker answers from several.
        for task in Path(f"/proc/{self._pid}/task").iterdir():
            os.sched_setaffinity(int(task.name), [server_core])

    def _resident(self) -> int:
        pages = int(Path(f"/proc/{self._pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    async def fill(self, registry: Registry) -> float:
        """Announce every peer; return the bytes of memory that each took."""
        total = registry.swarms * registry.peers
        with trio.fail_after(START_SECONDS + total / FILL_RATE):
            result = await self._generate(GENERATOR_SCRIPT, registry, "fill")
        return (self._resident() - self._empty) / result["answers"]

    async def load(self, registry: Registry, carrier: str, seconds: float) -> Load:
        """Let peers announce for some time."""
        before = self._network.cpu(self.tracker.program)
        numbers = (str(seconds), str(WANTED))
        if carrier == "UDP":
            result = await self._generate(GENERATOR_SCRIPT, registry, "load", *numbers)
        else:
            result = await self._generate(HTTP_GENERATOR_SCRIPT, registry, *numbers)
        used = self._network.cpu(self.tracker.program) - before
        return Load(
            rate=result["answers"] / result["seconds"],
            cpu=used / result["answers"],
            lost=result["lost"] / (result["lost"] + result["answers"]),
            peers=result["peers"],
            busy=used / result["seconds"],
            generator_busy=result["cpu"] / result["seconds"],
        )

    async def _generate(
        self, script: Path, registry: Registry, *arguments: str
    ) -> dict[str, float]:
        argv = ["taskset", "-c", str(self._generator_core), sys.executable, str(script)]
        argv += [self.tracker.program.address, str(registry.swarms), str(registry.peers)]
        done = await trio.run_process([*argv, *arguments], capture_stdout=True)
        result: dict[str, float] = json.loads(done.stdout)
        return result


@asynccontextmanager
async def _our_server(network: Loopback, scratch: Path) -> AsyncIterator[Tracker]:
    address = network.new_address()
    argv = [sys.executable, SERVER_SCRIPT, address]
    async with running(network, "trio-swarm", address, argv, folder=scratch) as program:
        tracker = Tracker(network, program)
        await tracker.until_up()
        yield tracker


SERVERS = {"trio-swarm": _our_server, "opentracker": opentracker}


async def run(
    scratch: Path, registry: Registry, *, repeats: int, seconds: float, carriers: Sequence[str]
) -> tuple[dict[str, dict[str, list[Load]]], dict[str, float]]:
    """Measure all trackers with one registry: by carrier, the loads round by round; the memory."""
    network = Loopback(scratch / "reports")
    network.marks = NO_MARKS
    names = [name for name in SERVERS if name == "trio-swarm" or shutil.which("opentracker")]
    loads: dict[str, dict[str, list[Load]]] = {
        carrier: {name: [] for name in names} for carrier in carriers
    }
    memory: dict[str, float] = {}
    async with AsyncExitStack() as stack:
        servers = {}
        for name in names:
            folder = scratch / f"{name}-{registry.swarms}"
            tracker = await stack.enter_async_context(SERVERS[name](network, folder))
            tracker.admit(*map(info_hash, range(registry.swarms)))
            servers[name] = Server(network, tracker)
            await trio.sleep(1)  # opentracker reads its list when it likes, and does not say so
            memory[name] = await servers[name].fill(registry)
            sys.stderr.write(f"{registry}: {name} holds them\n")
        for number, carrier in itertools.product(range(repeats), carriers):
            for name in in_alternation(number, names):
                load = await servers[name].load(registry, carrier, seconds)
                loads[carrier][name].append(load)
                sys.stderr.write(
                    f"round {number + 1}: {name}, {carrier}: {load.rate:.0f}/s, "
                    f"{1 / load.cpu:.0f} per CPU second\n"
                )
    return loads, memory


def report(
    registry: Registry, loads: dict[str, dict[str, list[Load]]], memory: dict[str, float]
) -> str:
    """Return a table for each carrier, and the ratios."""
    return "\n\n".join(
        f"{registry}, {carrier}:\n\n{_table(measured, memory)}"
        for carrier, measured in loads.items()
    )


def _table(loads: dict[str, list[Load]], memory: dict[str, float]) -> str:
    rows = [
        (
            name,
            spread(each.rate for each in measured).text(),
            spread(1 / each.cpu for each in measured).text(),
            f"{spread(each.peers for each in measured).median:.0f}",
            f"{spread(each.lost for each in measured).median:.2%}",
            f"{spread(each.busy for each in measured).median:.0%}",
            f"{spread(each.generator_busy for each in measured).median:.0%}",
            f"{memory[name]:.0f}",
        )
        for name, measured in loads.items()
    ]
    heads = ["", "announces/s", "per CPU second", "peers each", "lost"]
    heads += ["server", "generator", "bytes a peer"]
    lines = [table(heads, rows)]
    if "opentracker" in loads:
        one, other = loads["trio-swarm"], loads["opentracker"]
        rate = ratios([each.rate for each in one], [each.rate for each in other])
        cpu = ratios([1 / each.cpu for each in one], [1 / each.cpu for each in other])
        lines += ["", f"trio-swarm / opentracker: {rate.text(2)}, per CPU second {cpu.text(2)}"]
    return "\n".join(lines)


def memory_report() -> str:
    """Measure and return what a million peers take if each has a host of its own."""
    rows = []
    for registry in (Registry(1, 1_000_000), Registry(1_000, 1_000), Registry(100_000, 10)):
        argv = [sys.executable, MEMORY_SCRIPT, str(registry.swarms), str(registry.peers)]
        done = subprocess.run(argv, capture_output=True, text=True, check=True)
        rows.append((str(registry), f"{float(done.stdout):.0f}"))
    return table(("each peer a host of its own", "bytes a peer"), rows)
