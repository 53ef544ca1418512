"""Watching a file while it is fetched."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from shaped_links import MBIT, SEEDER_LIMITED
from simulated_swarms import shaped
from trio_swarm.lab.simulator import simulate
from trio_swarm.lab.simulator.playback import Playback, PlaybackSpec, spans, watch

SECOND = PlaybackSpec(rate=100.0, buffer=1.0)
"""Pieces of 100 bytes last a second each."""


def watched(
    *ready_at: float, spec: PlaybackSpec = SECOND, joined: float = 0.0, until: float = 1000.0
) -> Playback:
    return watch(
        ready_at, spec, size=100 * len(ready_at), piece_length=100, joined=joined, until=until
    )


def test_what_comes_in_time_plays_through() -> None:
    assert watched(5.0, 5.5, 7.0, joined=3.0) == Playback(
        starts_after=2.0, stalls=0, stalled=0.0, is_whole=True
    )


def test_it_stalls_when_a_piece_is_due_and_goes_on_with_its_buffer_full() -> None:
    # Plays 1-3 s; piece 2 is there at 5, but a buffer of two seconds only with piece 3, at 6.
    spec = PlaybackSpec(rate=100.0, buffer=2.0)
    assert watched(0.5, 1.0, 5.0, 6.0, spec=spec) == Playback(
        starts_after=1.0, stalls=1, stalled=3.0, is_whole=True
    )


def test_pieces_out_of_order_wait_for_those_before_them() -> None:
    assert watched(9.0, 1.0, 2.0).starts_after == 9.0


def test_a_stall_that_never_ends_lasts_until_the_peer_goes() -> None:
    assert watched(1.0, math.inf, until=10.0) == Playback(
        starts_after=1.0, stalls=1, stalled=8.0, is_whole=False
    )
    assert watched(math.inf, 1.0, until=10.0) == Playback(
        starts_after=None, stalls=0, stalled=0.0, is_whole=False
    )


def test_who_goes_before_its_data_runs_out_has_not_stalled() -> None:
    assert watched(1.0, math.inf, until=1.5) == Playback(
        starts_after=1.0, stalls=0, stalled=0.0, is_whole=False
    )


def test_waiting_and_playing_take_turns() -> None:
    found = spans((0.5, 1.0, 5.0), SECOND, size=300, piece_length=100, joined=0.25, until=math.inf)
    assert [(each.begins, each.ends, each.plays) for each in found] == [
        (0.25, 0.5, False),
        (0.5, 2.5, True),
        (2.5, 5.0, False),
        (5.0, 6.0, True),
    ]


@given(
    times=st.lists(st.floats(0.0, 50.0), min_size=1, max_size=30),
    rate=st.floats(1.0, 500.0),
    buffer=st.floats(0.0, 5.0),
    tail=st.integers(0, 99),
)
def test_playing_takes_its_length_and_the_waits_and_nothing_plays_before_it_is_there(
    times: list[float], rate: float, buffer: float, tail: int
) -> None:
    size = 100 * len(times) - tail
    spec = PlaybackSpec(rate=rate, buffer=buffer)
    found = watch(times, spec, size=size, piece_length=100, joined=0.0, until=60.0)
    assert found.is_whole
    assert found.starts_after is not None
    ends = found.starts_after + size / rate + found.stalled
    last_lasts = (size - 100 * (len(times) - 1)) / rate
    assert ends >= max(times) + last_lasts - 1e-6
    assert (found.stalls == 0) == (found.stalled == 0.0)
    at_once = watch(
        times, replace(spec, buffer=1e6), size=size, piece_length=100, joined=0.0, until=60.0
    )
    assert at_once.starts_after == max(times)
    assert at_once.stalls == 0
    assert found.starts_after <= max(times)


@pytest.mark.parametrize("buffer", [0.5, 4.0])
def test_leechers_of_a_swarm_watch_and_seeders_do_not(buffer: float) -> None:
    scenario = shaped(SEEDER_LIMITED, size=8 * 1024 * 1024)
    plain = simulate(scenario)
    spec = PlaybackSpec(rate=20 * MBIT, buffer=buffer)
    result = simulate(replace(scenario, playback=spec))
    assert result.digest == plain.digest
    assert result.peers[0].playback is None
    for peer in result.peers[1:]:
        assert peer.playback is not None
        assert peer.playback.is_whole
        assert 0.0 < (peer.playback.starts_after or 0.0) <= (peer.seconds or 0.0)
