"""Benchmarks against rivals: `make bench`, or one part of it (PYTHONPATH as the Makefile sets it).

Everything lies in a scratch folder that is removed at the end; only 127/8 is used.
"""

import argparse
import shutil
import tempfile
from pathlib import Path

import trio
from bench_measuring import parse_size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument("--scratch", type=Path, help="where to put files for the time being")
    parts = parser.add_subparsers(dest="part", required=True)
    peer = parts.add_parser("peer", help="transfers against libtorrent, aria2 and the floor")
    peer.add_argument("--size", type=parse_size, default=parse_size("1GiB"))
    peer.add_argument("--only", action="append", default=[], help="a contestant; repeatable")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="trio-swarm-bench-", dir=arguments.scratch) as scratch:
        if arguments.part == "peer":
            bench_peer(arguments, Path(scratch))


def bench_peer(arguments: argparse.Namespace, scratch: Path) -> None:
    from bench_peer import RIVALS, Field, contestants, report, run_rounds

    aria2 = RIVALS["aria2"] if shutil.which("aria2c") else None
    running_order = contestants(RIVALS["libtorrent"], aria2, arguments.only)
    field = Field(scratch, arguments.size)
    results = trio.run(run_rounds, field, running_order, arguments.repeats)
    print(report(results, arguments.size))


if __name__ == "__main__":
    main()
