"""Shares and fetches under supervision, on a clock that jumps: the node is a fake, and no command.

What a fetch waits for, when it ends, and that none of them ends another.
"""

import shutil
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
import trio
from trio.testing import MockClock, wait_all_tasks_blocked

from shown_events import progress_of
from trio_swarm import Node, events, open_service, share_plans
from trio_swarm.errors import (
    DiskFullError,
    NameAmbiguousError,
    NameUnknownError,
    StalledError,
    StorageError,
    TrioSwarmError,
)
from trio_swarm.peer.standstill import Standstill
from trio_swarm.progress import Progress
from trio_swarm.service.service import Service
from trio_swarm.settings import FetchSettings, NodeSettings, ShareSettings

TRACKER = "udp://10.0.0.1:6969"


class FakeTorrent:
    """As much of a torrent as its supervisor needs; a test completes it or lets it fail."""

    def __init__(self, name: str = "film", number: int = 1) -> None:
        self.name = name
        self.path: Path | None = None
        self.info_hash = bytes([number]) * 20
        self.ratio = 0.0
        self.have = 0
        self.error: TrioSwarmError | None = None
        self.peers_changed = trio.Event()
        self.was_removed = False
        self._complete = trio.Event()
        self._over = trio.Event()
        self._on_over: Callable[[], None] = lambda: None

    def complete(self) -> None:
        self.have = 1000
        self._complete.set()

    def fail(self, error: TrioSwarmError) -> None:
        self.error = error
        self._end()

    def _end(self) -> None:
        self._complete.set()
        self._over.set()
        self._on_over()

    @property
    def is_over(self) -> bool:
        return self._over.is_set()

    def call_when_over(self, call: Callable[[], None]) -> None:
        self._on_over = call

    def progress(self) -> Progress:
        return progress_of(size=1000, have=self.have, ratio=self.ratio)

    def standstill(self) -> Standstill:
        now = trio.current_time()
        return Standstill(seconds=now, alone=now, untried=0, reason="nobody is there")

    async def wait_complete(self) -> Path:
        await self._complete.wait()
        if self.error is not None:
            raise self.error
        return Path("/downloads/film")

    async def wait_over(self) -> None:
        await self._over.wait()

    async def remove(self) -> None:
        self.was_removed = True
        self._end()
        await trio.lowlevel.checkpoint()


Answer = Callable[[], Awaitable[FakeTorrent]]


class FakeOpening(NamedTuple):
    """A share that is about to be offered."""

    question: dict[str, Any]
    is_open: bool = True


class FakeNode:
    """Answers each question in its turn with a torrent, an error, or what a test awaits."""

    def __init__(self, *answers: FakeTorrent | Exception | Answer) -> None:
        self.answers = list(answers)
        self.asked: list[tuple[float, dict[str, Any]]] = []
        self._was_asked = trio.Event()
        self.settings = NodeSettings()
        self.trackers = self.settings.trackers

    async def wait_asked(self, count: int) -> None:
        while len(self.asked) < count:
            await self._was_asked.wait()

    def open_share(self, path: Path, *, on_open: Callable[[], None], **more: Any) -> FakeOpening:
        trio.lowlevel.current_trio_token().run_sync_soon(on_open)
        return FakeOpening({"path": path, **more})

    def offer_at_once(self, opening: FakeOpening) -> FakeTorrent | None:
        """It is to be hashed."""

    async def offer(self, opening: FakeOpening) -> FakeTorrent:
        return await self._answer(opening.question)

    async def fetch(self, what: str, **more: Any) -> FakeTorrent:
        return await self._answer({"what": what, **more})

    async def _answer(self, question: dict[str, Any]) -> FakeTorrent:
        self.asked.append((trio.current_time(), question))
        self._was_asked.set()
        self._was_asked = trio.Event()
        await trio.lowlevel.checkpoint()
        answer = self.answers.pop(0)
        if isinstance(answer, FakeTorrent):
            return answer
        if isinstance(answer, Exception):
            raise answer
        return await answer()


class Told(list[events.Event]):
    def of(self, kind: type[events.Event]) -> list[Any]:
        return [event for event in self if isinstance(event, kind)]


