"""Programs that are run when something happened: what they are told, and what they cannot do."""

import logging
import os
import signal
import sys
from pathlib import Path

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm import events
from trio_swarm.service import hooks
from trio_swarm.service.hooks import (
    LINE_LENGTH,
    MAX_LINES,
    MAX_WAITING,
    HookCall,
    Hooks,
    OutputLines,
    call_for,
    run_program,
)
from trio_swarm.settings import HookSettings

LIMIT = 60.0
"""Seconds until a test that hangs has failed."""


def completed(name: str = "film.mkv") -> events.EntryCompleted:
    return events.EntryCompleted(
        id=7, info_hash="ab" * 20, share_name=name, path="/srv/film.mkv", labels=["a", "b"]
    )


def failed(name: str, reason: str) -> events.TorrentFailed:
    return events.TorrentFailed(info_hash="", share_name=name, reason=reason)


def script(*lines: str) -> HookCall:
    """A program in Python, as a hook of a complete fetch."""
    settings = HookSettings(on_complete=(sys.executable, "-c", "\n".join(lines)))
    call = call_for(settings, completed())
    assert call is not None
    return call


@pytest.fixture(autouse=True)
def _log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "trio_swarm")


def test_a_program_is_told_in_its_environment_what_happened() -> None:
    settings = HookSettings(on_complete=("a", "b c"), on_failed=("d",))
    call = call_for(settings, completed())
    assert call is not None
    assert call.command == ("a", "b c")
    assert call.told == {
        "TRIO_SWARM_EVENT": "complete",
        "TRIO_SWARM_NAME": "film.mkv",
        "TRIO_SWARM_INFO_HASH": "ab" * 20,
        "TRIO_SWARM_PATH": "/srv/film.mkv",
        "TRIO_SWARM_ID": "7",
        "TRIO_SWARM_LABELS": "a,b",
    }
    call = call_for(settings, failed("x", "the disk is full"))
    assert call is not None
    assert call.told["TRIO_SWARM_REASON"] == "the disk is full"
    assert call_for(HookSettings(), completed()) is None
    assert call_for(settings, events.Listening(host="", port=1)) is None


@given(name=st.text(st.characters(), max_size=50), reason=st.text(st.characters()))
def test_a_strangers_name_becomes_a_value_that_an_environment_can_hold(
    name: str, reason: str
) -> None:
    call = call_for(HookSettings(on_failed=("x",)), failed(name * 500, reason))
    assert call is not None
    for value in call.told.values():
        assert b"\0" not in os.fsencode(value)
        assert len(value) <= 12 * hooks.VALUE_LENGTH


@given(st.lists(st.binary(max_size=30) | st.just(b"\n") | st.just(b"a\nb\n"), max_size=30))
def test_output_is_cut_into_the_same_lines_however_it_comes(parts: list[bytes]) -> None:
    lines, whole = OutputLines(), OutputLines()
    found = [line for part in parts for line in lines.add(part)] + list(lines.end())
    assert found == [*whole.add(b"".join(parts)), *whole.end()]
    assert all(line.isprintable() for line in found)


def test_output_without_end_is_bounded_in_lines_and_in_their_length() -> None:
    lines = OutputLines()
    assert list(lines.add(b"x" * 10_000_000)) == []
    (line,) = lines.end()
    assert len(line) == LINE_LENGTH
    assert len(list(lines.add(b"y\n" * 5000))) == MAX_LINES - 1
    assert lines.left_out == 4901


async def test_what_a_program_prints_is_logged_line_by_line(
    caplog: pytest.LogCaptureFixture,
) -> None:
    call = script(
        "import os, sys",
        "print(os.environ['TRIO_SWARM_NAME'], os.environ['TRIO_SWARM_PATH'], flush=True)",
        "print('to stderr \\x1b[31m', file=sys.stderr)",
        "sys.exit(3)",
    )
    with trio.fail_after(LIMIT):
        await run_program(call, limit=LIMIT)
    name = f"on_complete {Path(sys.executable).name}"
    assert f"{name}: film.mkv /srv/film.mkv" in caplog.messages
    assert f"{name}: to stderr \\x1b[31m" in caplog.messages
    assert f"{name}: ended with exit code 3" in caplog.messages


async def test_a_program_that_is_not_there_is_one_warning(caplog: pytest.LogCaptureFixture) -> None:
    call = call_for(HookSettings(on_complete=("/not/there", "secret")), completed())
    assert call is not None
    await run_program(call, limit=1)
    assert caplog.messages == ["on_complete there: cannot be run: No such file or directory"]


async def test_a_program_that_hangs_is_ended_with_all_that_it_started(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hooks, "GRACE", 0.1)
    fifo = tmp_path / "pids"
    os.mkfifo(fifo)
    call = script(
        "import os, signal, time",
        "signal.signal(signal.SIGTERM, signal.SIG_IGN)",
        "child = os.fork()",
        f"pipe = open({str(fifo)!r}, 'w')",  # both hold it open until they end
        "pipe.write('.')",
        "pipe.flush()",
        "time.sleep(3600)",
    )
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(lambda: run_program(call, limit=1))
            ended = await trio.to_thread.run_sync(fifo.read_bytes)
    assert set(ended) <= {ord(".")}  # and the pipe was closed: both are gone
    assert any("ended after 1 s" in each for each in caplog.messages)


async def test_a_background_program_with_the_output_open_does_not_hold_the_next_up(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(hooks, "GRACE", 0.1)
    call = script("import os, time", "os.fork() or time.sleep(5)")
    with trio.fail_after(LIMIT):
        await run_program(call, limit=LIMIT)


async def test_few_programs_run_at_once_and_all_have_their_turn(tmp_path: Path) -> None:
    program = (
        "import os, time; p = os.environ['TRIO_SWARM_NAME']; os.mkdir(p);"
        f"n = len([x for x in os.listdir({str(tmp_path)!r}) if not x.endswith('.done')]);"
        "time.sleep(0.05); os.rename(p, f'{p}.{n}.done')"
    )
    runner = Hooks(lambda: HookSettings(on_complete=(sys.executable, "-c", program)))
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runner.run)
            for number in range(9):
                runner.tell(completed(str(tmp_path / str(number))))
            await runner.wait_idle()
            nursery.cancel_scope.cancel()
    done = [each.split(".") for each in os.listdir(tmp_path)]  # noqa: PTH208 - of a small folder
    assert len(done) == 9
    assert max(int(at_once) for _, at_once, _ in done) <= hooks.AT_ONCE


async def test_a_node_that_ends_takes_its_programs_with_it(tmp_path: Path) -> None:
    pid_file = tmp_path / "pid"
    program = (
        f"import os, time; open({str(pid_file)!r}, 'w').write(f'{{os.getpid()}}\\n');"
        "time.sleep(3600)"
    )
    runner = Hooks(lambda: HookSettings(on_complete=(sys.executable, "-c", program)))
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(runner.run)
            runner.tell(completed())
            while not (pid_file.exists() and pid_file.read_text().endswith("\n")):  # noqa: ASYNC110
                await trio.sleep(0.01)
            nursery.cancel_scope.cancel()
    with pytest.raises(ProcessLookupError):
        os.kill(int(pid_file.read_text()), signal.SIGCONT)


def test_a_flood_of_events_is_bounded_and_told_once(caplog: pytest.LogCaptureFixture) -> None:
    runner = Hooks(lambda: HookSettings(on_complete=("x",)))
    for _ in range(MAX_WAITING + 50):
        runner.tell(completed())
    assert len(caplog.messages) == 1
    assert "not run: 1000 others wait already" in caplog.text
