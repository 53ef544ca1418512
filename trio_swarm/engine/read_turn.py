"""Limits on one turn of reading from a peer: bytes, messages and time."""

from typing import Final

from trio_swarm.protocol.wire.reader import MESSAGES_AT_ONCE

TURN_BYTES: Final = 1024 * 1024
"""Most bytes read from one peer in one turn, while each read fills its buffer."""

TURN_MESSAGES: Final = MESSAGES_AT_ONCE
"""Most messages handled in one turn: as many as one call parses, and as much work as
`TURN_BYTES`."""

TURN_SECONDS: Final = 0.004
"""Seconds after which a turn ends in any case: three times a usual turn."""


class ReadTurn:
    """One turn of reading from a peer; times are seconds."""

    __slots__ = ("_bytes", "_messages", "_until")

    def __init__(self) -> None:
        self._bytes = 0
        self._messages = 0
        self._until = 0.0

    def begin(self, now: float) -> None:
        """Begin a new turn at `now`, with nothing read."""
        self._bytes = TURN_BYTES
        self._messages = TURN_MESSAGES
        self._until = now + TURN_SECONDS

    def goes_on(self, nbytes: int, messages: int, now: float) -> bool:
        """Count what was read and handled until `now`; return whether the turn goes on."""
        self._bytes -= nbytes
        self._messages -= messages
        return self._bytes > 0 and self._messages > 0 and now < self._until
