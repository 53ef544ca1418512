"""The virtual clock plays what is due in its order, and settles each moment once."""

from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.lab.simulator.alarm import Alarm
from trio_swarm.lab.simulator.timeline import Timeline


@given(st.lists(st.integers(0, 5)))
def test_actions_are_played_by_time_and_among_equals_as_planned(times: list[int]) -> None:
    timeline = Timeline()
    played: list[tuple[float, int]] = []
    settled: list[float] = []
    for number, when in enumerate(times):
        timeline.at(when, lambda number: played.append((timeline.now, number)), number)
    timeline.run(lambda: settled.append(timeline.now), until=10.0)
    assert played == sorted((when, number) for number, when in enumerate(times))
    assert settled == sorted(set(times))


def test_what_is_planned_for_this_moment_or_for_the_past_is_played_before_it_is_settled() -> None:
    timeline = Timeline()
    played: list[str] = []

    def first() -> None:
        timeline.at(timeline.now, played.append, "at once")
        timeline.at(timeline.now - 1.0, played.append, "late")

    timeline.at(2.0, first)
    timeline.at(2.0, played.append, "second")
    timeline.run(lambda: played.append("settled"), until=10.0)
    assert played == ["second", "at once", "late", "settled"]


def test_after_it_is_stopped_nothing_is_played() -> None:
    timeline = Timeline()
    played: list[str] = []
    timeline.at(1.0, timeline.stop)
    timeline.at(1.0, played.append, "after")
    timeline.run(lambda: played.append("settled"), until=10.0)
    assert not played


class Bell(Alarm):
    """An alarm that notes when it rings."""

    def __init__(self, timeline: Timeline) -> None:
        super().__init__(timeline)
        self.rung: list[float] = []
        self._now = lambda: timeline.now

    def ring(self) -> None:
        """Note the time."""
        self.rung.append(self._now())


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(0, 9)), max_size=30))
def test_an_alarm_rings_at_the_latest_when_it_was_set_to(settings: list[tuple[int, int]]) -> None:
    timeline = Timeline()
    alarm = Bell(timeline)
    for at, ahead in settings:
        timeline.at(at, alarm.set, at + ahead)
    timeline.run(lambda: None, until=30.0)
    for at, ahead in settings:
        assert any(at <= when <= at + ahead for when in alarm.rung)
    assert len(alarm.rung) <= len(settings)


def test_an_alarm_that_is_put_off_again_and_again_is_planned_once() -> None:
    timeline = Timeline()
    alarm = Bell(timeline)
    for when in range(5, 1000):
        alarm.set(when)
    alarm.set(float("inf"))
    timeline.run(lambda: None, until=2000.0)
    assert alarm.rung == [5.0]
