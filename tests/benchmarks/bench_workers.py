"""Announces of two workers of our tracker against those of one, over UDP.

Workers and generator share the machine's cores, so the rate by the clock says little on two cores.
What is told is what an announce costs in processor time, and the rate that the busiest worker could
keep up: its part of the announces, by the processor time that it took for them. The generator's
time is in neither.
"""

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import NamedTuple

from bench_announcing import WINDOW
from bench_measuring import in_alternation, ratios, spread, table
from bench_metered import cpu_seconds
from bench_tracker import GENERATOR_SCRIPT, SERVER_SCRIPT, WANTED, Registry

COUNTS = (1, 2)
"""Workers that are compared."""
PLACES = ("on one core", "on a core each")
"""Where the workers are: on one core together, apart from the generator, each has full batches, and
what an announce costs can be compared; on a core each, the generator takes time from them."""
START_SECONDS = 30


class Load(NamedTuple):
    """One measurement of so many workers."""

    rate: float
    """Announces answered per second, by the clock."""
    per_cpu_second: float
    """The same by the processor time of all workers and their parent."""
    possible: float
    """Announces per second if the busiest worker had a core to itself."""
    lost: float


class Server:
    """A tracker under load."""

    def __init__(self, address: str, process: int, workers: int) -> None:
        self._address = address
        self._parent = process
        self._workers = _children(process) if workers > 1 else [process]
        assert len(self._workers) == workers
        self._cores: list[int] = []

    def place(self, where: str) -> None:
        """Put the workers on their cores."""
        first, *others = sorted(os.sched_getaffinity(0))
        cores = [first] if where == PLACES[0] else [first, *others]
        self._cores = cores[: len(self._workers)]
        for number, process in enumerate(self._workers):
            os.sched_setaffinity(process, [cores[number % len(cores)]])

    def generate(self, registry: Registry, *arguments: str) -> dict[str, float]:
        """Announce; return what the generator says."""
        core = max(os.sched_getaffinity(0))
        argv = ["taskset", "-c", str(core), sys.executable, str(GENERATOR_SCRIPT), self._address]
        argv += [str(registry.swarms), str(registry.peers), *arguments]
        done = subprocess.run(argv, capture_output=True, check=True)
        result: dict[str, float] = json.loads(done.stdout)
        return result

    def load(self, registry: Registry, seconds: float) -> Load:
        """Let peers announce for some time."""
        everybody = {self._parent, *self._workers}
        before = {process: cpu_seconds(process) for process in everybody}
        # On cores of their own, each one's socket has as much to do as that of a single worker.
        window = str(len(self._cores) * WINDOW)
        result = self.generate(registry, "load", str(seconds), str(WANTED), window)
        used = {process: cpu_seconds(process) - before[process] for process in everybody}
        answers = result["answers"]
        return Load(
            rate=answers / result["seconds"],
            per_cpu_second=answers / sum(used.values()),
            possible=answers / max(used.values()),
            lost=result["lost"] / (result["lost"] + answers),
        )


def _children(parent: int) -> list[int]:
    found = []
    for folder in Path("/proc").iterdir():
        with suppress(OSError):
            if folder.name.isdecimal() and f"PPid:\t{parent}\n" in (folder / "status").read_text():
                found.append(int(folder.name))
    return found


@contextmanager
def _serving(address: str, workers: int) -> Iterator[Server]:
    argv = [sys.executable, str(SERVER_SCRIPT), address, str(workers)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            process.stdout.readline()
            yield Server(address, process.pid, workers)
        finally:
            process.terminate()


def run(registry: Registry, *, repeats: int, seconds: float) -> dict[str, dict[int, list[Load]]]:
    """Return by place the loads of each number of workers, round by round."""
    loads: dict[str, dict[int, list[Load]]] = {
        where: {workers: [] for workers in COUNTS} for where in PLACES
    }
    with ExitStack() as stack:
        servers = {}
        for workers in COUNTS:
            address = f"127.17.0.{workers}"
            servers[workers] = stack.enter_context(_serving(address, workers))
            servers[workers].generate(registry, "fill")
        for number, where in itertools.product(range(repeats), PLACES):
            for workers in in_alternation(number, COUNTS):
                servers[workers].place(where)
                time.sleep(1)
                load = servers[workers].load(registry, seconds)
                loads[where][workers].append(load)
                sys.stderr.write(
                    f"round {number + 1}: {workers} {where}: {load.rate:.0f}/s, "
                    f"{load.per_cpu_second:.0f} per CPU second, {load.possible:.0f}/s possible\n"
                )
    return loads


def report(registry: Registry, loads: dict[str, dict[int, list[Load]]]) -> str:
    """Return a table and the ratios for each place."""
    return "\n\n".join(f"{where}:\n\n{_table(registry, loads[where])}" for where in PLACES)


def _table(registry: Registry, loads: dict[int, list[Load]]) -> str:
    rows = [
        (
            f"{workers} workers" if workers > 1 else "1 worker",
            spread(each.rate for each in measured).text(),
            spread(each.per_cpu_second for each in measured).text(),
            spread(each.possible for each in measured).text(),
            f"{spread(each.lost for each in measured).median:.2%}",
        )
        for workers, measured in loads.items()
    ]
    heads = [str(registry), "announces/s", "per CPU second", "by the busiest worker", "lost"]
    one, two = (loads[workers] for workers in COUNTS)
    return "\n".join(
        [
            table(heads, rows),
            "",
            f"two / one, per CPU second: {_ratio(two, one, 'per_cpu_second')}",
            f"two / one, by the busiest worker: {_ratio(two, one, 'possible')}",
        ]
    )


def _ratio(loads: Sequence[Load], others: Sequence[Load], what: str) -> str:
    values = [[getattr(each, what) for each in measured] for measured in (loads, others)]
    return ratios(*values).text(2)
