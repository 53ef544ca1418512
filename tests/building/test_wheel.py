"""The wheel that people install: it holds all it needs, and gives them the command.

This is the pure one, which is made at once; `make test-compiled` tests the other.
"""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

PROJECT = Path(__file__).parents[2]
QUIET = ("--quiet", "--disable-pip-version-check")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    pure = os.environ | {"TRIO_SWARM_PURE": "1"}
    _run(sys.executable, "-m", "pip", "wheel", *QUIET, "--no-deps", "-w", folder, PROJECT, env=pure)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of a fresh environment that has only the wheel and what it needs."""
    home = tmp_path_factory.mktemp("fresh")
    venv.create(home, symlinks=True)
    # This environment's pip installs into the fresh one, which needs none of its own.
    _run(sys.executable, "-m", "pip", "--python", home, "install", *QUIET, wheel)
    return home / "bin"


def test_the_wheel_has_the_package_and_its_type_marker_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "trio_swarm/py.typed" in names
    assert "trio_swarm/schedulers/rarest_first.py" in names
    assert not [name for name in names if not name.startswith(("trio_swarm/", "trio_swarm-"))]
    assert not [name for name in names if "building" in name]


def test_a_wheel_that_is_to_be_pure_has_no_library_and_fits_every_platform(wheel: Path) -> None:
    assert not [name for name in zipfile.ZipFile(wheel).namelist() if name.endswith(".so")]
    assert wheel.name.endswith("-py3-none-any.whl")


def test_a_fresh_environment_gets_a_command_that_knows_its_version(
    wheel: Path, programs: Path
) -> None:
    version = wheel.name.split("-")[1]
    assert version in _run(programs / "trio-swarm", "--version")
    assert version in _run(programs / "python", "-m", "trio_swarm", "--version")


def test_a_fresh_environment_has_the_built_in_schedulers(programs: Path) -> None:
    listed = _run(programs / "trio-swarm", "schedulers")
    for name in ("rarest-first", "round-robin", "bandwidth-weighted"):
        assert name in listed


def _run(*argv: str | Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
