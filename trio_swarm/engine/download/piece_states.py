"""The state of every piece and block of one download, without any knowledge of peers.

A missing piece is *untouched* (all blocks WANTED, no buffer), *open* (see `OpenPiece`), or open and
*verifying*. Only the ledger and its planner call these methods.
"""

from typing import Final

from trio_swarm.compiler_hints import mypyc_attr
from trio_swarm.engine.download.open_piece import OpenPiece
from trio_swarm.engine.lengths import BlockSet, Lengths
from trio_swarm.errors import LocalProtocolError
from trio_swarm.piece_sets import PieceSet, from_pieces, full_set, iterate

NO_PIECES: Final[frozenset[int]] = frozenset()
"""One empty set for all downloads: an empty set of its own would take 216 bytes each."""


@mypyc_attr(acyclic=True)
class PieceStates:
    """The states of one download; it keeps each set of pieces up to date, so none is computed."""

    __slots__ = (
        "abandoned",
        "chosen",
        "every",
        "failed_bytes",
        "free_counts",
        "free_total",
        "have",
        "is_full",
        "lengths",
        "open",
        "open_limit",
        "remaining",
        "started",
        "untouched",
        "wanted",
    )

    def __init__(
        self, lengths: Lengths, *, have: PieceSet, open_limit: int, chosen: PieceSet | None = None
    ) -> None:
        self.lengths = lengths
        self.every: PieceSet = full_set(lengths.piece_count)
        if have < 0 or have & ~self.every:
            raise ValueError("have includes pieces beyond the last")
        self.chosen: PieceSet = self.every if chosen is None else chosen & self.every
        """The pieces that somebody wants: all, but for files that are not wanted."""
        if open_limit < 1:
            raise ValueError("a download needs at least one open piece")
        self.open_limit = open_limit
        self.have: PieceSet = have
        self.wanted: PieceSet = self.chosen & ~have
        """Chosen pieces that are missing."""
        self.untouched: PieceSet = self.wanted
        self.open: dict[int, OpenPiece] = {}
        self.started: PieceSet = 0
        """Open pieces with a free block."""
        self.free_counts: dict[int, int] = {}
        """Number of free blocks of each piece in `started`."""
        self.free_total = 0
        """The sum over `free_counts`."""
        self.is_full = False
        """No further piece may be started. Once set, it stays set until several pieces may be
        started; otherwise the strategy would be asked after every verified piece for the sake of
        one piece."""
        self.remaining = lengths.bytes_in(self.wanted)
        """Bytes of wanted pieces not yet received."""
        self.failed_bytes = 0
        """Bytes that were received and dropped again."""
        self.abandoned: frozenset[int] = NO_PIECES
        """Pieces that were closed without being verified since they were last taken."""

    @property
    def is_far(self) -> bool:
        """Whether the end is far: more bytes are missing than twice what the buffers hold."""
        return self.remaining > 2 * self.open_limit * self.lengths.piece_length

    @property
    def can_give(self) -> bool:
        """Whether there is a free block that may be assigned now."""
        return self.free_total > 0 or (self.untouched > 0 and not self.is_full)

    def assignable(self) -> PieceSet:
        """Return the pieces with a free block that may be assigned now."""
        return self.started if self.is_full else self.started | self.untouched

    def capacity(self) -> int:
        """Return an upper bound of the number of blocks that may be assigned now."""
        if self.is_full:
            return self.free_total
        slots = self.open_limit - len(self.open)
        return self.free_total + slots * self.lengths.blocks_per_piece

    def reopen(self) -> bool:
        """Let pieces be started as soon as there is one place; return whether that is a change."""
        if self.is_full and len(self.open) < self.open_limit:
            self.is_full = False
            return True
        return False

    def _remove(self, piece: int) -> None:
        """Remove an open piece from the sets and counts of open pieces."""
        del self.open[piece]
        if len(self.open) <= self.open_limit - (self.open_limit >> 3 or 1 if self.is_far else 1):
            self.is_full = False

    def begin(self, piece: int) -> OpenPiece:
        """Open an untouched piece and return its state, with all blocks free."""
        state = OpenPiece(piece, self.lengths.all_blocks(piece))
        bit = 1 << piece
        self.untouched ^= bit
        self.started |= bit
        self.free_counts[piece] = count = state.full.bit_count()
        self.free_total += count
        self.open[piece] = state
        if len(self.open) >= self.open_limit:
            self.is_full = True
        return state

    def take(self, state: OpenPiece, blocks: BlockSet) -> None:
        """Put `blocks`, which are all free, in flight."""
        state.free = free = state.free ^ blocks
        piece = state.index
        if free:
            # The piece is in `started` as long as one of its blocks is free.
            count = blocks.bit_count()
            self.free_counts[piece] -= count
            self.free_total -= count
        else:
            self.free_total -= self.free_counts.pop(piece)
            self.started ^= 1 << piece

    def release(self, piece: int, blocks: BlockSet) -> bool:
        """Note that blocks are in flight from one peer less; return whether some became free."""
        state = self.open[piece]
        freed = blocks & ~state.doubled
        state.doubled &= ~blocks
        if freed:
            state.free |= freed
            self._count_free(state)
        return bool(freed)

    def close(self, state: OpenPiece) -> None:
        """Close an open piece with no block in flight; its received blocks are lost."""
        self._drop_received(state)
        piece = state.index
        bit = 1 << piece
        self._remove(piece)
        self.started &= ~bit
        self.free_total -= self.free_counts.pop(piece, 0)
        self.untouched |= bit & self.wanted
        self.abandoned |= {piece}

    def least_of(self, pieces: PieceSet) -> OpenPiece | None:
        """Return the piece of `pieces` with the fewest received blocks, none in flight; or None."""
        idle = [
            state
            for state in map(self.open.__getitem__, iterate(pieces))
            if state.free | state.received == state.full
        ]
        return min(idle, key=lambda state: state.received.bit_count(), default=None)

    def restart(self, state: OpenPiece) -> None:
        """Drop the received blocks of an open piece with no block in flight."""
        self._drop_received(state)
        state.free = state.full
        state.doubled = state.contested = 0
        self._count_free(state)

    def end_verification(self, piece: int, *, passed: bool) -> OpenPiece:
        """End the verification of a piece: HAVE, or WANTED again; return its state before."""
        state = self.open.get(piece)
        if state is None or not state.verifying:
            raise LocalProtocolError(f"piece {piece} is not being verified")
        self._remove(piece)
        bit = 1 << piece
        if passed:
            self.have |= bit
            self.wanted &= ~bit
        elif self.wanted & bit:
            self.untouched |= bit
            self._count_lost(self.lengths.piece_size(piece))
        else:
            self.failed_bytes += self.lengths.piece_size(piece)
        return state

    def choose(self, chosen: PieceSet) -> PieceSet:
        """Want other pieces from now on; return the open ones that are wanted no longer.

        Those are to be closed by the caller, but for pieces that are being verified.
        """
        self.chosen = chosen & self.every
        before, self.wanted = self.wanted, self.chosen & ~self.have
        dropped: PieceSet = 0
        received = 0
        for piece, state in self.open.items():
            if not self.wanted >> piece & 1:
                if not state.verifying:
                    dropped |= 1 << piece
            else:
                received += self.lengths.size_of(piece, state.received)
        self.untouched = (self.untouched & self.wanted) | (
            self.wanted & ~before & ~from_pieces(self.open)
        )
        self.remaining = self.lengths.bytes_in(self.wanted) - received
        return dropped

    def end_in_part(self, piece: int, wrong: BlockSet) -> OpenPiece:
        """End the verification of a piece, of which only some blocks are wrong; return its state.

        Those are wanted again, and the others stay received.
        """
        state = self.open.get(piece)
        if state is None or not state.verifying:
            raise LocalProtocolError(f"piece {piece} is not being verified")
        state.verifying = False
        state.drop(wrong)
        size = self.lengths.size_of(piece, wrong)
        if self.wanted >> piece & 1:
            self._count_lost(size)
        else:
            self.failed_bytes += size
        self._count_free(state)
        return state

    def lose(self, pieces: PieceSet) -> None:
        """Note that verified pieces are no longer correct."""
        lost = pieces & self.have
        self.have ^= lost
        wanted = lost & self.chosen
        self.wanted |= wanted
        self.untouched |= wanted
        self.remaining += self.lengths.bytes_in(wanted)
        self.failed_bytes += self.lengths.bytes_in(lost)

    def regain(self, pieces: PieceSet) -> None:
        """Note that untouched pieces are on disk and correct."""
        gained = pieces & self.untouched
        self.have |= gained | (pieces & self.every & ~self.chosen)
        self.wanted ^= gained
        self.untouched ^= gained
        self.remaining -= self.lengths.bytes_in(gained)

    def _drop_received(self, state: OpenPiece) -> None:
        size = self.lengths.size_of(state.index, state.received)
        if self.wanted >> state.index & 1:
            self._count_lost(size)
        else:
            self.failed_bytes += size
        state.forget_received()

    def _count_lost(self, nbytes: int) -> None:
        self.remaining += nbytes
        self.failed_bytes += nbytes

    def _count_free(self, state: OpenPiece) -> None:
        piece = state.index
        before = self.free_counts.get(piece, 0)
        count = state.free.bit_count()
        self.free_total += count - before
        if count:
            if not before:
                self.started |= 1 << piece
            self.free_counts[piece] = count
        elif before:
            del self.free_counts[piece]
            self.started ^= 1 << piece
