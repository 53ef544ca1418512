"""Several torrents are asked about at once, and told of in their order."""

import pytest
import trio

from trio_swarm.cli.control.side_by_side import AT_ONCE, for_each
from trio_swarm.control.answers import Torrent
from trio_swarm.errors import TrioSwarmError


def torrents(count: int) -> list[Torrent]:
    return [Torrent(id=each, name="film", state="seeding") for each in range(1, count + 1)]


async def test_a_torrent_that_takes_its_time_holds_up_no_other(autojump_clock: object) -> None:
    told: list[int] = []

    async def ask(torrent: Torrent) -> int:
        await trio.sleep(60 if torrent.id == 1 else 2)
        return torrent.id

    begun = trio.current_time()
    await for_each(torrents(AT_ONCE), ask, lambda _, answer: told.append(answer))
    assert trio.current_time() - begun == 60
    assert told == list(range(1, AT_ONCE + 1))


async def test_only_so_many_are_asked_at_once(autojump_clock: object) -> None:
    under_way, most = 0, 0

    async def ask(_: Torrent) -> None:
        nonlocal under_way, most
        under_way += 1
        most = max(most, under_way)
        await trio.sleep(1)
        under_way -= 1

    await for_each(torrents(3 * AT_ONCE), ask, lambda *_: None)
    assert most == AT_ONCE


async def test_failures_are_raised_after_all_the_others_were_told() -> None:
    told: list[int] = []

    async def ask(torrent: Torrent) -> int:
        await trio.lowlevel.checkpoint()
        if torrent.id in failing:
            raise TrioSwarmError(f"{torrent.id} fails")
        return torrent.id

    failing = {2}
    with pytest.raises(TrioSwarmError, match="2 fails"):
        await for_each(torrents(4), ask, lambda _, answer: told.append(answer))
    assert told == [1, 3, 4]
    failing = {2, 3}
    with pytest.raises(ExceptionGroup) as caught:
        await for_each(torrents(4), ask, lambda *_: None)
    assert [str(each) for each in caught.value.exceptions] == ["2 fails", "3 fails"]