@pytest.fixture
def told() -> Told:
    """What the service told."""
    return Told()


@asynccontextmanager
async def service_of(node: FakeNode, told: Told) -> AsyncIterator[Service]:
    settings = NodeSettings(trackers=(TRACKER,), on_event=told.append)
    async with trio.open_nursery() as nursery:
        yield Service(cast("Node", node), nursery, settings)
        nursery.cancel_scope.cancel()


def wanted(tmp_path: Path, **more: Any) -> FetchSettings:
    return FetchSettings(what="film", folder=tmp_path / "out", **more)


def unknown() -> NameUnknownError:
    return NameUnknownError("film", [TRACKER])


async def test_a_fetch_that_waits_asks_for_its_name_until_somebody_shares_it(
    autojump_clock: MockClock, told: Told, tmp_path: Path
) -> None:
    torrent = FakeTorrent()
    node = FakeNode(unknown(), unknown(), unknown(), torrent)
    async with service_of(node, told) as service:
        fetch = service.fetch(wanted(tmp_path, wait=True))
        assert fetch.state == "waiting"
        assert cast("FakeTorrent", await fetch.wait_known()) is torrent
        assert fetch.state == "fetching"
        times = [when for when, _ in node.asked]
        assert times == pytest.approx([0.0, 2.0, 5.0, 9.5])
        torrent.complete()
        await fetch.wait_complete()
        assert fetch.state == "seeding"
        assert service.fetches == [fetch]
    (waiting,) = told
    assert isinstance(waiting, events.Waiting)
    assert "nobody shares 'film'" in waiting.reason
    assert (tmp_path / "out").is_dir()


async def test_a_fetch_that_does_not_wait_fails_once_and_is_told_once(
    autojump_clock: MockClock, told: Told, tmp_path: Path
) -> None:
    async with service_of(FakeNode(StorageError("no", path=tmp_path)), told) as service:
        fetch = service.fetch(wanted(tmp_path))
        for wait in (fetch.wait_known, fetch.wait_complete):
            with pytest.raises(StorageError):
                await wait()
        await service.wait_idle()
        assert (fetch.state, service.has_failed) == ("failed", True)
    assert [(each.share_name, each.info_hash) for each in told] == [("film", "")]  # type: ignore[attr-defined]


class Usage(NamedTuple):
    total: int
    used: int
    free: int


async def test_a_full_disk_is_waited_out_and_is_no_failure(
    autojump_clock: MockClock, told: Told, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    room = iter([0, 0, 10**6])
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, next(room)))
    first, second = FakeTorrent(), FakeTorrent()
    async with service_of(FakeNode(first, second), told) as service:
        fetch = service.fetch(wanted(tmp_path, wait=True))
        await fetch.wait_known()
        first.fail(DiskFullError("no room left", path=tmp_path))
        await wait_all_tasks_blocked()
        assert fetch.state == "waiting"
        second.complete()
        assert cast("FakeTorrent", await fetch.wait_complete()) is second
        assert trio.current_time() >= 15.0
    assert not told.of(events.TorrentFailed)
    assert "it goes on when there is room" in told.of(events.Waiting)[0].reason


async def test_a_fetch_is_done_at_its_ratio_and_leaves_the_swarm(
    autojump_clock: MockClock, told: Told, tmp_path: Path
) -> None:
    torrent = FakeTorrent()
    torrent.complete()
    async with service_of(FakeNode(torrent), told) as service:
        fetch = service.fetch(wanted(tmp_path, seed_ratio=2.0))
        await fetch.wait_complete()
        await trio.sleep(1000)
        assert fetch.state == "seeding"
        torrent.ratio = 2.0
        await service.wait_idle()
        assert (fetch.state, torrent.was_removed) == ("done", True)
        assert not service.has_failed
        await fetch.wait_complete()


