"""Hatchling's hook: puts the compiled core into the wheel, where it can be compiled.

A wheel without it is as good, only slower. So whatever is missing or fails makes a pure wheel and
one line that says why; `TRIO_SWARM_PURE=1` asks for one. Editable installs run the sources.
"""

import os
import shlex
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import traceback
from pathlib import Path
from typing import Any

from hatchling.builders.config import BuilderConfig
from hatchling.builders.hooks.plugin.interface import BuildHookInterface

COMPILE = Path(__file__).with_name("compiled.py")

PURE = "TRIO_SWARM_PURE"


def why_not_compile() -> str:
    """Return what keeps this machine from compiling, or "" if nothing is known to."""
    if os.environ.get(PURE, "") not in {"", "0"}:
        return f"{PURE} is set"
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
    """Compiles for wheels, and asks for what that needs only if it will."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def dependencies(self) -> list[str]:
        """Return what compiling needs, and nothing for an editable install.

        Hatchling does not tell its hooks which of the two it is asked for: only its caller does.
        """
        if why_not_compile() or _is_for_editable():
            return []
        needs: list[str] = self.config["compile-needs"]
        return needs

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and add what was made to the wheel, which then fits this platform only."""
        if version != "standard":
            return
        self._folder = tempfile.TemporaryDirectory()
        made = Path(self._folder.name)
        reason = why_not_compile() or _compile(made)
        if reason:
            self.app.display_warning(f"Not compiled, the wheel is pure Python: {reason}")
            return
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
