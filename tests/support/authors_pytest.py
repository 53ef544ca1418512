"""pytest as an author of a strategy runs it."""

import os
import subprocess
import sys
from pathlib import Path

TESTS = Path(__file__).parent


def run_pytest(*arguments: str | Path, cwd: Path, path: Path) -> subprocess.CompletedProcess[str]:
    """Run pytest as an author does, where trio-swarm is installed."""
    folders = [str(path), os.environ.get("PYTHONPATH", "")]
    plugins = ["-p", "trio_swarm.lab.testing.pytest_plugin", "-p", "no:cacheprovider"]
    return subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugins, *map(str, arguments)],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, folders))},
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
