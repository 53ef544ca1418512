"""A simulation on several processes that is stopped leaves none of them behind."""

import signal
import subprocess
from pathlib import Path

import pytest

from command_line import PATIENCE, CommandLine

LONG = Path(__file__).parent.parent / "config/scenarios/flash-crowd.toml"


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
    command = line.command("simulate", LONG, "--seeds", 500, "--workers", 2)
    with subprocess.Popen(
        command, env=line.environment, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True
    ) as process:
        assert process.stdout is not None
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        while len(children.read_text().split()) < 3:  # two workers, and what tracks their resources
            assert process.poll() is None
        process.send_signal(number)
        # Whoever is left would hold the pipe open.
        rest, _ = process.communicate(timeout=PATIENCE)
        assert process.returncode == code
        # A worker just being started, whose parent is gone without a word, has one of Python's.
        assert number == signal.SIGKILL or "Traceback" not in rest
