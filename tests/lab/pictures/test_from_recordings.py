"""The course of a swarm that several of its peers recorded: who is who, and what is believed."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from recording_samples import BLOCK, file_of, header, read, some_events
from shaped_links import MBIT
from simulated_swarms import MIB, crowd
from swarm_recordings import CLOCK, DIALLED, HEADER, alice, bob, replace_id
from trio_swarm.errors import RecordingError
from trio_swarm.lab.pictures.course import Course, completed, matrix, sources
from trio_swarm.lab.pictures.from_recordings import swarm_of
from trio_swarm.lab.pictures.from_simulation import Watcher
from trio_swarm.lab.simulator import PeerSpec, Recordings, simulate
from trio_swarm.piece_sets import full_set
from trio_swarm.recording import Record, Recording, records


def test_each_peer_is_one_whoever_met_it_and_wherever_it_dialled_from() -> None:
    swarm = swarm_of([("a", alice()), ("b", bob())], "all")
    names, sent = matrix(swarm.course, 10)
    assert names == ["a", "b", "10.0.0.1:6881", "10.0.0.3:6881"]
    whole = 4 * BLOCK
    assert sent == [
        [0, whole, 0, BLOCK],
        [0, 0, 0, 0],
        [whole, whole - 100, 0, 0],
        [0, 0, 0, 0],
    ]
    assert [each.address for each in swarm.seen] == [
        "10.0.0.2:6881",
        DIALLED,
        "10.0.0.1:6881",
        "10.0.0.3:6881",
    ]
    assert [each.client for each in swarm.seen] == ["trio-swarm", "", "a client", ""]
    assert swarm.strangers == []


def test_all_times_are_of_one_clock() -> None:
    for order in (1, -1):
        swarm = swarm_of([("a", alice()), ("b", bob())][::order], "all")
        peers = {peer.name: peer for peer in swarm.course.peers}
        assert swarm.course.seconds == 1.0
        assert (peers["a"].joined, peers["a"].left) == (0.0, 0.6)
        assert (peers["b"].joined, peers["b"].left) == (0.1, None)
        assert peers["10.0.0.1:6881"].joined == 0.001
        ends = completed(swarm.course, swarm.course.recorders)
        assert ends == {swarm.course.peers.index(peers["b"]): 0.36}


def test_a_peer_is_there_as_long_as_anybody_is_connected_to_it_and_records() -> None:
    swarm = swarm_of([("a", alice()), ("b", bob())], "all")
    seeder, stranger = swarm.course.peers[2:]
    assert seeder.left is None  # bob has it
    assert stranger.left == 0.6  # when alice's recording ends
    assert (seeder.role, stranger.role) == ("seeder", "leecher")


def test_what_a_peer_recorded_of_itself_is_believed_and_nothing_else_of_it() -> None:
    swarm = swarm_of([("a", alice()), ("b", bob())], "all")
    gains = swarm.course.gains
    told = list(zip(gains.at, gains.peer, gains.piece, strict=True))
    assert told == [(0.11, 0, 0), (0.19, 1, 0), (0.36, 1, 1)]


def test_who_tells_no_peer_id_is_a_stranger_to_the_others() -> None:
    swarm = swarm_of([("a", alice()), ("b", replace_id(bob(), ""))], "all")
    assert swarm.strangers == ["b"]
    assert [peer.name for peer in swarm.course.peers] == [
        "a",
        "b",
        "10.0.0.1:6881",
        DIALLED,
        "10.0.0.3:6881",
    ]


def test_recordings_of_older_programs_have_the_clock_of_their_headers() -> None:
    old = bob(clock=0)
    old = replace(old, header=replace(old.header, started=CLOCK / 1e6 + 0.5))
    assert swarm_of([("a", alice()), ("b", old)], "all").course.peers[1].joined == 0.5


def test_senders_are_told_apart_since_who_is_a_seeder_is_not_known() -> None:
    swarm = swarm_of([("a", alice()), ("b", bob())], "all")
    assert [source.name for source in sources(swarm.course)] == ["10.0.0.1:6881", "a"]


@pytest.mark.parametrize(
    ("other", "said"),
    [
        (
            replace(bob(), header=replace(bob().header, info_hash="cd" * 20, name="other")),
            "a and b are of different torrents: film.mkv (abababab) and other (cdcdcdcd)",
        ),
        (
            replace(bob(), header=replace(bob().header, size=HEADER.size - 1)),
            "a and b tell of different sizes of one torrent",
        ),
        (
            replace(bob(), header=replace(bob().header, seed=1)),
            "a and b are of different simulations",
        ),
        (replace_id(bob(), "alice"), "a and b were made by the same peer"),
        (
            replace(bob(clock=0), header=replace(bob().header, started=0.0)),
            "b does not tell what time it was when it began",
        ),
        (
            replace(bob(clock=0), header=replace(bob().header, started=1e308)),
            "b does not tell what time it was when it began",
        ),
    ],
)
def test_what_does_not_belong_together_is_refused_in_one_line(other: Recording, said: str) -> None:
    with pytest.raises(RecordingError) as caught:
        swarm_of([("a", alice()), ("b", other)], "all")
    assert str(caught.value) == said


def test_what_would_take_all_memory_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("trio_swarm.lab.pictures.from_recordings.MOST_CELLS", 7)
    with pytest.raises(RecordingError, match="4 peers and 2 pieces are too many for a picture"):
        swarm_of([("a", alice()), ("b", bob())], "all")


@given(
    st.lists(some_events(read(file_of(header(), [])).lengths), min_size=2, max_size=3),
    st.lists(st.integers(1, 10_000_000), min_size=3, max_size=3),
)
def test_whatever_was_recorded_makes_a_course(parts: list[list[Record]], clocks: list[int]) -> None:
    made = []
    for number, (events, clock) in enumerate(zip(parts, clocks, strict=False)):
        began = events[0]
        assert isinstance(began, records.Began)
        start = records.Began(0, began.have, 32, clock)
        head = replace(header(), peer_id=str(number))
        made.append((f"r{number}", read(file_of(head, [[start, *events[1:]]]))))
    course = swarm_of(made, "all").course
    gains = list(zip(course.gains.peer, course.gains.piece, strict=True))
    assert len(set(gains)) == len(gains)
    for times in (course.gains.at, course.blocks.at):
        assert all(one <= other for one, other in pairwise(times))
        assert all(0 <= at <= course.seconds for at in times)
    for index, piece in gains:
        assert not course.peers[index].had >> piece & 1
    for peer in course.peers:
        assert 0 <= peer.joined <= course.seconds
        assert peer.left is None or peer.joined <= peer.left <= course.seconds


def test_a_simulated_swarm_that_all_recorded_is_the_one_that_was_watched() -> None:
    scenario = crowd(PeerSpec(up=50 * MBIT, role="seeder"), 3, riders=1, size=2 * MIB)
    late = replace(scenario.peers[2], joins_at=0.25)
    scenario = replace(scenario, peers=(*scenario.peers[:2], late, *scenario.peers[3:]))
    watcher = Watcher(scenario, with_blocks=True)
    recordings = Recordings(scenario, range(1, 5))
    simulate(scenario, sink=watcher, recordings=recordings)
    watched = watcher.course("x")
    head = replace(header(), size=scenario.size, piece_length=scenario.piece_length, seed=1)
    made = [
        (name, read(recordings.content(index, replace(head, peer_id=name))))
        for index, name in enumerate(scenario.names)
        if index
    ]
    seen = swarm_of(made, "all").course
    assert [peer.name for peer in seen.peers] == ["L1", "L2", "L3", "F1", "S1"]
    # The seeder is the first in one of them, and the last in the other.
    assert _named(seen, matrix(seen, 9)[1]) == _named(watched, matrix(watched, 9)[1])
    of_leechers = [
        (int(at * 1e6), watched.peers[peer].name, piece)
        for at, peer, piece in zip(
            watched.gains.at, watched.gains.peer, watched.gains.piece, strict=True
        )
    ]
    assert sorted(of_leechers) == sorted(
        (round(at * 1e6), seen.peers[peer].name, piece)
        for at, peer, piece in zip(seen.gains.at, seen.gains.peer, seen.gains.piece, strict=True)
        if seen.peers[peer].name != "S1"
    )
    assert completed(seen, seen.recorders).keys() == set(range(4))
    assert [peer.joined for peer in seen.peers[:4]] == [0.0, 0.25, 0.0, 0.0]
    assert full_set(seen.pieces).bit_count() == watched.pieces


def _named(course: Course, sent: list[list[int]]) -> dict[tuple[str, str], int]:
    return {
        (one.name, other.name): nbytes
        for one, row in zip(course.peers, sent, strict=True)
        for other, nbytes in zip(course.peers, row, strict=True)
        if nbytes
    }
