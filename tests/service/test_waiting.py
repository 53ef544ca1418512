"""Waiting for a name, for peers, for room on the disk, and for the end of seeding.

All of it on a clock that jumps, with torrents that are fakes.
"""

import itertools
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, cast

import pytest
import trio
from trio.testing import MockClock

from shown_events import progress_of
from trio_swarm import Torrent, events
from trio_swarm.errors import (
    DiskFullError,
    NameUnknownError,
    StalledError,
    StorageError,
    TooManyFilesError,
    TrackerUnreachableError,
    TrioSwarmError,
)
from trio_swarm.peer.standstill import Standstill
from trio_swarm.progress import Progress
from trio_swarm.service import waiting
from trio_swarm.service.seeding import seed_until
from trio_swarm.service.waiting import (
    ALONE_LEAST,
    ALONE_PATIENCE,
    PEERS_PATIENCE,
    Patience,
    complete_or_stalled,
    complete_when_room,
    fetch_when_known,
)

FOLDER = Path("/downloads")


class Usage(NamedTuple):
    total: int
    used: int
    free: int


class FakeTorrent:
    """As much of a torrent as waiting for one needs: it ends with `error`, or is complete."""

    info_hash = b"\1" * 20
    name = "film"
    path = FOLDER / "film.part"

    def __init__(
        self, *, have: int = 0, gained: int = 0, error: TrioSwarmError | None = None
    ) -> None:
        self.have = have
        self.gained = gained
        self.error = error
        self.ratio = 0.0
        self.over = trio.Event()

    def progress(self) -> Progress:
        return progress_of(size=1000, have=self.have, ratio=self.ratio)

    async def wait_complete(self) -> Path:
        await trio.sleep(1)
        self.have += self.gained
        if self.error is not None:
            self.over.set()
            raise self.error
        return FOLDER / "film"

    async def wait_over(self) -> None:
        await self.over.wait()


def starts(*torrents: FakeTorrent) -> Callable[[], Any]:
    left = list(torrents)

    async def start() -> Torrent:
        await trio.lowlevel.checkpoint()
        return cast("Torrent", left.pop(0))

    return start


def full() -> DiskFullError:
    return DiskFullError("no room left", path=FOLDER / "film.part")


async def test_a_name_is_asked_for_again_less_and_less_often_and_said_once(
    autojump_clock: MockClock,
) -> None:
    seen: list[events.Event] = []
    times: list[float] = []

    async def start() -> Torrent:
        times.append(trio.current_time())
        if len(times) < 5:
            raise NameUnknownError("film", ["udp://a:1"])
        if len(times) < 7:
            raise TrackerUnreachableError("silent", tracker="udp://a:1")
        return cast("Torrent", FakeTorrent())

    await fetch_when_known(start, "film", on_event=seen.append)
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps == sorted(gaps)
    assert gaps[0] == waiting.FIRST_RETRY
    assert gaps[-1] <= waiting.LAST_RETRY
    assert [type(event) for event in seen] == [events.Waiting] * 2


async def test_other_failures_to_start_are_not_waited_out(autojump_clock: MockClock) -> None:
    async def start() -> Torrent:
        raise StorageError("no", path=FOLDER)

    with pytest.raises(StorageError):
        await fetch_when_known(start, "film", on_event=lambda _: None)


