"""The rule of first copies: who is given what, by what each takes, passes on and keeps."""

import math

from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.lab.testing.seedings import PIECE, STEP, Seeding, SteppedSwarm
from trio_swarm.schedulers.uploading.first_copies import FirstCopies
from trio_swarm.schedulers.uploading.first_copies_leecher import PATIENCE
from trio_swarm.schedulers.uploading.first_copies_rates import MEMORY, BusyRate
from trio_swarm.schedulers.uploading.spread import Spread
from trio_swarm.schedulers.uploading.waiting_time import BUSY_SECONDS


def _firsts(seeding: Seeding) -> FirstCopies:
    assert isinstance(seeding.strategy, Spread)
    return seeding.strategy._firsts


# --- rates -------------------------------------------------------------------------------------


@given(rate=st.floats(1.0, 1e9), usual=st.floats(1.0, 1e9), step=st.floats(0.001, 0.5))
def test_a_steady_rate_is_found_whatever_was_assumed_at_first(
    rate: float, usual: float, step: float
) -> None:
    measured = BusyRate(PIECE)
    seconds = 0.0
    # The trial takes PIECE / usual seconds of it, and is forgotten as everything is.
    while seconds < 30 * MEMORY + PIECE / usual:
        measured.note(rate * step, step)
        seconds += step
        if seconds > 60 * MEMORY:
            break
    assert math.isclose(measured.rate(usual), rate, rel_tol=0.3)


@given(st.lists(st.tuples(st.floats(0.0, 1e9), st.floats(0.0, 10.0)), max_size=30))
def test_a_rate_is_always_above_nothing_and_finite(notes: list[tuple[float, float]]) -> None:
    measured = BusyRate(PIECE)
    for nbytes, seconds in notes:
        measured.note(nbytes, seconds)
    assert 0.0 < measured.rate(1000.0) < math.inf


def test_who_stops_is_known_to_be_slow_in_seconds_however_long_it_was_fast() -> None:
    measured = BusyRate(PIECE)
    for _ in range(3600 * 10):
        measured.note(100_000, 0.1)
    assert measured.rate(1.0) > 900_000
    measured.note(0, 6.0)
    assert measured.rate(1.0) < 60_000


def test_who_tells_of_a_piece_now_and_then_is_not_taken_to_be_slow_in_between() -> None:
    """Whole pieces of 256 KiB at 5 Mbit/s come every 0.4 s, and looks every 20 ms."""
    measured = BusyRate(PIECE)
    rates = []
    for look in range(1000):
        measured.note(PIECE if look % 20 == 19 else 0, 0.02)
        rates.append(measured.rate(PIECE / 0.4))
    assert max(rates[500:]) < 1.5 * min(rates[500:])


def test_who_did_nothing_for_hours_still_has_a_rate_that_one_can_divide_by() -> None:
    measured = BusyRate(PIECE)
    measured.note(0, 3600.0)
    assert 1.0 / measured.rate(1000.0) > 0.0


# --- who is given what ---------------------------------------------------------------------------


def test_the_uplink_is_shared_out_by_what_leechers_pass_on() -> None:
    seeding = Seeding(4, count=400)
    transfer = SteppedSwarm(seeding, 1.0, {1: 0.0, 2: 0.1, 3: 1.0, 4: 1.0})
    while len(seeding.sent) < 300:
        transfer.step()
    keeps, slow, *fast = (_firsts(seeding).weight_of(key) for key in seeding.leechers)
    assert keeps < 0.1 * slow
    assert slow < 0.8 * min(fast)
    assert max(fast) < 2 * min(fast)


def test_a_leecher_that_nothing_is_known_of_has_the_weight_of_others() -> None:
    assert _firsts(Seeding(1)).weight_of(77) == 1.0
    seeding = Seeding(4)
    seeding.look()
    assert {_firsts(seeding).weight_of(key) for key in seeding.leechers} == {1.0}


