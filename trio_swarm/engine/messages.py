"""What two peers say to each other, as values: the messages of the wire without their bytes.

Real peers put them into frames (`protocol/wire`), simulated ones hand them over as they are.
"""

from typing import Any, Final

from trio_swarm.compiler_hints import mypyc_attr

Message = tuple[int, Any]
"""A kind, and the content that is told of each below."""


# Each by itself, so that the compiler knows them as numbers.
PIECES: Final = 0
"""All pieces that the speaker shows, the first of all messages: a piece set."""
HAVE: Final = 1
"""Pieces that it has got since: a piece set."""
INTEREST: Final = 2
"""Whether it wants something: a truth."""
CHOKE: Final = 3
"""Whether it serves no requests: a truth."""
ASK: Final = 4
"""Requests behind each other: piece, begin, length of all, and length of each but the last."""
CANCEL: Final = 5
"""An UploadRequest that need not be answered any more."""
REJECT: Final = 6
"""An UploadRequest that will not be answered by a block (BEP 6)."""
ALLOWED: Final = 7
"""Pieces that it serves even while it chokes (BEP 6): a piece set."""
SUGGEST: Final = 8
"""Pieces that it would like the other to fetch (BEP 6): a piece set."""
LOST: Final = 9
"""Pieces that it had, and has no longer (BEP 54): a piece set. Said to whoever listens to that."""


@mypyc_attr(allow_interpreted_subclasses=True)
class End:
    """Whoever hears messages, and says some as soon as there is room for them."""

    __slots__ = ()

    def has_room(self) -> None:
        """Go on: what was said before is on its way."""
        raise NotImplementedError

    def hear(self, messages: list[Message]) -> None:
        """Act on messages that arrived together, in their order."""
        raise NotImplementedError
