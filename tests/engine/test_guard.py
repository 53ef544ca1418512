"""Whatever a strategy does, the host gets decisions it can carry out, and tells of faults."""

import random
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from msgspec.structs import replace

from broken_strategies import BROKEN, EXCESSIVE, HARMLESS, Sleeps, SleepsWhileYielding, first_good
from trio_swarm.engine.decision_times import DecisionTimes
from trio_swarm.engine.faults import FORGIVEN, MAX_FAULTS, FaultTally
from trio_swarm.engine.guard import GuardedChoker, GuardedScheduler, GuardedUploader
from trio_swarm.errors import SchedulerError
from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import (
    Assignment,
    ChokePeerView,
    ChokeView,
    PeerView,
    SwarmView,
    UploadPeerView,
    UploadRequest,
    UploadView,
)
from trio_swarm.schedulers.rarest_first import RarestFirst

Fault = tuple[str, str, int, bool]


class Clock:
    """A timer that only moves when told."""

    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def make_view() -> SwarmView:
    """Two peers, of eight pieces: the first has all, the second only piece 0 (not wanted)."""
    return SwarmView(
        wanted=0b11111110,
        started=0b10,
        free_blocks={1: 2},
        rarity=(0, 0b11111110, 0b1),
        peers=(
            PeerView(1, 0b11111110, 10, 0, 1e6, 0.1, is_seeder=True),
            PeerView(2, 0b00000100, 3, 0, 1e6, 0.1, is_seeder=False),
        ),
        piece_length=65536,
        block_length=16384,
        piece_count=8,
        remaining=8 * 65536,
        now=0.0,
    )


def guard(
    strategy: Any, told: list[Fault], timer: Callable[[], float] | None = None
) -> GuardedScheduler:
    return GuardedScheduler(
        strategy,
        "tested",
        RarestFirst,
        timer or (lambda: 0.0),
        on_fault=lambda *fault: told.append(fault),
    )


def assert_sound(view: SwarmView, assignments: list[Assignment]) -> None:
    rooms = {peer.key: peer.room for peer in view.peers}
    pieces = {peer.key: peer.pieces for peer in view.peers}
    given: dict[int, int] = {}
    for peer, piece, blocks in assignments:
        assert blocks is not None
        assert blocks >= 1
        assert view.wanted & pieces[peer] & 1 << piece
        rooms[peer] -= blocks
        given[piece] = given.get(piece, 0) + blocks
        assert given[piece] <= view.blocks_of(piece)
    assert all(room >= 0 for room in rooms.values())


@pytest.mark.parametrize("name", [*BROKEN, *EXCESSIVE, *HARMLESS])
def test_what_comes_out_is_always_sound(name: str) -> None:
    told: list[Fault] = []
    view = make_view()
    guarded = guard({**BROKEN, **EXCESSIVE, **HARMLESS}[name](), told)
    for _ in range(3 * MAX_FAULTS):
        assert_sound(view, guarded.assign(view, random.Random(1)))
    if guarded.faults:
        assert guarded.is_replaced
        assert guarded.faults == MAX_FAULTS
        assert [fault[3] for fault in told].count(True) == 1
        assert len(told) <= MAX_FAULTS
        assert guarded.assign(view, random.Random(1)), "the fallback decides"


@pytest.mark.parametrize("name", sorted(set(BROKEN) - {"NeverEnds"}))
def test_each_breach_is_a_fault(name: str) -> None:
    told: list[Fault] = []
    guarded = guard(BROKEN[name](), told)
    guarded.assign(make_view(), random.Random(1))
    assert guarded.faults == 1
    assert told[0][0] == "tested"
    assert told[0][1]


@pytest.mark.parametrize(
    "fields", [(True, 2), (2, True), (2, 2, True), (2.0, 2), (2, 2.0), (2, 2, 1.0), ("2", 2)]
)
def test_what_only_looks_like_a_number_is_a_fault(fields: tuple[Any, ...]) -> None:
    class Unsure:
        def assign(self, view: SwarmView, rng: random.Random) -> list[Assignment]:
            return [Assignment(*fields), Assignment(2, 2, 1)]

    guarded = guard(Unsure(), [])
    assert guarded.assign(make_view(), random.Random(1)) == [Assignment(2, 2, 1)]
    assert guarded.faults == 1


def test_an_assignment_may_be_of_a_class_of_its_author() -> None:
    class Reasoned(Assignment):
        """An assignment with a reason."""

    class Explains:
        def assign(self, view: SwarmView, rng: random.Random) -> list[Assignment]:
            return [Reasoned(2, 2, 1)]

    guarded = guard(Explains(), [])
    assert guarded.assign(make_view(), random.Random(1)) == [Assignment(2, 2, 1)]
    assert not guarded.faults


