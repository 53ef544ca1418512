"""Where the time of a transfer goes, on either side: py-spy's samples, summed up.

Samples count threads that hold or want a processor; native frames (the kernel's copies, SHA-1) are
under the Python line that called them. The raw files are what flame graphs are made of.
"""

import re
import shutil
import sys
from collections import Counter
from pathlib import Path

import trio
from bench_measuring import MIB, table
from bench_peer import OURS, Contestant, Field

SAMPLES_PER_SECOND = 400
SHOWN = 25


def run(scratch: Path, size: int, piece_length: int, out: Path) -> None:
    """Profile both sides of one transfer and print what took longest."""
    program = Path(sys.executable).with_name("py-spy")
    if not program.exists():
        program = Path(
            shutil.which("py-spy") or sys.exit("py-spy is missing: make profile gets it")
        )
    field = Field(scratch, size)
    record = [str(program), "record", "--rate", str(SAMPLES_PER_SECOND), "--format", "raw"]
    files = {side: out / f"profile-{side}.raw" for side in ("seeder", "leecher")}
    field.seeder_prefix = [*record, "--output", str(files["seeder"]), "--"]
    field.leecher_prefix = [*record, "--output", str(files["leecher"]), "--"]
    contestant = Contestant("trio-swarm", OURS, OURS, piece_length=piece_length)
    transfer = trio.run(field.run, contestant)
    print(f"{transfer.rate / MIB:.0f} MiB/s while profiled")
    for side, file in files.items():
        print(f"\n{side} ({file}):\n")
        print(summary(file.read_text()))


def summary(raw: str) -> str:
    """Return the functions that took longest, with what they called and by themselves."""
    alone: Counter[str] = Counter()
    within: Counter[str] = Counter()
    total = 0
    for line in raw.splitlines():
        stack, _, count = line.rpartition(" ")
        samples = int(count)
        frames = [re.sub(r":\d+\)$", ")", frame) for frame in stack.split(";")]
        total += samples
        alone[frames[-1]] += samples
        for frame in set(frames):
            within[frame] += samples
    shown = sorted(
        {name for name, _ in alone.most_common(SHOWN)}
        | {name for name, _ in within.most_common(2 * SHOWN) if "trio_swarm" in name},
        key=lambda name: -within[name],
    )
    rows = [(name, f"{within[name] / total:.1%}", f"{alone[name] / total:.1%}") for name in shown]
    return table(("", "in all", "alone"), rows)
