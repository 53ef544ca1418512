"""What is worked out from a recording: why something was asked, and what would have come of it."""

from hypothesis import given, settings
from hypothesis import strategies as st

from recording_samples import BLOCK, STORY_HEADER, file_of, header, read, some_events, told_story
from trio_swarm.engine.download.ledger import Grant
from trio_swarm.engine.lengths import BlockRun, Lengths
from trio_swarm.errors import RecordingError
from trio_swarm.lab.replaying import measure, playing, replay
from trio_swarm.lab.replaying.measuring import RateCurve, RecordedSource
from trio_swarm.lab.simulator.timeline import Timeline
from trio_swarm.recording import Record, Recording, records
from trio_swarm.recording.story.explaining import tell_decision
from trio_swarm.recording.story.summary import summarize
from trio_swarm.recording.story.telling import Moment, tell_peer, tell_piece
from trio_swarm.schedulers.rarest_first import RarestFirst

STORY = Recording(header=STORY_HEADER, events=told_story(), cut_off=None)
HEADER = header()
LENGTHS = Lengths(length=HEADER.size, piece_length=HEADER.piece_length)
LARGE = header(pieces=150)
LARGE_LENGTHS = Lengths(length=LARGE.size, piece_length=LARGE.piece_length)


def happenings(moments: list[Moment]) -> list[tuple[str, int | None, int]]:
    return [(moment.what, moment.peer, moment.blocks) for moment in moments]


def test_a_request_is_explained_by_what_was_known_when_it_was_made() -> None:
    asked, arrived, verified = tell_piece(STORY, 0)
    choice = asked.choice
    assert choice is not None
    assert (choice.by, choice.peer, choice.blocks, choice.wanted) == ("strategy", 1, 4, 2)
    assert (choice.holders, choice.peers, choice.rarer, choice.as_rare) == (3, 3, 1, 0)
    assert [(each.peer, each.room, each.rate) for each in choice.options] == [
        (1, 8, float(4 << 20)),
        (2, 3, 0.0),
    ]
    assert choice.choking == 1
    assert choice.faults == ["assigned piece 7 of 2 to peer 3"]
    assert choice.waited == 0.07
    assert (arrived.what, arrived.blocks, arrived.at) == ("arrived", 4, 0.08)
    assert (verified.what, verified.at) == ("verified", 0.082)


def test_a_second_request_is_explained_by_who_was_slow() -> None:
    moments = tell_piece(STORY, 1)
    assert happenings(moments) == [
        ("asked", 2, 4),
        ("asked", 1, 3),
        ("arrived", 2, 1),
        ("arrived", 1, 3),
        ("cancelled", 2, 3),
        ("verified", None, 0),
    ]
    second = moments[1].choice
    assert second is not None
    assert second.by == "endgame"
    assert [(each.peer, each.blocks, each.seconds) for each in second.slow] == [(2, 4, 0.5)]


def test_a_peer_is_told_of_from_joining_to_leaving() -> None:
    assert happenings(tell_peer(STORY, 2)) == [
        ("joined", 2, 0),
        ("has", 2, 2),
        ("unchoked", 2, 0),
        ("asked", 2, 4),
        ("cancelled", 2, 3),
        ("left", 2, 0),
    ]


def test_a_decision_is_found_by_its_time() -> None:
    assert tell_decision(STORY, 0.009) is None
    decision = tell_decision(STORY, 0.4)
    assert decision is not None
    assert (decision.at, decision.by, decision.wanted) == (0.01, "strategy", 2)
    assert [(choice.peer, choice.piece) for choice in decision.choices] == [(1, 0), (2, 1)]
    last = tell_decision(STORY, 0.8)
    assert last is not None
    assert (last.at, last.by) == (0.51, "endgame")


def test_a_summary_counts_everything() -> None:
    summary = summarize(STORY)
    assert summary.completed == 0.62
    assert (summary.verified, summary.requests, summary.doubled, summary.cancelled) == (2, 3, 1, 1)
    assert summary.decisions == {"strategy": 1}
    assert summary.faults == {"assigned piece 7 of 2 to peer 3": 1}
    received = {peer.peer: (peer.received, peer.pieces) for peer in summary.peers}
    assert received == {1: (7 * BLOCK - 100, 2), 2: (BLOCK, 1), 3: (0, 0)}
    assert (summary.waits[0].peer, summary.waits[0].piece, summary.waits[0].seconds) == (2, 1, 0.6)


