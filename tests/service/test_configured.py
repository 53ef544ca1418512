"""A whole peer from one configuration; shares and fetches that come and go; loopback sockets."""

import threading
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from local_swarm import HOST, Recorder, contents, make_file, tracker, until
from trio_swarm import FetchSettings, NodeSettings, ShareSettings, events, open_service
from trio_swarm.config.reading import parse_config
from trio_swarm.errors import ConfigError, StorageError
from trio_swarm.service.configured import ConfiguredPeer
from trio_swarm.service.entries.changing import EntryChanges
from trio_swarm.service.entries.entries import Entries
from trio_swarm.service.entries.entry import Entry
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.share_opening import SMALL

LIMIT = 30.0
"""Seconds until a test that hangs has failed."""

LARGE = 2 * SMALL
"""Bytes of a share that is not opened at once, with others."""


def peer_of(folder: Path, text: str, recorder: Recorder, **more: Any) -> ConfiguredPeer:
    head = f'[node]\nlisten = "{HOST}:0"\nstate_folder = ".state"\n'
    file = folder / "peer.toml"
    config = parse_config((text + head).encode(), file=file)
    return ConfiguredPeer(config, file, on_event=recorder, **more)


async def test_a_configured_peer_runs_a_tracker_shares_and_fetches_and_ends_when_they_have(
    tmp_path: Path,
) -> None:
    film = make_file(tmp_path / "server" / "film.mkv", 300_000)
    heard, fetched = Recorder(), Recorder()
    server = peer_of(
        tmp_path / "server",
        f"""
        [tracker]
        listen = "{HOST}:0"
        [[share]]
        path = "film.mkv"
        [[share]]
        path = "not-there"
        """,
        heard,
    )
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(server.run)
            port = (await heard.wait_for(events.TrackerListening)).port
            await heard.wait_for(events.Announced)
            client = peer_of(
                tmp_path / "client",
                f"""
                trackers = ["udp://{HOST}:{port}"]
                [[fetch]]
                what = "film.mkv"
                folder = "out"
                seed = false
                """,
                fetched,
            )
            await client.run()
            assert not client.has_failed
            assert not client.is_hashing
            assert server.has_failed  # and shares the other one all the same
            nursery.cancel_scope.cancel()
    assert contents(tmp_path / "client/out/film.mkv") == contents(film)
    (failed,) = heard.of(events.TorrentFailed)
    assert "not-there" in failed.reason
    assert not fetched.of(events.TorrentFailed)


async def open_list(peer: ConfiguredPeer, nursery: trio.Nursery) -> Entries:
    nursery.start_soon(peer.run)
    return (await peer.wait_open()).entries


async def test_a_peer_brings_back_what_was_added_and_the_file_keeps_what_it_says(
    tmp_path: Path,
) -> None:
    for name in ("listed", "other", "added"):
        make_file(tmp_path / name, 10, seed=len(name))
    both = '[[share]]\npath = "listed"\n[[share]]\npath = "other"\n'
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            entries = await open_list(peer_of(tmp_path, both, Recorder(), stays=True), nursery)
            listed, other = entries
            assert [listed.origin, other.origin] == ["file", "file"]
            added = await entries.add(ShareSettings(path=tmp_path / "added"))
            await entries.pause(other)
            await entries.change(listed, EntryChanges(labels=["mine"]))
            nursery.cancel_scope.cancel()
        # The order in the file is no matter.
        turned = '[[share]]\npath = "other"\n[[share]]\npath = "new"\n[[share]]\npath = "listed"\n'
        async with trio.open_nursery() as nursery:
            entries = await open_list(peer_of(tmp_path, turned, Recorder()), nursery)
            seen = {each.name: (each.id, each.origin, each.is_paused) for each in entries}
            assert seen == {
                "listed": (listed.id, "file", False),
                "other": (other.id, "file", True),
                "added": (added.id, "added", False),
                "new": (4, "file", False),
            }
            assert entries.find("listed").labels == ("mine",)
            await entries.remove(entries.find("other"))
            nursery.cancel_scope.cancel()
        heard = Recorder()
        async with trio.open_nursery() as nursery:
            entries = await open_list(peer_of(tmp_path, both, heard), nursery)
            assert [each.name for each in entries] == ["listed", "added"]
            nursery.cancel_scope.cancel()
        async with trio.open_nursery() as nursery:
            entries = await open_list(peer_of(tmp_path, "", Recorder()), nursery)
            assert [each.name for each in entries] == ["added"]
            nursery.cancel_scope.cancel()


