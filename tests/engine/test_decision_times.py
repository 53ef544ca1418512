from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.engine.decision_times import BOUNDS, DecisionTimes


@given(st.lists(st.one_of(st.floats(0, 2), st.sampled_from(BOUNDS))))
def test_each_decision_is_counted_once_by_the_least_bound_that_it_keeps(took: list[float]) -> None:
    times = DecisionTimes()
    for seconds in took:
        times.note(seconds)
    # Cumulative, as Prometheus has them: a bucket's bound belongs to it ("le").
    for at, bound in enumerate(BOUNDS):
        assert sum(times.counts[: at + 1]) == sum(seconds <= bound for seconds in took)
    assert sum(times.counts) == len(took)
    assert times.seconds == sum(took)