def steady(rate: int, *, seconds: float, key: int, pieces: range) -> list[Record]:
    """Return what a peer of that rate (bytes/s) did that was asked for some pieces at once."""
    size = LARGE.piece_length
    runs = [BlockRun(piece, 0, LARGE_LENGTHS.piece_size(piece)) for piece in pieces]
    events: list[Record] = [records.Granted(10_000, [Grant(key, run) for run in runs], [])]
    at = seconds
    for run in runs:
        at += size / rate
        events += [
            records.Arrived(int(at * 1e6), key, *run, 0),
            records.Verified(int(at * 1e6) + 1000, run.piece),
        ]
    return events


def two_steady_peers() -> Recording:
    """One sends 1 MiB/s, the other half of that, both with 20 ms of delay."""
    start: list[Record] = [
        records.Began(0, [], 32),
        *(
            each
            for key in (1, 2)
            for each in (
                records.Joined(0, key, f"10.0.0.{key}:1", {}),
                records.Held(0, key, records.pack((1 << 150) - 1)),
                records.Unchoked(0, key),
            )
        ),
    ]
    fast = steady(1 << 20, seconds=0.03, key=1, pieces=range(100))
    slow = steady(1 << 19, seconds=0.03, key=2, pieces=range(100, 150))
    events = sorted([*start, *fast, *slow], key=lambda event: event.at)
    end = events[-1].at
    return Recording(
        header=LARGE,
        events=[*events, records.Completed(end), records.Ended(end, "stopped")],
        cut_off=None,
    )


def test_rates_and_delays_are_measured_as_they_were() -> None:
    measured = measure(two_steady_peers())
    one, two = measured.sources[1], measured.sources[2]
    assert 0.015 < one.latency < 0.025
    assert 0.015 < two.latency < 0.025
    started = 0.2
    assert abs(one.curve.finish(started, 1 << 18) - started - 0.25) < 0.02
    assert abs(two.curve.finish(started, 1 << 18) - started - 0.5) < 0.04
    # After the recording it goes on as it was on the whole.
    assert abs(one.curve.finish(100.0, 1 << 20) - 101.0) < 0.05
    assert abs(measured.verify_seconds - 0.001) < 1e-6


def test_a_replay_takes_as_long_as_such_peers_take() -> None:
    recording = two_steady_peers()
    measured = measure(recording)
    result = replay(measured, RarestFirst(), "rarest-first")
    assert result.seconds is not None
    least = LARGE.size / (1.5 * (1 << 20))
    assert least < result.seconds < least * 1.1
    assert abs(result.received[1] / LARGE.size - 2 / 3) < 0.05
    assert sum(result.received.values()) == LARGE.size


def test_what_nobody_has_any_more_is_never_complete() -> None:
    recording = two_steady_peers()
    events = [
        records.Held(event.at, event.peer, [0, 1]) if isinstance(event, records.Held) else event
        for event in recording.events
    ]
    measured = measure(Recording(header=LARGE, events=events, cut_off=None))
    result = replay(measured, RarestFirst(), "rarest-first")
    assert result.seconds is None
    assert sum(result.received.values()) == 2 * LARGE.piece_length


def test_peers_that_leave_because_we_stop_do_not_leave_in_a_replay() -> None:
    events = two_steady_peers().events
    cut = [event for event in events if event.at < 3_000_000]
    cut += [
        records.Left(3_000_000, 1),
        records.Left(3_000_000, 2),
        records.Ended(3_000_000, "stopped"),
    ]
    measured = measure(Recording(header=LARGE, events=cut, cut_off=None))
    assert not measured.is_complete
    assert replay(measured, RarestFirst(), "rarest-first").seconds is not None


def asked_in_turn(count: int, *, at_once: int) -> Recording:
    """One peer with 100 ms of delay that sends 1 MiB/s, and is idle before each request."""
    events: list[Record] = [
        records.Began(0, [], 32),
        records.Joined(0, 1, "10.0.0.1:1", {}),
        records.Held(0, 1, records.pack((1 << 150) - 1)),
        records.Unchoked(0, 1),
    ]
    at = 1_000
    for first in range(0, count, at_once):
        runs = [BlockRun(first + each, 0, LARGE.piece_length) for each in range(at_once)]
        events.append(records.Granted(at, [Grant(1, run) for run in runs], []))
        at += 100_000
        for run in runs:
            at += 62_500
            events.append(records.Arrived(at, 1, *run, 0))
        at += 50_000
    return Recording(header=LARGE, events=events, cut_off="it is cut off")


