"""Files of a fetch get other names: real nodes, restarts, and what a killed node has left."""

from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from kept_lists import kept_list, killed_at_step, state_of, torrent_of, wanted
from local_swarm import Recorder, contents, make_folder, tracker, until
from trio_swarm import ShareSettings, events
from trio_swarm.errors import ConfigError, NotHereError, StorageError
from trio_swarm.service.entries.entries import Entries
from trio_swarm.service.entries.entry import Entry
from trio_swarm.service.entries.renaming import RenamingFiles

# The child of a test is killed; other threads of the worker are of no use to it.
pytestmark = pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")


async def an_album(tmp_path: Path, entries: Entries) -> Entry:
    """A fetch that is complete: its data was there."""
    data = make_folder(tmp_path / "home" / "album")
    entry = await entries.add(wanted(data.parent), metainfo=torrent_of(data, tmp_path))
    await state_of(entry, "seeding")
    await until(lambda: entry.completed_at is not None)
    return entry


async def test_files_and_folders_are_renamed_and_shared_on_after_a_restart_too(
    tmp_path: Path,
) -> None:
    # Transmission's rpc-spec, "Renaming a torrent's path".
    recorder = Recorder()
    async with tracker() as url:
        async with kept_list(tmp_path, url, on_event=recorder) as entries:
            entry = await an_album(tmp_path, entries)
            before = contents(tmp_path / "home" / "album")
            await entries.rename(entry, "album/deep/c.bin", "song.flac")
            await entries.rename(entry, "album/deep", "shallow")
            await entries.rename(entry, "album", "Summer")
            await state_of(entry, "seeding")
            assert entry.name == "Summer"
            assert entry.info is not None
            assert entry.info.name == "Summer"
            await until(lambda: entry.path == tmp_path / "home" / "Summer")
            assert recorder.of(events.Checked)[-1].hashed == 0
        here = {
            "a.bin": before["a.bin"],
            "empty": b"",
            "shallow/er/b.bin": before["deep/er/b.bin"],
            "shallow/song.flac": before["deep/c.bin"],
        }
        assert contents(tmp_path / "home" / "Summer") == here
        assert not (tmp_path / "home" / "album").exists()
        async with kept_list(tmp_path, url, on_event=recorder) as entries:
            (entry,) = entries
            await state_of(entry, "seeding")
            assert (entry.name, entry.path) == ("Summer", tmp_path / "home" / "Summer")
            assert recorder.of(events.Checked)[-1].hashed == 0
            assert entry.torrent is not None
            magnet = entry.torrent.magnet()
            async with kept_list(tmp_path / "other", url) as others:
                fetch = await others.add(wanted(tmp_path / "there", magnet))
                await state_of(fetch, "seeding")
                assert contents(tmp_path / "there" / "album") == before  # peers see no new names
            await entries.move(entry, tmp_path / "further")
            assert contents(tmp_path / "further" / "Summer") == here
            await state_of(entry, "seeding")
            await entries.remove(entry, delete_data=True)
    assert list((tmp_path / "further").iterdir()) == []


async def test_a_name_that_is_given_back_is_the_name_again(tmp_path: Path) -> None:
    recorder = Recorder()
    async with kept_list(tmp_path, on_event=recorder) as entries:
        entry = await an_album(tmp_path, entries)
        before = contents(tmp_path / "home" / "album")
        for path, name in (("album/a.bin", "z.bin"), ("album/z.bin", "a.bin")):
            await entries.rename(entry, path, name)
            await state_of(entry, "seeding")
        assert entry.info is not None
        assert "a.bin" in {"/".join(each.path) for each in entry.info.files}
        assert contents(tmp_path / "home" / "album") == before
        assert {each.have for each in recorder.of(events.Checked)} == {entry.info.length}
    async with kept_list(tmp_path, on_event=recorder) as entries:
        (entry,) = entries
        await state_of(entry, "seeding")
        assert contents(tmp_path / "home" / "album") == before


async def test_a_fetch_that_is_added_with_names_of_its_own_has_them_after_a_restart_too(
    tmp_path: Path,
) -> None:
    data = make_folder(tmp_path / "there" / "album")
    own = (("", "mine"), ("a.bin", "z.bin"))
    settings = replace(wanted(tmp_path / "home"), renamings=own)
    async with kept_list(tmp_path) as entries:
        await entries.add(settings, paused=True, metainfo=torrent_of(data, tmp_path))
        assert [each.renamings for each in entries] == [own]
    async with kept_list(tmp_path) as entries:
        assert [each.renamings for each in entries] == [own]


