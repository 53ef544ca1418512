"""The most memory that a leecher of a large file takes, and a seeder with many connections.

The file repeats 64 MiB of random bytes: all of it is sent, hashed, written and compared, but it is
made in no time. The seeder's leechers are light ones in one process (bench_crowd.py).
"""

import os
import sys
from pathlib import Path
from typing import NamedTuple

import trio
from bench_loopback import NO_MARKS
from bench_measuring import MIB, size_text, spread, table
from bench_peer import OURS, Contestant, Field, until_listed
from bench_room import demand_room
from bench_targets import TARGET_HEADS, Target

from foreign_clients import events, our_tracker
from foreign_programs import make_folder, running

CROWD_SCRIPT = Path(__file__).with_name("bench_crowd.py")
REPEATED = 64 * MIB
CONNECTIONS = 200
CROWD_SECONDS = 25.0
"""More than two choke rounds: who is served changes."""
LONGEST_CROWD = 60.0

LEECHER = Target(64, 96)
SEEDER = Target(96, 128)
"""MiB."""


class Peaks(NamedTuple):
    """Bytes of memory."""

    leecher: float
    its_seeder: float
    crowded_seeder: float
    crowd: str
    """What the crowd got, in words."""


def room_needed(size: int) -> int:
    """Return the bytes of the file and its copy."""
    return 2 * size + REPEATED


def run(scratch: Path, size: int, rounds: int) -> list[Peaks]:
    """Measure both, so many times."""
    demand_room(scratch, room_needed(size))
    pattern = os.urandom(REPEATED)
    (scratch / "pattern").write_bytes(pattern)

    def write_repeated(path: Path, size: int) -> None:
        with path.open("wb") as file:
            for at in range(0, size, REPEATED):
                file.write(pattern[: size - at])
            os.fsync(file.fileno())

    field = Field(scratch, size, write=write_repeated)
    results = []
    for number in range(rounds):
        transfer = trio.run(field.run, Contestant("trio-swarm", OURS, OURS))
        sys.stderr.write(f"round {number + 1}: {size_text(size)} are fetched and compared\n")
        crowded, words = trio.run(run_crowd, field)
        sys.stderr.write(f"round {number + 1}: {words}\n")
        results.append(Peaks(transfer.leecher_peak, transfer.seeder_peak, crowded, words))
    return results


async def run_crowd(field: Field) -> tuple[int, str]:
    """Let many leechers fetch from one seeder; returns its peak memory, and what they got."""
    contestant = Contestant("crowd", OURS, OURS)
    content = field.content(contestant.share)
    metainfo = await field.metainfo(contestant)
    network = field.network
    network.marks = NO_MARKS
    folder = make_folder(field.scratch / "crowd")
    async with our_tracker(network, folder / "tracker") as tracker:
        torrent = folder / "data.torrent"
        torrent.write_bytes(metainfo.with_trackers([tracker.url]).to_bytes())
        async with OURS.seed(network, content, torrent, field.scratch / "crowd-seeder") as seeder:
            await until_listed(tracker, [seeder], metainfo.info.info_hash)
            port = events(seeder, "listening")[0]["port"]
            address = network.new_address()
            argv = [sys.executable, CROWD_SCRIPT, seeder.address, str(port), torrent]
            argv += [field.scratch / "pattern", str(CONNECTIONS), str(CROWD_SECONDS)]
            async with running(network, "crowd", address, argv, folder=folder) as program:
                with trio.fail_after(CROWD_SECONDS + LONGEST_CROWD):
                    await program.until(lambda: "complete" in program.output)
                return network.peak(seeder), " ".join(program.output.split("\n")[:2])


def report(results: list[Peaks], size: int) -> str:
    """Return the table."""

    def row(name: str, values: list[float], target: Target | None) -> tuple[str, ...]:
        peak = spread(value / MIB for value in values)
        cells = target.cells(peak.median) if target is not None else ("", "", "")
        return name, peak.text(), *cells

    rows = [
        row(f"leecher of {size_text(size)}", [each.leecher for each in results], LEECHER),
        row("its seeder", [each.its_seeder for each in results], None),
        row(
            f"seeder with {CONNECTIONS} connections",
            [each.crowded_seeder for each in results],
            SEEDER,
        ),
    ]
    return "\n".join(
        (
            f"Peak memory, medians (least-most) of {len(results)}; {results[-1].crowd}:",
            "",
            table(("", "MiB", *TARGET_HEADS), rows),
        )
    )
