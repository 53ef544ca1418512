"""The wheel that people install: it holds all it needs, and gives them the command.

This is the pure one, made where nothing else is asked for; `make test-compiled` tests the other.
"""

import os
import subprocess
import sys
import venv
import zipfile
from pathlib import Path

import pytest

from trio_swarm.building import wheel_hook

PROJECT = Path(__file__).parents[2]
VARIABLES = ("TRIO_SWARM_COMPILED", "TRIO_SWARM_PURE")
PIP = (sys.executable, "-m", "pip", "--quiet", "--disable-pip-version-check")
PIP_WHEEL = (*PIP, "wheel", "--no-deps", "--no-build-isolation", "-w")

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("wheel")
    plain = {name: value for name, value in os.environ.items() if name not in VARIABLES}
    _run(*PIP_WHEEL, folder, PROJECT, env=plain)
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def programs(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of commands of a fresh environment that has only the wheel and what it needs."""
    home = tmp_path_factory.mktemp("fresh")
    venv.create(home, symlinks=True)
    # This environment's pip installs into the fresh one, which needs none of its own.
    _run(*PIP, "--python", home, "install", "--no-compile", wheel)
    return home / "bin"


def test_the_wheel_has_the_package_and_its_type_marker_and_no_tests(wheel: Path) -> None:
    names = zipfile.ZipFile(wheel).namelist()
    assert "trio_swarm/py.typed" in names
    assert "trio_swarm/schedulers/rarest_first.py" in names
    assert not [name for name in names if not name.startswith(("trio_swarm/", "trio_swarm-"))]
    assert not [name for name in names if "building" in name]


def test_a_wheel_has_no_library_unless_asked_for_and_fits_every_platform(wheel: Path) -> None:
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


@pytest.mark.parametrize(
    ("values", "is_asked"),
    [
        ((None, None), False),
        (("1", None), True),
        (("1", "0"), True),
        (("0", None), False),
        (("", ""), False),
        (("1", "1"), False),
        ((None, "1"), False),
    ],
)
def test_the_core_is_compiled_for_those_who_ask_and_do_not_refuse(
    values: tuple[str | None, str | None], *, is_asked: bool
) -> None:
    pairs = zip(VARIABLES, values, strict=True)
    environment = {name: value for name, value in pairs if value is not None}
    assert wheel_hook.is_asked_to_compile(environment) is is_asked


def test_a_compiled_wheel_that_cannot_be_had_is_one_line_and_no_wheel(tmp_path: Path) -> None:
    asked = os.environ | {"TRIO_SWARM_COMPILED": "1", "CC": "no-such-compiler -O2"}
    asked.pop("TRIO_SWARM_PURE", None)
    done = subprocess.run(
        [*PIP_WHEEL, tmp_path, PROJECT], capture_output=True, text=True, check=False, env=asked
    )
    assert done.returncode == 1
    said = "TRIO_SWARM_COMPILED is set, but the core cannot be compiled: there is no C compiler"
    assert f"{said} no-such-compiler\n" in done.stdout + done.stderr
    assert not list(tmp_path.iterdir())


def _run(*argv: str | Path, env: dict[str, str] | None = None) -> str:
    done = subprocess.run(argv, capture_output=True, text=True, check=False, env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout
