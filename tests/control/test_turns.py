"""Who asks about all torrents of a node keeps nobody else waiting: they are looked at in turns."""

from collections.abc import Awaitable, Callable
from pathlib import Path
from time import time as unix_time

import pytest
import trio

from controlled_node import Controlled, controlled
from local_swarm import HOST, make_file, until
from trio_swarm import loop_turn
from trio_swarm.control.api import session, torrents
from trio_swarm.control.api.changes import Changes
from trio_swarm.control.api.table import Asked
from trio_swarm.control.metrics.families import Sums
from trio_swarm.control.transmission.answering import answer
from trio_swarm.control.transmission.node_target import NodeTarget
from trio_swarm.control.transmission.rpc_session import RpcSession
from trio_swarm.loop_turn import LoopTurn

LIMIT = 30.0
"""Seconds until a test that hangs has failed."""

COUNT = 12
"""Torrents."""


async def turns_of_others(work: Callable[[], Awaitable[object]]) -> int:
    """Return how many turns another task had while some work was done."""
    turns = 0

    async def other() -> None:
        nonlocal turns
        while True:
            await trio.lowlevel.checkpoint()
            turns += 1

    async with trio.open_nursery() as nursery:
        nursery.start_soon(other)
        await trio.lowlevel.checkpoint()
        turns = 0
        await work()
        nursery.cancel_scope.cancel()
    return turns


def asked(node: Controlled, **query: object) -> Asked:
    return Asked(context=node.context, level="full", port=0, path={}, query=query, headers={})


async def test_all_torrents_are_looked_at_in_turns(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_turn, "TURN", 0.0)  # each step is a turn, on any machine
    text = ""
    for number in range(COUNT):
        make_file(tmp_path / f"{number}.bin", 100, seed=number)
        text += f'[[share]]\npath = "{number}.bin"\ntrackers = ["udp://{HOST}:1"]\n'
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path, text) as node:
            service = await node.context.open()
            await until(lambda: len(service.torrents) == COUNT)
            rpc = RpcSession(NodeTarget(node.context), now=unix_time, session_id="")

            async def call(body: bytes) -> object:
                return await answer(body, rpc, may_change=False)

            changes = await Changes.since_now(service)
            entries = service.entries
            works: list[tuple[str, int, Callable[[], Awaitable[object]]]] = [
                # What it is called, and how often it looks at each torrent.
                ("list", 1, lambda: torrents.list_torrents(asked(node, state=None, label=None))),
                ("session", 1, lambda: session.look(asked(node))),
                ("changes begin", 1, lambda: Changes.since_now(service)),
                ("changes", 1, changes.look),
                ("metrics", 2, lambda: Sums.of(service)),
                ("get", 2, lambda: call(b'{"method":"torrent-get","arguments":{"fields":["id"]}}')),
                ("stats", 2, lambda: call(b'{"method":"session-stats"}')),
                ("totals", 1, entries._keeping.account),
                ("goals", 1, entries._running.look_at_goals),
            ]
            await until(lambda: all(entry.state == "seeding" for entry in entries))
            for name, times, work in works:
                assert await turns_of_others(work) >= times * COUNT - 2, name


async def test_a_short_turn_is_not_interrupted() -> None:
    async def work() -> None:
        turn = LoopTurn()
        for _ in range(10):
            await turn.step()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop_turn, "TURN", 1000.0)  # a busy machine changes nothing
        assert await turns_of_others(work) == 0
