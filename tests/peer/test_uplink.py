"""The task that gives turns on a node's uplink: with connections whose links tests script."""

import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import trio

from trio_swarm.engine.upload.link_state import LinkState
from trio_swarm.engine.upload.uplink_sharing import QUIET_SECONDS
from trio_swarm.peer.uplink import Uplink

BLOCK = 16 * 1024
IDLE_LINK = LinkState(0, 0.0, False, 0.001, 0.001, 0, 0, 0, 0.0)  # noqa: FBT003 - its order


class Scripted:
    """A connection that wants to send blocks for ever, over a link with a queue of `queue`."""

    def __init__(self, uplink: Uplink, key: int, *, weight: float = 1.0, group: int = 0) -> None:
        self.uplink = uplink
        self.key = key
        self.weight = weight
        self.group = group
        self.state: LinkState | None = IDLE_LINK
        self.sent = 0
        self.looks = 0
        self.rate = -1.0
        self.may_go_on = trio.Event()

    def link_state(self) -> LinkState | None:
        self.looks += 1
        if self.state is not None:
            self.state = self.state._replace(acknowledged=self.sent)
        return self.state

    def found(self, rate: float) -> None:
        self.rate = rate

    def turn_given(self) -> None:
        self.may_go_on.set()

    async def send_for_ever(self, pause: float = 0.0005) -> None:
        while True:
            while not self.uplink.may_send(self):
                self.may_go_on = trio.Event()
                await self.may_go_on.wait()
            self.send()
            await trio.sleep(pause)

    def send(self) -> None:
        self.sent += BLOCK
        self.uplink.sends(self, BLOCK, trio.current_time())


@asynccontextmanager
async def running(uplink: Uplink) -> AsyncIterator[trio.Nursery]:
    async with trio.open_nursery() as nursery:
        nursery.start_soon(uplink.run)
        yield nursery
        nursery.cancel_scope.cancel()


async def test_a_node_that_sends_nothing_looks_at_nothing(
    autojump_clock: trio.testing.MockClock,
) -> None:
    uplink = Uplink()
    sender = Scripted(uplink, 1)
    async with running(uplink):
        sender.send()
        await trio.sleep(1.5 * QUIET_SECONDS)
        looks = sender.looks
        assert 0 < looks < 50
        await trio.sleep(3600)
        assert sender.looks == looks


async def test_a_connection_whose_link_tells_nothing_is_looked_at_no_more_than_it_sends(
    autojump_clock: trio.testing.MockClock,
) -> None:
    uplink = Uplink()
    sender = Scripted(uplink, 1)
    sender.state = None
    async with running(uplink):
        sender.send()
        await trio.sleep(3600)
        assert sender.looks == 1
        assert uplink.may_send(sender)


async def test_the_users_limit_is_kept_and_shared_by_all(
    autojump_clock: trio.testing.MockClock,
) -> None:
    uplink = Uplink(1e6)
    senders = [Scripted(uplink, key) for key in range(3)]
    async with running(uplink) as nursery:
        for sender in senders:
            nursery.start_soon(sender.send_for_ever)
        await trio.sleep(10)
    assert sum(sender.sent for sender in senders) == pytest.approx(10e6, rel=0.03)
    assert min(sender.sent for sender in senders) == pytest.approx(10e6 / 3, rel=0.05)


async def test_a_full_uplink_is_shared_by_weight_within_a_torrent_and_evenly_between_torrents(
    autojump_clock: trio.testing.MockClock,
) -> None:
    uplink = Uplink(1e6)
    # The strategies of two torrents give weights of different sizes.
    senders = [
        Scripted(uplink, 1, weight=100, group=1),
        Scripted(uplink, 2, weight=300, group=1),
        Scripted(uplink, 3, weight=1, group=2),
        Scripted(uplink, 4, weight=1, group=2),
    ]
    async with running(uplink) as nursery:
        for sender in senders:
            nursery.start_soon(sender.send_for_ever)
        await trio.sleep(20)
    total = sum(sender.sent for sender in senders)
    shares = [sender.sent / total for sender in senders]
    assert shares == pytest.approx([0.125, 0.375, 0.25, 0.25], abs=0.02)


