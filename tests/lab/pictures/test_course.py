"""The numbers that pictures show."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from course_samples import STORY, courses, large
from recording_samples import file_of as recording_file
from recording_samples import header, read, some_events
from shaped_links import SEEDER_LIMITED
from simulated_swarms import MIB, shaped
from trio_swarm.engine.lengths import Lengths
from trio_swarm.errors import RecordingError
from trio_swarm.lab.pictures.course import (
    MOST_SOURCES,
    PLAYS,
    STALLS,
    WAITS,
    Course,
    CoursePeer,
    SenderGroup,
    availability,
    completion,
    finish_times,
    finished,
    holdings,
    matrix,
    moments,
    rarest,
    rates,
    sending,
    sent_by,
    sources,
    viewers,
    watched,
    watching,
)
from trio_swarm.lab.pictures.from_recording import MOST_CELLS, OWN_NAME, course_of
from trio_swarm.lab.pictures.from_simulation import Watcher
from trio_swarm.lab.pictures.spark import BARS, NONE, spark
from trio_swarm.lab.simulator import simulate
from trio_swarm.lab.simulator.playback import PlaybackSpec
from trio_swarm.recording import pack, records

TIMES = [float(second) for second in range(46)]


def held_at(course: Course, peer: int, when: float) -> set[int]:
    gains = zip(course.gains.at, course.gains.peer, course.gains.piece, strict=True)
    had = {piece for piece in range(course.pieces) if course.peers[peer].had >> piece & 1}
    return had | {piece for at, who, piece in gains if who == peer and at <= when}


def is_there(peer: CoursePeer, when: float) -> bool:
    return peer.joined <= when and (peer.left is None or when < peer.left)


@given(courses())
def test_copies_are_what_the_peers_that_are_there_have(course: Course) -> None:
    grid = availability(course, TIMES, 100)
    for when, column in zip(TIMES, grid, strict=True):
        there = [
            held_at(course, index, when)
            for index, peer in enumerate(course.peers)
            if is_there(peer, when)
        ]
        assert column == [sum(piece in held for held in there) for piece in range(course.pieces)]
    assert rarest(course, TIMES) == [min(column) for column in grid]


@given(courses(), st.integers(1, 12))
def test_a_row_of_several_pieces_shows_the_rarest(course: Course, rows: int) -> None:
    each = availability(course, TIMES, course.pieces)
    some = availability(course, TIMES, rows)
    for one, other in zip(each, some, strict=True):
        assert len(other) == min(rows, course.pieces)
        assert min(one) == min(other)
        assert set(other) <= set(one)


@given(courses())
def test_completion_is_the_mean_of_what_they_have_and_never_falls(course: Course) -> None:
    curve = completion(course, TIMES)
    assert curve == sorted(curve)
    fetching = course.fetching
    for when, part in zip(TIMES, curve, strict=True):
        held = [len(held_at(course, index, when)) / course.pieces for index in fetching]
        assert part == pytest.approx(sum(held) / len(held) if held else 1.0)
    complete = finished(course, TIMES)
    assert complete == sorted(complete)
    if fetching:
        whole = [index for index in fetching if len(held_at(course, index, 45.0)) == course.pieces]
        assert complete[-1] == len(finish_times(course)) / len(fetching)
        assert len(finish_times(course)) == len(whole)


@given(courses(), st.integers(1, 8))
def test_what_peers_have_is_between_nothing_and_all_while_they_are_there(
    course: Course, rows: int
) -> None:
    for when, column in zip(TIMES, holdings(course, TIMES, rows), strict=True):
        assert len(column) == min(rows, len(course.peers))
        assert all(part == -1.0 or 0.0 <= part <= 1.0 for part in column)
        assert (max(column) >= 0) == any(is_there(peer, when) for peer in course.peers)


@given(courses(), st.integers(1, 8), st.integers(1, 50))
def test_no_byte_is_lost_or_counted_twice(course: Course, most: int, columns: int) -> None:
    total = sum(course.blocks.length)
    names, sent = matrix(course, most)
    assert len(names) == len(sent) == min(most, len(course.peers))
    assert sum(map(sum, sent)) == total
    apart = sources(course)
    assert len(apart) <= MOST_SOURCES + 1
    everyone = [peer for source in apart for peer in source.peers]
    assert sorted(everyone) == sorted(set(course.blocks.sender))
    assert sum(sent_by(course)) == total
    width = course.seconds / columns
    assert sum(map(sum, rates(course, apart, columns))) * width == pytest.approx(total)


def test_sources_beyond_the_colours_are_one_and_leechers_are_one() -> None:
    course = Course(
        title="",
        size=1000,
        pieces=10,
        seconds=1.0,
        peers=[
            *(CoursePeer(name=f"S{n}", role="seeder") for n in range(10)),
            *(CoursePeer(name=f"L{n}", role="leecher") for n in range(3)),
        ],
    )
    for seeder in range(10):
        course.blocks.add(0.5, seeder, 10, 0, 100 + seeder)
    assert [source.name for source in sources(course)] == [
        *("S4", "S5", "S6", "S7", "S8", "S9"),
        "4 others",
    ]
    course.blocks.add(0.5, 10, 11, 0, 50)
    assert sources(course)[-1] == SenderGroup("L0", frozenset({10}), are_leechers=True)
    course.blocks.add(0.5, 12, 11, 0, 50)
    assert sources(course)[-1] == SenderGroup("2 leechers", frozenset({10, 12}), are_leechers=True)


def test_of_few_peers_each_is_a_source_in_the_order_of_the_peers() -> None:
    peers = [CoursePeer(name="S1", role="seeder")]
    peers += [CoursePeer(name=f"L{n}", role="leecher") for n in range(1, MOST_SOURCES)]
    course = Course(title="", size=1000, pieces=10, seconds=1.0, peers=peers)
    for sender in range(MOST_SOURCES):
        course.blocks.add(0.5, sender, (sender + 1) % MOST_SOURCES, 0, 100 + sender)
    assert [source.name for source in sources(course)] == [peer.name for peer in peers]


def test_each_peer_sends_as_fast_as_its_blocks_say_and_only_while_it_is_there() -> None:
    peers = [
        CoursePeer(name="S1", role="seeder"),
        CoursePeer(name="L1", role="leecher", joined=2.0, left=3.0),
        CoursePeer(name="L2", role="leecher"),
    ]
    course = Course(title="", size=1000, pieces=10, seconds=4.0, peers=peers)
    course.blocks.add(0.5, 0, 2, 0, 100)
    course.blocks.add(2.5, 1, 2, 1, 50)
    assert sending(course, 4, 3) == [[100, -1, 0], [0, -1, 0], [0, 50, 0], [0, -1, 0]]
    assert sending(course, 4, 1) == [[50], [0], [50 / 3], [0]]


def test_a_simulation_is_watched_to_the_byte() -> None:
    scenario = shaped(SEEDER_LIMITED, size=4 * MIB, piece_length=65536)
    watcher = Watcher(scenario, with_blocks=True)
    result = simulate(scenario, sink=watcher)
    assert result.digest == simulate(scenario).digest
    course = watcher.course("it")
    assert [peer.name for peer in course.peers] == ["S1", *(f"L{n}" for n in range(1, 8))]
    assert sorted(finish_times(course)) == sorted(
        peer.finished_at or 0.0 for peer in result.peers[1:]
    )
    _, sent = matrix(course, 8)
    assert [sum(column) for column in zip(*sent, strict=True)] == [
        peer.received for peer in result.peers
    ]
    assert course.seconds == result.ended_at
    assert completion(course, moments(course.seconds, 4))[-1] == 1.0
    light = Watcher(scenario, with_blocks=False)
    simulate(scenario, sink=light)
    assert not light.course("it").blocks.at
    assert completion(light.course("it"), TIMES) == completion(course, TIMES)


def test_a_recording_is_told_as_its_peer_saw_it() -> None:
    course = course_of(read(recording_file(header(), [STORY])), "it")
    assert [peer.name for peer in course.peers] == [OWN_NAME, "10.0.0.1:6881", "10.0.0.2:6881"]
    assert [peer.role for peer in course.peers] == ["leecher", "seeder", "leecher"]
    assert course.seconds == 6.0
    assert completion(course, [0.0, 3.9, 4.0]) == [1 / 20, 1 / 20, 2 / 20]
    assert availability(course, [0.5, 1.5, 2.2, 2.7, 5.5], 20) == [
        [1, *[0] * 19],
        [2, *[1] * 19],
        [2, 2, 2, *[1] * 17],
        [2, 2, 2, 1, 1, 2, *[1] * 14],
        [2, 2, *[1] * 18],
    ]
    apart = sources(course)
    assert [source.name for source in apart] == ["10.0.0.1:6881", "10.0.0.2:6881"]
    assert sent_by(course) == [0, 32768, 32768]


LENGTHS = Lengths(length=header().size, piece_length=header().piece_length)


@given(some_events(LENGTHS))
def test_whatever_a_recording_tells_has_a_course(events: list[records.Record]) -> None:
    recording = read(recording_file(header(), [events]))
    course = course_of(recording, "it")
    times = moments(course.seconds, 7)
    assert len(course.peers) == 1 + sum(isinstance(event, records.Joined) for event in events)
    most = max(map(max, availability(course, times, 20)))
    assert 0 <= most <= len(course.peers)
    assert all(part <= 1.0 for column in holdings(course, times, 20) for part in column)
    assert completion(course, times)[-1] <= 1.0
    arrived = sum(event.length for event in events if isinstance(event, records.Arrived))
    assert sum(course.blocks.length) == arrived


def test_a_recording_that_would_fill_the_memory_is_refused() -> None:
    pieces = 10_000
    joins = MOST_CELLS // pieces
    events: list[records.Record] = [records.Began(0, pack(0), 4)]
    events += [records.Joined(1, n, "x", {}) for n in range(joins)]
    recording = read(recording_file(header(pieces=pieces, blocks=1), [events]))
    with pytest.raises(RecordingError, match="too many for a picture"):
        course_of(recording, "it")


@given(st.lists(st.floats(allow_infinity=True, allow_nan=True)), st.floats())
def test_a_spark_line_has_a_bar_for_each_value(values: list[float], most: float) -> None:
    line = spark(values, most)
    assert len(line) == len(values)
    assert set(line) <= {*BARS, NONE}


def test_nothing_and_little_are_told_apart() -> None:
    assert spark([0.0, 0.001, 0.5, 1.0, 2.0, math.nan], 1.0) == "·▁▅██·"
    assert spark([0, 1], 0) == "··"


def test_a_thousand_peers_are_grouped() -> None:
    course = large(100, 64)
    names, sent = matrix(course, 8)
    assert names[0] == "S1 to L11"
    assert len(names) == len(sent) == 8


def seen_of(*events: records.Record) -> Course:
    began = records.Began(0, pack(0), 4)
    return course_of(read(recording_file(header(), [[began, *events]])), "it")


def test_a_seeder_that_shows_its_pieces_one_by_one_has_all_of_them() -> None:
    """BEP 16 hides pieces; BEP 21's `upload_only` says all the same that it is a seeder."""
    course = seen_of(
        records.Joined(10, 1, "10.0.0.1:1", {}),
        records.Held(20, 1, pack(0b100)),
        records.Gained(1_000_000, 1, 5),
        records.Named(1_000_500, 1, "a client", "ab", uploads_only=True),
        records.Gained(2_000_000, 1, 9),
    )
    assert course.peers[1].role == "seeder"
    assert [column[1] for column in holdings(course, [0.5, 2.0], 2)] == [1.0, 1.0]
    assert rarest(course, [0.5, 2.0]) == [1, 1]


