"""Recordings of simulated downloads: the same download, told of in full, and the same each time."""

from collections import Counter
from io import BytesIO

import pytest
from msgspec.structs import replace

from recording_samples import header
from shaped_links import MBIT, SEEDER_LIMITED
from simulated_swarms import MIB, crowd, shaped
from trio_swarm.lab.pictures.from_simulation import Watcher
from trio_swarm.lab.simulator import (
    PeerSpec,
    Recordings,
    Scenario,
    SimulatedSwarm,
    StrategySet,
    simulate,
    strategies,
)
from trio_swarm.lab.simulator.trace import BLOCK, PIECE
from trio_swarm.recording import Header, Recording, read_recording, records
from trio_swarm.recording.story.history import History

SMALL = shaped(SEEDER_LIMITED, size=4 * MIB, piece_length=64 * 1024)
RIDERS = crowd(PeerSpec(up=50 * MBIT, role="seeder"), 3, riders=1, size=2 * MIB)


class Run:
    """A scenario played, with some of its peers recorded."""

    def __init__(
        self,
        scenario: Scenario,
        who: tuple[int, ...],
        *,
        seed: int = 1,
        strategy_set: StrategySet | None = None,
    ) -> None:
        self.happened: list[tuple[int, float, int, int, int, int, int]] = []
        self.recordings = Recordings(scenario, who)
        self.swarm = SimulatedSwarm(
            scenario,
            strategy_set or strategies(),
            seed=seed,
            sink=lambda *record: self.happened.append(record),
            recordings=self.recordings,
        )
        self.result = self.swarm.run()
        self.head: Header = replace(
            header(), size=scenario.size, piece_length=scenario.piece_length
        )
        self.contents = {index: self.recordings.content(index, self.head) for index in who}

    def recording(self, index: int) -> Recording:
        return read_recording(BytesIO(self.contents[index]), "x")


@pytest.fixture(scope="module", params=["rarest-first", "round-robin", "bandwidth-weighted"])
def run(request: pytest.FixtureRequest) -> Run:
    return Run(SMALL, (1, 4), strategy_set=strategies(scheduler=request.param))


def test_what_is_recorded_happens_as_if_it_were_not() -> None:
    expected = simulate(SMALL).digest
    for who in ((), (1,), tuple(range(1, 8))):
        assert Run(SMALL, who).result.digest == expected
    assert Run(RIDERS, (1, 4)).result.digest == Run(RIDERS, ()).result.digest


def test_the_same_seed_gives_the_same_bytes_and_another_one_others() -> None:
    first = Run(SMALL, (1, 4)).contents
    assert Run(SMALL, (1, 4)).contents == first
    assert Run(SMALL, (4,)).contents == {4: first[4]}
    assert Run(SMALL, (4,), seed=2).contents != {4: first[4]}


@pytest.mark.parametrize("index", [1, 4])
def test_all_blocks_and_pieces_of_the_run_are_told_of_at_their_times(run: Run, index: int) -> None:
    recording = run.recording(index)
    assert recording.cut_off is None
    blocks = [
        (int(now * 1e6), sender, piece, begin, length)
        for kind, now, sender, to, piece, begin, length in run.happened
        if kind == BLOCK and to == index
    ]
    assert blocks
    assert blocks == [
        (event.at, event.peer, event.piece, event.begin, event.length)
        for event in recording.events
        if isinstance(event, records.Arrived)
    ]
    pieces = [
        (int(now * 1e6), piece)
        for kind, now, peer, _, piece, _, _ in run.happened
        if kind == PIECE and peer == index
    ]
    assert pieces == [
        (event.at, event.piece) for event in recording.events if isinstance(event, records.Verified)
    ]


@pytest.mark.parametrize("index", [1, 4])
def test_what_is_known_of_others_is_told_in_full(index: int) -> None:
    run = Run(replace(SMALL, max_seconds=0.4), (1, 4))  # before they part
    recording = run.recording(index)
    history = History(recording.lengths)
    for event in recording.events:
        history.apply(event)
    ledger = run.swarm.peers[index].ledger
    neighbours = run.swarm.peers[index].neighbours
    assert neighbours
    for key in neighbours:
        assert history.known[key].pieces == ledger.pieces_of(key)
    assert {history.known[key].address for key in range(8) if key != index} == {
        name for other, name in enumerate(SMALL.names) if other != index
    }


def test_what_is_put_out_for_another_is_told_of_by_both(run: Run) -> None:
    put_out: Counter[int] = Counter()
    for event in run.recording(1).events:
        if isinstance(event, records.Sent) and event.peer == 4:
            put_out[event.piece] += event.length
    came: Counter[int] = Counter()
    for event in run.recording(4).events:
        if isinstance(event, records.Arrived) and event.peer == 1:
            came[event.piece] += event.length
    assert came
    assert put_out >= came


def test_every_decision_is_told_and_takes_no_time(run: Run) -> None:
    decisions = [event for event in run.recording(1).events if isinstance(event, records.Decided)]
    assert decisions
    assert {event.took for event in decisions} == {0}
    assert any(event.assigned for event in decisions)


def test_a_peer_that_leaves_records_no_further() -> None:
    leaving = replace(SMALL.peers[2], leaves_at=0.5)
    scenario = replace(SMALL, peers=(*SMALL.peers[:2], leaving, *SMALL.peers[3:]))
    run = Run(scenario, (1, 2))
    assert run.recording(2).events[-1] == records.Ended(500_000, "it left")
    end = run.recording(1).events[-1]
    assert isinstance(end, records.Ended)
    assert end.reason == "the simulation ended"
    assert end.at > 500_000


def test_the_times_of_a_peer_count_from_when_it_joins() -> None:
    late = replace(SMALL.peers[2], joins_at=0.5)
    scenario = replace(SMALL, peers=(*SMALL.peers[:2], late, *SMALL.peers[3:]))
    run = Run(scenario, (1, 2))
    (first, second) = (run.recording(index).events[0] for index in (1, 2))
    assert (first, second) == (records.Began(0, [], 512, 0), records.Began(0, [], 512, 500_000))
    recording = run.recording(2)
    finished = run.result.peers[2].finished_at
    assert finished is not None
    (completed,) = [event for event in recording.events if isinstance(event, records.Completed)]
    assert completed.at == pytest.approx((finished - 0.5) * 1e6, abs=2)
    assert recording.seconds == pytest.approx(run.recording(1).seconds - 0.5, abs=2e-6)


def test_a_watcher_and_recordings_call_peers_alike() -> None:
    course = Watcher(RIDERS, with_blocks=False).course("x")
    assert [peer.name for peer in course.peers] == RIDERS.names == ["S1", "L1", "L2", "L3", "F1"]
