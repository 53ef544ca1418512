"""Ends of a simulated pipe that are functions."""

from collections.abc import Callable
from typing import NamedTuple

from trio_swarm.simulator.pipes import Message


def _nothing() -> None:
    pass


class End(NamedTuple):
    """A receiver, a sender, or both."""

    hear: Callable[[list[Message]], None]
    has_room: Callable[[], None] = _nothing