def test_who_only_uploads_and_never_tells_of_more_has_what_it_told() -> None:
    """BEP 21: a partial seed wants no more, and has a part."""
    course = seen_of(
        records.Joined(10, 1, "10.0.0.1:1", {}),
        records.Held(20, 1, pack(0b111)),
        records.Named(30, 1, "a client", "ab", uploads_only=True),
        records.Ended(1_000_000, "stopped"),
    )
    assert course.peers[1].role == "leecher"
    assert holdings(course, [1.0], 2)[0][1] == pytest.approx(3 / 20)


def test_a_leecher_that_says_it_is_complete_has_all_from_then() -> None:
    course = seen_of(
        records.Joined(10, 1, "10.0.0.1:1", {}),
        records.Gained(20, 1, 3),
        records.Named(30, 1, "a client", "ab", uploads_only=False),
        records.Named(1_000_000, 1, "a client", "ab", uploads_only=True),
    )
    assert course.peers[1].role == "leecher"
    assert [column[1] for column in holdings(course, [0.5, 1.0], 2)] == [1 / 20, 1.0]


def test_the_seeders_of_a_simulation_have_everything_whatever_they_show() -> None:
    simulated = replace(header(), seed=1, peer_id="L1")
    began = records.Began(0, pack(0), 4)
    events = [
        began,
        records.Joined(10, 1, "S1", {}),
        records.Joined(10, 2, "L2", {}),
        records.Gained(20, 1, 3),
    ]
    course = course_of(read(recording_file(simulated, [events])), "it")
    assert [peer.role for peer in course.peers] == ["leecher", "seeder", "leecher"]
    assert holdings(course, [1.0], 3)[0][1] == 1.0


