"""Stores of trackers for tests, and their answers without an event loop."""

import random
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

import trio

from trio_swarm.tracker.settings import RegistrySettings
from trio_swarm.tracker.store.in_memory import InMemoryStore
from trio_swarm.tracker.store.interface import Change
from trio_swarm.tracker.store.registry import TrackerRegistry

T = TypeVar("T")


def new_store(
    *, watch: Callable[[Change], None] | None = None, **settings: Any
) -> tuple[InMemoryStore, TrackerRegistry]:
    """Return a store in memory and its registry, which draws the same numbers each time."""
    registry = TrackerRegistry(RegistrySettings(**settings), rng=random.Random(1), watch=watch)
    return InMemoryStore(registry, pause=trio.lowlevel.checkpoint), registry


def at_once(answer: Coroutine[Any, Any, T]) -> T:
    """Return what a coroutine returns that must not wait for anything."""
    try:
        answer.send(None)
    except StopIteration as done:
        result: T = done.value
        return result
    answer.close()
    raise AssertionError("it waits")
