"""A node's list at run time: real nodes on loopback, files on the disk, and restarts."""

import os
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import trio

from kept_lists import LIMIT, kept_list, state_of
from local_swarm import Recorder, contents, make_file, make_folder, tracker, until
from task_names import task_names
from trio_swarm import FetchSettings, ShareSettings, events
from trio_swarm.errors import (
    ConfigError,
    EntryPresentError,
    EntryUnknownError,
    StorageError,
    TrioSwarmError,
)
from trio_swarm.metainfo_files import create_torrent
from trio_swarm.peer import torrent as torrent_module
from trio_swarm.progress import TorrentLimits
from trio_swarm.service.entries.changing import EntryChanges, SchedulerChange
from trio_swarm.service.entries.entries import Entries
from trio_swarm.service.entries.entry import Entry
from trio_swarm.service.entries.limits import NO_GOAL, LimitChanges, NodeLimits


@pytest.fixture(autouse=True)
async def _in_time() -> AsyncIterator[None]:
    with trio.fail_after(LIMIT):
        yield


def wanted(what: str, folder: Path, **more: Any) -> FetchSettings:
    return FetchSettings(what=what, folder=folder, wait=True, **more)


async def test_what_was_added_comes_back_and_goes_on_where_it_was(tmp_path: Path) -> None:
    data = make_folder(tmp_path / "in" / "album")
    there = tmp_path / "there"
    async with tracker() as url, kept_list(tmp_path / "seeder", url) as seeds:
        share = await seeds.add(ShareSettings(path=data))
        await state_of(share, "seeding")
        assert share.torrent is not None
        magnet = share.torrent.magnet()
        async with kept_list(tmp_path / "leecher", url) as entries:
            fetch = await entries.add(wanted(magnet, there), labels=("music",))
            assert (fetch.id, fetch.origin, fetch.kind, fetch.name) == (
                1,
                "added",
                "fetch",
                "album",
            )
            await state_of(fetch, "seeding")
            assert fetch.completed_at is not None
            downloaded = fetch.downloaded_ever
            assert downloaded >= 2_300_001
            assert fetch.active_at > fetch.added_at - 1, "before its bytes were accounted"
        assert contents(there / "album") == contents(data)
    async with kept_list(tmp_path / "leecher") as entries:  # nobody can tell the metadata now
        (again,) = entries
        assert (again.id, again.name, again.labels) == (1, "album", ("music",))
        assert again.info_hash == share.info_hash
        await state_of(again, "seeding")
        assert again.downloaded_ever == downloaded
        assert again.seconds_seeding > 0
        assert again.completed_at == fetch.completed_at


async def test_a_torrent_file_is_kept_and_need_not_be_there_later(tmp_path: Path) -> None:
    metainfo = create_torrent(make_file(tmp_path / "film", 100_000), state_folder=tmp_path / "s")
    file = tmp_path / "film.torrent"
    file.write_bytes(metainfo.to_bytes())
    folder = tmp_path / "other"
    async with kept_list(tmp_path) as entries:
        by_path = await entries.add(wanted(str(file), folder), paused=True)
        with pytest.raises(EntryPresentError, match="film is in the list already, as number 1"):
            await entries.add(wanted("whatever", folder), metainfo=metainfo.to_bytes())
        assert (by_path.name, by_path.state) == ("film", "paused")
        await entries.remove(by_path)
        assert list(entries) == []
        await entries.add(wanted("a film", folder), metainfo=metainfo.to_bytes())
    file.unlink()
    make_file(folder / "film", 100_000)
    async with kept_list(tmp_path) as entries:
        (entry,) = entries
        assert (entry.id, entry.name) == (2, "film")
        await state_of(entry, "seeding")