@pytest.mark.parametrize(("limit", "seconds"), [({"seed": False}, 0), ({"seed_for": 60.0}, 60)])
async def test_a_fetch_is_done_when_it_was_seeded_long_enough(
    autojump_clock: MockClock, told: Told, tmp_path: Path, limit: dict[str, Any], seconds: float
) -> None:
    torrent = FakeTorrent()
    torrent.complete()
    async with service_of(FakeNode(torrent), told) as service:
        fetch = service.fetch(wanted(tmp_path, **limit))
        await fetch.wait_over()
        assert trio.current_time() == pytest.approx(seconds)
        assert (fetch.state, torrent.was_removed) == ("done", True)


async def test_a_share_that_fails_ends_no_other(
    autojump_clock: MockClock, told: Told, tmp_path: Path
) -> None:
    good, bad = FakeTorrent("good", 1), FakeTorrent("bad", 2)
    node = FakeNode(StorageError("is missing", path=tmp_path), bad, good)
    async with service_of(node, told) as service:
        shares = []
        for name in ("a", "b", "c"):  # a nursery begins its tasks in any order
            shares.append(service.share(ShareSettings(path=tmp_path / name)))
            await wait_all_tasks_blocked()
        missing, failing, staying = shares
        assert cast("FakeTorrent", await staying.wait_complete()) is good
        bad.fail(StorageError("vanished", path=tmp_path))
        await failing.wait_over()
        await wait_all_tasks_blocked()
        assert [each.state for each in service.shares] == ["failed", "failed", "seeding"]
        with pytest.raises(StorageError, match="is missing"):
            await missing.wait_complete()
        later = service.fetch(wanted(tmp_path))
        node.answers.append(FakeTorrent("later", 3))
        await later.wait_known()
    failed = told.of(events.TorrentFailed)
    assert [each.share_name for each in failed] == [str(tmp_path / "a"), "bad"]
    assert failed[1].info_hash == "02" * 20


async def test_one_that_is_removed_ends_at_any_moment_and_leaves_nothing(
    autojump_clock: MockClock, told: Told, tmp_path: Path
) -> None:
    seeding, fetching = FakeTorrent("seeding", 1), FakeTorrent("fetching", 2)
    node = FakeNode(seeding, fetching, trio.sleep_forever, unknown())
    async with service_of(node, told) as service:
        kept = service.share(ShareSettings(path=tmp_path / "kept"))
        await kept.wait_complete()
        half = service.fetch(wanted(tmp_path, wait=True))
        await half.wait_known()
        hashing = service.share(ShareSettings(path=tmp_path / "hashing"))
        await wait_all_tasks_blocked()
        waiting = service.fetch(wanted(tmp_path, wait=True))
        await node.wait_asked(4)  # its folder is made in a thread
        for each in (half, hashing, waiting):
            await service.remove(each)
            assert each.state == "removed"
            with pytest.raises(TrioSwarmError, match="removed"):
                await each.wait_complete()
        assert fetching.was_removed
        assert not seeding.was_removed
        assert [*service.shares, *service.fetches] == [kept]
        assert kept.state == "seeding"
    assert not told.of(events.TorrentFailed)


async def test_waiters_elsewhere_are_woken_when_the_service_ends(
    autojump_clock: MockClock, told: Told, tmp_path: Path
) -> None:
    async def wait() -> None:
        with pytest.raises(TrioSwarmError, match="ended before it was complete"):
            await fetch.wait_complete()
        assert fetch.state == "removed"

    async with (
        trio.open_nursery() as nursery,
        service_of(FakeNode(FakeTorrent()), told) as service,
    ):
        fetch = service.fetch(wanted(tmp_path))
        nursery.start_soon(wait)
        await fetch.wait_known()


async def test_a_fetch_that_stalls_fails_and_is_taken_out_of_the_node(
    autojump_clock: MockClock, told: Told, tmp_path: Path
) -> None:
    torrent = FakeTorrent()
    async with service_of(FakeNode(torrent), told) as service:
        fetch = service.fetch(wanted(tmp_path, timeout=50.0))
        with pytest.raises(StalledError, match="nobody is there"):
            await fetch.wait_complete()
        await fetch.wait_over()
        assert torrent.was_removed
    assert len(told.of(events.TorrentFailed)) == 1


