"""Watched folders: .torrent files and links are taken when they are whole, whoever writes them."""

import os
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio
from hypothesis import given
from hypothesis import strategies as st

from local_swarm import HOST, Recorder, make_file, until
from trio_swarm import NodeSettings, open_service
from trio_swarm.metainfo_files import create_torrent
from trio_swarm.service import watching
from trio_swarm.service.entries.entries import Entries
from trio_swarm.service.watching import (
    GIVE_UP_AFTER,
    LOOK,
    MAX_LINKS,
    SETTLED_AFTER,
    DroppedFile,
    Drops,
    watch_folder,
)
from trio_swarm.settings import WatchSettings

LIMIT = 60.0
"""Seconds until a test that hangs has failed."""

MAGNET = f"magnet:?xt=urn:btih:{'ab' * 20}&dn=one"


def file(size: int = 10, mtime: int = 5, name: str = "a.torrent") -> DroppedFile:
    return DroppedFile(name, 1, size, mtime)


def test_a_file_that_grows_is_waited_for() -> None:
    drops = Drops()
    for second in range(10):
        assert drops.look([file(second)], float(second)) == []
        assert drops.wait(float(second)) == SETTLED_AFTER
    assert drops.look([file(9)], 9.0 + SETTLED_AFTER) == [file(9)]


def test_a_file_that_is_not_valid_yet_has_time_to_become_so() -> None:
    drops = Drops()
    drops.look([file()], 0.0)
    drops.later(file(), 10.0)
    assert drops.look([file()], 9.0) == []
    assert drops.look([file()], 10.0) == [file()]
    assert not drops.is_final(file(), GIVE_UP_AFTER - 1)
    assert drops.is_final(file(), GIVE_UP_AFTER)
    drops.look([file(11)], GIVE_UP_AFTER)
    assert not drops.is_final(file(11), GIVE_UP_AFTER + 1)


@given(
    st.lists(
        st.tuples(st.floats(0.01, 20), st.lists(st.builds(file, st.integers(0, 2)), max_size=2)),
        max_size=20,
    )
)
def test_nothing_is_taken_before_it_rested_and_every_wait_ends(looks: list[Any]) -> None:
    drops, now, seen = Drops(), 0.0, dict[DroppedFile, float]()
    for passed, files in looks:
        now += passed
        seen = {each: seen.get(each, now) for each in files}
        for each in drops.look(files, now):
            assert now - seen[each] >= SETTLED_AFTER - 1e-9
        assert 0 <= drops.wait(now) <= LOOK


# --- in a folder ----------------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _soon(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing here is slow: what is waited for on disks is waited for less."""
    if "tmp_path" not in request.fixturenames:  # a clock is a number there
        return
    for name in ("SETTLED_AFTER", "PAUSE", "LOOK"):
        monkeypatch.setattr(watching, name, 0.05)
    monkeypatch.setattr(watching, "GIVE_UP_AFTER", 0.3)


@asynccontextmanager
async def watched(folder: Path, **more: Any) -> AsyncIterator[tuple[Path, Entries]]:
    """A folder that a node watches, and the node's list."""
    drop = folder / "drop"
    drop.mkdir(exist_ok=True)
    settings = NodeSettings(
        listen_host=HOST, state_folder=folder / "state", trackers=(), on_event=Recorder()
    )
    async with open_service(settings) as service, trio.open_nursery() as nursery:
        what = WatchSettings(folder=drop, to=folder / "out", **{"paused": True, **more})
        nursery.start_soon(watch_folder, what, service.entries)
        yield drop, service.entries
        nursery.cancel_scope.cancel()


def torrent_in(folder: Path, name: str = "film") -> bytes:
    source = make_file(folder / "source" / name, 20_000)
    return create_torrent(source, state_folder=folder / "state").to_bytes()


def becomes(path: Path, ending: str) -> Callable[[], bool]:
    return lambda: path.with_name(path.name + ending).exists() and not path.exists()


