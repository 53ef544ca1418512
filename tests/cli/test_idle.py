"""Shares where nothing moves say nothing; others at most once a second."""

import io
import json
from collections.abc import Callable
from contextlib import redirect_stdout

import pytest
import trio

from shown_events import peer_of, progress_of
from trio_swarm.cli.options import OutputOptions
from trio_swarm.cli.output.reporting import JsonReporter, Reporter
from trio_swarm.progress import PeerProgress, Progress


class Share:
    """A torrent as a reporter sees it; `uploaded` moves by `rate` bytes/s."""

    info_hash = b"\1" * 20
    name = "film"

    def __init__(self, rate: int) -> None:
        self.rate = rate

    def progress(self) -> Progress:
        uploaded = int(trio.current_time() * self.rate)
        return progress_of(state="seeding", uploaded=uploaded, upload_rate=float(self.rate))

    def peers(self) -> list[PeerProgress]:
        return [peer_of()]


async def told(make: Callable[[OutputOptions], Reporter], rate: int, seconds: float) -> list[str]:
    """Return the lines that are printed in so many virtual seconds."""
    out = io.StringIO()
    with redirect_stdout(out), trio.move_on_after(seconds):
        await make(OutputOptions()).follow(lambda: [Share(rate)])
    return out.getvalue().splitlines()


async def test_an_idle_share_is_told_once_and_at_the_end(
    autojump_clock: trio.testing.MockClock,
) -> None:
    lines = await told(JsonReporter, rate=0, seconds=60.5)
    assert [json.loads(line)["event"] for line in lines] == ["progress", "progress"]


async def test_a_busy_share_is_told_once_a_second(
    autojump_clock: trio.testing.MockClock,
) -> None:
    assert len(await told(JsonReporter, rate=1000, seconds=10.5)) == 11


async def test_plain_lines_do_not_repeat_themselves(
    autojump_clock: trio.testing.MockClock,
) -> None:
    assert len(await told(Reporter, rate=1000, seconds=95.0)) == 1
    assert await told(Reporter, rate=0, seconds=95.0) == []


def test_the_fake_has_what_a_torrent_has() -> None:
    assert Share(0).name
    with pytest.raises(RuntimeError):
        Share(0).progress()  # the clock is Trio's