def _taking(seeding: Seeding, key: int, pieces: int) -> None:
    """Have a leecher request and get so many of the pieces it is shown, and tell of them."""
    for piece in seeding.wants(key)[:pieces]:
        seeding.send(key, piece)
        seeding.leechers[key].pieces |= 1 << piece


def test_who_takes_its_pieces_slowly_is_given_no_more() -> None:
    # One connection may have nearly all of our uplink; what others were given then waits for long.
    seeding = Seeding(3, count=400)
    backlog: list[int] = []
    for step in range(200):
        seeding.look()
        for each in seeding.leechers.values():
            each.queued = PIECE
        backlog.append(len(seeding.wants(2)) + len(seeding.wants(3)))
        assert seeding.wants(1)  # The other always has work.
        _taking(seeding, 1, 1)
        for key in (2, 3):
            _taking(seeding, key, step % 40 == 0)
        if step % 4 == 0:
            everything = 0
            for each in seeding.leechers.values():
                everything |= each.pieces
            for each in seeding.leechers.values():
                each.pieces = everything
        seeding.now += STEP
    assert max(backlog[10:]) <= backlog[10]


def test_what_is_given_and_not_sent_is_not_out() -> None:
    # Everybody would ask for it: 62 pieces of 256 were sent several times.
    seeding = Seeding(3, count=12)
    for _ in range(300):
        seeding.look()
        for key, each in seeding.leechers.items():
            each.queued = PIECE
            _taking(seeding, key, key != 1)
        seeding.leechers[1].uploaded += 16384  # It takes its pieces, but slowly.
        nowhere = seeding.have
        for each in seeding.leechers.values():
            nowhere &= ~each.pieces
        waiting = [key for key in (2, 3) if not seeding.wants(key)]
        seeding.now += STEP
        if waiting:
            break
    assert nowhere
    assert not any(seeding.leechers[key].revealed == seeding.have for key in (2, 3))


def test_near_the_end_what_waits_at_a_slow_leecher_is_given_to_another() -> None:
    seeding = Seeding(3, count=12)
    for _ in range(round((PATIENCE + 2.0) / STEP)):
        seeding.look()
        for key, each in seeding.leechers.items():
            each.queued = PIECE
            _taking(seeding, key, key != 1)
        seeding.now += STEP
    held = seeding.leechers[2].pieces | seeding.leechers[3].pieces
    assert held == seeding.have


def test_equally_fast_leechers_are_not_given_what_the_others_are_about_to_pass_on() -> None:
    seeding = Seeding(6, count=120)
    SteppedSwarm(seeding, 1.0, dict.fromkeys(range(1, 7), 1.2)).play()
    assert seeding.copies < 1.05


def test_everything_is_shown_if_the_leechers_need_our_uplink_for_their_further_copies() -> None:
    seeding = Seeding(6, count=120)
    transfer = SteppedSwarm(seeding, 1.0, dict.fromkeys(range(1, 7), 0.1))
    while len(seeding.sent) < 120:
        transfer.step()
    for _ in range(round((BUSY_SECONDS + 0.1) / STEP)):
        transfer.step()
    assert _firsts(seeding).is_over


@given(
    passes=st.lists(st.sampled_from([0.0, 0.2, 1.0, 3.0]), min_size=2, max_size=6),
    count=st.integers(1, 60),
)
def test_no_piece_is_free_to_be_given_twice_while_who_has_it_is_there(
    passes: list[float], count: int
) -> None:
    seeding = Seeding(len(passes), count=count)
    transfer = SteppedSwarm(seeding, 1.0, dict(enumerate(passes, start=1)))
    firsts = _firsts(seeding)
    given_to: dict[int, int] = {}
    for _ in range(400):
        if transfer.step():
            return
        out = 0
        for key in seeding.leechers:
            out |= firsts.revealed_to(key)
        if out == seeding.have:
            return  # From here on pieces are given again, to be sooner.
        for key in seeding.leechers:
            for piece in range(count):
                if firsts.revealed_to(key) >> piece & 1:
                    assert given_to.setdefault(piece, key) == key
