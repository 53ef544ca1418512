"""Hatchling's hook: puts the compiled core into the wheel, if `TRIO_SWARM_COMPILED=1` asks for it.

A wheel is pure Python otherwise: compiling takes a minute, in which pip shows nothing of what a
build says, and only long simulations are faster for it. Whoever asks for the compiled core gets it
or is told why not: the build fails. Editable installs run the sources, whatever is asked.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPILE = Path(__file__).with_name("compiled.py")

COMPILED = "TRIO_SWARM_COMPILED"
"""The variable that asks for the compiled core."""

PURE = "TRIO_SWARM_PURE"
"""The variable that asks for the sources alone, whatever the other one says."""


def is_asked_to_compile(environment: Mapping[str, str]) -> bool:
    """Tell whether the variables ask for a compiled wheel; "" and "0" are as good as unset."""
    asked, refused = (environment.get(name, "") not in {"", "0"} for name in (COMPILED, PURE))
    return asked and not refused


def why_not_compile() -> str:
    """Return what keeps this machine from compiling, or "" if nothing is known to."""
    if sys.implementation.name != "cpython" or sysconfig.get_config_var("Py_GIL_DISABLED"):
        return "this is not CPython with its lock"
    compiler = os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc"
    program = next(iter(shlex.split(compiler)), "cc")
    if not shutil.which(program):
        return f"there is no C compiler {program}"
    if not Path(sysconfig.get_path("include"), "Python.h").exists():
        return "Python's headers are not installed (Debian: python3-dev)"
    return ""


class CompiledCore(BuildHookInterface[BuilderConfig]):
    """Compiles for wheels if it is asked to, and needs mypyc only then."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def dependencies(self) -> list[str]:
        """Return what compiling needs, and nothing for an editable install.

        Hatchling does not tell its hooks which of the two it is asked for: only its caller does.
        """
        if not is_asked_to_compile(os.environ) or why_not_compile() or _is_for_editable():
            return []
        needs: list[str] = self.config["compile-needs"]
        return needs

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and add what was made to the wheel, which then fits this platform only.

        Ends the build with one line if that cannot be done.
        """
        if version != "standard" or not is_asked_to_compile(os.environ):
            return
        self._folder = tempfile.TemporaryDirectory()
        made = Path(self._folder.name)
        reason = why_not_compile() or _compile(made)
        if reason:
            self._folder.cleanup()
            self.app.abort(f"{COMPILED} is set, but the core cannot be compiled: {reason}")
        build_data["pure_python"] = False
        build_data["infer_tag"] = True
        for path in sorted(made.rglob("*.so")):
            build_data["force_include"][str(path)] = path.relative_to(made).as_posix()

    def finalize(self, version: str, build_data: dict[str, Any], artifact_path: str) -> None:  # noqa: ARG002
        """Remove what is in the wheel now."""
        if self._folder is not None:
            self._folder.cleanup()


def _is_for_editable() -> bool:
    callers = (frame.f_code.co_name for frame, _ in traceback.walk_stack(None))
    return "get_requires_for_build_editable" in callers


def _compile(folder: Path) -> str:
    """Compile into `folder`; return what went wrong in one line, or "".

    In a process of its own: mypyc exits where it fails, and compilers may be killed for memory.
    """
    command: list[str | Path] = [sys.executable, COMPILE, "--into", folder]
    done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  our own
    if done.returncode == 0:
        return ""
    said = (done.stdout + done.stderr).strip().splitlines()
    # As compilers, mypy and our program mark it. The first is the reason, what follows it is not.
    errors = [line for line in said if "error:" in line]
    return next(iter(errors or said[-1:]), f"exit code {done.returncode}")