async def test_a_peer_to_which_something_may_be_added_stays_without_anything_to_do(
    tmp_path: Path,
) -> None:
    make_file(tmp_path / "film", 10)
    peer = peer_of(tmp_path, "", Recorder(), stays=True)
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            entries = await open_list(peer, nursery)
            await entries.wait_idle()
            share = await entries.add(ShareSettings(path=tmp_path / "film"))
            await until(lambda: share.state == "seeding")
            await entries.remove(share)
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert nursery.child_tasks
            nursery.cancel_scope.cancel()
        await peer_of(tmp_path, "", Recorder()).run()  # without it, it ends at once


async def test_one_thing_that_a_file_names_twice_fails_once(tmp_path: Path) -> None:
    make_file(tmp_path / "film", 10)
    heard = Recorder()
    text = '[[share]]\npath = "film"\n' * 2
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            entries = await open_list(peer_of(tmp_path, text, heard), nursery)
            await until(lambda: sorted(each.state for each in entries) == ["failed", "seeding"])
            nursery.cancel_scope.cancel()
    (failed,) = heard.of(events.TorrentFailed)
    assert "in this node already" in failed.reason


async def test_a_tracker_that_cannot_be_run_names_its_table(tmp_path: Path) -> None:
    async with tracker() as url:
        listen = url.removeprefix("udp://")
        peer = peer_of(tmp_path, f'[tracker]\nlisten = "{listen}"\n', Recorder())
        with trio.fail_after(LIMIT), pytest.raises(ExceptionGroup) as caught:
            await peer.run()
    assert caught.group_contains(ConfigError, match=r"peer\.toml: tracker: ")


async def test_shares_and_fetches_come_and_go_while_a_service_runs(tmp_path: Path) -> None:
    one, two = (make_file(tmp_path / "in" / name, 100_000, name == "b") for name in "ab")
    recorder = Recorder()

    def settings(folder: str, *trackers: str) -> NodeSettings:
        state = tmp_path / folder
        return NodeSettings(
            listen_host=HOST, trackers=trackers, state_folder=state, on_event=recorder
        )

    with trio.fail_after(LIMIT):
        async with (
            tracker() as url,
            open_service(settings("s", url)) as seeder,
            open_service(settings("l", url)) as leecher,
        ):
            await seeder.wait_idle()
            shares = [seeder.share(ShareSettings(path=path)) for path in (one, two)]
            for share in shares:
                await share.wait_complete()
            fetch = leecher.fetch(FetchSettings(what="a", folder=tmp_path / "out", wait=True))
            await fetch.wait_complete()
            await seeder.remove(shares[0])
            assert [each.name for each in seeder.torrents] == ["b"]
            waiting = leecher.fetch(FetchSettings(what="c", folder=tmp_path / "out", wait=True))
            await recorder.wait_for(events.Waiting)
            await leecher.remove(waiting)
            await leecher.remove(fetch)
            assert leecher.torrents == []
            assert leecher.fetches == []
    assert contents(tmp_path / "out" / "a") == contents(one)
    assert not recorder.of(events.TorrentFailed)


