"""A folder for what is not complete: real nodes, two file systems, and kill -9 on the way home.

What users expect is what Transmission 4.0 does with `incomplete-dir` (its rpc-spec, "Session
parameters") and qBittorrent with "Keep incomplete torrents in".
"""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import trio

from kept_lists import kept_list, killed_at_step, state_of, torrent_of, wanted
from local_swarm import Recorder, contents, make_file, make_folder, tracker, until
from mounts import in_memory
from trio_swarm import ShareSettings, events
from trio_swarm.service import fetches
from trio_swarm.service.entries import incomplete
from trio_swarm.service.entries.entries import Entries
from trio_swarm.service.entries.entry import Entry

# The child of a test is killed; other threads of the worker are of no use to it.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


@pytest.fixture(params=["the same file system", "another file system"])
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Path]:
    """The folder where fetches go."""
    if request.param == "the same file system":
        yield tmp_path / "home"
    else:
        with in_memory(tmp_path / "home", "size=64m") as other:
            yield other


async def test_a_fetch_begins_there_and_goes_on_from_its_own_folder_when_it_is_complete(
    tmp_path: Path, home: Path
) -> None:
    data, begins = make_folder(tmp_path / "in" / "album"), tmp_path / "begins"
    recorder, began_at = Recorder(), set[str]()

    def heard(event: events.Event) -> None:
        recorder(event)
        if isinstance(event, events.PieceVerified):
            began_at.update(each.name for each in begins.iterdir())

    called: list[Path | None] = []
    async with tracker() as url, kept_list(tmp_path / "seeder", url) as seeds:
        share = await seeds.add(ShareSettings(path=data))
        await state_of(share, "seeding")
        assert share.torrent is not None
        magnet = share.torrent.magnet()
        async with kept_list(
            tmp_path / "leecher", url, incomplete=begins, on_event=heard
        ) as entries:
            entries.on_complete = lambda entry: called.append(entry.path)
            fetch = await entries.add(wanted(home, magnet))
            await state_of(fetch, "seeding")
            await until(lambda: fetch.completed_at is not None)
            assert began_at == {"album.part"}
            assert (fetch.folder, fetch.path) == (home, home / "album")
            downloaded = fetch.downloaded_ever
        assert contents(home / "album") == contents(data)
        assert list(begins.iterdir()) == []
    (told,) = recorder.of(events.EntryCompleted)
    assert (told.path, called) == (str(home / "album"), [home / "album"])
    assert recorder.of(events.Checked)[-1].hashed == 0  # its resume state came along
    async with kept_list(tmp_path / "leecher", incomplete=begins) as entries:
        (again,) = entries
        await state_of(again, "seeding")
        assert (again.path, again.downloaded_ever) == (home / "album", downloaded)
        assert again.incomplete_folder is None


async def test_a_fetch_that_is_not_to_be_seeded_comes_home_before_it_is_done(
    tmp_path: Path,
) -> None:
    film = make_file(tmp_path / "begins" / "film", 100_000)
    torrent = torrent_of(film, tmp_path)
    async with kept_list(tmp_path, incomplete=film.parent) as entries:
        entry = await entries.add(wanted(tmp_path / "home", seed=False), metainfo=torrent)
        await state_of(entry, "done")
        assert entry.path == tmp_path / "home" / "film"
        assert not film.exists()


async def test_what_was_beside_it_where_it_began_stays_there(tmp_path: Path, home: Path) -> None:
    album = make_folder(tmp_path / "begins" / "album")
    torrent, whole = torrent_of(album, tmp_path), contents(album)
    (album / "notes").write_text("mine")
    async with kept_list(tmp_path, incomplete=album.parent) as entries:
        entry = await entries.add(wanted(home), metainfo=torrent)
        await state_of(entry, "failed", "seeding")
        await until(lambda: entry.outcome == "failed" or entry.completed_at is not None)
        assert (entry.state, entry.error, entry.path) == ("seeding", "", home / "album")
    assert contents(home / "album") == whole
    assert [each.name for each in album.iterdir()] == ["notes"]
    # A node that is killed just then has not written yet that it was complete.
    (tmp_path / "state" / "entries" / "totals.json").unlink()
    async with kept_list(tmp_path, incomplete=album.parent) as entries:
        (again,) = entries
        await state_of(again, "failed", "seeding")
        assert (again.state, again.error, again.path) == ("seeding", "", home / "album")


async def test_data_that_is_in_its_own_folder_already_is_used_there(tmp_path: Path) -> None:
    film = make_file(tmp_path / "home" / "film", 100_000)
    async with kept_list(tmp_path, incomplete=tmp_path / "begins") as entries:
        entry = await entries.add(wanted(film.parent), metainfo=torrent_of(film, tmp_path))
        await state_of(entry, "seeding")
        await until(lambda: entry.completed_at is not None)
        assert entry.path == film


