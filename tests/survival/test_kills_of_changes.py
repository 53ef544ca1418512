"""`kill -9` of a node while it changes something: the next start has the old state or the new one.

`make kills` tries every change at each of its steps; here are three of them.
"""

import subprocess
import sys
from pathlib import Path

import pytest

KILLER = Path(__file__).parents[1] / "support" / "killed_changes.py"


@pytest.mark.parametrize(
    ("change", "steps"),
    [
        ("move beside other files", 2),
        ("move what is unfinished", 4),
        ("remove what the file names with data", 2),
    ],
)
@pytest.mark.timeout(300)
def test_a_node_that_is_killed_in_a_change_has_the_old_state_or_the_new(
    tmp_path: Path, change: str, steps: int
) -> None:
    done = subprocess.run(
        [sys.executable, KILLER, str(tmp_path), "--exactly", change, "--steps", str(steps)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 faults" in done.stdout
