"""A second process with another hash seed, in which a strategy must decide the same.

`hash("a")` differs from process to process, and so does the order of a set of strings. A strategy
that depends on that order decides differently on each machine, and its simulations cannot be
repeated.
"""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import IO, Any, cast

from trio_swarm.errors import TrioSwarmError
from trio_swarm.lab.testing.decisions import Call

_ANOTHER_SEED = {"1": "2"}
"""The hash seed of the other process if ours is the key, else 1."""


class NoTwinError(TrioSwarmError):
    """The strategy cannot be made in another process."""


class Twin:
    """The other process. Raises `NoTwinError` if it cannot make the strategy of `factory`."""

    def __init__(self, factory: Callable[[], Any]) -> None:
        try:
            pickled = pickle.dumps(factory)
        except (pickle.PicklingError, AttributeError, TypeError) as error:
            raise NoTwinError(
                "another process cannot make this strategy: give its class, a function of a module "
                "or a functools.partial of one, and no lambda or local function"
            ) from error
        seed = _ANOTHER_SEED.get(os.environ.get("PYTHONHASHSEED", ""), "1")
        self._process = subprocess.Popen(
            [sys.executable, "-m", "trio_swarm.lab.testing.twin_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=os.environ | {"PYTHONHASHSEED": seed, "PYTHONPATH": os.pathsep.join(_folders())},
        )
        self._send((_module_of(factory), pickled))
        problem = self._receive()
        if problem is not None:
            self.close()
            raise NoTwinError(f"another process cannot make this strategy: {problem}")

    def decide(self, calls: Sequence[Call]) -> list[object]:
        """Return the decisions of a fresh strategy there; an exception becomes text."""
        self._send(list(calls))
        return cast("list[object]", self._receive())

    def close(self) -> None:
        """End the process and wait for it."""
        self._stdin.close()
        self._process.wait()
        if self._process.stdout is not None:
            self._process.stdout.close()

    @property
    def _stdin(self) -> IO[bytes]:
        assert self._process.stdin is not None
        return self._process.stdin

    def _send(self, message: object) -> None:
        pickle.dump(message, self._stdin)
        self._stdin.flush()

    def _receive(self) -> object:
        assert self._process.stdout is not None
        return pickle.load(self._process.stdout)  # noqa: S301  of the process started above


def _folders() -> list[str]:
    """Return the folders in which this process finds modules, also those that pytest added."""
    return [folder or str(Path.cwd()) for folder in sys.path]


def _module_of(factory: object) -> tuple[str, str] | None:
    """Return the name and file of a factory's module; a plugin in one file is not on the path."""
    while hasattr(factory, "func"):
        factory = factory.func
    name = getattr(factory, "__module__", None)
    file = getattr(sys.modules.get(name or ""), "__file__", None)
    return (name, file) if name and file else None