async def test_who_is_paused_is_paused_after_a_restart_until_somebody_resumes_it(
    tmp_path: Path,
) -> None:
    film = make_file(tmp_path / "film", 100_000)
    async with kept_list(tmp_path) as entries:
        share = await entries.add(ShareSettings(path=film))
        await state_of(share, "seeding")
        await entries.pause(share)
        assert (share.state, share.torrent, share.is_paused) == ("paused", None, True)
        assert share.info_hash is not None
    async with kept_list(tmp_path) as entries:
        (again,) = entries
        assert (again.state, again.info_hash) == ("paused", share.info_hash)
        await entries.wait_idle()
        await entries.resume(again)
        await state_of(again, "seeding")
        with trio.move_on_after(0.1):
            await entries.wait_idle()
            raise AssertionError
        await entries.pause(again)
        await entries.wait_idle()


async def test_one_that_failed_says_why_and_is_tried_again(tmp_path: Path) -> None:
    async with kept_list(tmp_path) as entries:
        share = await entries.add(ShareSettings(path=tmp_path / "later"))
        await state_of(share, "failed")
        assert "later" in share.error
        await entries.wait_idle()
        make_file(tmp_path / "later", 10)
        await entries.resume(share)
        assert share.error == ""
        await state_of(share, "seeding")


async def test_calls_about_one_entry_wait_for_each_other(tmp_path: Path) -> None:
    film = make_file(tmp_path / "film", 3_000_000)
    async with kept_list(tmp_path) as entries:
        share = await entries.add(ShareSettings(path=film))
        for _ in range(3):
            async with trio.open_nursery() as nursery:
                for call in (entries.pause, entries.resume, entries.pause, entries.resume):
                    nursery.start_soon(call, share)
        await entries.resume(share)
        await state_of(share, "seeding")
        async with trio.open_nursery() as nursery:
            nursery.start_soon(entries.remove, share)
            await trio.testing.wait_all_tasks_blocked()
            with pytest.raises(EntryUnknownError):
                await entries.pause(share)
        assert list(entries) == []


async def fetched(tmp_path: Path, data: Path, entries: Entries, **more: Any) -> Entry:
    """A fetch that is complete: its data was there already."""
    metainfo = create_torrent(data, state_folder=tmp_path / "s")
    entry = await entries.add(wanted("x", data.parent, **more), metainfo=metainfo.to_bytes())
    await state_of(entry, "seeding", "done")
    return entry


async def test_data_is_deleted_with_its_entry_and_nothing_else(tmp_path: Path) -> None:
    data = make_folder(tmp_path / "in" / "album")
    outside = make_file(tmp_path / "outside", 5)
    async with kept_list(tmp_path) as entries:
        entry = await fetched(tmp_path, data, entries)
        own = make_file(data / "deep" / "own", 7)
        (data / "deep" / "link").symlink_to(outside)
        (data / "a.bin").unlink()
        (data / "a.bin").symlink_to(outside)
        await entries.remove(entry, delete_data=True)
        assert list(entries) == []
    assert contents(tmp_path / "in") == {
        "album/deep/own": own.read_bytes(),
        "album/deep/link": outside.read_bytes(),
        "album/a.bin": outside.read_bytes(),
    }
    assert not (data / "deep" / "er").exists()
    async with kept_list(tmp_path) as entries:
        assert list(entries) == []


async def test_data_of_a_paused_entry_is_deleted_after_a_restart_too(tmp_path: Path) -> None:
    data = make_folder(tmp_path / "in" / "album")
    async with kept_list(tmp_path) as entries:
        await entries.pause(await fetched(tmp_path, data, entries))
    async with kept_list(tmp_path) as entries:
        (entry,) = entries
        await entries.remove(entry, delete_data=True)
    assert not data.exists()
    assert data.parent.exists()


