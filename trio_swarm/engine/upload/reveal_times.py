"""When to look again at what is kept from whom: soon after a change, but not all the time."""

import math
from collections.abc import Callable

from trio_swarm.engine.upload.serving import DRY_INTERVAL, REVEAL_INTERVAL, STEERING_INTERVAL


class RevealTimes:
    """`sooner` is called when `due_at` has become earlier; times are in seconds."""

    __slots__ = ("_has_changed", "_is_dry", "_is_steering", "_looked_at", "_sooner")

    def __init__(self, sooner: Callable[[], None]) -> None:
        self._sooner = sooner
        self._is_steering = False
        self._has_changed = False
        self._is_dry = False
        self._looked_at = -math.inf

    @property
    def is_steering(self) -> bool:
        """Something is kept from somebody, or may be suggested: as of the last look or offer."""
        return self._is_steering

    @property
    def due_at(self) -> float:
        """When to look; inf: not before something happens."""
        rest = DRY_INTERVAL if self._is_dry else REVEAL_INTERVAL
        if self._has_changed:
            return self._looked_at + rest
        if self._is_steering:
            return self._looked_at + rest + STEERING_INTERVAL
        return math.inf

    def steer(self) -> None:
        """Note that something is kept from somebody now."""
        self._is_steering = True
        self.note_change()

    def note_change(self) -> None:
        """Note that something has changed; of no interest while nothing is kept from anybody."""
        if self._is_steering and not self._has_changed:
            self._has_changed = True
            self._sooner()

    def run_dry(self) -> None:
        """Note that nobody has anything left to ask of us."""
        if self._is_steering and not self._is_dry:
            self._is_dry = True
            self._sooner()

    def looked(self, now: float, *, is_steering: bool) -> None:
        """Note a look, and whether there is anything to look for later."""
        self._looked_at = now
        self._is_steering = is_steering
        self._has_changed = self._is_dry = False