async def test_a_full_disk_pauses_the_download_until_there_is_room(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    seen: list[events.Event] = []
    started = trio.current_time()
    asked: list[float] = []

    def usage(folder: Path) -> Usage:
        assert folder == FOLDER
        asked.append(trio.from_thread.run_sync(trio.current_time) - started)
        return Usage(0, 0, 600 if len(asked) > 3 else 599)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    first = FakeTorrent(have=100, gained=300, error=full())
    second = FakeTorrent(have=400)
    torrent = await complete_when_room(
        cast("Torrent", first), starts(second), FOLDER, on_event=seen.append
    )
    assert cast("FakeTorrent", torrent) is second
    assert asked == [pytest.approx(1 + waiting.DISK_LOOK * count) for count in (1, 2, 3, 4)]
    (event,) = seen
    assert isinstance(event, events.Waiting)
    assert "no room left; it goes on when there is room" in event.reason


async def test_a_disk_that_stays_full_despite_room_is_tried_less_and_less_often(
    autojump_clock: MockClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(0, 0, 10**9))
    times: list[float] = []

    async def start() -> Torrent:
        times.append(trio.current_time())
        return cast("Torrent", FakeTorrent(error=None if len(times) == 9 else full()))

    await complete_when_room(
        cast("Torrent", FakeTorrent(error=full())), start, FOLDER, on_event=lambda _: None
    )
    gaps = [later - earlier for earlier, later in itertools.pairwise(times)]
    assert gaps == sorted(gaps)
    assert gaps[-1] == pytest.approx(waiting.DISK_LAST_LOOK + 1)


async def test_too_many_open_files_pause_a_download(autojump_clock: MockClock) -> None:
    seen: list[events.Event] = []
    crowded = TooManyFilesError("too many open files", path=FOLDER)
    torrents = [FakeTorrent(error=crowded), FakeTorrent(error=crowded), FakeTorrent()]
    torrent = await complete_when_room(
        cast("Torrent", torrents[0]), starts(*torrents[1:]), FOLDER, on_event=seen.append
    )
    assert cast("FakeTorrent", torrent) is torrents[2]
    assert [type(event) for event in seen] == [events.Waiting] * 2


async def test_what_else_ends_a_download_ends_it(autojump_clock: MockClock) -> None:
    failing = FakeTorrent(error=StorageError("vanished", path=FOLDER))
    with pytest.raises(StorageError, match="vanished"):
        await complete_when_room(
            cast("Torrent", failing), starts(), FOLDER, on_event=lambda _: None
        )


async def test_seeding_ends_after_the_time_or_at_the_ratio_whichever_is_first(
    autojump_clock: MockClock,
) -> None:
    torrent = FakeTorrent()
    started = trio.current_time()
    limit = await seed_until(cast("Torrent", torrent), seconds=60, ratio=None)
    assert limit == "it was seeded for 60 s"
    assert trio.current_time() - started == pytest.approx(61)

    async def give() -> None:
        await trio.sleep(10)
        torrent.ratio = 2.5

    started = trio.current_time()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(give)
        await seed_until(cast("Torrent", torrent), seconds=60, ratio=2.0)
    assert trio.current_time() - started < 13
    with trio.move_on_after(10**6) as scope:
        await seed_until(cast("Torrent", torrent), seconds=None, ratio=None)
    assert scope.cancelled_caught


async def test_seeding_ends_with_what_ends_the_torrent(autojump_clock: MockClock) -> None:
    torrent = FakeTorrent(error=StorageError("vanished", path=FOLDER))

    async def vanish() -> None:
        await trio.sleep(5)
        torrent.over.set()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(vanish)
        with pytest.raises(StorageError, match="vanished"):
            await seed_until(cast("Torrent", torrent), seconds=None, ratio=None)


class StandingTorrent(FakeTorrent):
    """A download to which something comes at given times, and peers at others."""

    def __init__(self, *, moves: tuple[float, ...] = (), peers: tuple[float, ...] = ()) -> None:
        super().__init__(have=123)
        self.moves = moves
        self.peers = peers
        """When the first came, when the last went, and so on."""
        self.untried = 0
        self.looks = 0
        self.peers_changed = trio.Event()

    async def change_peers(self) -> None:
        for at in self.peers:
            await trio.sleep_until(at)
            self.tell_changed()

    def tell_changed(self) -> None:
        self.peers_changed.set()
        self.peers_changed = trio.Event()

    def standstill(self) -> Standstill:
        self.looks += 1
        now = trio.current_time()
        moved = max((at for at in self.moves if at <= now), default=0.0)
        passed = [at for at in self.peers if at <= now]
        alone = None if len(passed) % 2 else now - (passed[-1] if passed else 0.0)
        return Standstill(
            seconds=now - moved, alone=alone, untried=self.untried, reason="10.0.0.5:1: refused"
        )

    async def wait_complete(self) -> Path:
        await trio.sleep_forever()
        raise AssertionError


async def seconds_until_given_up(torrent: StandingTorrent, patience: Patience) -> float:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(torrent.change_peers)
        with pytest.raises(StalledError) as caught:
            await complete_or_stalled(cast("Torrent", torrent), patience)
        nursery.cancel_scope.cancel()
    assert "10.0.0.5:1: refused" in str(caught.value)
    assert "12.3 % is kept" in str(caught.value)
    return trio.current_time()


DEFAULT = Patience.of(None, waits=False)


@pytest.mark.parametrize(
    ("moves", "peers", "patience", "expected"),
    [
        # Nobody came.
        ((), (), DEFAULT, (ALONE_PATIENCE, 1)),
        # The only seeder died.
        ((1.0, 19.0), (0.5, 19.5), DEFAULT, (19 + ALONE_PATIENCE, 2)),
        # It died after the patience with those that are alone.
        ((), (0.5, 90.0), DEFAULT, (90 + ALONE_LEAST, 3)),
        # A peer chokes us for ever.
        ((), (3.0,), DEFAULT, (PEERS_PATIENCE, 2)),
        # A peer comes and goes all the time, and gives nothing.
        ((), tuple(map(float, range(1000))), DEFAULT, (PEERS_PATIENCE, 92)),
        # It never stops for long.
        (tuple(map(float, range(0, 1000, 29))), (), DEFAULT, (986 + ALONE_PATIENCE, 35)),
        ((), (), Patience.of(4.0, waits=False), (4.0, 1)),
        ((), (1.0,), Patience.of(4.0, waits=True), (4.0, 1)),
        ((), (), Patience.of(600.0, waits=False), (600.0, 1)),
    ],
)
async def test_a_download_to_which_nothing_comes_is_given_up(
    autojump_clock: MockClock,
    moves: tuple[float, ...],
    peers: tuple[float, ...],
    patience: Patience,
    expected: tuple[float, int],
) -> None:
    start = trio.current_time()
    assert start == 0
    torrent = StandingTorrent(moves=moves, peers=peers)
    given_up_at, looks = expected
    assert await seconds_until_given_up(torrent, patience) == given_up_at
    # It is looked at when it may be time, not again and again. Once more is for the message.
    assert torrent.looks <= looks + 2


async def test_addresses_that_were_not_dialled_yet_are_waited_for(
    autojump_clock: MockClock,
) -> None:
    torrent = StandingTorrent()
    torrent.untried = 1000
    assert await seconds_until_given_up(torrent, DEFAULT) == PEERS_PATIENCE
    assert torrent.looks <= 4


async def test_once_all_addresses_were_dialled_they_are_not_waited_for(
    autojump_clock: MockClock,
) -> None:
    torrent = StandingTorrent()
    torrent.untried = 1000

    async def dial() -> None:
        await trio.sleep(50)
        torrent.untried = 0
        torrent.tell_changed()

    async with trio.open_nursery() as nursery:
        nursery.start_soon(dial)
        assert await seconds_until_given_up(torrent, DEFAULT) == 50


async def test_a_failure_while_peers_give_nothing_is_no_group(autojump_clock: MockClock) -> None:
    class FullDisk(StandingTorrent):
        async def wait_complete(self) -> Path:
            await trio.sleep_until(60)
            raise DiskFullError("full", path=FOLDER)

    with pytest.raises(DiskFullError):
        await complete_or_stalled(cast("Torrent", FullDisk(peers=(0.0,))), DEFAULT)


async def test_who_waits_is_never_given_up(autojump_clock: MockClock) -> None:
    with trio.move_on_after(10**6) as scope:
        await complete_or_stalled(cast("Torrent", StandingTorrent()), Patience.of(None, waits=True))
    assert scope.cancelled_caught
