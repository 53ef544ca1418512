"""What workers may remember, and when a dead one has no successor."""

from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from trio_swarm.tracker.settings import TrackerSettings
from trio_swarm.tracker.workers.deaths import LIVED, MOST_QUICK_DEATHS, QuickDeaths
from trio_swarm.tracker.workers.division import settings_of_worker


@given(workers=st.integers(1, 32), bound=st.integers(1, 10**6))
def test_all_workers_together_keep_the_bounds_of_the_tracker(workers: int, bound: int) -> None:
    whole = TrackerSettings(workers=workers, max_peers=bound, max_swarms=bound, max_names=bound)
    each = settings_of_worker(whole)
    each.check()
    for name in ("max_peers", "max_swarms", "max_names"):
        assert bound <= workers * getattr(each, name) < bound + workers
    same = ("max_peers_per_swarm", "interval", "max_name_length", "workers", "http", "proxies")
    assert [getattr(each, name) for name in same] == [getattr(whole, name) for name in same]


def test_a_small_bound_of_a_host_is_not_divided() -> None:
    whole = TrackerSettings(workers=4, max_peers_per_host=20, max_names_per_host=20_000)
    each = settings_of_worker(whole)
    assert (each.max_peers_per_host, each.max_names_per_host) == (20, 5000)
    assert settings_of_worker(replace(whole, max_peers_per_host=100)).max_peers_per_host == 64


def test_a_worker_that_served_a_while_is_replaced_at_once_each_time() -> None:
    deaths = QuickDeaths()
    assert [deaths.pause_after(LIVED) for _ in range(100)] == [0.0] * 100


def test_one_that_dies_again_and_again_is_replaced_ever_later_and_then_no_more() -> None:
    deaths = QuickDeaths()
    pauses = [deaths.pause_after(0.5) for _ in range(MOST_QUICK_DEATHS)]
    assert pauses[0] == 0.0
    assert pauses == sorted(pauses, key=lambda pause: pause or 0.0)
    assert deaths.pause_after(0.5) is None
    assert deaths.pause_after(LIVED) == 0.0
    assert deaths.pause_after(0.5) == 0.0
