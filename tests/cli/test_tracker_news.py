"""A tracker's trouble is told a few times, however many torrents have it and however long."""

import pytest

from trio_swarm.cli.options import OutputOptions
from trio_swarm.cli.output.reporting import Reporter
from trio_swarm.cli.output.tracker_news import MAX_TOLD, TrackerNews
from trio_swarm.events import Announced, TrackerFailed, TrackerSilent

URL = "udp://10.0.0.1:6969"
Capture = pytest.CaptureFixture[str]


def failed(number: int = 0, retry_in: float | None = 1.0, reason: str = "refused") -> TrackerFailed:
    return TrackerFailed(info_hash=f"{number:040x}", tracker=URL, reason=reason, retry_in=retry_in)


def silent(number: int = 0) -> TrackerSilent:
    return TrackerSilent(info_hash=f"{number:040x}", tracker=URL, seconds=2.0)


def announced(number: int = 0) -> Announced:
    return Announced(
        info_hash=f"{number:040x}", tracker=URL, seeders=1, leechers=0, peers=0, interval=30.0
    )


def test_thirty_shares_and_one_tracker_that_is_down_are_one_line(capsys: Capture) -> None:
    reporter = Reporter(OutputOptions())
    for number in range(30):
        reporter.event(failed(number))
    assert capsys.readouterr().err == "trio-swarm: refused; trying again in 1.0 s\n"
    for number in range(30):
        reporter.event(silent(number))
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_an_outage_of_a_night_is_a_few_lines_and_its_end_is_told(capsys: Capture) -> None:
    reporter = Reporter(OutputOptions())
    for tries in range(1000):
        reporter.event(failed(retry_in=min(30.0, 2.0**tries)))
    assert capsys.readouterr().err.splitlines() == [
        f"trio-swarm: refused; trying again in {wait}" for wait in ("1.0 s", "4.0 s", "16 s")
    ]
    reporter.event(announced())
    reporter.event(announced())
    assert capsys.readouterr().out == f"{URL}: answers now\n"
    reporter.event(failed())
    assert "trying again in 1.0 s" in capsys.readouterr().err


def test_a_tracker_that_refuses_one_torrent_does_not_work_again_by_taking_another(
    capsys: Capture,
) -> None:
    reporter = Reporter(OutputOptions())
    reporter.event(failed(0))
    reporter.event(announced(1))
    assert "answers" not in capsys.readouterr().out
    reporter.event(failed(1))
    reporter.event(announced(0))
    assert "answers" not in capsys.readouterr().out
    reporter.event(announced(1))
    assert "answers now" in capsys.readouterr().out


def test_every_reason_is_told_and_verbose_tells_every_try(capsys: Capture) -> None:
    reporter = Reporter(OutputOptions())
    for reason in ("refused", "no route", "refused"):
        reporter.event(failed(reason=reason, retry_in=None))
    assert len(capsys.readouterr().err.splitlines()) == 2
    verbose = Reporter(OutputOptions(verbose=True))
    for _ in range(5):
        verbose.event(failed())
    assert len(capsys.readouterr().err.splitlines()) == 5


def test_what_was_told_is_bounded_whatever_trackers_say() -> None:
    news = TrackerNews()
    for number in range(3 * MAX_TOLD):
        assert news.is_news(failed(reason=f"reason {number}"))
    assert len(news._waits) <= MAX_TOLD
