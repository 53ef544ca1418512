"""When to decide again which hidden pieces to reveal: soon after a change, but not too often."""

import math
from collections.abc import Callable

from trio_swarm.engine.upload.serving import DRY_INTERVAL, REVEAL_INTERVAL, STEERING_INTERVAL


class RevealTimes:
    """The next time to decide; `sooner` is called when `due_at` has become earlier. In seconds."""

    __slots__ = ("_has_changed", "_is_dry", "_is_steering", "_looked_at", "_sooner")

    def __init__(self, sooner: Callable[[], None]) -> None:
        self._sooner = sooner
        self._is_steering = False
        self._has_changed = False
        self._is_dry = False
        self._looked_at = -math.inf

    @property
    def is_steering(self) -> bool:
        """Whether, at the last decision, a piece was hidden from any peer or might be suggested."""
        return self._is_steering

    @property
    def due_at(self) -> float:
        """When to decide again, seconds; inf: not before a change."""
        rest = DRY_INTERVAL if self._is_dry else REVEAL_INTERVAL
        if self._has_changed:
            return self._looked_at + rest
        if self._is_steering:
            return self._looked_at + rest + STEERING_INTERVAL
        return math.inf

    def steer(self) -> None:
        """Note that a piece is hidden from a peer now."""
        self._is_steering = True
        self.note_change()

    def note_change(self) -> None:
        """Note a change in the swarm; it has no effect while nothing is hidden from any peer."""
        if self._is_steering and not self._has_changed:
            self._has_changed = True
            self._sooner()

    def run_dry(self) -> None:
        """Note that no peer has any request left."""
        if self._is_steering and not self._is_dry:
            self._is_dry = True
            self._sooner()

    def looked(self, now: float, *, is_steering: bool) -> None:
        """Note a decision at `now`, and whether further ones are needed."""
        self._looked_at = now
        self._is_steering = is_steering
        self._has_changed = self._is_dry = False
