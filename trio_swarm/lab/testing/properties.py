"""The type of a property, of the strategy under test, and of the error if a property fails."""

import functools
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, NamedTuple

from trio_swarm.lab.testing.twin import Twin
from trio_swarm.schedulers.loading import Axis

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

_ONE_IN_A_MILLION = 4.753
"""The quantile of the standard normal distribution for 1 - 10⁻⁶. With a fixed seed a fair strategy
passes always or never, so there must be hardly any that never pass."""


class ContractError(AssertionError):
    """A strategy broke its contract; the text tells how, and in which situation."""


class Subject:
    """The strategy under test: `factory()` makes a fresh one. Close it when done."""

    def __init__(self, axis: Axis, factory: Callable[[], Any], name: str = "") -> None:
        self.axis: Axis = axis
        self.factory = factory
        self.name = name or name_of(factory)
        self._twin: Twin | None = None

    def make(self) -> Any:
        """Return a fresh strategy; raises the exceptions of the factory."""
        return self.factory()

    def twin(self) -> Twin:
        """Return the process in which the same strategy decides under another hash seed.

        Raises `NoTwinError` if the factory cannot be named there.
        """
        if self._twin is None:
            self._twin = Twin(self.factory)
        return self._twin

    def close(self) -> None:
        """End the twin process if there is one."""
        if self._twin is not None:
            self._twin.close()
            self._twin = None

    def broke(self, what: str, situation: str = "") -> ContractError:
        """Return the error that tells what the strategy did, and in which situation."""
        return ContractError(f"{self.name} {what}" + (f"\n{situation}" if situation else ""))


class Property(NamedTuple):
    """One promise of a strategy, tested by itself."""

    name: str
    """The name of its test after `test_`."""
    promise: str
    """The promise, in one sentence."""
    check: Callable[..., None]
    """Called with the `Subject` and the drawn arguments; raises `ContractError` if it fails."""
    drawn: Mapping[str, "SearchStrategy[Any]"] = {}
    """Hypothesis strategies for the arguments of `check`; empty if it needs no examples."""
    is_long: bool = False
    """Whether an example is a whole simulation with many decisions, so that fewer are played."""


def name_of(factory: Callable[..., object]) -> str:
    """Return a factory as a person would write it: `Mine(window=3)`."""
    if isinstance(factory, functools.partial):
        given = [repr(each) for each in factory.args]
        given += [f"{name}={value!r}" for name, value in factory.keywords.items()]
        return f"{name_of(factory.func)}({', '.join(given)})"
    return str(getattr(factory, "__name__", type(factory).__name__))


@contextmanager
def global_random(seed: int) -> Iterator[None]:
    """Seed the module `random`, and restore its state afterwards."""
    before = random.getstate()
    random.seed(seed)
    try:
        yield
    finally:
        random.setstate(before)


def is_uniform(counts: Mapping[int, int], expected: set[int]) -> bool:
    """Whether `counts` can be draws that each had the same probability, `expected` per count.

    By the chi-square test at one in a million, with the quantile of Wilson and Hilferty.
    """
    if set(counts) - expected:
        return False
    mean = sum(counts.values()) / len(expected)
    chi_square = sum((counts.get(each, 0) - mean) ** 2 / mean for each in expected)
    freedom = len(expected) - 1
    part = 2 / (9 * freedom)
    most: float = freedom * (1 - part + _ONE_IN_A_MILLION * part**0.5) ** 3
    return chi_square <= most
