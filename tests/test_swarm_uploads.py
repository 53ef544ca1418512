"""What was sent, and when to look again at what is kept from whom."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.schedulers.api import UploadRequest
from trio_swarm.swarm.reveal_times import RevealTimes
from trio_swarm.swarm.sent_bytes import SentBytes
from trio_swarm.swarm.serving import DRY_INTERVAL, REVEAL_INTERVAL, STEERING_INTERVAL


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 2**32)), max_size=20))
def test_bytes_are_counted_by_piece_however_many(sent: list[tuple[int, int]]) -> None:
    counted = SentBytes(10)
    expected: dict[int, int] = {}
    for piece, nbytes in sent:
        expected[piece] = expected.get(piece, 0) + nbytes
    half = len(sent) // 2
    for part in (sent[:half], sent[half:]):
        blocks = [UploadRequest(piece, 0, nbytes) for piece, nbytes in part]
        assert counted.add(blocks) == sum(nbytes for _, nbytes in part)
    assert counted == expected
    assert len(counted) == len(expected)
    assert [counted.get(piece, 0) for piece in range(-1, 12)] == [
        expected.get(piece, 0) for piece in range(-1, 12)
    ]
    with pytest.raises(KeyError):
        counted[10]


class Times:
    """Reveal times, and how often they became earlier."""

    def __init__(self) -> None:
        self.sooner = 0
        self.times = RevealTimes(self._sooner)

    def _sooner(self) -> None:
        self.sooner += 1


def test_nothing_is_due_while_nothing_is_kept_from_anybody() -> None:
    seen = Times()
    seen.times.stir()
    seen.times.run_dry()
    assert (seen.times.due_at, seen.sooner) == (math.inf, 0)


def test_what_is_kept_from_a_newcomer_is_looked_at_at_once_and_then_after_a_rest() -> None:
    seen = Times()
    times = seen.times
    times.steer()
    assert times.due_at < 0.0
    assert seen.sooner == 1
    times.looked(5.0, is_steering=True)
    assert times.due_at == 5.0 + REVEAL_INTERVAL + STEERING_INTERVAL
    times.stir()
    times.stir()
    assert times.due_at == 5.0 + REVEAL_INTERVAL
    assert seen.sooner == 2


def test_a_seeder_that_nobody_asks_for_anything_looks_sooner() -> None:
    seen = Times()
    times = seen.times
    times.looked(5.0, is_steering=True)
    times.stir()
    times.run_dry()
    times.run_dry()
    assert times.due_at == 5.0 + DRY_INTERVAL
    assert seen.sooner == 2
    times.looked(6.0, is_steering=True)
    times.stir()
    assert times.due_at == 6.0 + REVEAL_INTERVAL


def test_a_look_after_which_nothing_is_kept_is_the_last() -> None:
    times = Times().times
    times.steer()
    times.looked(5.0, is_steering=False)
    times.stir()
    assert times.due_at == math.inf
