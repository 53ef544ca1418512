"""The recorder: cheap while things happen, bounded, and told of what the guard and host do."""

import random
from collections.abc import Iterable
from io import BytesIO

import pytest

from recording_samples import BLOCK, header
from trio_swarm.engine.download.ledger import Grant, Ledger
from trio_swarm.engine.lengths import Lengths
from trio_swarm.recording import Record, read_recording, records
from trio_swarm.recording.format import encode_header, seal
from trio_swarm.recording.recorder import RecordedLedger, RecordedScheduler, Recorder
from trio_swarm.recording.story.history import History
from trio_swarm.schedulers.api import Assignment, Scheduler, SwarmView
from trio_swarm.schedulers.rarest_first import RarestFirst

HEADER = header(pieces=20, blocks=4)
LENGTHS = Lengths(length=HEADER.size, piece_length=HEADER.piece_length)
EVERY = (1 << 20) - 1


class Clock:
    """Says what time it is; moved by hand."""

    now = 100.0

    def __call__(self) -> float:
        return self.now


class Nothing:
    """Declines, always."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        return ()


class Nonsense:
    """Assigns a piece that nobody has."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        yield Assignment(view.peers[0].key, 9999)
        yield Assignment(view.peers[0].key, 3)


class Download:
    """A recorded ledger, its clock, and what was recorded so far."""

    def __init__(self, strategy: Scheduler) -> None:
        self.clock = Clock()
        self.woken = 0
        self.recorder = Recorder(self.clock, self._wake)
        guard = RecordedScheduler(
            strategy, "mine", RarestFirst, timer=lambda: 0.0, recorder=self.recorder
        )
        self.ledger = RecordedLedger(
            LENGTHS,
            scheduler=guard,
            rng=random.Random(1),
            open_piece_limit=8,
            recorder=self.recorder,
        )

    def _wake(self) -> None:
        self.woken += 1

    def join(self, key: int, pieces: int = EVERY) -> None:
        now = self.clock.now
        self.ledger.add_peer(key, now, identity=f"10.0.0.{key}:1", labels={})
        self.ledger.set_pieces(key, pieces)
        self.ledger.set_choked(key, choked=False, fast=True)

    def deliver(self, grant: Grant) -> None:
        self.ledger.received(grant.peer, *grant.run, self.clock.now)

    def events(self) -> list[Record]:
        bodies = self.recorder.take()
        content = encode_header(HEADER) + b"".join(map(seal, bodies))
        return read_recording(BytesIO(content), "x").events


def test_a_recorded_ledger_decides_as_any_other() -> None:
    download = Download(RarestFirst())
    plain = Ledger(
        LENGTHS,
        scheduler=RecordedScheduler(
            RarestFirst(),
            "mine",
            RarestFirst,
            timer=lambda: 0.0,
            recorder=Recorder(Clock(), lambda: None),
        ),
        rng=random.Random(1),
        open_piece_limit=8,
    )
    for key in (1, 2):
        download.join(key)
        plain.add_peer(key, 100.0, identity=f"10.0.0.{key}:1")
        plain.set_pieces(key, EVERY)
        plain.set_choked(key, choked=False, fast=True)
    while not plain.is_complete:
        grants = plain.plan(download.clock.now)
        assert download.ledger.plan(download.clock.now) == grants
        download.clock.now += 0.01
        for grant in grants:
            for ledger in (plain, download.ledger):
                ledger.received(grant.peer, *grant.run, download.clock.now)
                state = ledger._open[grant.run.piece]
                if state.verifying:
                    ledger.verified(grant.run.piece)
    assert download.ledger.is_complete
    events = download.events()
    assert isinstance(events[-1], records.Completed)
    history = History(LENGTHS)
    for event in events:
        history.apply(event)
    assert history.have == EVERY
    assert sum(peer.received for peer in history.known.values()) == HEADER.size


def test_time_counts_from_the_beginning_and_never_goes_back() -> None:
    download = Download(RarestFirst())
    download.clock.now = 101.5
    download.join(1)
    (grant, *_) = download.ledger.plan(101.5)
    # The reader looked at its clock before somebody else did.
    download.ledger.received(1, *grant.run, 101.25)
    times = [event.at for event in download.events()]
    assert times[0] == 0
    assert times[-1] == 1_500_000
    assert times == sorted(times)


def test_what_a_strategy_may_not_do_is_told_with_what_was_kept() -> None:
    download = Download(Nonsense())
    download.join(1)
    download.ledger.plan(100.0)
    (decided,) = [event for event in download.events() if isinstance(event, records.Decided)]
    assert decided.by == "strategy"
    assert decided.faults == ["assigned piece 9999 of 20 to peer 1"]
    assert decided.assigned == [Assignment(1, 3, 4)]