async def test_data_that_was_never_taken_for_its_own_is_not_deleted(tmp_path: Path) -> None:
    """A download refuses what is there and is not of its torrent (see storage.placement)."""
    metainfo = create_torrent(make_file(tmp_path / "film", 100_000), state_folder=tmp_path / "s")
    mine = make_file(tmp_path / "in" / "film", 50_000, seed=2)
    async with kept_list(tmp_path) as entries:
        settings = wanted("x", mine.parent)
        for paused in (False, True):
            entry = await entries.add(settings, metainfo=metainfo.to_bytes(), paused=paused)
            await state_of(entry, "paused" if paused else "failed")
            with pytest.raises(StorageError, match="not known to be of this torrent"):
                await entries.remove(entry, delete_data=True)
            assert list(entries) == [entry]
            await entries.remove(entry)
    assert mine.stat().st_size == 50_000


async def test_files_that_another_entry_has_too_are_not_deleted(tmp_path: Path) -> None:
    data = make_folder(tmp_path / "in" / "album")
    async with kept_list(tmp_path) as entries:
        entry = await fetched(tmp_path, data, entries)
        share = await entries.add(ShareSettings(path=data / "deep"))
        await state_of(share, "seeding")
        await entries.remove(entry, delete_data=True)
        assert sorted(contents(data)) == ["deep/c.bin", "deep/er/b.bin"]
        assert share.state == "seeding"


async def test_what_is_removed_with_its_data_at_the_same_time_keeps_no_files(
    tmp_path: Path,
) -> None:
    data = make_folder(tmp_path / "in" / "album")
    async with kept_list(tmp_path) as entries:
        entry = await fetched(tmp_path, data, entries)
        share = await entries.add(ShareSettings(path=data / "deep"))
        await state_of(share, "seeding")
        share.record = share.change(deletes_data=True)  # its data is to be deleted next
        await entries.remove(entry, delete_data=True)
        assert not data.exists()


async def test_goals_count_over_restarts_and_may_be_changed_at_run_time(tmp_path: Path) -> None:
    data = make_file(tmp_path / "film", 100_000)
    async with kept_list(tmp_path) as entries:
        entry = await fetched(tmp_path, data, entries, seed_for=1e6)
        assert entry.state == "seeding"
        await entries.change(entry, EntryChanges(limits=LimitChanges(seed_for=0.01)))
        await state_of(entry, "done")
        await entries.wait_idle()
    async with kept_list(tmp_path) as entries:
        (entry,) = entries
        assert entry.state == "done"
        await entries.resume(entry)  # whoever resumes it wants it to be seeded
        await state_of(entry, "seeding")
        await trio.testing.wait_all_tasks_blocked(0.05)
        await state_of(entry, "seeding")
        await entries.change(entry, EntryChanges(limits=LimitChanges(seed_ratio=0.0)))
        await state_of(entry, "done")
        await entries.change(entry, EntryChanges(limits=LimitChanges(seed_for=NO_GOAL)))
        with pytest.raises(ConfigError, match="limits"):
            await entries.change(entry, EntryChanges(limits=LimitChanges(seed_ratio=-1.0)))


async def test_a_fetch_that_is_not_to_be_seeded_is_done_at_once(tmp_path: Path) -> None:
    async with kept_list(tmp_path) as entries:
        entry = await fetched(tmp_path, make_file(tmp_path / "film", 10), entries, seed=False)
        await state_of(entry, "done")
        assert entry.path == tmp_path / "film"


async def test_only_so_many_run_at_once_and_the_order_may_be_changed(tmp_path: Path) -> None:
    files = [make_file(tmp_path / name, 10, seed=ord(name)) for name in "abc"]
    recorder = Recorder()
    async with kept_list(tmp_path, on_event=recorder) as entries:
        entries.set_node_limits(NodeLimits(max_active_seeds=1))
        a, b, c = [await entries.add(ShareSettings(path=path)) for path in files]
        await state_of(a, "seeding")
        assert [b.state, c.state] == ["queued", "queued"]
        await entries.change(c, EntryChanges(queue_position=0))
        assert [each.queue_position for each in (a, b, c)] == [1, 2, 0]
        await state_of(c, "seeding")
        assert [a.state, b.state] == ["queued", "queued"]
        await entries.pause(c)
        await state_of(a, "seeding")
        await entries.resume(b, at_once=True)
        await state_of(b, "seeding")
        await state_of(a, "queued")
    told = [(each.id, each.state) for each in recorder.of(events.EntryChanged)]
    assert (1, "queued") in told
    async with kept_list(tmp_path) as entries:
        assert [each.queue_position for each in entries] == [1, 2, 0]


