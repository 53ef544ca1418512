"""The file of a recording: what goes in comes out, and what is wrong with one is said in a line."""

import zlib
from io import BytesIO

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from msgspec.structs import replace

from recording_samples import BLOCK, file_of, header, read, some_events
from trio_swarm.engine.download.ledger import Grant
from trio_swarm.engine.lengths import BlockRun, Lengths
from trio_swarm.recording import Record, RecordingError, pack, records, unpack
from trio_swarm.recording import format as recording_format
from trio_swarm.recording.format import FRAME, MAX_FRAME, encode_events, encode_header, seal
from trio_swarm.recording.reader import read_recording
from trio_swarm.schedulers.api import Assignment

HEADER = header()
LENGTHS = Lengths(length=HEADER.size, piece_length=HEADER.piece_length)
START: list[Record] = [records.Began(0, [], 8), records.Joined(0, 1, "10.0.0.1:1", {})]


@given(st.lists(some_events(LENGTHS), min_size=1, max_size=3))
def test_what_was_written_is_read(parts: list[list[Record]]) -> None:
    end: list[Record] = [records.Ended(7, "stopped")]
    frames = [parts[0], *(part[4:] for part in parts[1:]), end]
    recording = read(file_of(HEADER, frames))
    assert recording.header == HEADER
    assert recording.events == [event for frame in frames for event in frame]
    assert recording.cut_off is None


@given(some_events(LENGTHS), some_events(LENGTHS), st.data())
def test_of_a_file_that_is_cut_off_the_whole_frames_are_read(
    first: list[Record], second: list[Record], data: st.DataObject
) -> None:
    last: list[Record] = [records.Ended(7, "stopped")]
    frames = [first, second[4:], last]
    content = file_of(HEADER, frames)
    least = len(encode_header(HEADER))
    end = data.draw(st.integers(least, len(content) - 1))
    recording = read(content[:end])
    assert recording.cut_off is not None
    whole = [
        event
        for count, frame in enumerate(frames)
        if len(file_of(HEADER, frames[: count + 1])) <= end
        for event in frame
    ]
    assert recording.events == whole


@given(some_events(LENGTHS), st.data())
def test_a_file_with_a_wrong_byte_is_read_up_to_it_or_refused(
    events: list[Record], data: st.DataObject
) -> None:
    content = bytearray(file_of(HEADER, [events, [records.Ended(7, "stopped")]]))
    at = data.draw(st.integers(len(encode_header(HEADER)), len(content) - 1))
    content[at] ^= data.draw(st.integers(1, 255))
    recording = read(bytes(content))
    assert recording.cut_off is not None
    assert recording.events in ([], events)


@given(st.binary(max_size=200))
def test_any_other_file_is_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(RecordingError) as caught:
        read(content)
    assert str(caught.value).startswith("film.rec: ")
    assert "\n" not in str(caught.value)


@given(st.binary(max_size=200))
@example(b"\x90")
@example(b"\x91\x90")
def test_a_frame_of_anything_is_refused_in_one_line(body: bytes) -> None:
    content = encode_header(HEADER) + seal(body)
    try:
        recording = read(content)
    except RecordingError as error:
        text = str(error)
        assert text.startswith("film.rec: is damaged: ")
        assert "\n" not in text
    else:
        assert not recording.events


@pytest.mark.parametrize("depth", [40, 900, 1_000, 30_000])
def test_a_header_nested_deeply_is_refused_in_one_line(depth: int) -> None:
    start, line, _ = encode_header(HEADER).split(b"\n")
    nest = b"[" * depth + b"]" * depth
    line = line.replace(b'"random_first_pieces":3', b'"random_first_pieces":' + nest)
    with pytest.raises(RecordingError, match=r"film.rec: .*(nested|cut off)") as caught:
        read(b"\n".join((start, line, b"")))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("depth", [1_000, 100_000])
def test_an_event_nested_deeply_is_refused_in_one_line(depth: int) -> None:
    later_field = b"\x91" * depth + b"\x00"  # of an event that has five: the rest is ignored
    body = b"\x91\x96\x00\x00\x90\x08\x00" + later_field
    with pytest.raises(RecordingError, match=r"film.rec: is damaged: is nested too deeply"):
        read(encode_header(HEADER) + seal(body))


def test_a_file_of_another_version_says_which() -> None:
    content = file_of(HEADER, [START]).replace(b"recording 1\n", b"recording 2\n", 1)
    with pytest.raises(RecordingError, match="of format 2; this trio-swarm reads format 1"):
        read(content)


def test_what_older_programs_wrote_is_read() -> None:
    body = msgspec.msgpack.encode([[0, 0, [], 8], [1, 0, 1, "10.0.0.1:1", {}], [2, 0, 1, "them"]])
    recording = read(encode_header(HEADER) + seal(body))
    assert recording.events == [*START, records.Named(0, 1, "them")]
    assert recording.header.peer_id == ""


def test_the_first_two_lines_say_what_it_is() -> None:
    first, second, _ = file_of(HEADER, []).split(b"\n", 2)
    assert first == b"trio-swarm recording 1"
    assert msgspec.json.decode(second)["name"] == "film.mkv"


def test_a_program_that_was_killed_leaves_a_recording_that_says_so() -> None:
    recording = read(file_of(HEADER, [START]))
    assert recording.events == START
    assert recording.cut_off == "the program was killed, or is still running"


