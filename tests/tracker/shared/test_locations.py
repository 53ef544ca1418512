"""URLs of an engine, and its password, which no text shows."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.errors import ConfigError
from trio_swarm.tracker.shared.engine import EngineKeys
from trio_swarm.tracker.shared.locations import EngineLocation, parse_location

SECRET = "s3cret/word"
QUOTED = "s3cret%2Fword"


@pytest.mark.parametrize(
    ("url", "location", "shown"),
    [
        (
            "redis://localhost",
            EngineLocation(kind="server", hosts=(("localhost", 6379),)),
            "redis://localhost:6379",
        ),
        (
            f"rediss://me:{QUOTED}@[2001:db8::1]:7000/3",
            EngineLocation(
                kind="server", hosts=(("2001:db8::1", 7000),), database=3, tls=True,
                username="me", password=SECRET,
            ),
            "rediss://[2001:db8::1]:7000",
        ),
        (
            f"unix://:{QUOTED}@/run/redis/redis.sock?db=2",
            EngineLocation(
                kind="socket", path="/run/redis/redis.sock", database=2, password=SECRET
            ),
            "unix:///run/redis/redis.sock",
        ),
        (
            f"redis+sentinel://:{QUOTED}@one,two:26380/main/1",
            EngineLocation(
                kind="sentinel", hosts=(("one", 26379), ("two", 26380)), service="main",
                database=1, password=SECRET,
            ),
            "redis+sentinel://one:26379,two:26380/main",
        ),
        (
            "rediss+cluster://one:7001,two",
            EngineLocation(kind="cluster", hosts=(("one", 7001), ("two", 6379)), tls=True),
            "rediss+cluster://one:7001,two:6379",
        ),
    ],
)  # fmt: skip
def test_a_url_is_read(url: str, location: EngineLocation, shown: str) -> None:
    found = parse_location(url)
    assert found == location
    assert str(found) == shown
    assert SECRET not in repr(found) + str(found)


@pytest.mark.parametrize(
    "url",
    [
        "", "localhost", "http://localhost", "redis://", "redis://:pw@", "redis://a:b", "redis://a/x",
        "redis://a,b", "redis://a/0/1", "redis://a?ssl=1", "redis://a#b", "unix://", "redis://a:99999",
        "redis+sentinel://a", "redis+cluster://a/1", "redis://[::1", "redis://a,,b",
    ],
)  # fmt: skip
def test_a_wrong_url_is_refused_without_quoting_it(url: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_location(url.replace("://", f"://me:{QUOTED}@"))
    assert QUOTED not in str(caught.value)
    assert SECRET not in str(caught.value)


@given(st.text(max_size=60), st.sampled_from(["", "redis://", "redis+cluster://", "unix:///"]))
def test_no_text_raises_anything_else(text: str, scheme: str) -> None:
    with suppress(ConfigError):
        parse_location(scheme + text)


def test_all_keys_of_a_prefix_are_in_one_slot_of_a_cluster() -> None:
    keys = EngineKeys("p")
    for key in (keys.trackers, keys.secret, keys.changes("x"), keys.snapshot("x")):
        assert key.startswith("{p}:")
