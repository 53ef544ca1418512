"""Benchmarks against rivals: `make bench`, or one part of it (PYTHONPATH as the Makefile sets it).

Everything lies in a scratch folder that is removed at the end; only 127/8 is used.
"""

import argparse
import os
import shlex
import shutil
import signal
import sys
import tempfile
from functools import partial
from pathlib import Path

import trio
from bench_bloat import ROWS as BLOATED
from bench_long_rows import DEFAULT_ROWS, ROWS
from bench_measuring import parse_size
from bench_results import gather, read
from bench_swarm_columns import COLUMNS, DEFAULT_COLUMNS

SCRATCH_PREFIX = "trio-swarm-bench-"
BOTH = ("bbr", "cubic")
"""What most servers and most other hosts send by: a figure of one says nothing of the other."""


def make_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--repeats", type=int, default=5, help="rounds (default: 5)")
    parser.add_argument("--scratch", type=Path, help="where to put files for the time being")
    parts = parser.add_subparsers(dest="part", required=True)
    peer = parts.add_parser("peer", help="transfers against libtorrent, aria2 and the floor")
    peer.add_argument("--size", type=parse_size, default=parse_size("1GiB"))
    peer.add_argument("--only", action="append", default=[], help="a contestant; repeatable")
    add_tracker(parts)
    memory = parts.add_parser("memory", help="most memory of a leecher and of a crowded seeder")
    memory.add_argument("--size", type=parse_size, default=parse_size("8GiB"))
    memory.add_argument("--rounds", type=int, default=1, help="differs little (default: 1)")
    hashing = parts.add_parser("hash", help="hashing a file against hashlib on two threads")
    hashing.add_argument("--size", type=parse_size, default=parse_size("1GiB"))
    swarm = parts.add_parser("swarm", help="whole swarms on shaped links; needs root")
    swarm.add_argument("--size", type=parse_size, default=parse_size("64MiB"))
    add_contestants(swarm)
    swarm.add_argument(
        "--column",
        action="append",
        help=f"{', '.join(COLUMNS)} or all; repeatable (default: {', '.join(DEFAULT_COLUMNS)})",
    )
    swarm.add_argument("--scheduler", action="append", default=[], help="trio-swarm's; repeatable")
    swarm.add_argument(
        "--ours",
        action="append",
        default=[],
        metavar="OPTIONS",
        type=shlex.split,
        help="for all trio-swarm peers: --ours='--uploader round-robin --choker tit-for-tat'",
    )
    swarm.add_argument(
        "--congestion",
        action="append",
        help="TCP's congestion control; repeatable (default: bbr and cubic, where the kernel has "
        "them)",
    )
    swarm.add_argument("--timeline", action="store_true", help="show each second's use of uplinks")
    add_results(swarm)
    swarm.add_argument(
        "--simulate",
        type=int,
        default=0,
        metavar="SEEDS",
        help="simulate the same swarms so often, and say how near that comes; exit code 1 if it "
        "does not",
    )
    far = parts.add_parser("long", help="long fat links, loss, several links; needs root")
    add_contestants(far)
    far.add_argument(
        "--row",
        action="append",
        choices=list(ROWS),
        help=f"repeatable (default: {', '.join(DEFAULT_ROWS)})",
    )
    far.add_argument(
        "--trace", type=Path, metavar="FOLDER", help="write down there what TCP did in each run"
    )
    far.add_argument("--congestion", default="cubic", help="TCP's control (default: cubic)")
    add_results(far)
    add_bloat(parts.add_parser("bloat", help="delays behind a full uplink; needs root"))
    add_floods(
        parts.add_parser("floods", help="what a transfer loses while strangers flood an end")
    )
    add_tracker_floods(
        parts.add_parser("tracker-floods", help="a tracker's memory and answers under floods")
    )
    add_control(parts.add_parser("control", help="what a transfer loses while its page is open"))
    add_many(parts.add_parser("many", help="what thousands of idle shares in one node cost"))
    parts.add_parser("start", help="how long commands take that only say something")
    parts.add_parser("scheduler", help="what decisions cost")
    profile = parts.add_parser("profile", help="where a transfer's time goes, by py-spy")
    profile.add_argument("--size", type=parse_size, default=parse_size("1GiB"))
    profile.add_argument("--piece-length", type=parse_size, default=parse_size("1MiB"))
    profile.add_argument("--out", type=Path, default=Path(), help="folder for the raw profiles")
    # They may follow the part as well, as `make bench-peer ARGS="--scratch /dev/shm"` has it.
    for part in parts.choices.values():
        part.add_argument("--repeats", type=int, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
        part.add_argument("--scratch", type=Path, default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    return parser


def add_contestants(parser: argparse.ArgumentParser) -> None:
    """Add who takes part, where checkouts of trio-swarm can."""
    parser.add_argument("--only", action="append", default=[], help="a contestant; repeatable")
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        type=Path,
        metavar="FOLDER",
        help="another checkout of trio-swarm, as one more contestant; repeatable",
    )


def add_results(parser: argparse.ArgumentParser) -> None:
    """Add where results are kept from one run to the next."""
    parser.add_argument(
        "--results",
        type=Path,
        metavar="FILE",
        help="add each run to this file, and report all runs it holds",
    )


def add_control(parser: argparse.ArgumentParser) -> None:
    """Add what `bench-control` takes."""
    parser.add_argument("--size", type=parse_size, default=parse_size("1GiB"))
    parser.add_argument("--rate", type=parse_size, help="of the seeder, a second (default: none)")
    parser.add_argument("--browser", action="store_true", help="look with Chromium as well")


def add_floods(parser: argparse.ArgumentParser) -> None:
    """Add what `bench-floods` takes."""
    parser.add_argument("--size", type=parse_size, default=parse_size("64MiB"))
    parser.add_argument("--only", action="append", default=[], metavar="KIND", help="repeatable")
    parser.add_argument("--floods", type=int, default=3, help="flooders at once (default: 3)")
    parser.add_argument("--rounds", type=int, default=1, help="differs little (default: 1)")
    parser.add_argument("--patience", type=float, default=60, help="seconds (default: 60)")
    parser.add_argument("--checkout", type=Path, help="measure another checkout of trio-swarm")


def add_tracker_floods(parser: argparse.ArgumentParser) -> None:
    """Add what `bench-tracker-floods` takes."""
    parser.add_argument("--only", action="append", default=[], metavar="KIND", help="repeatable")
    parser.add_argument("--seconds", type=float, default=10, help="of each flood (default: 10)")


def add_many(parser: argparse.ArgumentParser) -> None:
    """Add what `bench-many` takes."""
    parser.add_argument("--shares", type=int, default=5000, help="of 16 KiB (default: 5000)")
    parser.add_argument("--seconds", type=float, default=30, help="of idling (default: 30)")
    parser.add_argument(
        "--interval", type=float, default=1800, help="the tracker's, seconds (default: 1800)"
    )
    parser.add_argument("--descriptors", type=int, help="the node's limit of open files")
    parser.add_argument("--rounds", type=int, default=1, help="differs little (default: 1)")
    parser.add_argument(
        "--against",
        action="append",
        default=[],
        type=Path,
        metavar="FOLDER",
        help="another checkout of trio-swarm to measure in turns; repeatable",
    )


def add_bloat(parser: argparse.ArgumentParser) -> None:
    """Add what `bench-bloat` takes."""
    add_contestants(parser)
    parser.add_argument("--row", action="append", choices=list(BLOATED), help="repeatable")
    parser.add_argument(
        "--trace", type=Path, metavar="FOLDER", help="write down there what TCP did"
    )
    parser.add_argument("--congestion", action="append", help="repeatable (default: cubic and bbr)")


def main() -> None:
    arguments = make_parser().parse_args()
    # As installed programs run: their modules are compiled once.
    os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
    if arguments.part == "memory" and arguments.scratch is None:
        from bench_memory import room_needed
        from bench_room import folder_with_room

        folders = [Path("/dev/shm"), Path(tempfile.gettempdir())]
        arguments.scratch = folder_with_room(folders, room_needed(arguments.size))
    if arguments.part == "swarm":
        arguments.scratch = prepare_swarm(arguments)
    elif arguments.part == "long":
        names = arguments.row or list(DEFAULT_ROWS)
        most = 3 * sum({ROWS[name].size for name in names})
        arguments.scratch = prepare_namespaces("bench-long", arguments.scratch, most)
    elif arguments.part == "bloat":
        most = 8 * max(BLOATED[name].size for name in arguments.row or BLOATED)
        arguments.scratch = prepare_namespaces("bench-bloat", arguments.scratch, most)
    prefix = f"{SCRATCH_PREFIX}{os.getpid()}-"
    with tempfile.TemporaryDirectory(prefix=prefix, dir=arguments.scratch) as scratch:
        benches = {
            "swarm": bench_swarm,
            "long": bench_long,
            "bloat": bench_bloat,
            "peer": bench_peer,
            "tracker": bench_tracker,
            "memory": bench_memory,
            "floods": bench_floods,
            "tracker-floods": bench_tracker_floods,
            "many": bench_many,
            "control": bench_control,
            "profile": bench_profile,
        }
        benches.get(arguments.part, bench_alone)(arguments, Path(scratch))


def add_tracker(parts: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    tracker = parts.add_parser("tracker", help="announces a second against opentracker")
    tracker.add_argument("--registry", action="append", metavar="SWARMSxPEERS")
    tracker.add_argument("--seconds", type=float, default=5, help="of one load (default: 5)")
    tracker.add_argument("--carrier", action="append", metavar="UDP|HTTP", help="default: both")
    tracker.add_argument("--workers", action="store_true", help="two workers against one instead")


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

    if arguments.workers:
        import bench_workers

        for text in arguments.registry or ["1000x60"]:
            held = part.Registry.parse(text)
            measured = bench_workers.run(held, repeats=arguments.repeats, seconds=arguments.seconds)
            print(bench_workers.report(held, measured), end="\n\n")
        return

    # opentracker reads its list below here as another user.
    scratch.chmod(0o755)
    for text in arguments.registry or ["1000x60", "100000x55"]:
        registry = part.Registry.parse(text)
        measure = partial(
            part.run,
            repeats=arguments.repeats,
            seconds=arguments.seconds,
            carriers=arguments.carrier or part.CARRIERS,
        )
        loads, memory = trio.run(measure, scratch, registry)
        print(part.report(registry, loads, memory), end="\n\n")
    print(part.memory_report())


def bench_memory(arguments: argparse.Namespace, scratch: Path) -> None:
    import bench_memory as part

    print(part.report(part.run(scratch, arguments.size, arguments.rounds), arguments.size))


def bench_floods(arguments: argparse.Namespace, scratch: Path) -> None:
    import bench_floods as part

    kinds = arguments.only or part.KINDS
    if unknown := set(kinds) - set(part.KINDS):
        sys.stderr.write(f"bench-floods: no kind {', '.join(sorted(unknown))}\n")
        raise SystemExit(2)
    results = part.run(
        scratch,
        arguments.size,
        kinds=kinds,
        floods=arguments.floods,
        repeats=arguments.rounds,
        patience=arguments.patience,
        checkout=arguments.checkout,
    )
    print(part.report(results))


def bench_tracker_floods(arguments: argparse.Namespace, _scratch: Path) -> None:
    import bench_tracker_floods as part

    kinds = arguments.only or list(part.RATES)
    if unknown := set(kinds) - set(part.RATES):
        sys.stderr.write(f"bench-tracker-floods: no kind {', '.join(sorted(unknown))}\n")
        raise SystemExit(2)
    print(part.report(part.run(arguments.seconds, kinds)))


def bench_control(arguments: argparse.Namespace, scratch: Path) -> None:
    import bench_control as part

    kinds = list(part.VISITORS)[: 2 if arguments.browser else 1]
    results = part.run(
        scratch, arguments.size, rounds=arguments.repeats, rate=arguments.rate, kinds=kinds
    )
    print(part.report(results, arguments.size))


def bench_many(arguments: argparse.Namespace, scratch: Path) -> None:
    import bench_many as part

    results = part.run(
        scratch,
        count=arguments.shares,
        seconds=arguments.seconds,
        interval=arguments.interval,
        descriptors=arguments.descriptors,
        rounds=arguments.rounds,
        checkouts=[each.resolve() for each in arguments.against],
    )
    print(part.report(results, arguments.seconds))


def prepare_swarm(arguments: argparse.Namespace) -> Path | None:
    """Return where to put files; exit with code 2 where no such benchmark can be."""
    from bench_swarm_network import congestions

    names = arguments.column or list(DEFAULT_COLUMNS)
    if "all" in names:
        names = list(COLUMNS)
    most = max(len(COLUMNS[name].leechers) for name in names if name in COLUMNS) + 2
    scratch = prepare_namespaces("bench-swarm", arguments.scratch, most * arguments.size)
    if unknown := set(names) - set(COLUMNS):
        sys.stderr.write(f"bench-swarm: no column {', '.join(sorted(unknown))}\n")
        raise SystemExit(2)
    arguments.column = names
    there = congestions()
    both = [each for each in BOTH if each in there]
    arguments.congestion = arguments.congestion or both or there[:1]
    if unknown := set(arguments.congestion) - set(there):
        sys.stderr.write(f"bench-swarm: no congestion control {', '.join(sorted(unknown))}\n")
        raise SystemExit(2)
    return scratch


def prepare_namespaces(part: str, scratch: Path | None, most: int) -> Path | None:
    """Return where to put `most` bytes of files; exit with code 2 where no namespaces can be."""
    from bench_swarm_network import problem

    if (reason := problem()) is not None:
        sys.stderr.write(f"{part}: {reason}\n")
        raise SystemExit(2)
    # The peers run in folders of their own, and are to find the same trio-swarm as this process.
    paths = os.environ.get("PYTHONPATH", "").split(os.pathsep)
    os.environ["PYTHONPATH"] = os.pathsep.join(str(Path(each).resolve()) for each in paths if each)

    # Ended by a signal, it removes everything as after Ctrl-C.
    def interrupt(_number: int, _frame: object) -> None:
        signal.raise_signal(signal.SIGINT)

    signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, interrupt)
    memory = Path("/dev/shm")
    if scratch is None and os.access(memory, os.W_OK):
        scratch = memory if shutil.disk_usage(memory).free > most else None
    remove_abandoned_scratch(scratch or Path(tempfile.gettempdir()))
    return scratch


def remove_abandoned_scratch(folder: Path) -> None:
    """Remove what a benchmark that was killed left in a folder."""
    for left in folder.glob(f"{SCRATCH_PREFIX}*-*"):
        owner = left.name.removeprefix(SCRATCH_PREFIX).partition("-")[0]
        if owner.isdecimal() and not Path("/proc", owner).exists():
            shutil.rmtree(left, ignore_errors=True)


def bench_swarm(arguments: argparse.Namespace, scratch: Path) -> None:
    import bench_swarm as part
    from bench_swarm_report import Result, report

    import trio_swarm

    ours = [word for words in arguments.ours for word in words]
    checkouts = [each.resolve() for each in arguments.against]
    running_order = part.contestants(arguments.only, arguments.scheduler, ours, checkouts)
    sys.stderr.write(f"trio-swarm is {Path(trio_swarm.__file__).parent}\n")
    ground = part.SwarmGround(
        scratch,
        arguments.size,
        timeline=arguments.timeline,
    )
    columns = [COLUMNS[name] for name in arguments.column]
    results: list[Result] = []
    rounds = part.run_rounds(
        ground, columns, running_order, arguments.repeats, arguments.congestion
    )
    try:
        gather("bench-swarm", rounds, results, arguments.results)
    finally:
        # What was measured until then is worth its table.
        found = results if arguments.results is None else read(arguments.results, Result)
        print(report(found))
    if arguments.simulate:
        import bench_swarm_simulated as simulated

        comparisons = simulated.compare(found, arguments.simulate)
        print(f"\n{simulated.report(comparisons)}")
        if not simulated.is_valid(comparisons):
            raise SystemExit(1)


def bench_long(arguments: argparse.Namespace, scratch: Path) -> None:
    import bench_long as part
    from bench_long_report import LongResult, report

    checkouts = [each.resolve() for each in arguments.against]
    running_order = part.contestants(arguments.only, checkouts)
    rows = [ROWS[name] for name in arguments.row or DEFAULT_ROWS]
    results: list[LongResult] = []
    rounds = part.run_rounds(
        part.LongRun,
        scratch,
        rows,
        running_order,
        repeats=arguments.repeats,
        congestions=[arguments.congestion],
        traces=None if arguments.trace is None else arguments.trace.resolve(),
    )
    try:
        gather("bench-long", rounds, results, arguments.results)
    finally:
        file = arguments.results
        print(report(results if file is None else read(file, LongResult)))


def bench_bloat(arguments: argparse.Namespace, scratch: Path) -> None:
    import bench_bloat as part
    from bench_long import contestants, run_rounds

    checkouts = [each.resolve() for each in arguments.against]
    names = arguments.only or part.WHO
    running_order = contestants(
        [*names, *(f"trio-swarm of {each.name}" for each in checkouts)], checkouts
    )
    rows = [part.ROWS[name] for name in arguments.row or part.ROWS]
    results: list[part.BloatResult] = []
    rounds = run_rounds(
        part.BloatRun,
        scratch,
        rows,
        running_order,
        repeats=arguments.repeats,
        congestions=arguments.congestion or part.CONGESTIONS,
        traces=None if arguments.trace is None else arguments.trace.resolve(),
    )
    try:
        gather("bench-bloat", rounds, results)
    finally:
        print(part.report(results))


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
