"""Decisions that are told while a download goes on: what its recording tells afterwards."""

from io import BytesIO
from itertools import pairwise

import pytest
from msgspec.structs import replace

from ledger_swarm import LedgerSwarm
from recording_samples import header
from toy_swarm import BLOCK, Source
from trio_swarm.lab.testing.downloads import new_ledger
from trio_swarm.recording import read_recording, records
from trio_swarm.recording.format import encode_header, seal
from trio_swarm.recording.recorder import Recorder
from trio_swarm.recording.story import live
from trio_swarm.recording.story.explaining import Story
from trio_swarm.recording.story.live import (
    KEPT,
    LEAST_PAUSE,
    LOOKED_FOR,
    TOLD_REQUESTS,
    LiveDecisions,
)
from trio_swarm.recording.story.sentences import reason_lines, who_text
from trio_swarm.schedulers.api import Scheduler
from trio_swarm.schedulers.rarest_first import RarestFirst
from trio_swarm.schedulers.round_robin import RoundRobin

Told = tuple[str, list[str]]


def told_live_and_by_the_recording(
    strategy: Scheduler, sources: list[Source], monkeypatch: pytest.MonkeyPatch
) -> tuple[list[Told], list[Told]]:
    """Play a download; return what was told of each request, and what its recording tells."""
    monkeypatch.setattr(live, "LEAST_PAUSE", 0.0)
    monkeypatch.setattr(live, "TOLD_REQUESTS", 10**6)
    monkeypatch.setattr(live, "KEPT", 10**6)
    recorder = Recorder(lambda: 0.0, lambda: None)
    swarm = LedgerSwarm(strategy, sources, piece_count=20, blocks_per_piece=4, recorder=recorder)
    recorder.clock = lambda: swarm.now
    decisions = LiveDecisions(swarm.ledger, 0.0)
    decisions.look(0, 1, 1e9)
    swarm.run()
    said = [
        (each.text, list(each.reasons))
        for decision in decisions.look(0, 10**6, 1e9)
        for each in decision.requests
    ]
    head = replace(header(pieces=20, blocks=4), size=swarm.size)
    content = encode_header(head) + b"".join(map(seal, recorder.take()))
    story = Story(read_recording(BytesIO(content), "x"))
    recorded = []
    for event in story.events():
        if isinstance(event, records.Granted):
            for index in range(len(event.grants)):
                choice = story.choice(event, index)
                story.ask(event, index, choice)
                who = who_text(choice, type(strategy).__name__)
                blocks = f"{choice.blocks} block" + "s" * (choice.blocks != 1)
                text = f"{who} asked {choice.address} for {blocks} of piece {choice.piece}"
                recorded.append((text, list(reason_lines(choice))))
    return said, recorded


FAST, SLOW = 64 * BLOCK, BLOCK // 2


@pytest.mark.parametrize(
    "sources",
    [
        [Source(rate=FAST)],
        [Source(rate=FAST), Source(rate=FAST, pieces=0b1010101), Source(rate=FAST, pieces=0xFF)],
        [Source(rate=FAST, pieces=0x7FFFF), Source(rate=FAST, pieces=0xFF)],
        [Source(rate=FAST), Source(rate=SLOW)],
    ],
    ids=["one", "some with a part", "a piece that nobody has", "a slow one"],
)
@pytest.mark.parametrize("strategy", [RarestFirst, RoundRobin])
def test_what_is_told_of_a_request_is_what_the_recording_tells_of_it(
    strategy: type[Scheduler], sources: list[Source], monkeypatch: pytest.MonkeyPatch
) -> None:
    said, recorded = told_live_and_by_the_recording(strategy(), sources, monkeypatch)
    assert len(said) == len(recorded) >= 19
    assert said == recorded
    is_held = any(source.pieces in {None, 0xFFFFF} for source in sources)
    assert any("shown by nobody" in reasons[0] for _, reasons in said) is not is_held
    if sources[-1].rate == SLOW:
        assert any(reasons[0].startswith("a second time, since") for _, reasons in said)


def test_nothing_is_told_while_nobody_looks() -> None:
    ledger = new_ledger(20, blocks=4)
    decisions = LiveDecisions(ledger, 0.0)
    assert ledger.watcher is None
    decisions.look(0, 10, 100.0)
    assert ledger.watcher is decisions
    ledger.add_peer(1, 100.0, identity="10.0.0.1:1")
    ledger.set_pieces(1, (1 << 20) - 1)
    ledger.set_choked(1, choked=False, fast=True)
    (grant, *_) = ledger.plan(100.0)
    (told,) = decisions.look(0, 10, 100.0)
    assert told.requests[0].piece == grant.run.piece
    later = 100.0 + LOOKED_FOR + 1
    ledger.received(1, *grant.run, later)
    ledger.plan(later)
    assert ledger.watcher is None, "it has switched itself off"
    assert decisions.look(0, 10, later) == []
    assert ledger.watcher is decisions, "and a look switches it on again"


def test_what_is_told_is_bounded_in_number_in_rate_and_in_requests() -> None:
    sources = [Source(rate=FAST) for _ in range(4)]
    swarm = LedgerSwarm(RarestFirst(), sources, piece_count=3000, blocks_per_piece=1)
    decisions = LiveDecisions(swarm.ledger, 1000.0)
    decisions.look(0, 1, 1e9)
    swarm.run()
    found = decisions.look(0, 10**6, 1e9)
    assert len(found) > 20
    numbers = [each.number for each in found]
    assert numbers == sorted(set(numbers))
    gaps = [b.at - a.at for a, b in pairwise(found)]
    assert min(gaps) >= LEAST_PAUSE
    assert found[0].at >= 1000.0
    assert all(len(each.requests) <= TOLD_REQUESTS for each in found)
    assert found[0].more > 0
    assert decisions.look(numbers[-3], 10, 1e9) == found[-2:]
    assert decisions.look(0, 2, 1e9) == found[-2:]
    assert decisions.look(0, 0, 1e9) == []
    assert decisions.look(numbers[-1], 10, 1e9) == []
    assert decisions.look(numbers[-1] + 1, 2, 1e9) == found[-2:], "a number of an earlier download"
    for number in range(2 * KEPT):
        decisions.planned([], [], float(number))
    assert len(decisions.look(0, 10**6, 1e9)) == KEPT