def test_the_host_and_the_fallback_are_told_from_the_strategy() -> None:
    idle = Download(Nothing())
    idle.join(1)
    idle.ledger.plan(100.0)
    assert [event.by for event in idle.events() if isinstance(event, records.Decided)] == [
        "strategy",
        "host",
    ]
    wrong = Download(Nonsense())
    wrong.join(1, pieces=1 << 3)
    for number in range(8):
        wrong.ledger.add_piece(1, number)
        for grant in wrong.ledger.plan(wrong.clock.now):
            wrong.deliver(grant)
            wrong.clock.now += 1.0
            if wrong.ledger._open[grant.run.piece].verifying:
                wrong.ledger.failed(grant.run.piece, [b""] * 4)
        wrong.clock.now += 1.0
    assert {event.by for event in wrong.events() if isinstance(event, records.Decided)} >= {
        "strategy"
    }


def test_what_a_peer_says_twice_is_told_once() -> None:
    download = Download(RarestFirst())
    download.join(1, pieces=0)
    for _ in range(3):
        download.ledger.add_piece(1, 5)
        download.ledger.allow_fast(1, 6)
        download.ledger.suggest(1, 7)
        download.recorder.name(1, "a client")
    kinds = [type(event) for event in download.events()]
    for kind in (records.Gained, records.Allowed, records.Suggested, records.Named):
        assert kinds.count(kind) == 1


def test_pieces_told_of_at_once_are_told_one_by_one_and_only_if_they_are_new() -> None:
    download = Download(RarestFirst())
    download.join(1, pieces=0b0110)
    for _ in range(2):
        download.ledger.add_have(download.ledger.source(1), 0b1011)
    gained = [event for event in download.events() if isinstance(event, records.Gained)]
    assert [(event.peer, event.piece) for event in gained] == [(1, 0), (1, 3)]


def test_which_peer_it_is_is_told_when_that_is_news() -> None:
    download = Download(RarestFirst())
    download.join(1)
    for client, peer_id in (("", ""), ("", "ab"), ("a client", "ab"), ("a client", "ab")):
        download.recorder.name(1, client, peer_id)
    named = [event for event in download.events() if isinstance(event, records.Named)]
    assert [(event.client, event.peer_id) for event in named] == [("", "ab"), ("a client", "ab")]


def test_a_recording_tells_what_time_it_was_when_it_began_and_calls_peers_as_it_is_told_to() -> (
    None
):
    recorder = Recorder(Clock(), lambda: None, wall_clock=lambda: 1.7e9, called=str.upper)
    ledger = RecordedLedger(
        LENGTHS,
        scheduler=RecordedScheduler(
            RarestFirst(), "mine", RarestFirst, timer=lambda: 0.0, recorder=recorder
        ),
        rng=random.Random(1),
        open_piece_limit=8,
        recorder=recorder,
    )
    ledger.add_peer(1, 100.0, identity="a:1")
    content = encode_header(HEADER) + b"".join(map(seal, recorder.take()))
    began, joined = read_recording(BytesIO(content), "x").events
    assert began == records.Began(0, [], 8, 1_700_000_000_000_000)
    assert joined == records.Joined(0, 1, "A:1", {})


def test_a_peer_that_keeps_us_waiting_and_one_that_says_nonsense_are_told() -> None:
    download = Download(RarestFirst())
    download.join(1)
    download.ledger.plan(100.0)
    download.clock.now += 30.0
    download.ledger.expire(download.clock.now)
    download.ledger.received(1, 19, 7, 9, download.clock.now)
    events = download.events()
    assert [event.peer for event in events if isinstance(event, records.Snubbed)] == [1]
    assert events[-1] == records.Unasked(30_000_000, 1, 19, 7, 9)


def test_a_full_batch_wakes_whoever_writes() -> None:
    download = Download(RarestFirst())
    download.join(1)
    before = download.woken
    for _ in range(3000):
        download.recorder.sent(1, 0, 0, BLOCK)
    assert download.woken > before == 0
    assert len(download.events()) > 3000
    assert not download.recorder.take()


def test_a_recording_ends_when_it_is_as_long_as_may_be(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trio_swarm.recording.recorder.MAX_EVENTS", 100)
    download = Download(RarestFirst())
    download.join(1)
    for _ in range(95):
        download.recorder.sent(1, 0, 0, BLOCK)
    events = download.events()
    assert events[-1] == records.Ended(0, "it is as long as a recording may be")
    download.recorder.sent(1, 0, 0, BLOCK)
    download.recorder.end("stopped")
    assert not download.recorder.take()


def test_a_second_request_near_the_end_is_told_as_one() -> None:
    download = Download(RarestFirst())
    download.join(1)
    grants = download.ledger.plan(100.0)
    held = grants.pop()  # it never sends this
    while grants:
        download.clock.now += 0.01
        for grant in grants:
            download.deliver(grant)
            if download.ledger._open[grant.run.piece].verifying:
                download.ledger.verified(grant.run.piece)
        grants = download.ledger.plan(download.clock.now)
    download.join(2)
    asked: list[Grant] = []
    while not asked:
        download.clock.now += 0.1
        asked = download.ledger.plan(download.clock.now)
    assert [grant.run.piece for grant in asked] == [held.run.piece]
    granted = [event for event in download.events() if isinstance(event, records.Granted)]
    assert granted[-1].grants == asked
    assert granted[-1].seconds == [0]
    assert not any(event.seconds for event in granted[:-1])
