"""The flag that wakes one task."""

import trio
from trio.testing import wait_all_tasks_blocked

from trio_swarm.peer.wakeup import Wakeup


async def test_a_call_before_the_wait_is_not_lost_and_many_calls_wake_once() -> None:
    flag = Wakeup()
    flag.set()
    flag.set()
    await flag.wait()
    with trio.move_on_after(0.01) as scope:
        await flag.wait()
    assert scope.cancelled_caught


async def test_a_waiting_task_is_woken_and_the_call_is_used_up() -> None:
    flag = Wakeup()
    woken = 0

    async def wait() -> None:
        nonlocal woken
        while True:
            await flag.wait()
            woken += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(wait)
        await wait_all_tasks_blocked()
        flag.set()
        flag.set()
        await wait_all_tasks_blocked()
        assert woken == 1
        flag.set()
        await wait_all_tasks_blocked()
        assert woken == 2
        nursery.cancel_scope.cancel()


async def test_a_cancelled_waiter_leaves_the_flag_usable() -> None:
    flag = Wakeup()
    with trio.move_on_after(0.01):
        await flag.wait()
    flag.set()
    await flag.wait()
