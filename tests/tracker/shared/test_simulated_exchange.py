"""Three trackers and an engine that loses what it can: in the end all list the same."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from simulated_exchange import HASHES, Engine, SimulatedTracker, address, settle
from trio_swarm.protocol.trackers.announces import AnnounceEvent
from trio_swarm.tracker.admission.hash_lists import HashList
from trio_swarm.tracker.admission.patterns import NamePatterns
from trio_swarm.tracker.admission.refusals import Refusals
from trio_swarm.tracker.admission.rules import AdmissionRules
from trio_swarm.tracker.networks import Networks
from trio_swarm.tracker.shared import claims

NAMES = ["", "one", "two"]

tracker_numbers = st.integers(0, 2)
announces = st.tuples(
    st.just("announce"),
    tracker_numbers,
    st.sampled_from(HASHES),
    st.integers(0, 7).map(address),
    st.sampled_from([0, 1]),
    st.sampled_from(list(AnnounceEvent)),
    st.sampled_from(NAMES),
)
steps = st.one_of(
    announces,
    announces,
    st.tuples(
        st.sampled_from(["write", "lose answer", "read", "snapshot", "link", "unlink"]),
        tracker_numbers,
    ),
    st.tuples(st.sampled_from(["empty", "trim"])),
)


def perform(step: tuple, trackers: list[SimulatedTracker], now: float) -> None:
    engine = trackers[0].engine
    match step:
        case ("announce", number, info_hash, peer, left, event, name):
            trackers[number].announce(info_hash, peer, now, left=left, event=event, name=name)
        case ("empty",):
            engine.empty()
        case ("trim",):
            for stream in engine.streams.values():
                del stream[:-1]
        case ("write" | "lose answer" as kind, number):
            trackers[number].write(answer_is_lost=kind == "lose answer")
        case ("read", number):
            trackers[number].read(now)
        case ("snapshot", number):
            trackers[number].write_snapshot()
        case (kind, number):
            trackers[number].is_linked = kind == "link"


@given(st.lists(steps, max_size=60), st.sampled_from([2, 1000]))
def test_whatever_is_lost_all_trackers_agree_when_the_engine_is_there_again(
    script: list[tuple], most: int
) -> None:
    engine = Engine(kept=8)
    trackers = [SimulatedTracker(name, engine, most=most) for name in "abc"]
    now = 0.0
    for step in script:
        now += 0.05
        perform(step, trackers, now)
    # What was told to none but itself: each keeps its own claims, whatever happens to the engine.
    settle(trackers, now + 10, rounds=6)
    claims = set().union(*(tracker.claims() for tracker in trackers))
    for tracker in trackers:
        listed = {
            (info_hash, peer)
            for info_hash, (seeders, leechers) in tracker.listed().items()
            for peer in seeders | leechers
        }
        assert listed == claims
        assert tracker.registry.counts().peers == len(claims)
        assert tracker.registry.held == len(claims - tracker.claims())
        assert tracker.follower.completeness() == 1.0
        assert not tracker.follower.skipped
    # A bit stands for one other tracker, and what it claims is a copy of what that one claims.
    for tracker in trackers:
        others = [each for each in trackers if each is not tracker]
        assert sum(tracker.registry.claimed) == sum(len(each.claims()) for each in others)
        for place in tracker.follower.places.values():
            (other,) = (each for each in trackers if each.name == place.name)
            assert place.bit is not None
            assert tracker.registry.claimed[place.bit] == len(other.claims())


def three(**settings: int) -> list[SimulatedTracker]:
    engine = Engine()
    trackers = [SimulatedTracker(name, engine, **settings) for name in "abc"]
    settle(trackers, -100.0, rounds=1)
    return trackers


def test_a_peer_of_two_trackers_is_listed_once_and_as_long_as_either_claims_it() -> None:
    a, b, c = trackers = three(interval=30)
    a.announce(HASHES[0], address(1), 0.0, left=0)
    b.announce(HASHES[0], address(1), 50.0, left=0)
    now = settle(trackers, 50.0, rounds=1)
    assert c.registry.counts().peers == 1
    a.registry.expire(80.0, 100)  # its lease at A ends 75 s after the announce
    assert a.registry.counts().peers == 1
    now = settle(trackers, 80.0, rounds=1)
    assert c.listed() == {HASHES[0]: ({address(1)}, set())}
    b.registry.expire(130.0, 100)
    settle(trackers, now, rounds=1)
    assert [each.registry.counts().peers for each in trackers] == [0, 0, 0]


def denying(*hashes: bytes, names: tuple[str, ...] = ()) -> Refusals:
    listed = HashList()
    listed.add_packed(b"".join(hashes))
    return Refusals(AdmissionRules(deny=listed, names_deny=NamePatterns(names)))


@pytest.mark.parametrize("is_new", [False, True])
def test_what_one_tracker_denies_it_lists_for_no_other_and_the_others_keep(*, is_new: bool) -> None:
    a, b, c = trackers = three()
    b.registry.admission = denying(HASHES[0], names=("bad*",))
    a.announce(HASHES[0], address(1), 0.0, left=0, name="one")
    a.announce(HASHES[1], address(2), 0.0, left=0, name="bad one")
    a.announce(HASHES[1], address(4), 0.0, left=0, name="good one")
    now = settle(trackers, 0.0)
    if is_new:
        b = SimulatedTracker("d", a.engine, now=now)
        b.registry.admission = denying(HASHES[0], names=("bad*",))
        now = settle([a, b, c], now)
    assert b.listed() == {HASHES[1]: ({address(2), address(4)}, set())}
    assert b.names() == {"good one": [HASHES[1]]}
    assert c.listed() == a.listed()
    assert c.names() == {"one": [HASHES[0]], "bad one": [HASHES[1]], "good one": [HASHES[1]]}
    # Its lists let more pass, or less, and are read again.
    b.refuse(denying(HASHES[1]), now)
    settle([a, b, c], now)
    assert b.listed() == {HASHES[0]: ({address(1)}, set())}
    assert b.names() == {"one": [HASHES[0]]}
    b.refuse(None, now + 50)
    settle([a, b, c], now + 50)
    assert b.listed() == c.listed() == a.listed()
    assert b.names() == c.names() == a.names()


@pytest.mark.parametrize("denied", [denying(HASHES[0]), denying(names=("one",))])
def test_what_was_taken_out_and_is_allowed_again_is_loaded_again(denied: Refusals) -> None:
    a, b, _ = trackers = three()
    a.announce(HASHES[0], address(1), 0.0, name="one")
    now = settle(trackers, 0.0)
    b.refuse(denied, now)
    assert b.names() == {}
    b.refuse(None, now)
    settle(trackers, now)
    assert b.names() == {"one": [HASHES[0]]}


def test_who_may_register_a_name_is_judged_by_the_tracker_that_is_told_of_it() -> None:
    a, b, _ = trackers = three()
    strict = Refusals(AdmissionRules(register=Networks(["192.0.2.1"])))
    b.registry.admission = strict
    a.announce(HASHES[0], address(1), 0.0, name="one")
    now = settle(trackers, 0.0)
    # The peer announces to both, and only one of them lets it register names.
    b.announce(HASHES[0], address(1), now, name="one")
    b.announce(HASHES[0], address(2), now, name="two")
    b.refuse(strict, now)
    assert b.names() == {"one": [HASHES[0]]}
    now = settle(trackers, now)
    assert a.names() == b.names() == {"one": [HASHES[0]]}


def test_a_tracker_that_denies_what_was_announced_to_it_claims_it_no_more() -> None:
    a, b, c = trackers = three()
    for tracker, number in ((a, 1), (b, 2), (a, 3), (b, 3)):
        tracker.announce(HASHES[0], address(number), 0.0, name=f"name {number}")
        tracker.announce(HASHES[1], address(number), 0.0, name=f"name {number}")
    now = settle(trackers, 0.0)
    assert c.registry.counts().peers == 6
    b.refuse(denying(HASHES[0], names=("name 2",)), now)
    assert b.registry.counts().peers == 3
    settle(trackers, now)
    assert c.listed() == {
        HASHES[0]: (set(), {address(1), address(3)}),
        HASHES[1]: (set(), {address(1), address(2), address(3)}),
    }
    assert a.listed() == c.listed()
    assert c.names() == {"name 1": HASHES[:2], "name 3": HASHES[:2]}
    assert b.names() == {"name 1": [HASHES[1]], "name 3": [HASHES[1]]}
    assert b.registry.held == 1
    assert sum(b.registry.claimed) == 2


def test_what_was_refused_of_others_is_remembered_up_to_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(claims, "MAX_UNWANTED", 2)
    a, b, _ = trackers = three()
    b.registry.admission = denying(*HASHES, names=("n*",))
    for number in range(20):
        a.announce(HASHES[number % 3], address(number), 0.0, name=f"n{number}")
    now = settle(trackers, 0.0)
    assert len(b.registry._unwanted) == 3
    # More than is remembered: what others list is loaded again, whatever it was.
    b.refuse(denying(HASHES[0], HASHES[1], names=("n*",)), now)
    settle(trackers, now)
    assert b.listed() == {HASHES[2]: a.listed()[HASHES[2]]}


def test_a_heartbeat_at_another_tracker_begins_a_claim_there() -> None:
    a, b, _c = trackers = three()
    a.announce(HASHES[0], address(1), 0.0)
    settle(trackers, 0.0, rounds=1)
    assert b.claims() == set()
    b.announce(HASHES[0], address(1), 5.0)
    assert b.claims() == {(HASHES[0], address(1))}
    assert b.registry.held == 0
    # From then on it is an ordinary peer: its lease ends, and its next heartbeat is told nobody.
    b.write()
    before = len(b.engine.streams["b"])
    b.announce(HASHES[0], address(1), 35.0)
    b.write(is_heartbeat=False)
    assert len(b.engine.streams["b"]) == before


def test_a_stop_ends_the_claims_of_all_trackers() -> None:
    a, b, c = trackers = three()
    for tracker in (a, b):
        tracker.announce(HASHES[0], address(1), 0.0)
    settle(trackers, 2.0, rounds=1)
    a.announce(HASHES[0], address(1), 10.0, event=AnnounceEvent.STOPPED)
    assert a.listed() == {}
    settle(trackers, 10.0, rounds=2)
    assert [tracker.listed() for tracker in (a, b, c)] == [{}, {}, {}]


def test_a_peer_that_began_again_elsewhere_outlives_its_stop() -> None:
    a, b, c = trackers = three()
    for tracker in (a, b):
        tracker.announce(HASHES[0], address(1), 0.0)
    settle(trackers, 2.0, rounds=1)
    a.announce(HASHES[0], address(1), 10.0, event=AnnounceEvent.STOPPED)
    b.announce(HASHES[0], address(1), 10.1, event=AnnounceEvent.STARTED)
    settle(trackers, 10.2, rounds=2)
    assert {str(tracker.listed()) for tracker in (a, b, c)} == {str(b.listed())}
    assert b.claims() == {(HASHES[0], address(1))}


def test_a_silent_trackers_peers_are_listed_for_one_lease_more() -> None:
    a, b, c = three(interval=30)
    a.announce(HASHES[0], address(1), 0.0, name="one")
    settle([a, b, c], 0.0, rounds=1)
    gone, lease = 10.5, 75.0
    for now in (1.0, gone, gone + lease - 1):
        b.write()
        c.write()
        for tracker in (b, c):
            tracker.read(now)
            assert tracker.names() == {"one": [HASHES[0]]}, now
    for tracker in (b, c):
        tracker.read(gone + lease + 1)
        assert tracker.listed() == {}
        assert tracker.names() == {}


def test_a_tracker_that_was_away_is_whole_again_after_its_claims_ended() -> None:
    a, b, c = three(interval=30)
    a.announce(HASHES[0], address(1), 0.0)
    settle([a, b, c], 0.0, rounds=1)
    for now in (11.0, 100.0):
        b.write()
        b.read(now)
    assert b.listed() == {}
    settle([a, b, c], 101.0)
    assert b.listed() == {HASHES[0]: (set(), {address(1)})}
    assert b.follower.completeness() == 1.0


def test_without_the_engine_nobodys_claims_end_for_half_an_hour() -> None:
    a, b, c = three()
    a.announce(HASHES[0], address(1), 0.0)
    settle([a, b, c], 0.0, rounds=1)
    b.is_linked = False
    for now in (10.0, 600.0, 1800.0):
        b.read(now)
        assert b.registry.counts().peers == 1
    for now in (1811.0, 1811.0 + 75.0):
        b.read(now)
    assert b.registry.counts().peers == 0


def test_a_new_tracker_lists_everything_at_once_and_says_how_much_that_is() -> None:
    a, b, c = three()
    for number in range(20):
        a.announce(HASHES[number % 3], address(number), 0.0, left=number % 2, name=f"n{number % 3}")
    settle([a, b, c], 0.0, rounds=1)
    new = SimulatedTracker("d", a.engine)
    new.read(1.0)
    assert new.listed() == a.listed()
    assert new.names() == a.names()
    assert new.follower.completeness() == 1.0


def test_a_tracker_that_lost_changes_is_read_from_its_next_snapshot_on() -> None:
    engine = Engine()
    a, b = (SimulatedTracker(name, engine, most=5) for name in "ab")
    settle([a, b], 0.0, rounds=1)
    for number in range(20):
        a.announce(HASHES[0], address(number), 1.0)
    assert len(a.changed) <= 5
    assert a.publisher.next_entry(is_heartbeat=True) is not None
    assert a.publisher.gaps == 1
    assert a.publisher.lacks_snapshot
    a.write()
    b.read(7.0)  # the snapshot that is there is older than the gap
    assert b.registry.counts().peers < 20
    assert b.follower.next_load(7.0, 99.0) <= 8.0
    a.write_snapshot()
    b.read(8.0)
    assert b.listed() == a.listed()
    # What was claimed before the gap is claimed no more when the end of the stream is reached.
    b.read(8.1)
    assert sum(b.registry.claimed) == 20


def test_of_torrents_with_one_name_the_earliest_stands_first_at_all_trackers() -> None:
    trackers = three()
    for number, tracker in enumerate(trackers):
        # The last one told is the first one that was announced.
        tracker.announce(HASHES[number], address(number), 30.0 - 10 * number, left=0, name="one")
        settle(trackers, 40.0 + number, rounds=1)
    assert [tracker.names() for tracker in trackers] == [{"one": HASHES[::-1]}] * 3


def test_of_too_many_torrents_with_one_name_all_trackers_keep_the_earliest() -> None:
    engine = Engine()
    a, b = (SimulatedTracker(name, engine) for name in "ab")
    a.is_linked = b.is_linked = False
    hashes = [bytes([number]) * 20 for number in range(80)]
    for number, info_hash in enumerate(hashes):
        (a if number % 2 else b).announce(
            info_hash, b"\n\0" + bytes([number]) + b"\1\1\1", float(number), name="one"
        )
    settle([a, b], 100.0)
    kept = set(hashes[:64])
    for tracker in (a, b):
        assert set(tracker.names()["one"]) == kept


@pytest.mark.parametrize("told_twice", [False, True])
def test_a_completion_counts_once_however_many_trackers_hear_of_it(*, told_twice: bool) -> None:
    a, b, c = trackers = three()
    a.announce(HASHES[0], address(1), 0.0)
    b.announce(HASHES[0], address(1), 0.0)
    settle(trackers, 0.0, rounds=1)
    a.announce(HASHES[0], address(1), 1.0, left=0, event=AnnounceEvent.COMPLETED)
    if told_twice:
        b.announce(HASHES[0], address(1), 1.0, left=0, event=AnnounceEvent.COMPLETED)
    settle(trackers, 1.0, rounds=1)
    assert [each.registry.scrape(HASHES[0]).completed for each in (a, b, c)] == [1, 1, 1]


@pytest.mark.parametrize(
    ("blob", "reason"),
    [
        (b"", "another version"),
        (b"\2abc", "another version"),
        (b"\1abc", "malformed"),
        (b"\1" + bytes(3 * 1024 * 1024), "too large"),
    ],
)
def test_what_cannot_be_read_is_skipped_counted_and_made_up_for(blob: bytes, reason: str) -> None:
    a, b, _c = trackers = three()
    a.announce(HASHES[0], address(1), 0.0)
    a.write()
    stream = a.engine.streams["a"]
    stream[-1] = (stream[-1][0], blob)
    b.read(1.0)
    assert b.follower.skipped == {f"batch: {reason}": 1}
    assert b.listed() == {}
    # It is whole again with the next snapshot.
    settle(trackers, 2.0)
    assert b.listed() == a.listed()


def test_claims_of_others_keep_the_bounds_of_the_registry() -> None:
    engine = Engine()
    large = SimulatedTracker("a", engine)
    small = SimulatedTracker("b", engine, max_peers=5, max_swarms=2, max_peers_per_swarm=4)
    settle([large, small], 0.0, rounds=1)
    for number in range(60):
        large.announce(HASHES[number % 3], address(number), 1.0)
    settle([large, small], 1.0, rounds=3)
    counts = small.registry.counts()
    assert counts.peers <= 5
    assert counts.swarms <= 2
    assert max(len(s | le) for s, le in small.listed().values()) <= 4
    assert small.registry.refused > 0
    assert small.follower.completeness() < 0.1


def test_loopback_peers_of_another_machine_are_not_listed() -> None:
    a, b, _c = trackers = three()
    b.follower.places["a"].is_near = False
    near, far = b"\x7f\0\0\1\1\1", b"\n\0\0\1\1\1"
    for peer in (near, far):
        a.announce(HASHES[0], peer, 0.0)
    settle(trackers, 0.0, rounds=1)
    assert b.listed() == {HASHES[0]: (set(), {far})}
    assert trackers[2].listed() == a.listed()
