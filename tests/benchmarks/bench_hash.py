"""Hashing a file for `create`: trio-swarm against hashlib alone on two threads.

Run as a program, one side hashes once and prints its seconds:

    bench_hash.py ours FILE STATE_FOLDER
    bench_hash.py hashlib FILE
    bench_hash.py read FILE

`hashlib` hashes as many bytes of memory and reads nothing: the limit. `read` also reads the file.
"""

import hashlib
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

from bench_measuring import MIB, in_alternation, ratios, size_text, spread, table
from bench_targets import TARGET_HEADS, Target

PIECE = MIB
THREADS = 2
TARGET = Target(0.9, 0.8)
"""Of the speed of hashlib alone."""
SIDES = ("ours", "read", "hashlib")
NAMES = {"ours": "trio-swarm", "read": "read and hash, 2 threads", "hashlib": "hash, 2 threads"}


def time_ours(file: Path, state_folder: Path) -> float:
    import trio_swarm

    started = time.perf_counter()
    trio_swarm.create_torrent(file, piece_length=PIECE, state_folder=state_folder)
    return time.perf_counter() - started


def time_hashlib(file: Path, *, reads: bool) -> float:
    size = file.stat().st_size
    descriptor = os.open(file, os.O_RDONLY)

    def hash_part(first: int) -> None:
        buffer = memoryview(bytearray(os.urandom(PIECE)))
        for piece in range(first, size // PIECE, THREADS):
            if reads:
                os.preadv(descriptor, [buffer], piece * PIECE)
            hashlib.sha1(buffer).digest()

    return _time_threads(hash_part)


def _time_threads(work: Callable[[int], None]) -> float:
    threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
    started = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return time.perf_counter() - started


def run(scratch: Path, size: int, repeats: int) -> dict[str, list[float]]:
    """Return the seconds of each side, in the order of the rounds."""
    from bench_peer import write_random

    file = scratch / "data"
    write_random(file, size)
    results: dict[str, list[float]] = {side: [] for side in SIDES}
    for number in range(repeats):
        for side in in_alternation(number, SIDES):
            state = [scratch / f"state-{number}"] if side == "ours" else []
            argv = [sys.executable, __file__, side, file, *state]
            done = subprocess.run(argv, capture_output=True, text=True, check=True)
            results[side].append(float(done.stdout))
    return results


def report(results: dict[str, list[float]], size: int) -> str:
    """Return the table, and the ratios."""
    rows = [
        (NAMES[side], spread(size / MIB / seconds for seconds in results[side]).text())
        for side in SIDES
    ]
    compared = []
    for other in SIDES[1:]:
        ratio = ratios(results[other], results["ours"])
        cells = TARGET.cells(ratio.median, 1) if other == "hashlib" else ("", "", "")
        compared.append((f"trio-swarm / {NAMES[other]}", ratio.text(2), *cells))
    return "\n".join(
        (
            f"{size_text(size)} in {size_text(PIECE)} pieces:",
            "",
            table(("", "MiB/s"), rows),
            "",
            table(("ratios, of one round each", "", *TARGET_HEADS), compared),
        )
    )


if __name__ == "__main__":
    side, path, *rest = sys.argv[1:]
    if side == "ours":
        print(time_ours(Path(path), Path(rest[0])))
    else:
        print(time_hashlib(Path(path), reads=side == "read"))