async def test_who_listens_hears_of_the_list_and_of_the_node(tmp_path: Path) -> None:
    async with kept_list(tmp_path) as entries, entries.subscribe() as heard:
        share = await entries.add(ShareSettings(path=make_file(tmp_path / "film", 10)))
        await state_of(share, "seeding")
        await entries.remove(share)
        kinds = [type(await heard.receive())]
        while kinds[-1] is not events.EntryRemoved:
            kinds.append(type(await heard.receive()))
    assert kinds[0] is events.EntryAdded
    assert {events.Sharing, events.EntryChanged} <= set(kinds)


async def test_whoever_waits_for_completion_is_called_once(tmp_path: Path) -> None:
    called: list[int] = []
    for _ in range(2):
        async with kept_list(tmp_path, restores=False) as entries:
            entries.on_complete = lambda entry: called.append(entry.id)
            entries.restore()
            if not len(entries):
                await fetched(tmp_path, make_file(tmp_path / "film", 10), entries)
            (entry,) = entries
            await state_of(entry, "seeding")
    assert called == [1]


async def test_a_second_node_with_the_same_state_has_a_list_that_ends_with_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    film = make_file(tmp_path / "film", 10)
    async with kept_list(tmp_path) as first, kept_list(tmp_path) as second:
        assert (first.is_kept, second.is_kept) == (True, False)
        assert "another trio-swarm has the list" in caplog.text
        await state_of(await second.add(ShareSettings(path=film)), "seeding")
        assert len(first) == 0
    async with kept_list(tmp_path) as third:
        assert list(third) == []


async def test_an_entry_keeps_to_its_limits_at_once_and_after_a_restart(tmp_path: Path) -> None:
    film = make_file(tmp_path / "film", 100_000)
    own = LimitChanges(upload_rate=50_000, download_rate=70_000, upload_slots=3)
    async with kept_list(tmp_path) as entries:
        share = await entries.add(ShareSettings(path=film))
        await state_of(share, "seeding")
        await entries.change(share, EntryChanges(limits=own))
        assert share.torrent is not None
        told = TorrentLimits(upload_rate=50_000, download_rate=70_000, upload_slots=3)
        assert share.torrent.limits == told
    async with kept_list(tmp_path) as entries:
        (again,) = entries
        await state_of(again, "seeding")
        assert again.torrent is not None
        assert again.torrent.limits == told
        none = LimitChanges(upload_rate=None, download_rate=None, upload_slots=None)
        await entries.change(again, EntryChanges(limits=none))
        assert again.torrent.limits == TorrentLimits()


async def test_data_is_moved_and_shared_from_there_after_a_restart_too(tmp_path: Path) -> None:
    data = make_folder(tmp_path / "in" / "album")
    before, there, beyond = contents(data), tmp_path / "there", tmp_path / "beyond"
    async with tracker() as url, kept_list(tmp_path / "seeder", url) as seeds:
        share = await seeds.add(ShareSettings(path=data))
        await state_of(share, "seeding")
        assert share.torrent is not None
        async with kept_list(tmp_path / "leecher", url) as entries:
            fetch = await entries.add(wanted(share.torrent.magnet(), tmp_path / "first"))
            await state_of(fetch, "seeding")
            await entries.move(fetch, there)
            await state_of(fetch, "seeding")
            assert (fetch.folder, fetch.path) == (there, there / "album")
            assert not (tmp_path / "first" / "album").exists()
            await entries.pause(fetch)
            await entries.move(fetch, beyond)
            assert fetch.path == beyond / "album"
        await seeds.move(share, there)
        await state_of(share, "seeding")
        assert share.path == there / "album"
    assert contents(there / "album") == contents(beyond / "album") == before
    async with kept_list(tmp_path / "leecher") as entries:
        (again,) = entries
        await entries.resume(again)
        await state_of(again, "seeding")
        assert (again.path, again.downloaded_ever) == (beyond / "album", fetch.downloaded_ever)


