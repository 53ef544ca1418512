"""Whether a sequence of events is possible: files come from anywhere, and readers rely on it."""

from collections.abc import Iterable

from trio_swarm.engine.download.ledger import Grant
from trio_swarm.engine.lengths import Lengths
from trio_swarm.recording.records import (
    Allowed,
    Arrived,
    Began,
    Cancelled,
    Decided,
    Failed,
    Gained,
    Granted,
    Held,
    Joined,
    Packed,
    Record,
    Rejected,
    Sent,
    Suggested,
    Verified,
    Withdrawn,
    unpack,
)


class Checker:
    """Checks events one after the other, in the order of the recording."""

    def __init__(self, lengths: Lengths) -> None:
        self._lengths = lengths
        self._known: set[int] = set()
        self._at = 0
        self._is_begun = False

    def fault(self, event: Record) -> str | None:
        """Return the reason why the next event is impossible; None if it is possible."""
        if event.at < self._at:
            return "is earlier than the one before"
        self._at = event.at
        if isinstance(event, Began) == self._is_begun:
            return "begins again" if self._is_begun else "comes before the beginning"
        self._is_begun = True
        if isinstance(event, Joined):
            if event.peer in self._known:
                return f"has peer {event.peer} join again"
            self._known.add(event.peer)
            return None
        peer: int | None = getattr(event, "peer", None)
        if peer is not None and peer not in self._known:
            return f"is of peer {peer}, which never joined"
        return self._fault_of_pieces(event)

    def _fault_of_pieces(self, event: Record) -> str | None:  # noqa: PLR0911  one for each kind of event
        match event:
            case Arrived() | Rejected() | Withdrawn():
                return self._fault_of_run(event.piece, event.begin, event.length)
            case Sent():
                return self._fault_of_bytes(event)
            case Gained() | Allowed() | Suggested() | Verified() | Failed():
                return self._fault_of_piece(event.piece)
            case Granted() | Cancelled():
                return self._fault_of_grants(event.grants) or (
                    self._fault_of_seconds(event) if isinstance(event, Granted) else None
                )
            case Decided():
                return self._fault_of_set(event.wanted) or self._fault_of_decision(event)
            case Held():
                return self._fault_of_set(event.pieces)
            case Began():
                return self._fault_of_set(event.have)
            case _:
                return None  # without a piece, or `Unasked`, which may name any

    def _fault_of_decision(self, event: Decided) -> str | None:
        for candidate in event.peers:
            if candidate.peer not in self._known:
                return f"is of peer {candidate.peer}, which never joined"
        for peer, piece, blocks in event.assigned:
            if peer not in self._known:
                return f"is of peer {peer}, which never joined"
            if blocks is None or blocks < 1:
                return f"assigns {blocks} blocks"
            fault = self._fault_of_piece(piece)
            if fault is not None:
                return fault
        return None

    def _fault_of_grants(self, grants: Iterable[Grant]) -> str | None:
        for peer, run in grants:
            if peer not in self._known:
                return f"is of peer {peer}, which never joined"
            fault = self._fault_of_run(*run)
            if fault is not None:
                return fault
        return None

    @staticmethod
    def _fault_of_seconds(event: Granted) -> str | None:
        if all(0 <= index < len(event.grants) for index in event.seconds):
            return None
        return "names a grant that it does not have"

    def _fault_of_piece(self, piece: int) -> str | None:
        count = self._lengths.piece_count
        return None if 0 <= piece < count else f"is of piece {piece}, and there are {count}"

    def _fault_of_run(self, piece: int, begin: int, length: int) -> str | None:
        fault = self._fault_of_piece(piece)
        if fault is None and not self._lengths.blocks_between(piece, begin, length):
            return f"is of {length} bytes at {begin} of piece {piece}, which are not whole blocks"
        return fault

    def _fault_of_bytes(self, event: Sent) -> str | None:
        # A stranger may request any part of a piece.
        fault = self._fault_of_piece(event.piece)
        if fault is None and event.begin + event.length > self._lengths.piece_size(event.piece):
            return f"is of bytes beyond the end of piece {event.piece}"
        return fault

    def _fault_of_set(self, packed: Packed) -> str | None:
        try:
            unpack(packed, self._lengths.piece_count)
        except ValueError as error:
            return f"tells of {error}"
        return None
