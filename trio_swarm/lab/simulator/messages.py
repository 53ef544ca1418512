"""What simulated peers tell each other."""

from typing import TYPE_CHECKING, Any, Final

from trio_swarm.piece_sets import PieceSet

if TYPE_CHECKING:
    from trio_swarm.lab.simulator.neighbour import Neighbour

Message = tuple[int, Any]
"""What one peer tells another: a kind, which tells the type of its content, and that."""


# Each by itself, so that the compiler knows them as numbers.
PIECES: Final = 0
HAVE: Final = 1
INTEREST: Final = 2
CHOKE: Final = 3
REQUEST: Final = 4
CANCEL: Final = 5
REJECT: Final = 6
BLOCK: Final = 7
ALLOWED: Final = 8
SUGGEST: Final = 9
CLOSED: Final = 10
"""Kinds of messages: with a piece set, a truth, or an UploadRequest."""


class HeardHaves:
    """What a peer hears of at one time: which ends told it of which pieces."""

    __slots__ = ("ends", "pieces", "when")

    def __init__(self, when: float) -> None:
        self.when = when
        self.ends: list[Neighbour] = []
        self.pieces: list[PieceSet] = []