async def half(tmp_path: Path, entries: Entries, home: Path, begins: Path) -> Entry:
    """A fetch of which a part is where it begins, paused."""
    film = make_file(tmp_path / "film", 100_000)
    torrent = torrent_of(film, tmp_path)
    make_file(begins / "film", 0).write_bytes(film.read_bytes()[:50_000].ljust(100_000, b"\0"))
    entry = await entries.add(wanted(home), metainfo=torrent)
    await state_of(entry, "downloading")
    await entries.pause(entry)
    assert entry.path == begins / "film.part"
    return entry


@pytest.mark.parametrize("later", [None, "elsewhere"])
async def test_what_has_begun_goes_on_where_it_is_whatever_the_node_is_told_later(
    tmp_path: Path, later: str | None
) -> None:
    home, begins = tmp_path / "home", tmp_path / "begins"
    async with kept_list(tmp_path, incomplete=begins) as entries:
        await half(tmp_path, entries, home, begins)
    other = None if later is None else tmp_path / later
    async with kept_list(tmp_path, incomplete=other) as entries:
        (entry,) = entries
        await until(lambda: entry.have > 0)
        assert 0 < entry.have < entry.size == 100_000
        # Somebody copies the rest to where it is.
        (begins / "film.part").write_bytes((tmp_path / "film").read_bytes())
        await entries.resume(entry)
        await state_of(entry, "seeding")
        await until(lambda: entry.completed_at is not None)
        assert entry.path == home / "film"
        assert list(begins.iterdir()) == []
        new = await entries.add(wanted(home, f"magnet:?xt=urn:btih:{'ab' * 20}"))
        await state_of(new, "metadata")
        assert new.incomplete_folder == other


@pytest.mark.parametrize("runs", [True, False])
async def test_data_is_deleted_with_its_entry_where_it_begins_too(
    tmp_path: Path, *, runs: bool
) -> None:
    home, begins = tmp_path / "home", tmp_path / "begins"
    async with kept_list(tmp_path, incomplete=begins) as entries:
        entry = await half(tmp_path, entries, home, begins)
        if runs:
            await entries.resume(entry)
            await state_of(entry, "downloading")
            await entries.remove(entry, delete_data=True)
            assert list(begins.iterdir()) == []
    if not runs:
        async with kept_list(tmp_path) as entries:
            (entry,) = entries
            await entries.remove(entry, delete_data=True)
    assert list(begins.iterdir()) == list(home.iterdir()) == []


@pytest.mark.parametrize("move_data", [True, False])
async def test_who_is_moved_is_where_it_was_moved_to_complete_or_not(
    tmp_path: Path, *, move_data: bool
) -> None:
    # Transmission 4.0, `tr_torrent::set_location`: the incomplete folder no longer counts.
    home, begins, there = tmp_path / "home", tmp_path / "begins", tmp_path / "there"
    async with kept_list(tmp_path, incomplete=begins) as entries:
        entry = await half(tmp_path, entries, home, begins)
        if not move_data:
            there.mkdir()
            (begins / "film.part").rename(there / "film.part")
        await entries.move(entry, there, move_data=move_data)
        assert (entry.folder, entry.incomplete_folder) == (there, None)
        await entries.resume(entry)
        await state_of(entry, "downloading")
        assert entry.path == there / "film.part"
        assert list(begins.iterdir()) == []


async def test_one_whose_name_is_taken_fails_and_says_so_and_nothing_is_overwritten(
    tmp_path: Path,
) -> None:
    home, film = tmp_path / "home", make_file(tmp_path / "begins" / "film", 100_000)
    recorder = Recorder()
    async with kept_list(tmp_path, incomplete=film.parent, on_event=recorder) as entries:
        torrent = torrent_of(film, tmp_path)
        entry = await entries.add(wanted(home), metainfo=torrent, paused=True)
        make_file(home / "film.part", 10)
        await entries.resume(entry)
        await state_of(entry, "failed")
        assert entry.error == f"{home / 'film.part'}: exists already and is not overwritten"
        assert (entry.path, film.stat().st_size) == (film, 100_000)
        (told,) = recorder.of(events.TorrentFailed)
        assert told.share_name == "film"
        (home / "film.part").unlink()
        await entries.resume(entry)
        await state_of(entry, "seeding")
        await until(lambda: entry.completed_at is not None)
        assert [each.name for each in home.iterdir()] == ["film"]