async def test_what_cannot_be_moved_stays_and_goes_on_where_it_is(tmp_path: Path) -> None:
    film = make_file(tmp_path / "film", 100_000)
    there = tmp_path / "there"
    there.mkdir()
    make_file(there / "film", 10)
    async with kept_list(tmp_path) as entries:
        share = await entries.add(ShareSettings(path=film))
        await state_of(share, "seeding")
        with pytest.raises(StorageError, match="exists already"):
            await entries.move(share, there)
        await state_of(share, "seeding")
        assert share.path == film
        assert share.record.moving_to is None
    assert (there / "film").stat().st_size == 10


@pytest.mark.parametrize("moved", [False, True])
async def test_a_move_that_was_killed_goes_on_at_the_next_start(
    tmp_path: Path, *, moved: bool
) -> None:
    film = make_file(tmp_path / "film", 100_000)
    there = tmp_path / "there"
    async with kept_list(tmp_path) as entries:
        share = await entries.add(ShareSettings(path=film))
        await state_of(share, "seeding")
        await entries.pause(share)
        # What a node has kept that is killed before, or just after, the data has moved.
        await entries._keeping.save(share, share.change(moving_to=str(there)))
        if moved:
            there.mkdir()
            film.rename(there / "film")
    async with kept_list(tmp_path) as entries:
        (again,) = entries
        await until(lambda: again.record.moving_to is None)
        assert again.path == there / "film"
        assert not film.exists()
        await entries.resume(again)
        await state_of(again, "seeding")


@pytest.mark.parametrize("runs", [True, False])
async def test_what_is_bad_after_a_check_is_fetched_again(tmp_path: Path, *, runs: bool) -> None:
    data = make_folder(tmp_path / "in" / "album")
    before = contents(data)
    async with tracker() as url, kept_list(tmp_path / "seeder", url) as seeds:
        share = await seeds.add(ShareSettings(path=data))
        await state_of(share, "seeding")
        assert share.torrent is not None
        async with kept_list(tmp_path / "leecher", url) as entries:
            fetch = await entries.add(wanted(share.torrent.magnet(), tmp_path / "there"))
            await state_of(fetch, "seeding")
            if not runs:
                await entries.pause(fetch)
            _damage_unnoticed(max((tmp_path / "there" / "album").rglob("*"), key=_size))
            assert contents(tmp_path / "there" / "album") != before
            await entries.verify(fetch)
            if not runs:
                await entries.resume(fetch)
            await until(lambda: _contents(tmp_path / "there" / "album") == before)
            await state_of(fetch, "seeding")


def _size(path: Path) -> int:
    return path.stat().st_size if path.is_file() else -1


def _contents(folder: Path) -> dict[str, bytes]:
    try:
        return contents(folder)
    except FileNotFoundError:  # it gets its name of a download meanwhile
        return {}


def _damage_unnoticed(file: Path) -> None:
    """Change a byte as a bad disk does: neither size nor times tell of it."""
    status = file.stat()
    with file.open("r+b") as opened:
        first = opened.read(1)
        opened.seek(0)
        opened.write(bytes([first[0] ^ 1]))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))


