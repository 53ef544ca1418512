"""How long commands take that only say something; `python -c pass` is the floor."""

import subprocess
import sys
import time
from pathlib import Path

from bench_measuring import in_alternation, ratios, spread, table

FLOOR = "python -c pass"
RUNS_PER_ROUND = 4


def commands(scratch: Path) -> dict[str, list[str]]:
    """Return the commands by how people type them."""
    program = str(Path(sys.executable).with_name("trio-swarm"))
    unheard = "udp://127.77.255.1:1"  # refuses at once
    (scratch / "home").mkdir(exist_ok=True)
    return {
        FLOOR: [sys.executable, "-c", "pass"],
        "trio-swarm --version": [program, "--version"],
        "trio-swarm --help": [program, "--help"],
        "trio-swarm ls": [program, "ls", "--tracker", unheard],
    }


def run(scratch: Path, repeats: int) -> dict[str, list[float]]:
    """Return the seconds of each command: the least of a few runs each round."""
    to_run = commands(scratch)
    results: dict[str, list[float]] = {name: [] for name in to_run}
    for number in range(repeats):
        for name in in_alternation(number, list(to_run)):
            results[name].append(min(_time(to_run[name], scratch) for _ in range(RUNS_PER_ROUND)))
    return results


def _time(argv: list[str], scratch: Path) -> float:
    started = time.perf_counter()
    subprocess.run(argv, capture_output=True, check=False, cwd=scratch / "home")
    return time.perf_counter() - started


def report(results: dict[str, list[float]]) -> str:
    """Return the table."""
    rows = [
        (
            name,
            spread(1000 * each for each in seconds).text(),
            ratios(seconds, results[FLOOR]).text(1),
        )
        for name, seconds in results.items()
    ]
    return table(("", "ms", f"/ {FLOOR}"), rows)
