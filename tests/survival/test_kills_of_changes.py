"""`kill -9` of a node while it changes something: the next start has the old state or the new one.

`killed_nodes` tries every operation; here are two of them, and all by night.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

KILLER = Path(__file__).parents[1] / "support" / "killed_nodes.py"
IS_NIGHTLY = os.environ.get("HYPOTHESIS_PROFILE", "").startswith("nightly")
FEW = ("move beside other files", "remove what the file names with data")
TRIES = 1000 if IS_NIGHTLY else 2
"""At so many steps at most, evenly; the operations have 5 to 60."""


@pytest.mark.parametrize("operation", ["every"] if IS_NIGHTLY else FEW)
@pytest.mark.timeout(3600 if IS_NIGHTLY else 300)
def test_a_node_that_is_killed_in_a_change_has_the_old_state_or_the_new(
    tmp_path: Path, operation: str
) -> None:
    asked = [] if IS_NIGHTLY else ["--exactly", operation]
    done = subprocess.run(
        [sys.executable, KILLER, str(tmp_path), *asked, "--steps", str(TRIES)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " 0 neither" in done.stdout
