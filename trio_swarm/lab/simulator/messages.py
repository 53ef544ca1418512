"""What simulated peers tell each other besides what a conversation says (`engine/messages`)."""

from typing import Final

from trio_swarm.engine.conversation import Conversation
from trio_swarm.piece_sets import PieceSet

# Each by itself, so that the compiler knows them as numbers.
REQUEST: Final = 16
"""One UploadRequest of those behind each other that were asked at a time."""
BLOCK: Final = 17
"""The block that answers an UploadRequest."""
CLOSED: Final = 18
"""The connection has ended."""


class HeardHaves:
    """What a peer hears of at one time: which ends told it of which pieces."""

    __slots__ = ("ends", "pieces", "when")

    def __init__(self, when: float) -> None:
        self.when = when
        self.ends: list[Conversation] = []
        self.pieces: list[PieceSet] = []
