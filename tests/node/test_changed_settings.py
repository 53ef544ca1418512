"""A node and its torrents go on with other settings: trackers, strategies, connections, slots."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
from msgspec.structs import replace

from local_swarm import contents, make_file, node, tracker, until
from packed_addresses import packed
from tracker_scripts import connected_script, udp_script
from trio_swarm.errors import ConfigError
from trio_swarm.metainfo_files import create_torrent
from trio_swarm.peer.places import Places
from trio_swarm.peer.wakeup import Wakeup
from trio_swarm.protocol.trackers import udp as udp_tracker
from trio_swarm.protocol.trackers.announces import AnnounceEvent

LIMIT = 30.0
"""Seconds until a test that hangs has failed."""

STARTED, NONE, STOPPED = AnnounceEvent.STARTED, AnnounceEvent.NONE, AnnounceEvent.STOPPED


class Told:
    """A tracker: what it was told."""

    def __init__(self) -> None:
        self.url = ""
        self.events: list[int] = []

    def answer(self, request: bytes, transaction: int) -> bytes:
        self.events.append(int.from_bytes(request[80:84], "big"))
        return udp_tracker.announce_answer(transaction, 1000, 1, 1, packed([]))


@asynccontextmanager
async def told() -> AsyncIterator[Told]:
    one = Told()
    async with udp_script(connected_script(one.answer)) as one.url:
        yield one


async def test_a_torrent_leaves_trackers_begins_with_others_and_stays_with_those_of_both(
    tmp_path: Path,
) -> None:
    """BEP 3, "trackers": `started` is said once, and `stopped` by who leaves."""
    film = make_file(tmp_path / "film", 50_000)
    with trio.fail_after(LIMIT):
        async with (
            told() as old,
            told() as both,
            told() as new,
            node(tmp_path, old.url, both.url) as seeder,
        ):
            torrent = await seeder.share(film)
            await until(lambda: bool(old.events and both.events))
            torrent.set_trackers((both.url, new.url))
            await until(lambda: STOPPED in old.events and bool(new.events))
            torrent.set_trackers((both.url, new.url))
            ports = [each.url.rpartition(":")[2].partition("/")[0] for each in (old, both, new)]
            assert [port in torrent.magnet() for port in ports] == [False, True, True]
            await seeder.torrents[0].remove()
    for one in (old, new):
        assert (one.events[0], one.events[-1]) == (STARTED, STOPPED)
        assert set(one.events[1:-1]) <= {NONE}
    assert both.events.count(STARTED) == 1
    assert both.events[-1] == STOPPED
    assert STOPPED not in both.events[:-1]


@pytest.mark.parametrize("has_own", [True, False])
async def test_a_private_torrent_stays_with_its_own_trackers(
    tmp_path: Path, *, has_own: bool
) -> None:
    """BEP 27."""
    with trio.fail_after(LIMIT):
        async with told() as own, told() as other, node(tmp_path) as leecher:
            original = make_file(tmp_path / "in" / "x.bin", 50_000)
            trackers = (own.url,) if has_own else ()
            metainfo = create_torrent(
                original, trackers=trackers, private=True, state_folder=tmp_path / "state"
            )
            file = tmp_path / "x.torrent"
            file.write_bytes(metainfo.to_bytes())
            torrent = await leecher.fetch(str(file), folder=tmp_path / "in")
            await torrent.wait_complete()
            torrent.set_trackers((other.url,))
            if has_own:
                await until(lambda: bool(own.events))
            await trio.testing.wait_all_tasks_blocked(0.1)
            assert not other.events


async def test_a_transfer_goes_on_while_everything_that_can_change_does(tmp_path: Path) -> None:
    film = make_file(tmp_path / "in" / "film", 3_000_000)
    with trio.fail_after(LIMIT):
        async with (
            tracker() as url,
            node(tmp_path / "s", url) as seeder,
            node(tmp_path / "l", url, download_rate=4_000_000) as leecher,
        ):
            await seeder.share(film)
            torrent = await leecher.fetch("film", folder=tmp_path / "out")
            (before,) = [0] if not seeder.torrents else [seeder.torrents[0].uploaded]
            for number in range(5):
                await until(lambda wanted=before + 200_000: seeder.torrents[0].uploaded > wanted)  # type: ignore[misc]
                before = seeder.torrents[0].uploaded
                is_even = number % 2 == 0
                await seeder.change_settings(
                    replace(
                        seeder.settings,
                        uploader="least-sent" if is_even else "spread",
                        choker="tit-for-tat",
                        choker_options={"optimistic_every": 2 + number},
                        upload_slots=1 + number,
                        max_connections=1 + number,
                    )
                )
                seeder.set_rates(3_000_000 + number, None)
            connections = [each.address for each in torrent.peers()]
            await torrent.wait_complete()
            assert seeder.settings.upload_slots == 5
            assert len(connections) == 1
    assert contents(tmp_path / "out" / "film") == contents(film)


async def test_a_wrong_strategy_changes_nothing(tmp_path: Path) -> None:
    async with node(tmp_path) as one:
        before = one.settings
        with pytest.raises(ConfigError, match="there is no uploader 'nobody'"):
            await one.change_settings(replace(before, uploader="nobody", upload_slots=3))
        assert one.settings == before


async def test_more_places_wake_those_that_wait_for_one() -> None:
    places, wakeup = Places(1), Wakeup()
    places.begin_dial()
    with places.waking(wakeup):
        places.set_limit(2)
        with trio.fail_after(LIMIT):
            await wakeup.wait()