async def test_weights_count_on_an_uplink_so_slow_that_each_waits_for_seconds(
    autojump_clock: trio.testing.MockClock,
) -> None:
    uplink = Uplink(100e3)
    senders = [Scripted(uplink, key, weight=1 + key % 2) for key in range(20)]
    async with running(uplink) as nursery:
        for sender in senders:
            nursery.start_soon(sender.send_for_ever)
        await trio.sleep(120)
    light = sum(sender.sent for sender in senders if sender.weight == 1)
    heavy = sum(sender.sent for sender in senders if sender.weight == 2)
    assert heavy == pytest.approx(2 * light, rel=0.1)


async def test_a_full_uplink_is_seen_however_many_connections_there_are_in_few_looks(
    autojump_clock: trio.testing.MockClock,
) -> None:
    uplink = Uplink()
    senders = [Scripted(uplink, key) for key in range(384)]
    for sender in senders:
        sender.state = IDLE_LINK._replace(round_trip=0.2)
    async with running(uplink) as nursery:
        for sender in senders:
            nursery.start_soon(sender.send_for_ever, 0.02)
        await trio.sleep(2)
    assert uplink.governor.budget < math.inf
    assert sum(sender.looks for sender in senders) < 6000  # 15,000 without AT_ONCE


async def test_one_that_leaves_with_a_turn_holds_nobody_up(
    autojump_clock: trio.testing.MockClock,
) -> None:
    uplink = Uplink(1e6)
    gone, other = Scripted(uplink, 1), Scripted(uplink, 2)
    async with running(uplink) as nursery:
        gone.send()
        uplink.may_send(gone)
        await trio.sleep(1)  # it has its turn now, and does nothing with it
        uplink.leave(gone.key, trio.current_time())
        nursery.start_soon(other.send_for_ever)
        await trio.sleep(5)
    assert other.sent == pytest.approx(5e6, rel=0.05)


@pytest.mark.parametrize("leaves", [True, False])
async def test_one_that_asks_for_turns_and_wants_none_costs_the_others_nothing(
    autojump_clock: trio.testing.MockClock, *, leaves: bool
) -> None:
    """As one does whose requests are cancelled while it waits, or that comes and goes."""
    uplink = Uplink(100e3)
    asking, other = Scripted(uplink, 1), Scripted(uplink, 2)
    end = uplink.leave if leaves else uplink.sends_nothing

    async def ask_in_vain() -> None:
        while True:
            uplink.may_send(asking)
            await trio.sleep(0.01)
            end(asking.key, trio.current_time())

    async with running(uplink) as nursery:
        nursery.start_soon(other.send_for_ever)
        nursery.start_soon(ask_in_vain)
        await trio.sleep(10)
    assert other.sent == pytest.approx(1e6, rel=0.05)


async def test_without_a_queue_nobody_is_held(autojump_clock: trio.testing.MockClock) -> None:
    uplink = Uplink()
    senders = [Scripted(uplink, key) for key in range(8)]
    async with running(uplink) as nursery:
        for sender in senders:
            nursery.start_soon(sender.send_for_ever)
        await trio.sleep(5)
    assert uplink.governor.budget == math.inf
    assert min(sender.rate for sender in senders) > 0.9 * BLOCK / 0.0005


@asynccontextmanager
async def sending(uplink: Uplink, *senders: Scripted) -> AsyncIterator[None]:
    async with running(uplink) as nursery:
        for sender in senders:
            nursery.start_soon(sender.send_for_ever)
        yield


