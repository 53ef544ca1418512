"""When peers are told of new pieces that they have themselves.

Whoever lacks a piece is told of it at once. The others need not hurry to know, and a message for
each piece would cost more than the piece. But some wait for it: a super-seeder (BEP 16) shows its
next piece when it hears that we have the last. So all of them hear of it soon, and at once if they
may show us more and we have nothing else to ask of them.
"""

import math
from typing import Final

from trio_swarm.compiler_hints import mypyc_attr

LAZY_HAVES: Final = 64
"""New pieces after which everybody is told. Whoever is sent anything is told before."""

LAZY_SECONDS: Final = 0.5
"""Seconds after which everybody is told of a new piece, at most."""


@mypyc_attr(acyclic=True)
class LazyHaves:
    """Counts the pieces that some were not told of."""

    __slots__ = ("_untold", "due_at")

    def __init__(self) -> None:
        self._untold = 0
        self.due_at = math.inf
        """When to tell everybody; inf: there is nothing to tell."""

    def add(self, count: int, now: float) -> bool:
        """Note new pieces; returns whether to tell everybody now, as `told` notes then."""
        self._untold += count
        if self._untold >= LAZY_HAVES or now >= self.due_at:
            return True
        if self.due_at == math.inf:
            self.due_at = now + LAZY_SECONDS
        return False

    def told(self) -> None:
        """Note that everybody is told."""
        self._untold = 0
        self.due_at = math.inf