async def test_a_share_removed_while_its_files_are_opened_leaves_no_torrent_in_the_node(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    opened, may_fail = threading.Event(), threading.Event()

    def check(*_: object) -> None:
        opened.set()
        may_fail.wait(LIMIT)
        raise StorageError("too late", path=tmp_path)

    monkeypatch.setattr(TorrentFiles, "check", check)
    settings = NodeSettings(listen_host=HOST, state_folder=tmp_path / "state")
    with trio.fail_after(LIMIT):
        async with open_service(settings) as service:
            share = service.share(ShareSettings(path=make_file(tmp_path / "a", LARGE)))
            await until(opened.is_set)
            assert len(service.torrents) == 1
            async with trio.open_nursery() as nursery:
                nursery.start_soon(share.remove)
                may_fail.set()
            assert share.state == "removed"
            assert service.torrents == []


async def test_a_peer_that_was_ended_while_it_hashed_knows_that_still(tmp_path: Path) -> None:
    """The exit code of `run` hangs on it."""
    make_file(tmp_path / "a", 10)
    hashing = trio.Event()

    def note(_path: Path) -> None:
        hashing.set()

    peer = peer_of(tmp_path, '[[share]]\npath = "a"\n', Recorder(), on_hashing=note)
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            nursery.start_soon(peer.run)
            await hashing.wait()
            nursery.cancel_scope.cancel()
    assert peer.is_hashing
    assert not peer.has_failed


async def test_a_torrent_that_fails_is_told_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def check(*_: object) -> None:
        raise StorageError("cannot be read", path=tmp_path)

    monkeypatch.setattr(TorrentFiles, "check", check)
    recorder = Recorder()
    settings = NodeSettings(listen_host=HOST, state_folder=tmp_path / "state", on_event=recorder)
    with trio.fail_after(LIMIT):
        async with open_service(settings) as service:
            share = service.share(ShareSettings(path=make_file(tmp_path / "a", LARGE)))
            with pytest.raises(StorageError, match="cannot be read"):
                await share.wait_complete()
    assert len(recorder.of(events.TorrentFailed)) == 1


@asynccontextmanager
async def running(folder: Path, text: str, **more: Any) -> AsyncIterator[Entries]:
    """The list of a peer that runs by a file in a folder."""
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            yield await open_list(peer_of(folder, text, Recorder(), stays=True, **more), nursery)
            nursery.cancel_scope.cancel()


def fetch_of(url: str, what: str = "film") -> str:
    return f'trackers = ["{url}"]\n[[fetch]]\nwhat = "{what}"\n'


def share_of(url: str) -> str:
    return f'trackers = ["{url}"]\n[[share]]\npath = "film"\n'


async def seeded(entries: Entries) -> Entry:
    (entry,) = entries
    await until(lambda: entry.state == "seeding")
    return entry


async def test_peers_that_fetched_by_a_name_and_are_all_restarted_seed_it_again(
    tmp_path: Path,
) -> None:
    make_file(tmp_path / "server" / "film", 100_000)
    async with tracker() as url, running(tmp_path / "server", share_of(url)) as shares:
        await seeded(shares)
        async with running(tmp_path / "first", fetch_of(url)) as entries:
            await seeded(entries)
    async with tracker() as url, running(tmp_path / "first", fetch_of(url)) as entries:
        await seeded(entries)
        async with running(tmp_path / "second", fetch_of(url)) as others:
            await seeded(others)
            assert contents(tmp_path / "second/film") == contents(tmp_path / "server/film")


@pytest.mark.parametrize("is_old_shared", [False, True])
async def test_a_name_means_after_a_restart_what_is_shared_by_it_then(
    tmp_path: Path, *, is_old_shared: bool
) -> None:
    """If two torrents are shared by it, what it meant before."""
    for seed, server in enumerate(("old", "new")):
        make_file(tmp_path / server / "film", 100_000, seed)
    async with tracker() as url, running(tmp_path / "old", share_of(url)) as shares:
        old = (await seeded(shares)).info_hash
        async with running(tmp_path / "first", fetch_of(url)) as entries:
            assert (await seeded(entries)).info_hash == old
    async with tracker() as url, running(tmp_path / "new", share_of(url)) as shares:
        new = (await seeded(shares)).info_hash
        async with AsyncExitStack() as stack:
            if is_old_shared:
                await seeded(
                    await stack.enter_async_context(running(tmp_path / "old", share_of(url)))
                )
            async with running(tmp_path / "first", fetch_of(url)) as entries:
                (entry,) = entries
                await until(lambda: entry.state in ("seeding", "failed"))
                assert entry.info_hash == (old if is_old_shared else new)
                assert is_old_shared or "film: exists already" in entry.error


async def test_a_fetch_by_name_that_is_paused_and_resumed_knows_its_files(tmp_path: Path) -> None:
    make_file(tmp_path / "server" / "film", 100_000)
    async with tracker() as url:
        async with running(tmp_path / "server", share_of(url)) as shares:
            await seeded(shares)
            async with running(tmp_path / "first", fetch_of(url)) as entries:
                entry = await seeded(entries)
                await entries.pause(entry)
                await shares.remove(await seeded(shares))
                await entries.resume(entry)
                await seeded(entries)
                await entries.pause(entry)
        async with running(tmp_path / "first", fetch_of(url)) as entries:
            (entry,) = entries
            await until(lambda: entry.info is not None)
            assert (entry.state, entry.have) == ("paused", 100_000)
