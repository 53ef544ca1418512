"""Runs a program and writes down when it said what, its processor time and its peak memory.

    bench_metered.py FOLDER LAST DONE PROGRAM ARGUMENTS...

FOLDER/PID.json, PID being this process's own, gets one JSON object a line: `started` (the program's
pid, monotonic seconds), `done` (when the text DONE came; when LAST came for the last time; seconds
of processor time and bytes of memory at most until then), and `ended`. What the program prints goes
on to stdout. Signals to end are passed on. If FOLDER/gate is there, PID.ready is made, and the
program starts once nobody holds a lock on the gate: so several start at the same moment, and none
while another's meter is still being started.

It is a process of its own, because only a parent that waits learns a child's resources, and one
that reads the output the moment it comes has no polling in its times.
"""

import fcntl
import json
import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

LONGEST_MARK = 64
"""Bytes of output kept to find a mark that two reads tore."""


def main() -> int:
    folder, last, done, *argv = sys.argv[1:]
    report = Path(folder, f"{os.getpid()}.json")
    # A shell's background jobs ignore SIGINT, and so would the program, which is ended by it.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    wait_at(Path(folder, "gate"))
    started = time.monotonic()
    program = subprocess.Popen(
        argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, process_group=0
    )

    # To the whole group, as a terminal does it: a profiler and what it profiles both end well by
    # SIGINT, but not by SIGTERM.
    def pass_on(number: int, _frame: object) -> None:
        os.killpg(program.pid, signal.SIGINT if number == signal.SIGTERM else number)

    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, pass_on)
    write(report, {"started": started, "pid": program.pid})
    watch(program, report, last.encode(), done.encode())
    code = program.wait()
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    write(
        report,
        {
            "ended": time.monotonic(),
            "code": code,
            "cpu": used.ru_utime + used.ru_stime,
            "peak": used.ru_maxrss * 1024,
        },
    )
    return code


def wait_at(gate: Path) -> None:
    """Return once nobody holds the lock on a gate, if there is one."""
    try:
        held = gate.open()
    except FileNotFoundError:
        return
    with held:
        gate.with_name(f"{os.getpid()}.ready").touch()
        fcntl.flock(held, fcntl.LOCK_SH)


def watch(program: subprocess.Popen[bytes], report: Path, last: bytes, done: bytes) -> None:
    """Pass the output on until it ends; report once when `done` was in it."""
    assert program.stdout is not None
    output = program.stdout.fileno()
    kept = b""
    last_at: float | None = None
    is_done = False
    while data := os.read(output, 65536):
        now = time.monotonic()
        text = kept + data
        if last in text:
            last_at = now
        if not is_done and done in text:
            is_done = True
            write(
                report,
                {
                    "done": now,
                    "last": now if last_at is None else last_at,
                    "cpu": cpu_seconds(program.pid),
                    "peak": peak_memory(program.pid),
                },
            )
        # What was found is not to be found again.
        kept = b"" if last in text else text[-LONGEST_MARK:]
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process so far; a zombie's is still there."""
    # The clock of another process, as clock_getcpuclockid(3) makes it: CPUCLOCK_SCHED.
    return time.clock_gettime((~pid << 3) | 2)


def peak_memory(pid: int) -> int:
    """Return the most bytes a running process had resident; 0 for one that has ended."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return 0
    return next((int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM:")), 0)


def write(report: Path, entry: dict[str, float]) -> None:
    with report.open("a") as file:
        file.write(f"{json.dumps(entry)}\n")


if __name__ == "__main__":
    sys.exit(main())
