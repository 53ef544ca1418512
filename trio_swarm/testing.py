"""The test kit for authors of strategies: the names of `trio_swarm.lab.testing`."""

from typing import TYPE_CHECKING

from trio_swarm.lab import testing as _kit

if TYPE_CHECKING:
    from trio_swarm.lab.testing import *  # noqa: F403 - the names are listed there, once

__all__ = _kit.__all__


def __getattr__(name: str) -> object:
    """Import a public name at its first use (PEP 562): most need pytest or Hypothesis."""
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(_kit, name)


def __dir__() -> list[str]:
    return __all__