def test_a_kind_of_fault_is_told_once_and_again_when_the_strategy_is_replaced() -> None:
    told: list[Fault] = []
    guarded = guard(BROKEN["RaisesAtOnce"](), told)
    for _ in range(20):
        guarded.assign(make_view(), random.Random(1))
    assert [(fault[2], fault[3]) for fault in told] == [(1, False), (MAX_FAULTS, True)]


def test_good_assignments_before_a_fault_are_kept() -> None:
    guarded = guard(BROKEN["RaisesMidway"](), [])
    assert guarded.assign(make_view(), random.Random(1)) == [
        Assignment(1, 1, 1),
        Assignment(2, 2, 1),
    ]


def test_a_generator_that_never_ends_is_cut_off() -> None:
    class Endless:
        def assign(self, view: SwarmView, rng: random.Random) -> Iterator[Assignment]:
            while True:
                yield Assignment(2, 2, 1)  # its room is used up after three

    told: list[Fault] = []
    guarded = guard(Endless(), told)
    assert len(guarded.assign(make_view(), random.Random(1))) == 3
    assert "cut off" in told[0][1]


def test_a_strategy_that_is_slow_while_yielding_is_cut_off_and_keeps_what_came_in_time() -> None:
    clock = Clock()
    told: list[Fault] = []
    guarded = guard(SleepsWhileYielding(clock.sleep, 0.015), told, clock)
    assert len(guarded.assign(make_view(), random.Random(1))) == 1
    assert guarded.faults == 1
    assert not told, "once may be the machine's fault"
    assert len(guarded.assign(make_view(), random.Random(1))) == 1
    assert "too slow" in told[0][1]


def test_a_slow_call_is_a_fault_but_its_work_is_kept() -> None:
    clock = Clock()
    told: list[Fault] = []
    guarded = guard(Sleeps(clock.sleep, 1.0), told, clock)
    assert guarded.assign(make_view(), random.Random(1)) == []
    for _ in range(MAX_FAULTS):
        guarded.assign(make_view(), random.Random(1))
    assert guarded.is_replaced


def test_a_strategy_that_is_slow_now_and_then_is_not_replaced() -> None:
    clock = Clock()
    calls = 0

    class Sometimes:
        def assign(self, view: SwarmView, rng: random.Random) -> list[Assignment]:
            nonlocal calls
            calls += 1
            if calls % (2 * FORGIVEN) == 0:
                clock.sleep(1.0)
            return list(first_good(view))

    guarded = guard(Sometimes(), [], clock)
    for _ in range(2 * FORGIVEN * (MAX_FAULTS + 3)):
        guarded.assign(make_view(), random.Random(1))
    assert guarded.faults == MAX_FAULTS + 3
    assert not guarded.is_replaced


def test_what_is_not_an_exception_of_the_strategy_passes_through() -> None:
    class Interrupted:
        def assign(self, view: SwarmView, rng: random.Random) -> list[Assignment]:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        guard(Interrupted(), []).assign(make_view(), random.Random(1))


def test_a_scheduler_error_is_told_in_its_own_words() -> None:
    class Honest:
        def assign(self, view: SwarmView, rng: random.Random) -> list[Assignment]:
            raise SchedulerError("no zone given", plugin="honest")

    told: list[Fault] = []
    guard(Honest(), told).assign(make_view(), random.Random(1))
    assert "no zone given" in told[0][1]


# Uploading

REQUESTS = [UploadRequest(0, 0, 16384), UploadRequest(1, 0, 16384), UploadRequest(0, 0, 16384)]
UPLOAD_PEER = UploadPeerView(
    1, 0, is_seeder=False, interested=True, unchoked=True, uploaded=0, rate=0.0
)
UPLOAD_VIEW = UploadView(
    have=0b11,
    sent={},
    rarity=(0b11,),
    peers=(UPLOAD_PEER,),
    piece_length=65536,
    piece_count=2,
    is_seeder=True,
    now=0.0,
)


class Uploads:
    """Returns what it is told to."""

    def __init__(self, offer: object = None, order: object = None) -> None:
        self._offer = offer
        self._order = order

    def offer(self, view: UploadView, peer: UploadPeerView) -> Any:
        return self._offer() if callable(self._offer) else self._offer

    def order(self, view: UploadView, peer: UploadPeerView, requests: Any) -> Any:
        return self._order(requests) if callable(self._order) else self._order


