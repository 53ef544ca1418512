"""What a journal vouches for: which pieces need no hashing, and which of the others do.

The rules, in one place:

- A piece is vouched for when the journal says it was verified and every file it touches has the
  stamp (size, mtime, ctime, inode) the journal last saw.
- A file whose stamp differs is suspect: the pieces in it, and only those, are hashed.
- A process killed (`kill -9`) between the bytes of a piece and its record leaves a file newer than
  its last stamp. Each piece is announced in the journal before it is written, so a file that an
  unfinished piece touches and whose times lie within `WRITE_WINDOW_NS` of that announcement
  is explained by our own write: only the unfinished pieces are hashed at once. Somebody else's
  write in that moment looks the same, so the file is doubted: none of it is served, and it gets no
  final name, before it is hashed. A slower write, or anyone else's later one, makes it suspect.
- After an operating system crash (another boot id, and no clean close), the page cache was lost:
  only the last snapshot that was written after a sync is believed.
- While a download runs, the stamps are compared before each batch of pieces is written. Another
  program's write within that batch leaves the stamp that ours leave: `foreign_writers` says whether
  there can have been one; if so, or if it cannot tell, the file is doubted.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct, field

from trio_swarm.piece_sets import PieceSet, from_pieces, full_set
from trio_swarm.storage.layout import Layout
from trio_swarm.storage.resume.journal import Begun, Record, Snapshot, Stamp, Written

WRITE_WINDOW_NS = 250_000_000
"""How much later than announced a piece's bytes may reach its files. Ordinarily it is less than a
millisecond; a busy machine or a stalled disk may take some tens."""

_CLOCK_TICK_NS = 20_000_000
"""By how much an mtime may precede the announcement: file systems use a clock of 1 to 10 ms."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
UNKNOWN_BOOT = bytes(16)


def current_boot_id() -> bytes:
    """Return the 16 bytes of this boot's id; zeros where the system has none."""
    try:
        return bytes.fromhex(_BOOT_ID.read_text("ascii").strip().replace("-", ""))[:16]
    except (OSError, ValueError):
        return UNKNOWN_BOOT


class ResumeState(Struct):
    """What a journal says in the end.

    `known`: there is a journal of this torrent. `begun`: piece → wall-clock ns, of the pieces
    whose writing was announced and not reported. `durable`: it outlives a power failure.
    """

    known: bool = False
    durable: bool = False
    have: PieceSet = 0
    stamps: dict[int, Stamp] = field(default_factory=dict)
    begun: dict[int, int] = field(default_factory=dict)
    doubted: frozenset[int] = frozenset()


def replay(records: Iterable[Record], layout: Layout, boot_id: bytes) -> ResumeState:
    """Return the state the records lead to, as far as it may be believed in this boot."""
    state = ResumeState()
    for record in records:
        if isinstance(record, Snapshot):
            if not _is_of(record, layout):
                return ResumeState()
            other_boot = UNKNOWN_BOOT not in {record.boot_id, boot_id} and record.boot_id != boot_id
            if other_boot and not record.durable:
                return ResumeState(known=True)
            state = ResumeState(
                known=True,
                durable=record.durable,
                have=record.have,
                stamps=dict(record.stamps),
                doubted=record.doubted,
            )
            if other_boot:
                return state
            continue
        state.durable = False
        if isinstance(record, Begun):
            state.begun[record.piece] = record.time_ns
            continue
        state.begun.pop(record.piece, None)
        state.stamps.update(record.stamps)
        # Not ended as it should: whether others wrote to them, too, was known in memory only.
        state.doubted |= record.stamps.keys()
        if isinstance(record, Written):
            state.have |= 1 << record.piece
    return state


def _is_of(snapshot: Snapshot, layout: Layout) -> bool:
    info = layout.info
    return (
        snapshot.info_hash == info.info_hash
        and snapshot.piece_count == info.piece_count
        and snapshot.file_count == len(info.files)
    )


class Verdict(Struct, frozen=True):
    """Pieces had without hashing, and pieces only hashing can tell; the others are missing.

    `doubted` are files somebody else may have written to; vouched pieces may lie in them.
    """

    vouched: PieceSet
    to_hash: PieceSet
    doubted: frozenset[int] = frozenset()


def judge(state: ResumeState, layout: Layout, found: Mapping[int, Stamp]) -> Verdict:
    """Compare a journal's state with the stamps `found` on the disk now (absent: no file).

    A file shorter than the torrent says holds the pieces that end within it.
    """
    begun_at: dict[int, list[int]] = {}
    for piece, time_ns in state.begun.items():
        for file in layout.files_of(piece):
            begun_at.setdefault(file, []).append(time_ns)
    suspect: PieceSet = 0
    missing: PieceSet = 0
    doubted: set[int] = set()
    for file, stored in enumerate(layout.stored):
        pieces = layout.pieces_of(file)
        if not stored or not pieces:
            continue
        stamp = found.get(file)
        size = 0 if stamp is None else stamp.size
        if size < layout.lengths[file]:
            missing |= _tail(layout, file, size)
        recorded = state.stamps.get(file)
        if stamp is None or (stamp == recorded and file not in state.doubted):
            continue
        if stamp == recorded or _is_explained(stamp, recorded, begun_at.get(file, ())):
            doubted.add(file)
        else:
            suspect |= range_set(pieces)
    present = full_set(layout.info.piece_count) & ~missing
    begun = from_pieces(state.begun)
    return Verdict(
        vouched=state.have & present & ~suspect,
        to_hash=(suspect | (begun & ~state.have)) & present,
        doubted=frozenset(doubted),
    )


def _is_explained(stamp: Stamp, recorded: Stamp | None, begun_at: Iterable[int]) -> bool:
    """Tell whether a stamp that is not the recorded one is what a write announced then leaves."""
    mtime, ctime = stamp.mtime_ns, stamp.ctime_ns
    if recorded is not None and (
        (recorded.size, recorded.inode) != (stamp.size, stamp.inode) or recorded.mtime_ns > mtime
    ):
        return False
    is_same_ctime = recorded is not None and recorded.ctime_ns == ctime
    return any(
        _is_then(mtime, time_ns) and (is_same_ctime or _is_then(ctime, time_ns))
        for time_ns in begun_at
    )


def _is_then(when: int, announced: int) -> bool:
    return announced - _CLOCK_TICK_NS <= when <= announced + WRITE_WINDOW_NS


def range_set(pieces: range) -> PieceSet:
    """Return a range of pieces as a set."""
    return full_set(len(pieces)) << pieces.start


def _tail(layout: Layout, file: int, size: int) -> PieceSet:
    """Return the pieces that hold a byte of the file at or after `size`."""
    pieces = layout.pieces_of(file)
    first = (layout.info.files[file].offset + size) // layout.info.piece_length
    return range_set(range(first, pieces.stop))