async def test_a_torrent_keeps_to_a_limit_of_its_own_and_the_others_have_the_rest(
    autojump_clock: trio.testing.MockClock,
) -> None:
    uplink = Uplink(1e6)
    limited = [Scripted(uplink, key, group=1) for key in (1, 2)]
    free = Scripted(uplink, 3, group=2)
    uplink.set_group_limit(1, 1e5, trio.current_time())
    async with sending(uplink, *limited, free):
        await trio.sleep(20)
    assert sum(each.sent for each in limited) == pytest.approx(2e6, rel=0.05)
    assert min(each.sent for each in limited) == pytest.approx(1e6, rel=0.1)
    assert free.sent == pytest.approx(18e6, rel=0.05)


async def test_a_torrent_with_a_limit_above_the_uplinks_has_its_share_of_the_uplink(
    autojump_clock: trio.testing.MockClock,
) -> None:
    uplink = Uplink(1e6)
    limited, free = Scripted(uplink, 1, group=1), Scripted(uplink, 2, group=2)
    uplink.set_group_limit(1, 9e6, trio.current_time())
    async with sending(uplink, limited, free):
        await trio.sleep(20)
    assert limited.sent == pytest.approx(10e6, rel=0.05)
    assert free.sent == pytest.approx(10e6, rel=0.05)


async def test_a_limit_of_a_torrent_shares_by_the_weights_of_its_connections(
    autojump_clock: trio.testing.MockClock,
) -> None:
    uplink = Uplink()
    senders = [Scripted(uplink, 1, weight=1, group=1), Scripted(uplink, 2, weight=3, group=1)]
    uplink.set_group_limit(1, 1e6, trio.current_time())
    async with sending(uplink, *senders):
        await trio.sleep(20)
    assert senders[1].sent / senders[0].sent == pytest.approx(3, rel=0.15)


@pytest.mark.parametrize("new", [1e6, None])
@pytest.mark.parametrize("of_torrent", [False, True])
async def test_who_waits_for_a_turn_goes_on_at_once_when_a_low_limit_is_raised(
    autojump_clock: trio.testing.MockClock,
    new: float | None,
    of_torrent: bool,  # noqa: FBT001 - a parameter of the test
) -> None:
    uplink = Uplink(None if of_torrent else 10.0)
    if of_torrent:
        uplink.set_group_limit(0, 10.0, trio.current_time())
    sender = Scripted(uplink, 1)
    async with sending(uplink, sender):
        await trio.sleep(60)
        before = sender.sent
        assert before <= 2 * BLOCK
        if of_torrent:
            uplink.set_group_limit(0, new, trio.current_time())
        else:
            uplink.set_limit(new, trio.current_time())
        await trio.sleep(1)
        assert sender.sent - before > 0.8e6
        assert (uplink.limit_of(0) if of_torrent else uplink.limit) == new


async def test_a_limit_holds_from_the_moment_it_is_set(
    autojump_clock: trio.testing.MockClock,
) -> None:
    uplink = Uplink()
    sender = Scripted(uplink, 1)
    async with sending(uplink, sender):
        await trio.sleep(5)
        before = sender.sent
        uplink.set_limit(1e5, trio.current_time())
        await trio.sleep(10)
    assert sender.sent - before == pytest.approx(1e6, rel=0.05)


async def test_a_connection_that_has_nothing_to_send_gives_its_torrents_turn_back(
    autojump_clock: trio.testing.MockClock,
) -> None:
    uplink = Uplink()
    idle, busy = Scripted(uplink, 1, group=1), Scripted(uplink, 2, group=1)
    uplink.set_group_limit(1, 1e5, trio.current_time())
    async with running(uplink):
        assert not uplink.may_send(idle)
        await idle.may_go_on.wait()
        assert uplink.may_send(idle)
        uplink.sends_nothing(idle.key, trio.current_time())
        assert not uplink.may_send(idle), "it is to ask for another one"
        uplink.leave(idle.key, trio.current_time())
        assert not uplink.may_send(busy)
        await busy.may_go_on.wait()
        busy.send()
        uplink.leave(busy.key, trio.current_time())
        assert not uplink.may_send(busy), "who comes again is new"
