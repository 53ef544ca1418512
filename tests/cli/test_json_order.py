"""Lines of `--json` that are put off to be written together: none is lost, none is overtaken."""

import json

import pytest
import trio
import trio.testing

from trio_swarm.cli.options import OutputOptions
from trio_swarm.cli.output.reporting import JsonReporter
from trio_swarm.cli.running import run_until_interrupted
from trio_swarm.events import Listening, PieceVerified

Capture = pytest.CaptureFixture[str]


def new_events(output: Capture) -> list[str | int]:
    """Return what was written since the last call: pieces by number, others by name."""
    lines = map(json.loads, output.readouterr().out.splitlines())
    return [line.get("piece", line["event"]) for line in lines]


def verified(piece: int) -> PieceVerified:
    return PieceVerified(info_hash="00" * 20, piece=piece)


async def test_events_of_one_moment_are_written_at_once(capsys: Capture) -> None:
    reporter = JsonReporter(OutputOptions(json=True))
    for piece in range(5):
        reporter.event(verified(piece))
    assert new_events(capsys) == []
    await trio.testing.wait_all_tasks_blocked()
    assert new_events(capsys) == [0, 1, 2, 3, 4]
    reporter.event(verified(5))
    await trio.testing.wait_all_tasks_blocked()
    assert new_events(capsys) == [5]


async def test_other_events_overtake_none(capsys: Capture) -> None:
    reporter = JsonReporter(OutputOptions(json=True))
    reporter.event(verified(1))
    reporter.event(Listening(host="127.0.0.1", port=1))
    assert new_events(capsys) == [1, "listening"]
    reporter.event(verified(2))
    reporter.answer(Listening(host="127.0.0.1", port=2), "")
    assert new_events(capsys) == [2, "listening"]


async def test_nothing_is_lost_when_a_command_ends(capsys: Capture) -> None:
    reporter = JsonReporter(OutputOptions(json=True))

    async def body() -> int:
        reporter.event(verified(7))
        return 0

    assert await run_until_interrupted(body, reporter, interrupted=lambda: 1) == 0
    assert new_events(capsys) == [7]
