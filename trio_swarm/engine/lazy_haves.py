"""When to send HAVEs to peers that have the piece themselves.

A peer that lacks the piece gets the HAVE at once. The others need it less urgently, and a message
for each piece would cost more than the piece. But some peers wait for it: a super-seeder (BEP 16)
reveals its next piece when it learns that we have the last one. So every peer gets its HAVEs soon;
a peer gets them at once if it may reveal more pieces and we have nothing else to request from it.
"""

import math
from typing import Final

from trio_swarm.compiler_hints import mypyc_attr

LAZY_HAVES: Final = 64
"""New pieces after which all peers get their HAVEs. A peer that is sent any other message gets them
before."""

LAZY_SECONDS: Final = 0.5
"""Longest time in seconds until all peers get the HAVE for a new piece."""


@mypyc_attr(acyclic=True)
class LazyHaves:
    """Counts the new pieces whose HAVE was not sent to all peers."""

    __slots__ = ("_untold", "due_at")

    def __init__(self) -> None:
        self._untold = 0
        self.due_at = math.inf
        """When to send all HAVEs, seconds; inf if there is none to send."""

    def add(self, count: int, now: float) -> bool:
        """Count new pieces; return whether to send all HAVEs now (then they count as sent)."""
        self._untold += count
        if self._untold >= LAZY_HAVES or now >= self.due_at:
            return True
        if self.due_at == math.inf:
            self.due_at = now + LAZY_SECONDS
        return False

    def told(self) -> None:
        """Note that all HAVEs were sent to all peers."""
        self._untold = 0
        self.due_at = math.inf
