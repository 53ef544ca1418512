"""The properties of every strategy: its decisions depend on its arguments, and on nothing else.

Each check makes several calls of one fresh strategy, so that the state it keeps from one call
affects the next.
"""

import random
from collections.abc import Sequence

from hypothesis import strategies as st

from trio_swarm.lab.testing.decisions import Call, decide_all, fresh, fresh_backwards
from trio_swarm.lab.testing.describing import describe
from trio_swarm.lab.testing.properties import Property, Subject, global_random

_TRIES = 3
"""Fresh strategies that are asked the same questions: a random decision seldom repeats itself this
many times for a whole list of calls."""


def common_properties(calls: st.SearchStrategy[list[Call]]) -> list[Property]:
    """Return the properties that are checked with any calls."""
    drawn = {"calls": calls}
    return [
        Property(
            "decides_the_same_when_asked_the_same",
            "The same views and the same state of the rng give the same decisions.",
            decides_the_same_when_asked_the_same,
            drawn,
        ),
        Property(
            "does_not_depend_on_the_hash_seed",
            "Another process, with another PYTHONHASHSEED, decides the same.",
            does_not_depend_on_the_hash_seed,
            drawn,
        ),
        Property(
            "changes_nothing_it_is_given",
            "The view and everything in it is as it was before.",
            changes_nothing_it_is_given,
            drawn,
        ),
        Property(
            "draws_from_no_other_random_numbers",
            "It uses no random numbers but those of the rng it is given.",
            draws_from_no_other_random_numbers,
            drawn,
        ),
    ]


def decides_the_same_when_asked_the_same(subject: Subject, calls: list[Call]) -> None:
    """Ask equal strategies the same questions, with other objects, after other random numbers."""
    __tracebackhide__ = True
    with global_random(0):
        first = decide_all(subject.make(), fresh(calls))
    for number in range(1, _TRIES):
        with global_random(number):
            again = decide_all(subject.make(), [fresh_backwards(call) for call in calls])
        _compare(subject, calls, first, again, "asked the same again")


def does_not_depend_on_the_hash_seed(subject: Subject, calls: list[Call]) -> None:
    """Ask a strategy in another process the same; raises `NoTwinError` if it cannot be made."""
    __tracebackhide__ = True
    twin = subject.twin()
    here = decide_all(subject.make(), fresh(calls))
    there = twin.decide(calls)
    _compare(subject, calls, here, there, "in a process with another hash seed")


def _compare(
    subject: Subject, calls: Sequence[Call], one: list[object], other: list[object], when: str
) -> None:
    __tracebackhide__ = True
    for number, (call, before, after) in enumerate(zip(calls, one, other, strict=True), start=1):
        if before != after:
            raise subject.broke(
                f"decided {before}, and {when} it decided {after}, in call {number} "
                f"({call.method}, rng seed {call.seed})",
                describe(call.arguments[0]),
            )


def changes_nothing_it_is_given(subject: Subject, calls: list[Call]) -> None:
    """Compare the arguments of each call with a copy made before it."""
    __tracebackhide__ = True
    strategy = subject.make()
    for call in fresh(calls):
        before = fresh(call.arguments)
        decide_all(strategy, [call])
        for was, given in zip(before, call.arguments, strict=True):
            changed = [
                name
                for name in getattr(was, "__struct_fields__", ())
                if getattr(was, name) != getattr(given, name)
            ]
            if changed or was != given:
                what = f"{type(was).__name__}.{changed[0]}" if changed else type(was).__name__
                raise subject.broke(f"changed {what}, which it must only read", describe(before[0]))


def draws_from_no_other_random_numbers(subject: Subject, calls: list[Call]) -> None:
    """Check that the state of the module `random` is unchanged."""
    __tracebackhide__ = True
    with global_random(0):
        before = random.getstate()
        strategy = subject.make()
        for call in calls:
            decide_all(strategy, [fresh(call)])
            if random.getstate() != before:
                raise subject.broke(
                    f"drew from the module `random` in {call.method}(); "
                    "chance may come only from the `rng` it is given, or no run can be repeated",
                    describe(call.arguments[0]),
                )
