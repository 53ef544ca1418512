"""Contracts: classes of tests that pytest collects, made from the properties of a strategy."""

from collections.abc import Callable, Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings

from trio_swarm.lab.testing.choker_properties import choker_properties
from trio_swarm.lab.testing.properties import Property, Subject
from trio_swarm.lab.testing.scheduler_properties import scheduler_properties
from trio_swarm.lab.testing.twin import NoTwinError
from trio_swarm.lab.testing.uploader_properties import uploader_properties
from trio_swarm.schedulers.api import ChokerFactory, SchedulerFactory, UploaderFactory
from trio_swarm.schedulers.loading import Axis

_SHARE = 2
"""One example is drawn for this many in the Hypothesis profile: views are large, and each kind of
view is used for many properties."""

_LONG_SHARE = 4
"""The same for properties whose example is a whole simulation."""


def scheduler_contract(
    factory: SchedulerFactory,
    *,
    fills_room: bool = False,
    uniform_ties: bool = False,
    name: str = "",
) -> type:
    """Return a class with a test for each property of a download strategy.

        TestMine = scheduler_contract(Mine)

    `factory` makes a fresh strategy: a class, or a `functools.partial` with options. Two promises
    are tested only on request: `fills_room` (it leaves no room unused that it could use) and
    `uniform_ties` (equal pieces are picked first equally often). `name` is the strategy's name in
    messages.
    """
    properties = scheduler_properties(fills_room=fills_room, uniform_ties=uniform_ties)
    return _test_class(Subject("scheduler", factory, name), properties)


def uploader_contract(factory: UploaderFactory, *, name: str = "") -> type:
    """Return a class of tests for an upload strategy; see `scheduler_contract`.

    Its suggestions are tested if it has the method `suggest`, its weights if it has `weight`.
    """
    subject = Subject("uploader", factory, name)
    return _test_class(subject, _uploader_properties(subject))


def choker_contract(
    factory: ChokerFactory,
    *,
    fills_slots: bool = False,
    uniform_ties: bool = False,
    name: str = "",
) -> type:
    """Return a class of tests for an unchoking strategy; see `scheduler_contract`.

    Two promises are tested only on request: `fills_slots` (no slot is free while peers are
    interested, and only interested peers hold slots) and `uniform_ties` (equal peers get a slot
    equally often).
    """
    properties = choker_properties(fills_slots=fills_slots, uniform_ties=uniform_ties)
    return _test_class(Subject("choker", factory, name), properties)


def contract_of(axis: Axis, factory: Callable[..., Any], *, name: str = "") -> list[Property]:
    """Return the properties of every strategy of one kind, without those tested on request."""
    if axis == "scheduler":
        return scheduler_properties(fills_room=False, uniform_ties=False)
    if axis == "choker":
        return choker_properties(fills_slots=False, uniform_ties=False)
    return _uploader_properties(Subject(axis, factory, name))


def _uploader_properties(subject: Subject) -> list[Property]:
    """Return those of the methods that an uploader has; of `offer` and `order` if it fails."""
    try:
        strategy = subject.make()
    except Exception:  # noqa: BLE001  an author's factory may raise anything
        strategy = None
    return uploader_properties(
        suggests=callable(getattr(strategy, "suggest", None)),
        weighs=callable(getattr(strategy, "weight", None)),
    )


def examined(subject: Subject, promised: Property) -> Callable[[object], None]:
    """Return a function that tests one property with as many examples as the profile says.

    It becomes a method of a test class, so it takes one argument, which is ignored. It raises the
    exceptions of Hypothesis: usually `ContractError`, with the example in its notes.
    """

    def examine(_self: object, **drawn: Any) -> None:
        __tracebackhide__ = True
        promised.check(subject, **drawn)

    examine.__name__ = examine.__qualname__ = f"test_{promised.name}"
    examine.__doc__ = promised.promise
    if not promised.drawn:
        return examine
    share = _LONG_SHARE if promised.is_long else _SHARE
    return settings(
        max_examples=max(1, settings().max_examples // share),
        # Other programs may use the machine, and then any example can take long.
        deadline=None,
        # One error is enough: its text is then all there is to read.
        report_multiple_bugs=False,
        suppress_health_check=[HealthCheck.too_slow],
    )(given(**promised.drawn)(examine))


def _test_class(subject: Subject, properties: Sequence[Property]) -> type:
    """Return a class with one test for each property, and a report for `--strategy-report`."""

    def teardown_class(_cls: type) -> None:
        subject.close()

    tests = {f"test_{each.name}": _test(subject, each) for each in properties}
    body: dict[str, object] = {
        "__doc__": f"What {subject.name} promises as a {subject.axis}.",
        "subject": subject,
        "teardown_class": classmethod(teardown_class),
    }
    return type(f"{subject.axis.capitalize()}Contract", (), body | tests)


def _test(subject: Subject, promised: Property) -> Callable[[object], None]:
    """Return the test; it is skipped, with the reason, if the strategy cannot have a twin."""
    examine = examined(subject, promised)
    if promised.name != "does_not_depend_on_the_hash_seed":
        return examine

    def test(self: object) -> None:
        __tracebackhide__ = True
        try:
            subject.twin()
        except NoTwinError as error:
            pytest.skip(str(error))
        examine(self)

    test.__name__ = test.__qualname__ = f"test_{promised.name}"
    test.__doc__ = promised.promise
    return test
