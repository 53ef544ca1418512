"""What the context of requests promises."""

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
import trio
import trio.testing

from trio_swarm.config.reading import parse_config
from trio_swarm.control.context import ControlContext
from trio_swarm.errors import StorageError
from trio_swarm.service.configured import ConfiguredPeer
from trio_swarm.settings import ControlSettings


def context_of(
    nursery: trio.Nursery, folder: Path, settings: ControlSettings | None = None
) -> ControlContext:
    """The context of a node that is not opened."""
    file = folder / "peer.toml"
    peer = ConfiguredPeer(
        parse_config(b"", file=file, folder=folder), file, on_event=lambda _event: None
    )
    return ControlContext(
        peer=peer,
        settings=settings or ControlSettings(),
        config_file=file,
        state_folder=folder,
        started_at=0.0,
        stop=lambda: None,
        nursery=nursery,
    )


async def test_what_is_added_may_go_to_the_download_folder_and_to_those_that_are_named(
    tmp_path: Path,
) -> None:
    """Remotes ask how much room there is where torrents go by default, and move them back there."""
    async with trio.open_nursery() as nursery:
        context = context_of(nursery, tmp_path, ControlSettings(folders=(tmp_path / "films",)))
        assert context.folders == (tmp_path, tmp_path / "films")


async def ask_and_go(context: ControlContext, work: Callable[[], Awaitable[object]]) -> None:
    """Ask for some work, and go away before it is done."""
    with trio.move_on_after(1):
        await context.finish(work)


async def test_a_change_is_finished_though_whoever_asked_for_it_has_gone(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    finished = trio.Event()

    async def move() -> None:
        await trio.sleep(60)
        finished.set()

    async with trio.open_nursery() as nursery:
        context = context_of(nursery, tmp_path)
        await ask_and_go(context, move)
        assert not finished.is_set()
        await finished.wait()
        assert trio.current_time() - 60 < 60


async def test_who_waits_is_told_how_a_change_ended(tmp_path: Path) -> None:
    async def move() -> str:
        await trio.lowlevel.checkpoint()
        return "moved"

    async def fail() -> str:
        await trio.lowlevel.checkpoint()
        raise StorageError("exists already", path=tmp_path)

    async with trio.open_nursery() as nursery:
        context = context_of(nursery, tmp_path)
        assert await context.finish(move) == "moved"
        with pytest.raises(StorageError, match="exists already"):
            await context.finish(fail)


async def test_what_fails_when_nobody_waits_is_logged_and_ends_nothing(
    tmp_path: Path, autojump_clock: trio.testing.MockClock, caplog: pytest.LogCaptureFixture
) -> None:
    async def fail() -> None:
        await trio.sleep(60)
        raise StorageError("exists already", path=tmp_path)

    async with trio.open_nursery() as nursery:
        await ask_and_go(context_of(nursery, tmp_path), fail)
    assert "exists already" in caplog.text


async def test_the_end_of_the_node_ends_a_change(tmp_path: Path) -> None:
    async with trio.open_nursery() as nursery:
        context = context_of(nursery, tmp_path)
        nursery.start_soon(context.finish, trio.sleep_forever)
        await trio.testing.wait_all_tasks_blocked()
        nursery.cancel_scope.cancel()
