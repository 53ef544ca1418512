"""Resume journals: what is written is read back, and whatever is damaged is not believed."""

import fcntl
import resource
import struct
import tempfile
import zlib
from collections.abc import Sequence
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from storage_samples import make_info
from trio_swarm.errors import DiskFullError
from trio_swarm.piece_sets import full_set
from trio_swarm.storage.layout import Layout
from trio_swarm.storage.resume.journal import (
    MAGIC,
    BegunRecord,
    FailedRecord,
    Journal,
    Record,
    Snapshot,
    Stamp,
    WrittenRecord,
    decode_records,
    encode_record,
    read_journal,
    remove_leftovers,
    replace_file,
)
from trio_swarm.storage.resume.log import ResumeLog, load
from trio_swarm.storage.resume.vouching import (
    WRITE_WINDOW_NS,
    ResumeState,
    current_boot_id,
    judge,
    replay,
)
from trio_swarm.storage.state import StateFolder

BOOT = bytes(range(16))
OTHER_BOOT = bytes(range(1, 17))
PIECES = 10
FILES = 4

stamps = st.dictionaries(
    st.integers(0, FILES - 1),
    st.builds(Stamp, st.integers(0, 2**64 - 1), st.integers(-(2**63), 2**63 - 1)),
)
pieces = st.integers(0, PIECES - 1)
snapshots = st.builds(
    Snapshot,
    info_hash=st.just(bytes(20)),
    piece_count=st.just(PIECES),
    file_count=st.just(FILES),
    durable=st.booleans(),
    boot_id=st.just(BOOT),
    have=st.integers(0, full_set(PIECES)),
    stamps=stamps,
)
later_records = st.one_of(
    st.builds(BegunRecord, pieces, st.integers(-(2**63), 2**63 - 1)),
    st.builds(WrittenRecord, pieces, stamps),
    st.builds(FailedRecord, pieces, stamps),
    snapshots,
)
journals = st.tuples(snapshots, st.lists(later_records, max_size=8)).map(lambda t: [t[0], *t[1]])


def encode(records: Sequence[Record]) -> bytes:
    return MAGIC + b"".join(encode_record(record) for record in records)


def layout_of() -> Layout:
    return Layout(make_info([PIECES * 16384 - 30, 10, 10, 10]))


def snapshot(
    have: int = 0, stamps: dict[int, Stamp] | None = None, *, durable: bool = False
) -> Snapshot:
    return Snapshot(bytes(20), PIECES, FILES, durable, BOOT, have, stamps or {})


@given(journals)
def test_a_journal_is_read_back_as_written(records: list[Record]) -> None:
    assert list(decode_records(encode(records))) == records


@given(journals, st.data())
def test_a_journal_cut_at_any_byte_keeps_its_whole_records(
    records: list[Record], data: st.DataObject
) -> None:
    ends = [len(encode(records[:count])) for count in range(len(records) + 1)]
    cut = data.draw(st.integers(0, ends[-1]))
    whole = max((count for count, end in enumerate(ends) if end <= cut), default=0)
    assert list(decode_records(encode(records)[:cut])) == records[:whole]


@given(journals, st.data())
def test_a_changed_byte_ends_the_journal_before_that_record(
    records: list[Record], data: st.DataObject
) -> None:
    encoded = bytearray(encode(records))
    at = data.draw(st.integers(0, len(encoded) - 1))
    encoded[at] ^= data.draw(st.integers(1, 255))
    ends = [len(encode(records[:count])) for count in range(len(records) + 1)]
    before = max((count for count, end in enumerate(ends) if end <= at), default=0)
    assert list(decode_records(bytes(encoded))) == records[:before]


@given(st.binary() | st.binary().map(lambda data: MAGIC + data))
def test_arbitrary_bytes_are_no_journal_and_no_error(data: bytes) -> None:
    assert replay(decode_records(data), layout_of(), BOOT) == ResumeState()


@given(st.lists(st.binary(max_size=60)))
def test_records_of_arbitrary_payload_never_raise(payloads: list[bytes]) -> None:
    data = encode([snapshot()]) + b"".join(
        struct.pack(">II", len(payload), zlib.crc32(payload)) + payload for payload in payloads
    )
    replay(decode_records(data), layout_of(), BOOT)


def test_a_journal_of_another_torrent_says_nothing() -> None:
    other = replace(snapshot(1, {0: Stamp(1, 1)}, durable=True), info_hash=b"x" * 20)
    assert replay([other], layout_of(), BOOT) == ResumeState()


def test_replay_follows_the_records() -> None:
    state = replay(
        [
            snapshot(0b1, {0: Stamp(5, 5)}),
            BegunRecord(1, 100),
            BegunRecord(2, 200),
            BegunRecord(3, 300),
            WrittenRecord(1, {0: Stamp(5, 6)}),
            FailedRecord(2, {0: Stamp(5, 7)}),
        ],
        layout_of(),
        BOOT,
    )
    assert state.have == 0b11
    assert state.stamps == {0: Stamp(5, 7)}
    assert state.begun == {3: 300}