# Who watches


def test_a_picture_shows_viewers_as_the_simulator_counts_them() -> None:
    spec = PlaybackSpec(rate=1_000_000.0, buffer=1.0)
    scenario = replace(shaped(SEEDER_LIMITED, size=8 * MIB), playback=spec)
    watcher = Watcher(scenario, with_blocks=True)
    result = simulate(scenario, sink=watcher)
    course = watcher.course("it")
    assert viewers(course) == course.fetching
    for index, found in zip(viewers(course), watched(course), strict=True):
        counted = result.peers[index].playback
        assert counted is not None
        assert found[0].ends - found[0].begins == counted.starts_after
        stalls = [span for span in found[1:] if not span.plays]
        assert len(stalls) == counted.stalls
        assert sum(span.ends - span.begins for span in stalls) == pytest.approx(counted.stalled)


def one_viewer(*ready_at: float, left: float | None = None) -> Course:
    """Watch pieces of a second each, of which one second must be there."""
    course = Course(
        title="it",
        size=100 * len(ready_at),
        pieces=len(ready_at),
        seconds=10.0,
        peers=[
            CoursePeer(name="S1", role="seeder", had=(1 << len(ready_at)) - 1),
            CoursePeer(name="L1", role="leecher", joined=1.0, left=left),
        ],
        playback=PlaybackSpec(rate=100.0, buffer=1.0),
        piece_length=100,
    )
    for at, piece in sorted((at, piece) for piece, at in enumerate(ready_at)):
        course.gains.add(at, 1, piece)
    return course


def test_a_viewer_waits_plays_and_stalls() -> None:
    times = [0.5, 1.5, 2.5, 3.5, 4.5, 5.5]
    grid = watching(one_viewer(2.0, 4.0), times, 5)
    assert grid == [[-1.0], [WAITS], [PLAYS], [STALLS], [PLAYS], [-1.0]]
    grid = watching(one_viewer(2.0, 4.0, left=3.2), times, 5)
    assert grid == [[-1.0], [WAITS], [PLAYS], [-1.0], [-1.0], [-1.0]]


def test_a_row_of_several_viewers_shows_the_worst() -> None:
    course = one_viewer(2.0, 4.0)
    course.peers.append(CoursePeer(name="L2", role="leecher", joined=1.0, had=0b11))
    times = [1.5, 2.5, 3.5]
    assert watching(course, times, 2) == [[WAITS, PLAYS], [PLAYS, PLAYS], [STALLS, -1.0]]
    assert watching(course, times, 1) == [[WAITS], [PLAYS], [STALLS]]


def test_nobody_watches_unless_the_scenario_says_so() -> None:
    assert viewers(large(3, 4)) == watched(large(3, 4)) == []