def guarded_uploads(strategy: Any) -> GuardedUploader:
    return GuardedUploader(strategy, "tested", timer=lambda: 0.0)


@pytest.mark.parametrize("offer", [0b100, -1, "all", True, lambda: 1 / 0])
def test_a_wrong_offer_reveals_all(offer: object) -> None:
    guarded = guarded_uploads(Uploads(offer=offer))
    assert guarded.offer(UPLOAD_VIEW, UPLOAD_PEER) is None
    assert guarded.faults == 1


@pytest.mark.parametrize("suggested", [0b100, -1, "x", True, lambda: 1 / 0])
def test_a_wrong_suggestion_is_not_made(suggested: object) -> None:
    class Suggests(Uploads):
        def suggest(self, view: UploadView, peer: UploadPeerView) -> Any:
            return suggested() if callable(suggested) else suggested

    guarded = guarded_uploads(Suggests())
    assert guarded.suggests
    assert guarded.suggest(UPLOAD_VIEW, UPLOAD_PEER) is None
    assert guarded.faults == 1


def test_what_a_peer_was_not_shown_is_not_suggested_to_it() -> None:
    class Suggests(Uploads):
        def suggest(self, view: UploadView, peer: UploadPeerView) -> PieceSet:
            return 0b11

    guarded = guarded_uploads(Suggests())
    assert guarded.suggest(UPLOAD_VIEW, replace(UPLOAD_PEER, revealed=0b10)) == 0b10
    assert guarded.faults == 0


