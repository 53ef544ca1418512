"""A share or fetch that is told of other settings before it is a torrent keeps to the last ones."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio
from msgspec.structs import replace

from local_swarm import LIMIT, Recorder, make_file, node, tracker, until
from trio_swarm import FetchSettings, Node, ShareSettings
from trio_swarm.peer.torrent import Torrent
from trio_swarm.service.fetches import Fetch
from trio_swarm.service.shares import Share
from trio_swarm.service.supervised import Supervised
from trio_swarm.share_plans import Opening


class LateNode:
    """A node whose new torrents are told of only when `go_on` is set."""

    def __init__(self, opened: Node) -> None:
        self._opened = opened
        self.has_begun, self.go_on = trio.Event(), trio.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._opened, name)

    def offer_at_once(self, opening: Opening) -> Torrent | None:
        """It takes time: `offer` is to be used."""

    async def offer(self, opening: Opening) -> Torrent:
        return await self._late(await self._opened.offer(opening))

    async def fetch(self, *given: Any, **named: Any) -> Torrent:
        return await self._late(await self._opened.fetch(*given, **named))

    async def _late(self, torrent: Torrent) -> Torrent:
        self.has_begun.set()
        await self.go_on.wait()
        return torrent


@asynccontextmanager
async def late_node(folder: Path) -> AsyncIterator[tuple[Any, str, str]]:
    """Such a node, its tracker, and another tracker."""
    with trio.fail_after(LIMIT):
        async with tracker() as before, tracker() as after, node(folder, before) as opened:
            yield LateNode(opened), before, after


@asynccontextmanager
async def at_work(one: Supervised) -> AsyncIterator[None]:
    async with trio.open_nursery() as nursery:

        def run_soon(each: Supervised) -> bool:
            if nursery.cancel_scope.cancel_called:
                return False
            nursery.start_soon(each.run)
            return True

        one.begin(run_soon)
        yield
        nursery.cancel_scope.cancel()


def urls_of(one: Supervised) -> list[str]:
    assert one.torrent is not None
    return [each.url for each in one.torrent.tracker_states()]


async def test_a_share_that_is_still_hashed_goes_to_the_trackers_it_is_told_of(
    tmp_path: Path,
) -> None:
    path = make_file(tmp_path / "a", 20_000)
    async with late_node(tmp_path) as (late, before, after):
        settings = ShareSettings(path=path, trackers=(before,))
        share = Share(settings, late, emit=Recorder(), on_progress=None)
        async with at_work(share):
            await late.has_begun.wait()
            await share.change(replace(settings, trackers=(after,)))
            late.go_on.set()
            await share.wait_known()
            assert urls_of(share) == [after]


async def test_a_share_that_names_no_tracker_goes_to_those_its_node_has_by_then(
    tmp_path: Path,
) -> None:
    settings = ShareSettings(path=make_file(tmp_path / "a", 20_000))
    async with late_node(tmp_path) as (late, _, after):
        share = Share(settings, late, emit=Recorder(), on_progress=None)
        async with at_work(share):
            await late.has_begun.wait()
            other = replace(late.settings, trackers=(after,), scheduler="round-robin")
            await late.change_settings(other)
            await share.change(settings)
            late.go_on.set()
            torrent = await share.wait_known()
            assert urls_of(share) == [after]
            assert torrent.scheduler_state().name == "round-robin"


async def test_a_fetch_that_is_still_looked_for_goes_on_by_what_it_is_told(tmp_path: Path) -> None:
    settings = FetchSettings(what="ab" * 20, folder=tmp_path / "out")
    async with late_node(tmp_path) as (late, before, after):
        fetch = Fetch(settings, late, trackers=[before], emit=Recorder(), choose=None)
        async with at_work(fetch):
            await late.has_begun.wait()
            peer = ("127.0.0.1", 9)
            other = replace(settings, scheduler="round-robin", peers=(peer,))
            await fetch.change(other, trackers=[after])
            late.go_on.set()
            torrent = await fetch.wait_known()
            await until(lambda: torrent.scheduler_state().name == "round-robin")
            assert urls_of(fetch) == [after]
            candidates = torrent.peer_set.candidates
            assert peer in candidates.busy() or candidates.due(peer) is not None


async def test_a_fetch_that_is_still_looked_for_is_fetched_as_the_node_says_by_then(
    tmp_path: Path,
) -> None:
    settings = FetchSettings(what="ab" * 20, folder=tmp_path / "out")
    async with late_node(tmp_path) as (late, before, _):
        fetch = Fetch(settings, late, trackers=[before], emit=Recorder(), choose=None)
        async with at_work(fetch):
            await late.has_begun.wait()
            await late.change_settings(replace(late.settings, scheduler="round-robin"))
            await fetch.change(settings, trackers=[before])
            late.go_on.set()
            torrent = await fetch.wait_known()
            await until(lambda: torrent.scheduler_state().name == "round-robin")