async def test_of_two_torrents_of_one_name_somebody_chooses(
    autojump_clock: MockClock, told: Told, tmp_path: Path
) -> None:
    hashes = [b"a" * 20, b"b" * 20]

    async def choose(error: NameAmbiguousError) -> bytes:
        await trio.sleep(10)
        return error.info_hashes[1]

    node = FakeNode(NameAmbiguousError("film", hashes), FakeTorrent())
    async with service_of(node, told) as service:
        await service.fetch(wanted(tmp_path), choose=choose).wait_known()
        assert [question["info_hash"] for _, question in node.asked] == [None, hashes[1]]
        node.answers.append(NameAmbiguousError("film", hashes))
        with pytest.raises(NameAmbiguousError):
            await service.fetch(wanted(tmp_path)).wait_known()


async def test_a_download_that_begins_anew_is_recorded_to_another_file(
    autojump_clock: MockClock, told: Told, tmp_path: Path
) -> None:
    record = tmp_path / "film.rec"
    record.touch()
    (tmp_path / "film.rec.2").touch()
    node = FakeNode(FakeTorrent())
    async with service_of(node, told) as service:
        await service.fetch(wanted(tmp_path, record=record)).wait_known()
    assert node.asked[0][1]["record"] == tmp_path / "film.rec.3"


async def test_a_bug_in_one_of_them_comes_out(
    autojump_clock: MockClock, told: Told, tmp_path: Path
) -> None:
    async def share() -> None:
        async with service_of(FakeNode(RuntimeError("a bug of ours")), told) as service:
            service.share(ShareSettings(path=tmp_path))
            await trio.sleep_forever()

    with pytest.raises(ExceptionGroup) as caught:
        await share()
    assert caught.group_contains(RuntimeError, match="a bug of ours")
    assert not told


async def test_whoever_waits_for_the_end_of_a_share_is_woken_when_the_service_ends(
    tmp_path: Path,
) -> None:
    """It rests, so no task of its own can tell."""
    settings = NodeSettings(listen_host="127.0.0.1", trackers=(TRACKER,), state_folder=tmp_path)
    (tmp_path / "film").write_bytes(b"film")
    with trio.fail_after(30):
        async with trio.open_nursery() as nursery, open_service(settings) as service:
            share = service.share(ShareSettings(path=tmp_path / "film"))
            torrent = await share.wait_complete()
            nursery.start_soon(share.wait_over)
        assert (share.state, torrent.state, share.error) == ("removed", "removed", None)


async def test_one_whose_torrent_is_removed_is_over(tmp_path: Path) -> None:
    settings = NodeSettings(listen_host="127.0.0.1", trackers=(TRACKER,), state_folder=tmp_path)
    (tmp_path / "film").write_bytes(b"film")
    with trio.fail_after(30):
        async with open_service(settings) as service:
            share = service.share(ShareSettings(path=tmp_path / "film"))
            torrent = await share.wait_complete()
            await torrent.remove()
            await service.wait_idle()
            assert share.state == "removed"


async def test_one_that_is_removed_while_it_is_opened_is_not_hashed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    go_on, began = threading.Event(), threading.Event()
    opened: list[Path] = []

    def wait(path: Path, **_more: object) -> None:
        opened.append(path)
        began.set()
        go_on.wait(30)

    monkeypatch.setattr(share_plans, "STALL", 1000.0)  # so one thread opens all
    monkeypatch.setattr(share_plans, "open_share", wait)
    monkeypatch.setattr(share_plans, "hash_share", pytest.fail)
    settings = NodeSettings(listen_host="127.0.0.1", trackers=(TRACKER,), state_folder=tmp_path)
    with trio.fail_after(30):
        async with open_service(settings) as service:
            shares = [service.share(ShareSettings(path=tmp_path / name)) for name in ("a", "b")]
            while not began.is_set():  # noqa: ASYNC110 - a thread sets it
                await trio.sleep(0.01)
            for share in shares:
                await service.remove(share)
            go_on.set()
            await trio.testing.wait_all_tasks_blocked(0.05)
            assert (service.shares, service.torrents) == ([], [])
    assert opened == [tmp_path / "a"]