def test_after_a_crash_of_the_machine_only_what_was_synced_is_believed() -> None:
    layout = layout_of()
    lost = [snapshot(0b1, {0: Stamp(5, 5)}), WrittenRecord(1, {0: Stamp(5, 6)})]
    assert replay(lost, layout, OTHER_BOOT) == ResumeState(known=True)
    synced = [snapshot(0b1, {0: Stamp(5, 5)}, durable=True), WrittenRecord(1, {0: Stamp(5, 6)})]
    after = replay(synced, layout, OTHER_BOOT)
    assert (after.have, after.stamps) == (0b1, {0: Stamp(5, 5)})
    assert replay(synced, layout, BOOT).have == 0b11
    # Where the system has no boot id, a crash cannot be told from a kill.
    assert replay(lost, layout, bytes(16)).have == 0b11


@pytest.mark.parametrize(
    ("mtime", "explained"),
    [
        (1_000, True),  # untouched
        (5_000_000_000, True),  # just when the unfinished piece was announced
        (5_000_000_000 + WRITE_WINDOW_NS, True),
        (5_000_000_001 + WRITE_WINDOW_NS, False),  # too late to be that write
        (2_000_000_000, False),  # before it was announced
        (500, False),  # older than known
    ],
)
def test_a_file_newer_than_its_record_is_believed_only_if_our_own_write_explains_it(
    mtime: int,
    *,
    explained: bool,
) -> None:
    layout = layout_of()
    size = layout.lengths[0]
    state = ResumeState(
        known=True, have=0b11, stamps={0: Stamp(size, 1_000)}, begun={5: 5_000_000_000}
    )
    verdict = judge(state, layout, {0: Stamp(size, mtime)})
    every = full_set(PIECES - 1)  # the last piece holds the other, missing files too
    if explained:
        assert (verdict.vouched, verdict.to_hash) == (0b11, 1 << 5)
    else:
        assert (verdict.vouched, verdict.to_hash) == (0, every)


def test_only_the_pieces_of_a_changed_file_are_hashed() -> None:
    layout = Layout(make_info([16384 * 3, 16384 * 3 + 5, 16384 * 4 - 5]))
    found = {file: Stamp(length, 7) for file, length in enumerate(layout.lengths)}
    state = ResumeState(known=True, have=full_set(10), stamps=dict(found))
    found[1] = Stamp(layout.lengths[1], 8)
    verdict = judge(state, layout, found)
    assert verdict.to_hash == 0b0001111000
    assert verdict.vouched == full_set(10) & ~verdict.to_hash
    del found[2]
    assert judge(state, layout, found).vouched == 0b111
    assert judge(state, layout, found).to_hash == 0b111000


def test_a_record_that_does_not_fit_leaves_the_journal_readable(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    journal = Journal(path, snapshot(0b1))
    size = path.stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size + 7, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            journal.append([BegunRecord(1, 1)])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.stat().st_size == size
    journal.append([BegunRecord(2, 2)])
    journal.close()
    assert read_journal(path) == [snapshot(0b1), BegunRecord(2, 2)]


def test_a_log_without_room_says_so_and_keeps_what_it_had(tmp_path: Path) -> None:
    log = ResumeLog(tmp_path / "journal", layout_of())
    log.start(0, {}, durable=False)
    log.begin([1])
    log.written([1], lambda: {0: Stamp(1, 2)})
    size = (tmp_path / "journal").stat().st_size
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        with pytest.raises(DiskFullError):
            log.begin([2])
        log.failed([2], dict)
        log.stop(durable=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    state = load(tmp_path / "journal", layout_of())
    assert (state.have, state.stamps) == (0b10, {0: Stamp(1, 2)})


def test_a_stopped_log_is_one_snapshot(tmp_path: Path) -> None:
    path = tmp_path / "journal"
    log = ResumeLog(path, layout_of())
    log.start(0, {}, durable=False)
    for piece in range(PIECES):
        log.begin([piece])
        log.written([piece], lambda: {0: Stamp(1, 2)})
    log.stop(durable=True)
    log.stop(durable=True)
    (only,) = read_journal(path)
    assert (only.have, only.durable) == (full_set(PIECES), True)
    assert list(tmp_path.iterdir()) == [path]


def test_this_boot_has_an_id() -> None:
    assert len(current_boot_id()) == 16


def test_what_killed_processes_left_is_removed_and_what_is_being_written_stays(
    tmp_path: Path,
) -> None:
    state = StateFolder(tmp_path)
    state.remove_leftovers()  # there is nothing yet
    resume, hashes = state.lock(tmp_path).parent, state.hash_index().parent
    for folder in (resume, hashes):
        (folder / ".new-left").write_bytes(b"half")
        (folder / "kept").write_bytes(b"whole")
        (folder / ".new-link").symlink_to(folder / "kept")
    with (resume / ".new-living").open("wb") as living:
        fcntl.flock(living, fcntl.LOCK_SH)

        state.remove_leftovers()

    assert {each.name for each in resume.iterdir()} == {"kept", ".new-link", ".new-living"}
    assert {each.name for each in hashes.iterdir()} == {"kept", ".new-link"}


def test_a_file_is_written_though_it_was_taken_for_a_leftover(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    make, made = tempfile.mkstemp, list[str]()

    def removed_at_once(prefix: str, dir: Path) -> tuple[int, str]:  # noqa: A002 - its name
        descriptor, name = make(prefix=prefix, dir=dir)
        if not made:
            remove_leftovers(dir)
        made.append(name)
        return descriptor, name

    monkeypatch.setattr(tempfile, "mkstemp", removed_at_once)

    replace_file(tmp_path / "file", b"new")

    assert len(made) == 2
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
    assert (tmp_path / "file").read_bytes() == b"new"
