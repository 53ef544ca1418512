"""How long commands take that have little to do; `python -c 'import trio'` is the floor of most."""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from bench_measuring import KIB, in_alternation, ratios, spread, table
from bench_targets import TARGET_HEADS, Target

FLOOR = "python -c pass"
TRIO = "python -c 'import trio'"
TARGETS = {"trio-swarm --version": Target(150, 300)}
"""Milliseconds, by the clock on the wall."""
RUNS_PER_ROUND = 4
TINY = 64 * KIB
"""Bytes of the file that is fetched: moving it takes no time, so all of it is start and end."""


class Times(NamedTuple):
    """What one run of a command took, in seconds."""

    wall: float
    cpu: float
    """Of the process, user and system."""


@contextlib.contextmanager
def commands(scratch: Path) -> Iterator[dict[str, list[str]]]:
    """Give the commands by how people type them, and a tracker and a seeder for them."""
    program = str(Path(sys.executable).with_name("trio-swarm"))
    home = scratch / "home"
    home.mkdir(exist_ok=True)
    (home / "tiny").write_bytes(os.urandom(TINY))
    with contextlib.ExitStack() as stack:

        def answer(event: str, *arguments: str) -> dict[str, str]:
            return stack.enter_context(_serving([program, *arguments, "--json"], home, event))

        tracker = answer("tracker_listening", "tracker", "--listen", "127.0.0.1:0")
        url = f"udp://127.0.0.1:{tracker['port']}"
        state = str(scratch / "seeder")
        answer("announced", "seed", "tiny", "--tracker", url, "--state-dir", state)
        yield {
            FLOOR: [sys.executable, "-c", "pass"],
            TRIO: [sys.executable, "-c", "import trio"],
            "trio-swarm --version": [program, "--version"],
            "trio-swarm --help": [program, "--help"],
            "trio-swarm ls": [program, "ls", "--tracker", url],
            "trio-swarm get tiny --no-seed": [
                *(program, "get", "tiny", "--tracker", url, "--dir", str(scratch / "copy")),
                *("--no-seed", "--state-dir", str(scratch / "leecher")),
            ],
        }


@contextlib.contextmanager
def _serving(argv: list[str], folder: Path, event: str) -> Iterator[dict[str, str]]:
    """Run a command until the context ends; give its first event of that name."""
    with subprocess.Popen(argv, cwd=folder, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            yield next(read for read in map(json.loads, process.stdout) if read["event"] == event)
        finally:
            process.terminate()
            process.communicate()


def run(scratch: Path, repeats: int) -> dict[str, list[Times]]:
    """Return the times of each command: the least of a few runs each round."""
    with commands(scratch) as to_run:
        results: dict[str, list[Times]] = {name: [] for name in to_run}
        for number in range(repeats):
            for name in in_alternation(number, list(to_run)):
                runs = [_time(to_run[name], scratch) for _ in range(RUNS_PER_ROUND)]
                results[name].append(Times(*map(min, zip(*runs, strict=True))))
    return results


def _time(argv: list[str], scratch: Path) -> Times:
    for left_over in ("copy", "leecher"):
        shutil.rmtree(scratch / left_over, ignore_errors=True)
    started = time.perf_counter()
    process = subprocess.Popen(
        argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=scratch / "home"
    )
    _pid, status, usage = os.wait4(process.pid, 0)
    wall = time.perf_counter() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{' '.join(argv)} ended with {process.returncode}")
    return Times(wall, usage.ru_utime + usage.ru_stime)


def report(results: dict[str, list[Times]]) -> str:
    """Return the table."""
    floor, bare = ([each.cpu for each in results[name]] for name in (FLOOR, TRIO))
    rows = [
        (
            name,
            spread(1000 * each.wall for each in times).text(),
            spread(1000 * each.cpu for each in times).text(),
            ratios([each.cpu for each in times], floor).text(1),
            ratios([each.cpu for each in times], bare).text(2),
            *_target_cells(name, times),
        )
        for name, times in results.items()
    ]
    heads = ("", "wall, ms", "CPU, ms", f"/ {FLOOR}", f"/ {TRIO}", *TARGET_HEADS)
    return table(heads, rows)


def _target_cells(name: str, times: list[Times]) -> tuple[str, str, str]:
    if name not in TARGETS:
        return "", "", ""
    return TARGETS[name].cells(spread(1000 * each.wall for each in times).median)
