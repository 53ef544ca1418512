"""Asking a running node, until it has answered or a person has enough."""

from collections.abc import Awaitable, Callable

from trio_swarm.cli.control.node_choice import NodeChoice, door_of
from trio_swarm.cli.failures import FAILED
from trio_swarm.cli.output.reporting import Reporter
from trio_swarm.cli.running import run_until_interrupted
from trio_swarm.control.client import Client, open_client


async def ask_node(
    choice: NodeChoice,
    reporter: Reporter,
    body: Callable[[Client], Awaitable[int]],
    *,
    interrupted: int = FAILED,
) -> int:
    """Run `body` with a client of the chosen node; return its exit code, or `interrupted`."""
    door = door_of(choice)

    async def asked() -> int:
        async with open_client(door) as client:
            return await body(client)

    return await run_until_interrupted(asked, reporter, interrupted=lambda: interrupted)
