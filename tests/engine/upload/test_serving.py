"""How much is asked and put out at a time."""

import pytest

from trio_swarm.engine.upload.serving import (
    AHEAD_SECONDS,
    FIRST_AHEAD,
    LARGE_BLOCK_SECONDS,
    LEAST_AHEAD,
    MOST_AHEAD,
    bytes_ahead,
    request_size,
)

KIB = 1024


@pytest.mark.parametrize("rate", [0.0, 1e3, 1e6, 6.25e6, 1e9])
def test_a_request_takes_no_longer_than_it_may_unless_it_is_the_smallest(rate: float) -> None:
    size = request_size(rate, 1024 * KIB)
    assert size == 16 * KIB or size <= rate * LARGE_BLOCK_SECONDS
    assert size == 1024 * KIB or 2 * size > rate * LARGE_BLOCK_SECONDS
    assert request_size(rate, 16 * KIB) == 16 * KIB


def test_what_is_ahead_of_the_link_follows_its_rate_within_limits() -> None:
    assert FIRST_AHEAD <= bytes_ahead(0.0, 0) <= 2 * FIRST_AHEAD
    assert LEAST_AHEAD <= bytes_ahead(1.0, 0) <= 2 * LEAST_AHEAD
    assert MOST_AHEAD <= bytes_ahead(1e12, 0) <= 2 * MOST_AHEAD
    for rate in (2e6, 6.25e6, 125e6):
        assert rate * AHEAD_SECONDS <= bytes_ahead(rate, 0) <= 2 * rate * AHEAD_SECONDS


def test_it_does_not_change_for_little() -> None:
    before = bytes_ahead(6e6, 0)
    assert bytes_ahead(5e6, before) == before
    assert bytes_ahead(7e6, before) == before
    assert bytes_ahead(60e6, before) > before
    assert bytes_ahead(0.6e6, before) < before
