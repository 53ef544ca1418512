"""Which pieces a journal vouches for, so that they need no hashing; and which others need it.

These are all the rules:

- A journal vouches for a piece if it recorded the piece as verified, and every file of the piece
  has the stamp (size, mtime, ctime, inode) that the journal recorded last.
- A file with another stamp is suspect: its pieces, and only they, are hashed.
- If the process is killed (`kill -9`) between writing a piece and recording it, a file is newer
  than its last stamp. Each piece is announced in the journal before it is written. So if a file of
  an unfinished piece has times within `WRITE_WINDOW_NS` of that announcement, our own write
  explains the change, and only the unfinished pieces are hashed at once. Another program's write at
  that time looks the same, so the file is doubted: it is hashed before any of it is served, and
  before it gets its final name. A slower or later write makes the file suspect.
- After a crash of the operating system (another boot id, without a clean close) the page cache was
  lost: only the last snapshot written after a sync counts.
- During a download, the stamps are compared before each batch of pieces is written. Another
  program's write during the batch leaves the same stamp as our writes. `foreign_writers` tells
  whether there can have been one; if so, or if it cannot tell, the file is doubted.
"""

from collections.abc import Iterable, Mapping
from pathlib import Path

from msgspec import Struct, field

from trio_swarm.piece_sets import PieceSet, from_pieces, full_set
from trio_swarm.storage.layout import Layout
from trio_swarm.storage.resume.journal import BegunRecord, Record, Snapshot, Stamp, WrittenRecord

WRITE_WINDOW_NS = 250_000_000
"""Nanoseconds after its announcement in which a piece's bytes can reach its files. It is usually
less than a millisecond; on a busy machine or a stalled disk, some tens of milliseconds."""

_CLOCK_TICK_NS = 20_000_000
"""Nanoseconds by which an mtime can precede the announcement: the clocks of file systems tick every
1 to 10 ms."""

_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
UNKNOWN_BOOT = bytes(16)


def current_boot_id() -> bytes:
    """Return the id of this boot, 16 bytes; zeros if the system has none."""
    try:
        return bytes.fromhex(_BOOT_ID.read_text("ascii").strip().replace("-", ""))[:16]
    except (OSError, ValueError):
        return UNKNOWN_BOOT


class ResumeState(Struct):
    """The state after the last record of a journal.

    `known`: there is a journal of this torrent. `begun`: piece → wall-clock ns, for pieces that
    were announced and neither written nor failed. `durable`: the state outlives a power failure.
    """

    known: bool = False
    durable: bool = False
    have: PieceSet = 0
    stamps: dict[int, Stamp] = field(default_factory=dict)
    begun: dict[int, int] = field(default_factory=dict)
    doubted: frozenset[int] = frozenset()


def replay(records: Iterable[Record], layout: Layout, boot_id: bytes) -> ResumeState:
    """Return the state after the records, as far as it counts in this boot."""
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
        if isinstance(record, BegunRecord):
            state.begun[record.piece] = record.time_ns
            continue
        state.begun.pop(record.piece, None)
        state.stamps.update(record.stamps)
        # There was no clean end: whether other programs wrote to the files, too, was known in
        # memory only.
        state.doubted |= record.stamps.keys()
        if isinstance(record, WrittenRecord):
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
    """Pieces we have without hashing, and pieces that must be hashed; all others are missing.

    `doubted` are files that another program may have written to; they can contain vouched pieces.
    """

    vouched: PieceSet
    to_hash: PieceSet
    doubted: frozenset[int] = frozenset()


def judge(state: ResumeState, layout: Layout, found: Mapping[int, Stamp]) -> Verdict:
    """Compare a journal's state with the stamps `found` on the disk now (absent: no file).

    A file that is shorter than in the torrent can have the pieces that end within it.
    """
    begun_at: dict[int, list[int]] = {}
    for piece, time_ns in state.begun.items():
        for file in layout.files_of(piece):
            begun_at.setdefault(file, []).append(time_ns)
    suspect: PieceSet = 0
    missing: PieceSet = 0
    doubted: set[int] = set()
    for file, stored in enumerate(layout.stored):
        pieces = layout.piece_set_of(file) if stored else 0
        if not pieces:
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
            suspect |= pieces
    present = full_set(layout.info.piece_count) & ~missing
    begun = from_pieces(state.begun)
    return Verdict(
        vouched=state.have & present & ~suspect,
        to_hash=(suspect | (begun & ~state.have)) & present,
        doubted=frozenset(doubted),
    )


def _is_explained(stamp: Stamp, recorded: Stamp | None, begun_at: Iterable[int]) -> bool:
    """Return whether the write announced at `begun_at` explains a stamp that differs."""
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


def _tail(layout: Layout, file: int, size: int) -> PieceSet:
    """Return the pieces that have a byte of the file at or after offset `size`."""
    first = (layout.start_of(file) + size) // layout.info.piece_length
    return layout.piece_set_of(file) >> first << first