async def test_torrents_and_links_are_fetched_and_renamed(tmp_path: Path) -> None:
    with trio.fail_after(LIMIT):
        async with watched(tmp_path, labels=("dropped",)) as (drop, entries):
            (drop / "a.torrent").write_bytes(torrent_in(tmp_path))
            await until(becomes(drop / "a.torrent", ".added"))
            (drop / "b.magnet").write_text(f"\n{MAGNET}\n", encoding="utf-8")
            await until(becomes(drop / "b.magnet", ".added"))
            assert [each.name for each in entries] == ["film", "one"]
            for each in entries:
                assert (each.labels, each.is_paused) == (("dropped",), True)
                assert each.settings.folder == tmp_path / "out"  # type: ignore[union-attr]
            # The same again is no mistake, and its name is taken.
            (drop / "a.torrent").write_bytes(torrent_in(tmp_path))
            await until((drop / "a.torrent.2.added").exists)
            assert len(entries) == 2


async def test_a_file_that_is_written_slowly_is_taken_when_it_is_whole(tmp_path: Path) -> None:
    data = torrent_in(tmp_path)
    with trio.fail_after(LIMIT):
        async with watched(tmp_path) as (drop, entries):
            with open(drop / "a.torrent", "wb", buffering=0) as stream:  # noqa: ASYNC230, PTH123
                for part in range(8):
                    stream.write(data[part * len(data) // 8 : (part + 1) * len(data) // 8])
                    await trio.sleep(0.12)  # it rests, and is not valid
            await until(becomes(drop / "a.torrent", ".added"))
            assert len(entries) == 1


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.torrent", b"d8:announce", "ends early"),
        ("a.torrent", b"", ""),
        ("a.magnet", b"magnet:?xt=urn:btih:12", ""),
        ("a.magnet", b"/etc/passwd\n", "something else than magnet links"),
        ("a.magnet", b"\xff\xfe", "not text"),
        ("a.magnet", b"\n \n", "no magnet link"),
        ("a.magnet", f"{MAGNET}\n".encode() * (MAX_LINKS + 1), "more than 100 links"),
        ("a.magnet", b"x" * (watching.MAX_MAGNET_FILE + 1), "is larger than"),
    ],
)
async def test_what_is_not_valid_is_named_in_one_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, content: bytes, reason: str
) -> None:
    with trio.fail_after(LIMIT):
        async with watched(tmp_path) as (drop, entries):
            (drop / name).write_bytes(content)
            await until(becomes(drop / name, ".invalid"))
            assert len(entries) == 0
    (line,) = [each for each in caplog.messages if each.startswith(name)]
    assert reason in line
    assert "\n" not in line


async def test_links_pipes_folders_and_files_of_programs_lead_nowhere(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    good = tmp_path / "elsewhere.torrent"
    good.write_bytes(torrent_in(tmp_path))
    with trio.fail_after(LIMIT):
        async with watched(tmp_path) as (drop, entries):
            os.mkfifo(drop / "pipe.torrent")
            (drop / "folder.torrent").mkdir()
            (drop / ".hidden.torrent").write_bytes(good.read_bytes())
            (drop / "link.torrent").symlink_to(good)
            await until(becomes(drop / "link.torrent", ".invalid"))
            assert len(entries) == 0
            assert sorted(each.name for each in drop.iterdir()) == [
                ".hidden.torrent",
                "folder.torrent",
                "link.torrent.invalid",
                "pipe.torrent",
            ]
    assert good.exists()
    assert "cannot be read" in caplog.text


async def test_a_name_of_control_characters_is_escaped(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with trio.fail_after(LIMIT):
        async with watched(tmp_path) as (drop, _):
            path = drop / "a\n\x1b[31m.torrent"
            path.write_bytes(b"x")
            await until(becomes(path, ".invalid"))
    assert any(r"a\n\x1b[31m.torrent" in each for each in caplog.messages)


async def test_a_folder_that_comes_later_is_watched_then(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with trio.fail_after(LIMIT):
        async with watched(tmp_path) as (drop, entries):
            drop.rename(tmp_path / "away")
            await until(lambda: "cannot be watched: No such file" in caplog.text)
            drop.mkdir()
            (drop / "a.torrent").write_bytes(torrent_in(tmp_path))
            await until(becomes(drop / "a.torrent", ".added"))
            assert len(entries) == 1
    assert caplog.text.count("cannot be watched") == 1


async def test_a_closed_file_is_told_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """inotify(7): the next look would be an hour away."""
    monkeypatch.setattr(watching, "LOOK", 3600.0)
    with trio.fail_after(LIMIT):
        async with watched(tmp_path) as (drop, _):
            await trio.testing.wait_all_tasks_blocked(0.2)
            (drop / "a.torrent").write_bytes(torrent_in(tmp_path))
            await until(becomes(drop / "a.torrent", ".added"))
