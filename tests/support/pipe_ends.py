"""Ends of a simulated pipe that are functions."""

from collections.abc import Callable

from trio_swarm.engine import messages
from trio_swarm.engine.messages import Message


def _nothing() -> None:
    pass


class End(messages.End):
    """A receiver, a sender, or both."""

    def __init__(
        self, hear: Callable[[list[Message]], None], has_room: Callable[[], None] = _nothing
    ) -> None:
        self._hear = hear
        self._has_room = has_room

    def hear(self, messages: list[Message]) -> None:
        """Call the one."""
        self._hear(messages)

    def has_room(self) -> None:
        """Call the other."""
        self._has_room()
