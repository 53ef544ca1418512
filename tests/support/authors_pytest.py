"""pytest as an author of a strategy runs it."""

import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

TESTS = Path(__file__).parent

QUICK = """
from functools import partial
from hypothesis import settings
from msgspec.structs import replace
from trio_swarm.lab.testing import cards
from trio_swarm.lab.testing.standard_scenarios import STANDARD_SCENARIOS as standard
settings.register_profile("few", max_examples=8)
settings.load_profile("few")
crowd = replace(standard["flash-crowd"], size=standard["flash-crowd"].size // 8)
cards.report_card = partial(cards.report_card, scenarios={"flash-crowd": crowd})
"""
"""A conftest.py of few examples, and of one small swarm in a report: for tests of what is said of a
strategy, and not of how it is judged."""


def run_pytest(
    *arguments: str | Path, cwd: Path, paths: Sequence[Path]
) -> subprocess.CompletedProcess[str]:
    """Run pytest as an author does, where trio-swarm is installed."""
    folders = [*map(str, paths), os.environ.get("PYTHONPATH", "")]
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