async def test_another_strategy_goes_on_with_a_fetch_after_a_restart_too(tmp_path: Path) -> None:
    magnet = f"magnet:?xt=urn:btih:{'ab' * 20}"
    async with kept_list(tmp_path) as entries:
        fetch = await entries.add(wanted(magnet, tmp_path / "there"))
        await state_of(fetch, "metadata")
        rarest = SchedulerChange("rarest-first", {"random_first_pieces": "4"}, text_values=True)
        await entries.change(fetch, EntryChanges(scheduler=rarest))
        with pytest.raises(ConfigError, match="no-such"):
            await entries.change(fetch, EntryChanges(scheduler=SchedulerChange("no-such")))
        assert fetch.torrent is not None
        chosen = fetch.torrent.scheduler_state()
        assert (chosen.name, chosen.options["random_first_pieces"]) == ("rarest-first", 4)
        entries.reannounce(fetch)
        await entries.pause(fetch)
        with pytest.raises(TrioSwarmError, match="is paused, so it is not announced"):
            entries.reannounce(fetch)
        await entries.change(fetch, EntryChanges(scheduler=SchedulerChange("round-robin")))
    async with kept_list(tmp_path) as entries:
        (again,) = entries
        await entries.resume(again)
        await state_of(again, "metadata")
        assert again.torrent is not None
        assert again.torrent.scheduler_state().name == "round-robin"
        share = await entries.add(ShareSettings(path=make_file(tmp_path / "film", 1000)))
        with pytest.raises(ConfigError, match="is a share"):
            await entries.change(share, EntryChanges(scheduler=SchedulerChange("round-robin")))


async def test_a_move_that_was_begun_may_get_another_aim_or_lose_its_entry(tmp_path: Path) -> None:
    data = make_file(tmp_path / "in" / "film", 50_000)
    async with kept_list(tmp_path) as entries:
        share = await entries.add(ShareSettings(path=data))
        await state_of(share, "seeding")
        await entries.change(share, EntryChanges(moving_to=tmp_path / "first"))
        await entries.change(share, EntryChanges(moving_to=tmp_path / "second"))
        await until(lambda: share.record.moving_to is None)
        assert (share.folder, share.error) == (tmp_path / "second", "")
        await state_of(share, "seeding")
        await entries.change(share, EntryChanges(moving_to=tmp_path / "third"))
        await entries.remove(share)
        again = await entries.add(ShareSettings(path=make_file(tmp_path / "other", 10)))
        await state_of(again, "seeding")
        assert list(entries) == [again]


def tasks() -> list[str]:
    """Return the names of all tasks but those that ask trackers."""
    return sorted(name for name in task_names() if not name.startswith(("ask ", "hear ")))


async def test_what_is_only_seeded_has_no_task_and_ends_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torrent_module, "REST_AFTER", 0.05)
    metainfo = create_torrent(make_file(tmp_path / "film", 100_000), state_folder=tmp_path / "s")
    async with kept_list(tmp_path, restores=False) as entries:
        few = tasks()
        shares = [
            await entries.add(ShareSettings(path=make_file(tmp_path / "in" / f"{n}", 100, seed=n)))
            for n in range(5)
        ]
        fetch = await entries.add(wanted("film", tmp_path), metainfo=metainfo.to_bytes())
        every = [*shares, fetch]
        await until(lambda: {entry.state for entry in every} == {"seeding"})
        await until(lambda: tasks() == few)
        await entries.pause(fetch)
        await entries.resume(fetch)
        await state_of(fetch, "seeding")
        await entries.change(fetch, EntryChanges(limits=LimitChanges(seed_for=0.0)))
        await state_of(fetch, "done")
        await entries.change(shares[0], EntryChanges(limits=LimitChanges(seed_ratio=0.0)))
        await state_of(shares[0], "done")
        await entries.remove(shares[1])
        await entries.pause(shares[2])
        running = [entry.torrent for entry in every]
        assert [torrent is None for torrent in running] == [True, True, True, False, False, True]
        await until(lambda: tasks() == few)
    assert [entry.state for entry in shares[3:]] == ["hashing", "hashing"]
    assert [entry.run is not None and entry.run.is_over for entry in shares[3:]] == [True, True]
