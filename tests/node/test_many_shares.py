"""Many shares of one node are opened by few threads; none holds up the others."""

import threading
from pathlib import Path

import pytest
import trio

from local_swarm import Recorder, make_file, node, until
from trio_swarm import Torrent, events, share_plans
from trio_swarm.errors import StorageError
from trio_swarm.storage.content import TorrentFiles

LIMIT = 30.0
"""Seconds until a test that hangs has failed."""


def make_files(folder: Path, count: int) -> list[Path]:
    return [make_file(folder / f"{number}.bin", 1000, seed=number) for number in range(count)]


async def test_hundreds_are_opened_by_few_calls_into_threads(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(share_plans, "SLICE", 1000.0)  # so that a busy machine changes nothing
    calls = 0
    run_sync = trio.to_thread.run_sync

    async def counted(function: object, *arguments: object, **named: object) -> object:
        nonlocal calls
        calls += 1
        return await run_sync(function, *arguments, **named)  # type: ignore[call-overload]

    paths = make_files(tmp_path / "in", 300)
    with trio.fail_after(LIMIT):
        async with node(tmp_path) as seeder, trio.open_nursery() as nursery:
            monkeypatch.setattr(trio.to_thread, "run_sync", counted)
            for path in paths:
                nursery.start_soon(seeder.share, path)
            await until(lambda: len(seeder.torrents) == 300)
            monkeypatch.undo()
    assert calls <= 3


async def test_a_file_system_that_does_not_answer_holds_up_its_own_shares_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on = threading.Event()
    open_share = share_plans.open_share

    def hang(path: Path, **more: object) -> TorrentFiles | None:
        if path.name in {"0.bin", "3.bin"}:
            go_on.wait(LIMIT)
        return open_share(path, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(share_plans, "open_share", hang)
    monkeypatch.setattr(share_plans, "STALL", 0.05)
    paths = make_files(tmp_path / "in", 10)
    with trio.fail_after(LIMIT):
        async with node(tmp_path) as seeder, trio.open_nursery() as nursery:
            for path in paths:
                nursery.start_soon(seeder.share, path)
            await until(lambda: len(seeder.torrents) >= 8)
            assert {torrent.name for torrent in seeder.torrents}.isdisjoint({"0.bin", "3.bin"})
            go_on.set()
            await until(lambda: len(seeder.torrents) == 10)


async def test_one_that_cannot_be_shared_is_an_error_of_its_own(tmp_path: Path) -> None:
    paths = make_files(tmp_path / "in", 5)
    paths[2].unlink()
    failed: list[str] = []

    with trio.fail_after(LIMIT):
        async with node(tmp_path) as seeder, trio.open_nursery() as nursery:

            async def share(path: Path) -> None:
                try:
                    await seeder.share(path)
                except StorageError as error:
                    failed.append(error.path.name)

            for path in paths:
                nursery.start_soon(share, path)
            await until(lambda: len(seeder.torrents) + len(failed) == 5)
    assert failed == ["2.bin"]


async def test_one_that_is_given_up_while_it_waits_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, began = threading.Event(), threading.Event()
    open_share = share_plans.open_share

    def wait(path: Path, **more: object) -> TorrentFiles | None:
        began.set()
        go_on.wait(LIMIT)
        return open_share(path, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(share_plans, "open_share", wait)
    first, second = make_files(tmp_path / "in", 2)
    with trio.fail_after(LIMIT):
        async with node(tmp_path) as seeder:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(seeder.share, first)
                await until(began.is_set)
                nursery.start_soon(seeder.share, second)
                await trio.testing.wait_all_tasks_blocked(0.01)
                nursery.cancel_scope.cancel()
            go_on.set()
            assert seeder.torrents == []
            assert (await seeder.share(second)).state == "seeding"
            assert len(seeder.torrents) == 1


async def test_what_was_shared_before_is_not_hashed_and_known_by_one_file(tmp_path: Path) -> None:
    paths = make_files(tmp_path / "in", 20)
    hashed: list[int] = []

    async def share_all() -> list[Torrent]:
        async with node(tmp_path, recorder=recorder) as seeder:
            return [
                await seeder.share(path, on_progress=lambda done, _total: hashed.append(done))
                for path in paths
            ]

    recorder = Recorder()
    with trio.fail_after(LIMIT):
        first = await share_all()
        assert hashed == [1000] * 20
        hashed.clear()
        again = await share_all()
    assert hashed == []
    assert [share.info_hash for share in again] == [share.info_hash for share in first]
    assert len(recorder.of(events.Sharing)) == 40
    assert [path.name for path in (tmp_path / ".state" / "hashes").iterdir()] == ["index"]