async def test_what_cannot_be_renamed_stays_as_it_is(tmp_path: Path) -> None:
    async with kept_list(tmp_path) as entries:
        entry = await an_album(tmp_path, entries)
        before = contents(tmp_path / "home")
        (tmp_path / "home" / "taken").mkdir()
        (tmp_path / "home" / "album" / "deep" / "mine").write_bytes(b"a person's")
        for path, name, error in (
            ("album", "../../x", ConfigError),
            ("album", "taken", StorageError),
            ("album/deep/c.bin", "mine", StorageError),
            ("album/deep/c.bin", "er", ConfigError),
            ("album/nothing", "x", ConfigError),
            ("deep", "x", ConfigError),
            ("../home/album", "x", ConfigError),
        ):
            with pytest.raises(error):
                await entries.rename(entry, path, name)
            assert entry.record.renaming is None
            assert entry.record.renamings == ()
        await state_of(entry, "seeding")
        share = await entries.add(ShareSettings(path=make_folder(tmp_path / "mine")))
        await state_of(share, "seeding")
        with pytest.raises(ConfigError, match="is a share"):
            await entries.rename(share, "mine", "yours")
        magnet = await entries.add(wanted(tmp_path, f"magnet:?xt=urn:btih:{'ab' * 20}"))
        with pytest.raises(NotHereError, match="not known yet"):
            await entries.rename(magnet, "x", "y")
    assert before.items() <= contents(tmp_path / "home").items()


async def test_a_torrent_that_waits_gets_its_names_before_it_has_a_byte(tmp_path: Path) -> None:
    data = make_folder(tmp_path / "in" / "album")
    async with tracker() as url, kept_list(tmp_path / "seeder", url) as seeds:
        share = await seeds.add(ShareSettings(path=data))
        await state_of(share, "seeding")
        torrent, home = torrent_of(data, tmp_path), tmp_path / "home"
        begins = tmp_path / "begins"
        async with kept_list(tmp_path / "leecher", url, incomplete=begins) as entries:
            entry = await entries.add(wanted(home), metainfo=torrent, paused=True)
            await entries.rename(entry, "album", "Summer")
            await entries.rename(entry, "Summer/a.bin", "b.bin")
            assert (entry.name, entry.state) == ("Summer", "paused")
            await entries.resume(entry)
            await state_of(entry, "seeding")
            await until(lambda: entry.completed_at is not None)
        expected = contents(data)
        expected["b.bin"] = expected.pop("a.bin")
        assert contents(home / "Summer") == expected


@pytest.mark.parametrize("was_renamed", [False, True])
async def test_a_renaming_that_was_killed_goes_on_at_the_next_start(
    tmp_path: Path, *, was_renamed: bool
) -> None:
    async with kept_list(tmp_path) as entries:
        entry = await an_album(tmp_path, entries)
        await entries.pause(entry)
        # What a node has kept that is killed before, or just after, the folder has its name.
        await entries._keeping.save(entry, entry.change(renaming=("", "Summer")))
    home = tmp_path / "home"
    if was_renamed:
        (home / "album").rename(home / "Summer")
    async with kept_list(tmp_path) as entries:
        (entry,) = entries
        await until(lambda: entry.record.renaming is None)
        assert (entry.name, entry.error) == ("Summer", "")
        await entries.resume(entry)
        await state_of(entry, "seeding")
        assert [each.name for each in home.iterdir()] == ["Summer"]


@pytest.mark.parametrize(("path", "name"), [("album", "Summer"), ("album/deep/c.bin", "song")])
def test_killed_at_any_step_it_is_whole_and_has_either_name(
    tmp_path: Path, path: str, name: str
) -> None:
    for step in range(1, 30):
        folder = tmp_path / str(step)
        was_killed = killed_at_step(
            step,
            (RenamingFiles, "rename"),
            lambda: trio.run(an_album_renamed, folder, path, name),  # noqa: B023
        )
        trio.run(seeded_again, folder, is_new := not was_killed, name)
        if is_new:
            assert step > 4
            return
    raise AssertionError


async def an_album_renamed(tmp_path: Path, path: str, name: str) -> None:
    async with kept_list(tmp_path) as entries:
        await entries.rename(await an_album(tmp_path, entries), path, name)


async def seeded_again(tmp_path: Path, is_new: bool, name: str) -> None:  # noqa: FBT001 - see run
    async with kept_list(tmp_path) as entries:
        (entry,) = entries
        await state_of(entry, "seeding")
        assert (entry.error, entry.record.renaming) == ("", None)
        (root,) = (tmp_path / "home").iterdir()
        assert entry.info is not None
        names = {"/".join(each.path) for each in entry.info.files} | {entry.info.name}
        assert names == {*contents(root), root.name}
        assert any(name in each for each in names) or not is_new
