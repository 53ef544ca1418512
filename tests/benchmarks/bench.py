"""Benchmarks against rivals: `make bench`, or one part of it (PYTHONPATH as the Makefile sets it).

Everything lies in a scratch folder that is removed at the end; only 127/8 is used.
"""

import argparse
import os
import shutil
import tempfile
from functools import partial
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
    tracker = parts.add_parser("tracker", help="announces a second against opentracker")
    tracker.add_argument("--registry", action="append", metavar="SWARMSxPEERS")
    tracker.add_argument("--seconds", type=float, default=5, help="of one load (default: 5)")
    memory = parts.add_parser("memory", help="most memory of a leecher and of a crowded seeder")
    memory.add_argument("--size", type=parse_size, default=parse_size("8GiB"))
    memory.add_argument("--rounds", type=int, default=1, help="differs little (default: 1)")
    hashing = parts.add_parser("hash", help="hashing a file against hashlib on two threads")
    hashing.add_argument("--size", type=parse_size, default=parse_size("1GiB"))
    parts.add_parser("start", help="how long commands take that only say something")
    parts.add_parser("scheduler", help="what decisions cost")
    profile = parts.add_parser("profile", help="where a transfer's time goes, by py-spy")
    profile.add_argument("--size", type=parse_size, default=parse_size("1GiB"))
    profile.add_argument("--piece-length", type=parse_size, default=parse_size("1MiB"))
    profile.add_argument("--out", type=Path, default=Path(), help="folder for the raw profiles")
    arguments = parser.parse_args()
    # As installed programs run: their modules are compiled once.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if arguments.part == "memory" and arguments.scratch is None:
        from bench_memory import room_needed
        from bench_room import folder_with_room

        folders = [Path("/dev/shm"), Path(tempfile.gettempdir())]
        arguments.scratch = folder_with_room(folders, room_needed(arguments.size))
    with tempfile.TemporaryDirectory(prefix="trio-swarm-bench-", dir=arguments.scratch) as scratch:
        if arguments.part == "peer":
            bench_peer(arguments, Path(scratch))
        elif arguments.part == "tracker":
            bench_tracker(arguments, Path(scratch))
        elif arguments.part == "memory":
            bench_memory(arguments, Path(scratch))
        elif arguments.part == "profile":
            bench_profile(arguments, Path(scratch))
        else:
            bench_alone(arguments, Path(scratch))


def bench_peer(arguments: argparse.Namespace, scratch: Path) -> None:
    from bench_peer import RIVALS, Field, contestants, run_rounds
    from bench_peer_report import report

    aria2 = RIVALS["aria2"] if shutil.which("aria2c") else None
    running_order = contestants(RIVALS["libtorrent"], aria2, arguments.only, arguments.size)
    field = Field(scratch, arguments.size)
    results = trio.run(run_rounds, field, running_order, arguments.repeats)
    print(report(results, arguments.size))


def bench_tracker(arguments: argparse.Namespace, scratch: Path) -> None:
    import bench_tracker as part

    # opentracker reads its list below here as another user.
    scratch.chmod(0o755)
    for text in arguments.registry or ["1000x60", "100000x55"]:
        registry = part.Registry.parse(text)
        measure = partial(part.run, repeats=arguments.repeats, seconds=arguments.seconds)
        loads, memory = trio.run(measure, scratch, registry)
        print(part.report(registry, loads, memory), end="\n\n")
    print(part.memory_report())


def bench_memory(arguments: argparse.Namespace, scratch: Path) -> None:
    import bench_memory as part

    print(part.report(part.run(scratch, arguments.size, arguments.rounds), arguments.size))


def bench_profile(arguments: argparse.Namespace, scratch: Path) -> None:
    import bench_profile as part

    part.run(scratch, arguments.size, arguments.piece_length, arguments.out.resolve())


def bench_alone(arguments: argparse.Namespace, scratch: Path) -> None:
    import bench_hash
    import bench_scheduler
    import bench_start

    match arguments.part:
        case "hash":
            results = bench_hash.run(scratch, arguments.size, arguments.repeats)
            print(bench_hash.report(results, arguments.size))
        case "start":
            print(bench_start.report(bench_start.run(scratch, arguments.repeats)))
        case "scheduler":
            print(bench_scheduler.report(arguments.repeats))


if __name__ == "__main__":
    main()
