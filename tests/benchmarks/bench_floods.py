"""What an honest transfer loses while others flood its seeder or its leecher.

The seeder gives at a limited rate, so that neither the network nor a core is what is measured: a
transfer that gets its turns takes as long with a flood as without.
"""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import NamedTuple

from bench_flooder import FLOODS, WITHOUT_HANDSHAKE
from bench_measuring import MIB, ratios, spread, table

HOST = "127.0.0.1"
RATE = 15 * MIB
"""Bytes a second the seeder gives: 64 MiB in 4.3 s."""

PATIENCE = 60.0
"""Seconds a command may take that nobody disturbs."""

KINDS = (*FLOODS, *WITHOUT_HANDSHAKE)
AT_ONCE = {"connections": 10, "half handshakes": 300, "silence": 300}
"""Connections of those floods that are nothing by one."""


class Run(NamedTuple):
    """One transfer: seconds since the leecher listened, processor seconds of both honest ends."""

    seconds: float
    cpu: float


class Results(NamedTuple):
    """Runs of one kind of flood, and of no flood just before each: `runs["none"]`."""

    kind: str
    runs: dict[str, list[Run]]


WHERE = ("none", "seeder", "leecher")


def run(
    scratch: Path,
    size: int,
    *,
    kinds: Sequence[str],
    floods: int,
    repeats: int,
    patience: float,
    checkout: Path | None,
) -> list[Results]:
    """Measure each kind against the seeder and against the leecher, in turns with no flood."""
    source = scratch / "flooded.bin"
    source.write_bytes(os.urandom(size))
    ground = _Ground(scratch, source, patience, checkout)
    ground.make_torrent()
    results = [Results(kind, {target: [] for target in WHERE}) for kind in kinds]
    for _ in range(repeats):
        for each in results:
            for target in WHERE:
                found = ground.transfer(each.kind, target, AT_ONCE.get(each.kind, floods))
                each.runs[target].append(found)
                sys.stderr.write(f"{each.kind}, {target}: {found.seconds:.1f} s, {found.cpu:.1f}\n")
    return results


def report(results: Sequence[Results]) -> str:
    """Return the table: times as multiples of what a transfer took just before without a flood."""
    quiet = [run for each in results for run in each.runs["none"]]
    quiet_text = spread(run.seconds for run in quiet).text(1)
    quiet_cpu = spread(run.cpu for run in quiet).text(1)
    rows = [["none", f"{quiet_text} s", "", f"{quiet_cpu} s", ""]]
    for each in results:
        before = [run.seconds for run in each.runs["none"]]
        targets = [each.runs["seeder"], each.runs["leecher"]]
        times = [ratios([run.seconds for run in runs], before).median for runs in targets]
        cpus = [spread(run.cpu for run in runs).median for runs in targets]
        rows.append([each.kind, *(f"{t:.2f}" for t in times), *(f"{cpu:.1f} s" for cpu in cpus)])
    heads = ("flood", "time: at the seeder", "at the leecher", "CPU: at the seeder", "the leecher")
    return table(heads, rows)


class _Ground:
    def __init__(self, scratch: Path, source: Path, patience: float, checkout: Path | None) -> None:
        self._patience = patience
        self._scratch = scratch
        self._source = source
        self._torrent = scratch / "flooded.torrent"
        self._count = 0
        self._python = sys.executable
        self._environment = dict(os.environ)
        if checkout is not None:
            self._python = str(checkout.resolve() / ".venv" / "bin" / "python")
            self._environment["PYTHONPATH"] = str(checkout.resolve())

    def make_torrent(self) -> None:
        with self._ours("create", self._source, "--out", self._torrent) as create:
            create.wait(time.perf_counter() + PATIENCE)

    def transfer(self, kind: str, target: str, count: int) -> Run:
        """Fetch the file once, with `count` flooders at the seeder or the leecher."""
        self._count += 1
        out = self._scratch / "out"
        seed = ("seed", self._source, *self._flags("s"), "--upload-limit", RATE)
        with self._ours(*seed) as seeder, ExitStack() as stack:
            port = seeder.port()
            get = ("get", self._torrent, "--dir", out, "--no-seed", "--peer", f"{HOST}:{port}")
            if target == "seeder":
                stack.enter_context(self._flooding(kind, count, port))
            leecher = stack.enter_context(self._ours(*get, *self._flags("l")))
            # Not its start, which takes the longer the busier the flooders' processor is.
            port = leecher.port()
            began = time.perf_counter()
            if target == "leecher":
                stack.enter_context(self._flooding(kind, count, port))
            cpu = leecher.wait(began + self._patience)
            seconds = time.perf_counter() - began
            cpu += seeder.cpu()
        shutil.rmtree(out, ignore_errors=True)
        return Run(seconds, cpu)

    def _flags(self, state: str) -> tuple[str, ...]:
        folder = self._scratch / f"state-{state}-{self._count}"
        return "--listen", f"{HOST}:0", "--state-dir", str(folder), "--tracker", "udp://127.0.0.1:1"

    @contextmanager
    def _ours(self, *arguments: object) -> "Iterator[_Command]":
        said = self._scratch / f"said-{self._count}-{arguments[0]}"
        with said.open("wb") as stdout:
            process = subprocess.Popen(
                [self._python, "-m", "trio_swarm", *map(str, arguments), "--json"],
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.DEVNULL,
                cwd=self._scratch,
                env=self._environment,
            )
        with _killed_at_the_end(process):
            yield _Command(process, said)

    @contextmanager
    def _flooding(self, kind: str, count: int, port: int) -> Iterator[None]:
        if not kind:
            yield
            return
        script = Path(__file__).with_name("bench_flooder.py")
        arguments = [sys.executable, script, kind, count, HOST, port, self._torrent]
        process = subprocess.Popen(list(map(str, arguments)), stdout=subprocess.PIPE)
        with _killed_at_the_end(process):
            assert process.stdout is not None
            process.stdout.readline()
            yield


class _Command:
    """A running trio-swarm, and the file that holds what it says."""

    def __init__(self, process: "subprocess.Popen[bytes]", said: Path) -> None:
        self._process = process
        self._said = said

    def port(self) -> int:
        """Return where it listens, once it does."""
        while self._process.poll() is None:
            for line in self._said.read_text().splitlines(keepends=True):
                if line.endswith("\n") and (event := json.loads(line))["event"] == "listening":
                    return int(event["port"])
            time.sleep(0.005)
        raise RuntimeError("ended before it listened")

    def wait(self, until: float) -> float:
        """Wait for its end, at most until then; return the processor seconds it took."""
        cpu = 0.0
        while time.perf_counter() < until:
            cpu = self.cpu() or cpu
            try:
                self._process.wait(0.02)
            except subprocess.TimeoutExpired:
                continue
            if self._process.returncode:
                raise RuntimeError(f"failed: {self._said.read_text()[-1000:]}")
            break
        return cpu

    def cpu(self) -> float:
        """Return the processor seconds it took so far; 0.0 once it has ended."""
        try:
            stat = Path(f"/proc/{self._process.pid}/stat").read_text()
        except OSError:
            return 0.0
        fields = stat.rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _killed_at_the_end(process: "subprocess.Popen[bytes]") -> Iterator[None]:
    try:
        yield
    finally:
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
