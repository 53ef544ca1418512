"""Amounts, times and names in words, as the page's own module writes them, run in the browser."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

pytestmark = pytest.mark.foreign("chromium")
Call = Callable[..., Any]
# The browser is one for all examples; each call takes a millisecond.
few = settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])


@pytest.mark.parametrize(
    ("count", "words"),
    [
        (0, "0 B"),
        (999, "999 B"),
        (1000, "0.98 KiB"),
        (1536, "1.50 KiB"),
        (10 * 1024, "10.0 KiB"),
        (1023 * 1024, "1.00 MiB"),
        (256 * 1024**2, "256 MiB"),
        (3 * 1024**4, "3.00 TiB"),
        (None, "\u2013"),
    ],
)
def test_sizes_have_three_digits_that_count(js: Call, count: int | None, words: str) -> None:
    assert js("format", "size", count) == words


def test_a_share_is_never_whole_before_the_last_byte_nor_nothing_after_the_first(js: Call) -> None:
    assert js("format", "percent", 0.999999) == "99.9 %"
    assert js("format", "percent", 1) == "100 %"
    assert js("format", "percent", 0.0000001) == "0.1 %"
    assert js("format", "percent", 0) == "0 %"


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (59.6, "1 min"),
        (125, "2 min 5 s"),
        (3600, "1 h"),
        (7500, "2 h 5 min"),
        (90_000, "1 d 1 h"),
        (86_400 * 400, "over 100 d"),
        (None, "\u2013"),
    ],
)
def test_times_have_their_two_largest_units(js: Call, seconds: float | None, words: str) -> None:
    assert js("format", "duration", seconds) == words


@pytest.mark.parametrize(
    ("text", "rate"),
    [
        ("", None),
        ("unlimited", None),
        ("500", 500),
        ("800k", 800_000),
        ("2 MiB/s", 2 * 1024**2),
        ("2,5 MiB", 2_621_440),
        ("20 Mbit", 2_500_000),
        ("20Mbit/s", 2_500_000),
        ("1 GB/s", 1_000_000_000),
    ],
)
def test_rates_are_read_as_people_and_the_configuration_write_them(
    js: Call, text: str, rate: int | None
) -> None:
    assert js("format", "parseRate", text) == rate


@pytest.mark.parametrize("text", ["fast", "-1", "0", "0.1", "2 MiB/h", "1e9", "2 2"])
def test_what_is_no_rate_is_answered_by_one_line(js: Call, text: str) -> None:
    assert "\n" not in js("format", "parseRate", text)["raised"]


@few
@given(rate=st.integers(1, 2**45))
def test_a_rate_in_a_field_is_the_same_to_the_byte_when_it_is_read_again(
    js: Call, rate: int
) -> None:
    assert js("format", "parseRate", js("format", "exactRate", rate)) == rate


@few
@given(text=st.text())
def test_a_strangers_text_is_one_line_without_what_hides_or_turns_it(js: Call, text: str) -> None:
    shown = js("format", "foreign", text)
    assert not set(shown) & set("\n\r\t\0\u202e\u202a\u2066\u200b\ufeff\x1b")
    assert len(shown.encode("utf-16-le")) // 2 <= 401


def test_a_long_name_is_cut(js: Call) -> None:
    assert js("format", "foreign", "a" * 5000) == "a" * 400 + "…"