def test_delay_is_told_from_slowness_where_that_can_be_told() -> None:
    source = measure(asked_in_turn(20, at_once=2)).sources[1]
    assert abs(source.latency - 0.1) < 1e-3
    assert abs(source.curve.finish(1.0, 1 << 20) - 2.0) < 0.02
    alone = measure(asked_in_turn(20, at_once=1)).sources[1]
    assert alone.latency == 0.0
    assert not alone.is_guess
    assert abs(alone.curve.finish(0.0, LARGE.piece_length) - 0.1625) < 0.01


def test_a_replayed_peer_sends_in_order_what_is_neither_cancelled_nor_dropped() -> None:
    timeline = Timeline()
    arrived: list[tuple[float, BlockRun]] = []
    source = RecordedSource(
        key=1,
        address="10.0.0.1:1",
        labels={},
        curve=RateCurve(1.0, (), float(BLOCK)),
        latency=0.5,
        chunk=BLOCK,
        is_guess=False,
    )
    peer = playing._ReplayedPeer(
        source, timeline, lambda _, run: arrived.append((timeline.now, run))
    )
    peer.ask(BlockRun(0, 0, 4 * BLOCK))
    timeline.at(1.0, peer.cancel, BlockRun(0, 2 * BLOCK, 2 * BLOCK))
    timeline.at(1.0, peer.ask, BlockRun(7, 0, 3 * BLOCK))
    timeline.at(4.0, peer.drop)
    timeline.run(lambda: None, until=99.0)
    assert arrived == [
        (1.5, BlockRun(0, 0, BLOCK)),
        (2.5, BlockRun(0, BLOCK, BLOCK)),
        (3.5, BlockRun(7, 0, BLOCK)),
    ]


def test_peers_choke_and_leave_when_they_did() -> None:
    events = two_steady_peers().events
    half = LARGE.size // 3 // 2
    for change in (records.Choked(1_000_000, 2, fast=True), records.Left(1_000_000, 2)):
        changed = sorted([*events, change], key=lambda event: event.at)
        measured = measure(Recording(header=LARGE, events=changed, cut_off=None))
        result = replay(measured, RarestFirst(), "rarest-first")
        assert result.seconds is not None
        assert sum(result.received.values()) == LARGE.size
        assert 0 < result.received[2] <= 1 << 19 < half


def test_a_choke_that_answers_each_request_ends_none() -> None:
    for is_fast in (True, False):
        events = told_story()
        events.insert(12, records.Choked(20_000, 1, fast=is_fast))
        moments = tell_piece(Recording(header=STORY_HEADER, events=events, cut_off=None), 0)
        assert ("choked" in {moment.what for moment in moments}) == (not is_fast)
        asked = moments[0].choice
        assert asked is not None
        assert asked.waited == (0.07 if is_fast else 0.01)


def test_a_wait_ends_when_others_may_be_asked() -> None:
    events: list[Record] = [
        *told_story()[:12],
        records.Snubbed(5_010_000, 1),
        records.Left(6_010_000, 2),
    ]
    cut = Recording(header=STORY_HEADER, events=events, cut_off="it is cut off")
    waits = {wait.peer: wait.seconds for wait in summarize(cut).waits}
    assert waits == {1: 5.0, 2: 6.0}
    assert [moment.what for moment in tell_piece(cut, 0)] == ["asked", "overdue"]
    assert [moment.what for moment in tell_piece(cut, 1)] == ["asked", "left"]


@settings(max_examples=50)
@given(some_events(LENGTHS), st.lists(st.integers(0, 1 << 40), min_size=30, max_size=30))
def test_no_file_makes_any_of_it_fail(events: list[Record], times: list[int]) -> None:
    moved = [
        type(event)(at, *[getattr(event, name) for name in event.__struct_fields__[1:]])
        for at, event in zip([0, *sorted(times)], events, strict=False)
    ]
    recording = read(file_of(HEADER, [moved]))
    summarize(recording)
    for piece in (0, 19):
        tell_piece(recording, piece)
    for peer in (1, 2, 70_000):
        tell_peer(recording, peer)
    tell_decision(recording, recording.seconds)
    try:
        measured = measure(recording)
    except RecordingError as error:
        assert str(error) == "film.mkv: nothing was received, so no rate is known"  # noqa: PT017  either is right
    else:
        replay(measured, RarestFirst(), "rarest-first")