def test_suggesting_nothing_is_no_fault() -> None:
    class Suggests(Uploads):
        def suggest(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
            return None

    guarded = guarded_uploads(Suggests())
    assert guarded.suggest(UPLOAD_VIEW, UPLOAD_PEER) is None
    assert guarded.faults == 0


@pytest.mark.parametrize(
    "weight",
    [-1, "x", True, None, float("nan"), float("inf"), -1e-9, 10**400, lambda: 1 / 0],
)
def test_a_wrong_weight_is_that_of_all_others(weight: object) -> None:
    class Weighs(Uploads):
        def weight(self, view: UploadView, peer: UploadPeerView) -> Any:
            return weight() if callable(weight) else weight

    guarded = guarded_uploads(Weighs())
    assert guarded.weighs
    assert guarded.weight(UPLOAD_VIEW, UPLOAD_PEER) == 1.0
    assert guarded.faults == 1


@pytest.mark.parametrize("weight", [0, 2, 0.25])
def test_a_right_weight_is_taken(weight: float) -> None:
    class Weighs(Uploads):
        def weight(self, view: UploadView, peer: UploadPeerView) -> float:
            return weight

    guarded = guarded_uploads(Weighs())
    assert guarded.weight(UPLOAD_VIEW, UPLOAD_PEER) == weight
    assert guarded.faults == 0


def test_an_uploader_need_not_weigh_anybody() -> None:
    guarded = guarded_uploads(Uploads())
    assert not guarded.weighs
    assert guarded.weight(UPLOAD_VIEW, UPLOAD_PEER) == 1.0


def test_an_uploader_need_not_suggest_anything() -> None:
    guarded = guarded_uploads(Uploads())
    assert not guarded.suggests
    assert guarded.suggest(UPLOAD_VIEW, UPLOAD_PEER) is None


class Quiet:
    """Leaves everybody alone, and says so."""

    def steers(self, view: UploadView) -> bool:
        return False

    def offer(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        return None

    def order(self, view: UploadView, peer: UploadPeerView, requests: Any) -> Any:
        return requests


def test_an_uploader_that_leaves_everybody_alone_says_so_once() -> None:
    assert not guarded_uploads(Quiet()).steers(UPLOAD_VIEW)
    assert guarded_uploads(Uploads()).steers(UPLOAD_VIEW)  # it cannot say


def test_who_decides_otherwise_than_its_base_is_asked_whatever_that_says() -> None:
    class Keeps(Quiet):
        def offer(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
            return 0b10

    class Suggests(Quiet):
        def suggest(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
            return 0b10

    class Orders(Quiet):
        def order(self, view: UploadView, peer: UploadPeerView, requests: Any) -> Any:
            return requests[::-1]

    assert guarded_uploads(Keeps()).steers(UPLOAD_VIEW)
    assert guarded_uploads(Suggests()).steers(UPLOAD_VIEW)
    assert not guarded_uploads(Orders()).steers(UPLOAD_VIEW)


def test_an_uploader_that_fails_to_say_leaves_everybody_alone_and_that_is_a_fault() -> None:
    class Fails(Quiet):
        def steers(self, view: UploadView) -> bool:
            raise RuntimeError("no idea")

    guarded = guarded_uploads(Fails())
    for count in range(1, MAX_FAULTS + 1):
        assert not guarded.steers(UPLOAD_VIEW)
        assert guarded.faults == count
    assert guarded.is_replaced
    assert not guarded.steers(UPLOAD_VIEW)


def test_a_right_offer_and_a_right_order_are_taken() -> None:
    guarded = guarded_uploads(Uploads(offer=0b10, order=lambda requests: list(reversed(requests))))
    assert guarded.offer(UPLOAD_VIEW, UPLOAD_PEER) == 0b10
    assert list(guarded.order(UPLOAD_VIEW, UPLOAD_PEER, REQUESTS)) == REQUESTS[::-1]
    assert guarded.faults == 0


@pytest.mark.parametrize(
    "order",
    [
        None,
        7,
        lambda requests: requests[1:],
        lambda requests: [*requests, requests[0]],
        lambda requests: [UploadRequest(1, 0, 16384)] * 3,
        lambda requests: [[], [], []],
        lambda requests: 1 / 0,
    ],
)
def test_a_wrong_order_is_the_order_of_arrival(order: object) -> None:
    guarded = guarded_uploads(Uploads(order=order))
    for _ in range(2 * MAX_FAULTS):
        assert list(guarded.order(UPLOAD_VIEW, UPLOAD_PEER, REQUESTS)) == REQUESTS
    assert guarded.faults == MAX_FAULTS
    assert guarded.is_replaced


# Choking


def choke_view() -> ChokeView:
    def peer(key: int) -> ChokePeerView:
        return ChokePeerView(
            key,
            interested=True,
            unchoked=False,
            unchoked_at=None,
            waiting_since=0.0,
            download_rate=0.0,
            upload_rate=0.0,
            uploaded=0,
            snubbed=False,
            joined_at=0.0,
        )

    return ChokeView(peers=[peer(1), peer(2), peer(3)], slots=2, is_seeder=True, now=0.0)


class Unchokes:
    """Returns what it is told to."""

    def __init__(self, keys: object) -> None:
        self._keys = keys

    def unchoke(self, view: ChokeView, rng: random.Random) -> Any:
        return self._keys() if callable(self._keys) else self._keys


@pytest.mark.parametrize(
    "keys", [[1, 2, 3], [1, 1], [9], ["1"], [True], None, 5, lambda: 1 / 0, lambda: iter(int, 1)]
)
def test_a_wrong_choice_of_peers_is_made_by_the_fallback(keys: object) -> None:
    guarded = GuardedChoker(Unchokes(keys), "tested")
    chosen = guarded.unchoke(choke_view(), random.Random(1))
    assert len(chosen) == 2
    assert set(chosen) < {1, 2, 3}
    assert guarded.faults == 1


def test_a_right_choice_of_peers_is_taken() -> None:
    guarded = GuardedChoker(Unchokes([3, 1]), "tested")
    assert guarded.unchoke(choke_view(), random.Random(1)) == [3, 1]
    assert guarded.faults == 0


@pytest.mark.parametrize(("peers", "is_slow"), [(250, False), (1, True)])
def test_an_uploader_may_take_the_longer_the_more_peers_there_are(
    peers: int,
    is_slow: bool,  # noqa: FBT001 - a case
) -> None:
    """250 silent strangers had `spread` replaced on a busy machine: 24 ms for all of them."""
    clock = Clock()

    class Thorough(Quiet):
        def steers(self, view: UploadView) -> bool:
            clock.sleep(0.024)
            return True

    guarded = GuardedUploader(Thorough(), "tested", timer=clock)
    view = replace(UPLOAD_VIEW, peers=(UPLOAD_PEER,) * peers)
    for _ in range(20):
        assert guarded.is_replaced or guarded.steers(view)
    assert (guarded.faults > 0) == is_slow


def test_faults_are_counted_with_those_of_strategies_that_came_before() -> None:
    times, tally = DecisionTimes(), FaultTally()
    for _ in range(2):
        guarded = guard(BROKEN[min(set(BROKEN) - {"NeverEnds"})](), [])
        guarded.count_in(times, tally)
        for _ in range(MAX_FAULTS + 1):  # the last decision is the fallback's
            guarded.assign(make_view(), random.Random(1))
    assert (tally.faults, tally.replaced) == (2 * MAX_FAULTS, 2)
    assert sum(times.counts) == 2 * MAX_FAULTS
