"""A simulation on several processes that is stopped leaves none of them behind."""

import os
import select
import signal
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from command_line import PATIENCE, CommandLine
from small_scenario import SMALL


@pytest.mark.parametrize(
    ("number", "code"),
    [
        (signal.SIGINT, 1),
        (signal.SIGTERM, 1),
        (signal.SIGHUP, 1),
        (signal.SIGKILL, -signal.SIGKILL),
    ],
)
def test_the_workers_end_with_the_command(tmp_path: Path, number: int, code: int) -> None:
    line = CommandLine(tmp_path)
    (tmp_path / "small.toml").write_text(SMALL)
    command = line.command("simulate", "small.toml", "--seeds", 5000, "--workers", 2, "--json")
    with subprocess.Popen(
        command,
        cwd=tmp_path,
        env=line.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            # The first result is from a worker.
            ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
            assert ready
            process.send_signal(number)
            # Whoever is left would hold the pipe open.
            rest, _ = process.communicate(timeout=PATIENCE)
            assert process.returncode == code
            # A worker just being started, whose parent is gone without a word, has one of Python's.
            assert number == signal.SIGKILL or "Traceback" not in rest
        finally:
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)  # or a failure here would wait for them
