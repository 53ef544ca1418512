"""Checking properties without pytest, one after the other, for `trio-swarm plugin check`."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from hypothesis import HealthCheck, settings

from trio_swarm.foreign_text import error_text
from trio_swarm.lab.testing.contracts import contract_of, examined
from trio_swarm.lab.testing.properties import ContractError, Subject
from trio_swarm.lab.testing.twin import NoTwinError
from trio_swarm.schedulers.loading import Axis

_PROFILE = "trio-swarm examination"


class Examination(NamedTuple):
    """The result for one promise: kept, broken, or not tested."""

    name: str
    promise: str
    """The promise, in one sentence."""
    holds: bool | None
    """None if it could not be tested."""
    reason: str
    """How the strategy broke it, and in which situation, in some lines; empty if it holds."""


def examine(
    axis: Axis, factory: Callable[[], Any], name: str, *, examples: int
) -> Iterator[Examination]:
    """Yield the result of each property that all strategies of `axis` have.

    The examples are the same each time.
    """
    settings.register_profile(
        _PROFILE,
        max_examples=examples,
        derandomize=True,
        database=None,
        deadline=None,
        suppress_health_check=list(HealthCheck),
    )
    before = settings.get_current_profile_name()
    subject = Subject(axis, factory, name)
    settings.load_profile(_PROFILE)
    try:
        for each in contract_of(axis, factory):
            holds: bool | None = True
            reason = ""
            try:
                examined(subject, each)(None)
            except NoTwinError as error:
                holds, reason = None, str(error)
            except ContractError as error:
                holds, reason = False, str(error)
            except Exception as error:  # noqa: BLE001  a strategy may raise anything
                holds, reason = False, f"{name} raised {error_text(error)}"
            yield Examination(each.name, each.promise, holds, reason)
    finally:
        settings.load_profile(before)
        subject.close()
