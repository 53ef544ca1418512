"""Files under config/ that run a peer as a service: what they name exists."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

from documents import ROOT
from trio_swarm.cli.app import make_app

UNIT = ROOT / "config/systemd/trio-swarm.service"
CONTAINER = ROOT / "config/container/Containerfile"


def settings_of(unit: Path) -> dict[str, str]:
    lines = unit.read_text(encoding="utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if re.match(r"[A-Z]\w+=", line))


def test_the_unit_runs_a_command_that_there_is_and_reloads_by_the_signal_that_it_heeds() -> None:
    settings = settings_of(UNIT)
    path, *arguments = settings["ExecStart"].split()
    assert Path(path).name == "trio-swarm"
    make_app(*arguments[:2]).parse_args(arguments, exit_on_error=False, print_error=False)
    assert settings["Type"] == "notify"
    assert settings["ExecReload"].split()[1:] == ["-HUP", "$MAINPID"]


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="needs systemd-analyze")
def test_systemd_finds_nothing_wrong_with_the_unit(tmp_path: Path) -> None:
    """`systemd-analyze verify` of systemd 252; it also looks whether the program is there."""
    program = shutil.which("true")
    assert program is not None
    text = UNIT.read_text(encoding="utf-8").replace("/usr/local/bin/trio-swarm", program)
    (tmp_path / UNIT.name).write_text(text, encoding="utf-8")
    done = subprocess.run(
        ["systemd-analyze", "verify", str(tmp_path / UNIT.name)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    complaints = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert complaints == []


def test_the_container_copies_files_that_a_checkout_has() -> None:
    ignored = CONTAINER.with_name("Containerfile.dockerignore").read_text(encoding="utf-8")
    kept = re.findall(r"^!(.*)$", ignored, re.MULTILINE)
    assert {"trio_swarm", "pyproject.toml"} <= set(kept)
    for name in kept:
        assert (ROOT / name).exists(), name
    (line,) = re.findall(r"^CMD \[(.*)\]$", CONTAINER.read_text(encoding="utf-8"), re.MULTILINE)
    arguments = re.findall(r'"([^"]+)"', line)
    make_app(*arguments[:2]).parse_args(arguments, exit_on_error=False, print_error=False)