async def test_it_is_seeded_where_it_is_until_there_is_room_at_home(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fetches, "DISK_LOOK", 0.02)
    film = make_file(tmp_path / "begins" / "film", 1_000_000)
    recorder = Recorder()
    with in_memory(tmp_path / "home", "size=1300k") as home:
        filler = make_file(home / "filler", 600_000)
        async with kept_list(tmp_path, incomplete=film.parent, on_event=recorder) as entries:
            entry = await entries.add(wanted(home), metainfo=torrent_of(film, tmp_path))
            told = await recorder.wait_for(events.Waiting)
            assert f"complete in {film.parent}" in told.reason
            assert (entry.state, entry.completed_at, film.exists()) == ("seeding", None, True)
            filler.unlink()
            await until(lambda: entry.completed_at is not None)
            await state_of(entry, "seeding")
            assert entry.path == home / "film"
            assert not film.exists()


async def test_whoever_pauses_it_on_its_way_home_finds_it_whole_and_it_comes_home_later(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    film, home = make_file(tmp_path / "begins" / "film", 100_000), tmp_path / "home"
    begun, real = trio.Event(), incomplete.bring_data

    def slow(*arguments: Any, **more: Any) -> Any:
        should_stop = arguments[3]
        trio.from_thread.run_sync(begun.set)
        while not should_stop():  # a copy of hours
            trio.from_thread.run(trio.sleep, 0.01)
        return real(*arguments, **more)

    monkeypatch.setattr(incomplete, "bring_data", slow)
    async with kept_list(tmp_path, incomplete=film.parent) as entries:
        entry = await entries.add(wanted(home), metainfo=torrent_of(film, tmp_path))
        await begun.wait()
        await entries.pause(entry)
        assert entry.state == "paused"
        places = [place for place in (film, home / "film") if place.exists()]
        assert [place.stat().st_size for place in places] == [100_000]
        monkeypatch.setattr(incomplete, "bring_data", real)
        await entries.resume(entry)
        await state_of(entry, "seeding")
        await until(lambda: entry.completed_at is not None)
        assert (entry.path, film.exists()) == (home / "film", False)
        assert (entry.record.moving_to, entry.record.incomplete_folder) == (None, None)


# --- kill -9 --------------------------------------------------------------------------------------


def test_killed_at_any_step_on_its_way_home_it_is_whole_and_arrives_at_the_next_start(
    tmp_path: Path, home: Path
) -> None:
    for step in range(1, 60):
        begins, place = tmp_path / f"begins-{step}", home / str(step)
        data = make_file(begins / "album" / "a", 40_000).parent
        make_file(data / "b", 30_000, 2)
        whole, state = contents(data), tmp_path / f"node-{step}"
        torrent = torrent_of(data, tmp_path)
        work = partial(bring, state, place, begins, torrent)
        was_killed = killed_at_step(step, (incomplete.Incomplete, "bring_home"), work)
        trio.run(arrives, state, place, begins)
        assert contents(place) == {f"album/{name}": data for name, data in whole.items()}
        assert list(begins.iterdir()) == []
        if not was_killed:
            assert step > 8
            return
    raise AssertionError


def bring(state: Path, home: Path, begins: Path, torrent: bytes) -> None:
    async def main() -> None:
        async with kept_list(state, incomplete=begins) as entries:
            entry = await entries.add(wanted(home), metainfo=torrent)
            await until(lambda: entry.completed_at is not None)

    trio.run(main)


async def arrives(state: Path, home: Path, begins: Path) -> None:
    async with kept_list(state, incomplete=begins) as entries:
        (entry,) = entries
        await state_of(entry, "seeding")
        await until(lambda: entry.completed_at is not None)
        assert (entry.path, entry.error) == (home / "album", "")
        assert (entry.record.moving_to, entry.record.incomplete_folder) == (None, None)


async def test_a_move_that_cannot_go_on_is_told_of_and_nothing_is_lost(tmp_path: Path) -> None:
    film, home = make_file(tmp_path / "begins" / "film", 100_000), tmp_path / "home"
    async with kept_list(tmp_path, incomplete=film.parent) as entries:
        torrent = torrent_of(film, tmp_path)
        entry = await entries.add(wanted(home), metainfo=torrent, paused=True)
        record = entry.change(moving_to=str(home), incomplete_folder=str(film.parent))
        await entries._keeping.save(entry, record)
    make_file(home / "film", 100_000, 2)  # another one's
    async with kept_list(tmp_path) as entries:
        (entry,) = entries
        await until(lambda: entry.record.moving_to is None)
        await entries.resume(entry)
        await state_of(entry, "failed")
        assert entry.error == f"{home / 'film'}: exists already and is not overwritten"
        await entries.remove(entry, delete_data=True)
    assert (film.exists(), (home / "film").stat().st_size) == (False, 100_000)
