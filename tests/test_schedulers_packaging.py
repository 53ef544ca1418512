"""A third party's package in a fresh environment: listed with its origin, and usable by name."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

PROJECT = Path(__file__).parent.parent
PACKAGE = PROJECT / "plugins" / "trio-swarm-sequential"

LIST = """
import trio_swarm
from trio_swarm.schedulers.loading import load_strategies
strategies = load_strategies()
offer = strategies.offer("scheduler", "sequential")
made = strategies.scheduler("sequential", {"window_mib": "8"}, text_values=True)
print(trio_swarm.__file__)
print(offer.origin)
print(offer.summary)
print(made.window_mib, len(strategies.problems))
"""


def _run(
    *command: str | Path, cwd: Path, **environment: str | Path
) -> subprocess.CompletedProcess[str]:
    variables = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    variables |= {name: str(value) for name, value in environment.items()}
    return subprocess.run(
        command, cwd=cwd, env=variables, capture_output=True, text=True, check=False, timeout=100
    )


@pytest.mark.slow
def test_a_package_installed_into_a_fresh_environment_is_listed_and_passes_its_own_tests(
    tmp_path: Path,
) -> None:
    backend = tmp_path / "backend"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    fetched = _run(*pip, "install", "--quiet", "--target", backend, "hatchling", cwd=tmp_path)
    if fetched.returncode:
        pytest.skip("the build backend cannot be fetched here")
    # A fresh environment that borrows the dependencies of this one, but not trio-swarm itself:
    # its own site-packages come first.
    python = tmp_path / "fresh" / "bin" / "python"
    made = _run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "fresh", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = tmp_path / "fresh" / "lib" / version / "site-packages"
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip += ["--python", python]
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--ignore-installed"]
    installed = _run(
        *[*pip, "install", *options, PROJECT, PACKAGE],
        cwd=tmp_path,
        PYTHONPATH=backend,
    )
    assert installed.returncode == 0, installed.stderr[-3000:]

    listed = _run(python, "-c", LIST, cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr[-3000:]
    where, origin, summary, rest = listed.stdout.splitlines()
    assert Path(where).is_relative_to(site)
    assert origin == "package trio-swarm-sequential 0.1.0"
    assert summary.startswith("Pieces in order")
    assert rest == "8.0 0"

    tests = PACKAGE / "tests"
    own = _run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests, cwd=tmp_path)
    assert own.returncode == 0, own.stdout[-3000:] + own.stderr[-3000:]
