"""A third party's package in a fresh environment: listed with its origin, and usable by name."""

import json
import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest
import trio

from local_swarm import contents, make_file, node, tracker

PROJECT = Path(__file__).parents[2]
PACKAGE = PROJECT / "plugins" / "trio-swarm-sequential"

LIST = """
import trio_swarm
from trio_swarm.schedulers.loading import load_strategies
strategies = load_strategies()
entry = strategies.entry("scheduler", "sequential")
made = strategies.scheduler("sequential", {"window_mib": "8"}, text_values=True)
print(trio_swarm.__file__)
print(entry.origin)
print(entry.summary)
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


@pytest.fixture(scope="module")
def fresh_python(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The Python of a fresh environment into which trio-swarm and the package are installed."""
    tmp_path = tmp_path_factory.mktemp("fresh")
    backend = tmp_path / "backend"
    pip: list[str | Path] = [sys.executable, "-m", "pip", "--disable-pip-version-check"]
    fetched = _run(*pip, "install", "--quiet", "--target", backend, "hatchling", cwd=tmp_path)
    if fetched.returncode:
        if os.environ.get("CI"):
            pytest.fail(f"the build backend cannot be fetched: {fetched.stderr[-1000:]}")
        pytest.skip("the build backend cannot be fetched here")
    # A fresh environment that borrows the dependencies of this one, but not trio-swarm itself:
    # its own site-packages come first.
    python = tmp_path / "env" / "bin" / "python"
    made = _run(sys.executable, "-m", "venv", "--without-pip", tmp_path / "env", cwd=tmp_path)
    assert made.returncode == 0, made.stderr
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    site = tmp_path / "env" / "lib" / version / "site-packages"
    (site / "borrowed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    pip += ["--python", python]
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--ignore-installed"]
    installed = _run(
        *[*pip, "install", *options, PROJECT, PACKAGE],
        cwd=tmp_path,
        PYTHONPATH=backend,
        TRIO_SWARM_PURE="1",
    )
    assert installed.returncode == 0, installed.stderr[-3000:]
    return python


@pytest.mark.slow
def test_a_package_installed_into_a_fresh_environment_is_listed_and_passes_its_own_tests(
    tmp_path: Path, fresh_python: Path
) -> None:
    listed = _run(fresh_python, "-c", LIST, cwd=tmp_path)
    assert listed.returncode == 0, listed.stderr[-3000:]
    where, origin, summary, rest = listed.stdout.splitlines()
    assert Path(where).is_relative_to(fresh_python.parent.parent)
    assert origin == "package trio-swarm-sequential 0.1.0"
    assert summary.startswith("Pieces in order")
    assert rest == "8.0 0"

    tests = PACKAGE / "tests"
    own = _run(fresh_python, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests, cwd=tmp_path)
    assert own.returncode == 0, own.stdout[-3000:] + own.stderr[-3000:]


@pytest.mark.slow
async def test_an_installed_package_is_shown_by_the_command_and_used_by_name_from_toml(
    tmp_path: Path, fresh_python: Path
) -> None:
    shown = _run(fresh_python, "-m", "trio_swarm", "schedulers", cwd=tmp_path)
    assert "sequential  (package trio-swarm-sequential 0.1.0)" in shown.stdout
    assert "window_mib" in shown.stdout

    original = make_file(tmp_path / "in" / "film.bin", 2_000_000)
    config = tmp_path / "peer.toml"
    with trio.fail_after(60):
        async with (
            tracker() as url,
            node(
                tmp_path / "s",
                url,
                upload_rate=2_000_000,
                uploader="least-sent",  # shows everything at once, so the order is the leecher's
            ) as seeder,
        ):
            await seeder.share(original, piece_length=65536)
            config.write_text(
                f"""
                trackers = ["{url}"]
                [node]
                listen = "127.0.0.1:0"
                state_folder = "state"
                download_folder = "out"
                [scheduler]
                name = "sequential"
                [scheduler.options]
                window_mib = 1.0
                tail_mib = 0.0
                [[fetch]]
                what = "film.bin"
                seed = false
                """
            )
            result = await trio.run_process(
                [str(fresh_python), "-m", "trio_swarm", "run", str(config), "--json"],
                capture_stdout=True,
                cwd=tmp_path,
            )
    assert contents(tmp_path / "out" / "film.bin") == contents(original)
    events = [json.loads(line) for line in result.stdout.splitlines()]
    verified = [event["piece"] for event in events if event["event"] == "piece_verified"]
    # In order, but for pieces that were on their way at once.
    assert len(verified) == 31
    assert max(abs(piece - place) for place, piece in enumerate(verified)) <= 16
    assert not [event for event in events if event["event"] == "strategy_fault"]
