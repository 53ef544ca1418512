"""How long one peer is read before the others get their turn: by bytes, messages and time."""

from typing import Final

from trio_swarm.protocol.wire.reader import MESSAGES_AT_ONCE

TURN_BYTES: Final = 1024 * 1024
"""Bytes taken from one peer in one turn, as long as reads come full."""

TURN_MESSAGES: Final = MESSAGES_AT_ONCE
"""Messages handled in one turn: what one call parses, and as much work as `TURN_BYTES`."""

TURN_SECONDS: Final = 0.004
"""Seconds after which a turn ends, whatever it was spent with: three times a usual one."""


class ReadTurn:
    """One turn of a peer; times are seconds."""

    __slots__ = ("_bytes", "_messages", "_until")

    def __init__(self) -> None:
        self._bytes = 0
        self._messages = 0
        self._until = 0.0

    def begin(self, now: float) -> None:
        """Begin a new turn."""
        self._bytes = TURN_BYTES
        self._messages = TURN_MESSAGES
        self._until = now + TURN_SECONDS

    def goes_on(self, nbytes: int, messages: int, now: float) -> bool:
        """Count what was read and handled until `now`; returns whether there may be more of it."""
        self._bytes -= nbytes
        self._messages -= messages
        return self._bytes > 0 and self._messages > 0 and now < self._until