@pytest.mark.parametrize(
    ("event", "fault"),
    [
        (records.Verified(1, 20), "is of piece 20, and there are 20"),
        (records.Gained(1, 2, 3), "is of peer 2, which never joined"),
        (records.Joined(1, 1, "", {}), "has peer 1 join again"),
        (records.Began(1, [], 8), "begins again"),
        (records.Arrived(1, 1, 0, 1, BLOCK, 0), "which are not whole blocks"),
        (records.Arrived(1, 1, 0, 0, 5 * BLOCK, 0), "which are not whole blocks"),
        (records.Sent(1, 1, 0, 1, 4 * BLOCK), "is of bytes beyond the end of piece 0"),
        (records.Granted(1, [Grant(2, BlockRun(0, 0, BLOCK))], []), "is of peer 2"),
        (records.Granted(1, [Grant(1, BlockRun(-1, 0, BLOCK))], []), "is of piece -1"),
        (
            records.Granted(1, [Grant(1, BlockRun(0, 0, BLOCK))], [1]),
            "a grant that it does not have",
        ),
        (records.Held(1, 1, [1 << 61]), "a piece that is none of 20"),
        (records.Held(1, 1, bytes([255] * 3)), "a piece that is none of 20"),
        (records.Held(1, 1, bytes(4)), "a set of more than 20 pieces"),
        (
            records.Decided(1, "strategy", [], [], [Assignment(1, 0, 0)], [], 0),
            "assigns 0 blocks",
        ),
        (
            records.Decided(1, "strategy", [], [], [Assignment(5, 0, 1)], [], 0),
            "is of peer 5, which never joined",
        ),
        (
            records.Decided(1, "strategy", [], [records.Candidate(5, 0, 0, 0, 0)], [], [], 0),
            "is of peer 5, which never joined",
        ),
    ],
)
def test_an_event_that_cannot_be_is_named(event: Record, fault: str) -> None:
    with pytest.raises(RecordingError, match="is damaged: event 3 ") as caught:
        read(file_of(HEADER, [START, [event]]))
    assert fault in str(caught.value)


def test_time_does_not_go_back() -> None:
    with pytest.raises(RecordingError, match="event 4 is earlier than the one before"):
        read(file_of(HEADER, [START, [records.Verified(5, 1), records.Verified(4, 2)]]))


def test_nothing_comes_before_the_beginning() -> None:
    with pytest.raises(RecordingError, match="event 1 comes before the beginning"):
        read(file_of(HEADER, [START[1:]]))


@pytest.mark.parametrize("piece_length", [0, 1 << 40, 1])
def test_sizes_that_no_torrent_has_are_refused(piece_length: int) -> None:
    head = msgspec.structs.replace(HEADER, piece_length=piece_length, size=1 << 40)
    with pytest.raises(RecordingError, match="its header tells of"):
        read(file_of(head, [START]))


def test_little_that_would_become_much_is_not_unpacked() -> None:
    bomb = zlib.compress(bytes(MAX_FRAME * 4), 9)
    frame = FRAME.pack(len(bomb), zlib.crc32(bomb)) + bomb
    recording = read(file_of(HEADER, [START]) + frame)
    assert recording.events == START
    assert recording.cut_off == "what follows is damaged"


def test_a_length_beyond_any_frame_is_not_read() -> None:
    class Watched(BytesIO):
        most = 0

        def read(self, size: int | None = -1, /) -> bytes:
            Watched.most = max(Watched.most, size or 0)
            return super().read(size)

    content = file_of(HEADER, [START]) + FRAME.pack(0xFFFFFFFF, 0) + bytes(100)
    recording = read_recording(Watched(content), "film.rec")
    assert recording.cut_off == "what follows is damaged"
    assert Watched.most < MAX_FRAME


def test_more_events_than_a_recording_has_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trio_swarm.recording.reader.MAX_EVENTS", 3)
    assert read(file_of(HEADER, [START, [records.Verified(1, 1)]])).events
    with pytest.raises(RecordingError, match="more than 3 events"):
        read(file_of(HEADER, [START, [records.Verified(1, 1), records.Verified(1, 2)]]))
    monkeypatch.setattr("trio_swarm.recording.reader.MAX_TOTAL", 1 << 20)
    many = [records.Named(1, 1, "x" * 1000)] * 1100
    monkeypatch.setattr("trio_swarm.recording.reader.MAX_EVENTS", 10_000)
    with pytest.raises(RecordingError, match="more than 1 MiB of events"):
        read(file_of(HEADER, [START, many]))


def test_events_that_are_too_many_for_one_frame_fill_several(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(recording_format, "MAX_FRAME", 100)
    events: list[Record] = [*START, *(records.Verified(number, number) for number in range(20))]
    assert len(encode_events(events)) > 1
    assert read(file_of(HEADER, [events])).events == events


@given(st.integers(0, (1 << 300) - 1) | st.sets(st.integers(0, 299), max_size=9))
def test_sets_of_pieces_are_packed_and_unpacked(given_pieces: int | set[int]) -> None:
    pieces = (
        given_pieces if isinstance(given_pieces, int) else sum(1 << each for each in given_pieces)
    )
    assert unpack(pack(pieces), 300) == pieces


def test_a_later_reader_may_find_more_in_an_event() -> None:
    body = msgspec.msgpack.encode([[0, 0, [], 8], [19, 5, 3, "new", {"more": 1}]])
    content = encode_header(HEADER) + seal(body)
    assert read(content).events[-1] == records.Verified(5, 3)


def test_a_recording_knows_which_pieces_end_with_padding() -> None:
    head = replace(header(), short_pieces={3: 100})
    lengths = read(file_of(head, [])).lengths
    assert lengths.piece_size(3) == 100
    assert lengths.length == head.size - (head.piece_length - 100)


def test_impossible_ends_of_pieces_in_a_header_are_damage() -> None:
    with pytest.raises(RecordingError, match="damaged: its header tells of impossible lengths"):
        read(file_of(replace(header(), short_pieces={99: 1}), []))
