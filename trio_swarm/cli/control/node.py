"""`trio-swarm reload` and `stop`: what a running node itself is told."""

import os

import trio

from trio_swarm.cli.control.asking import ask_node
from trio_swarm.cli.control.node_choice import NodeChoice, door_of
from trio_swarm.cli.failures import FAILED, USAGE, complain
from trio_swarm.cli.options import Flag, OutputOptions
from trio_swarm.cli.output.json_events import NodeStopped, Problem, ReloadChange
from trio_swarm.cli.output.reporting import JsonReporter, Reporter, make_reporter
from trio_swarm.cli.output.text import count_text
from trio_swarm.control import answers
from trio_swarm.control.client import Client, ControlError, open_process
from trio_swarm.foreign_text import shown

STOP_SECONDS = 30.0
"""Until a node has ended: it announces that it stops and saves its state within 4 s, and a disk may
be slow."""
_VALUE_LENGTH = 200


async def reload(
    *,
    dry_run: Flag = False,
    node: NodeChoice | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Let a running node read its configuration file anew, and tell what changes.

    The whole file is checked first: if anything in it is wrong, nothing changes (exit code 2).

    Parameters
    ----------
    dry_run
        Only tell what would change.
    node
        Which node is asked.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())

    async def body(client: Client) -> int:
        session = await client.session()
        found = await client.reload(dry_run=dry_run)
        file = session.config_file or ""
        for error in found.errors:
            _complain(error, file, reporter)
        if found.errors:
            return USAGE
        for change in found.changes:
            _tell(change, reporter)
        if not found.changes:
            reporter.say(f"{shown(file, 4096)}: nothing has changed")
        else:
            done = "would be made" if dry_run else "made"
            reporter.say(f"{count_text(len(found.changes), 'change')} {done}")
        return 0

    return await ask_node(node or NodeChoice(), reporter, body)


def _complain(error: answers.Problem | str, file: str, reporter: Reporter) -> None:
    message, key = (error, None) if isinstance(error, str) else (error.message, error.key)
    if isinstance(reporter, JsonReporter):
        reporter.answer(Problem(file=file, key=key, message=message), "")
    else:
        complain(message, exit_code=USAGE, as_json=False)


def _tell(change: answers.Change, reporter: Reporter) -> None:
    event = ReloadChange(key=change.key, was=change.was, will_be=change.will_be, how=change.how)
    match change.how:
        case "added":
            text = f"+ {_value(change.will_be)}"
        case "removed":
            text = f"- {_value(change.was)}"
        case _:
            text = f"{_value(change.was)} -> {_value(change.will_be)}"
    later = " (at the next start)" if change.how == "restart" else ""
    reporter.answer(event, f"{shown(change.key)}: {text}{later}")


def _value(value: object) -> str:
    return "none" if value is None else shown(str(value), _VALUE_LENGTH)


async def stop(*, node: NodeChoice | None = None, output: OutputOptions | None = None) -> int:
    """End a running node, and wait until it has ended.

    It tells its trackers and saves its state first, as at Ctrl-C.

    Parameters
    ----------
    node
        Which node is asked.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    choice = node or NodeChoice()

    async def body(client: Client) -> int:
        process = open_process(door_of(choice))
        try:
            if process is not None:
                await client.stop()
                has_ended = await _ends(process)
            else:
                has_ended = await _stops(client)
        finally:
            if process is not None:
                os.close(process)
        text = "stopped" if has_ended else f"was told to stop, and runs on after {STOP_SECONDS:g} s"
        reporter.answer(NodeStopped(has_ended=has_ended), f"the node {text}")
        return 0 if has_ended else FAILED

    return await ask_node(choice, reporter, body)


async def _ends(process: int) -> bool:
    """Wait until a process has ended, as long as that may take."""
    with trio.move_on_after(STOP_SECONDS) as scope:
        await trio.lowlevel.wait_readable(process)
    return not scope.cancelled_caught


async def _stops(client: Client) -> bool:
    """Tell a node elsewhere to end, and wait until its events do."""
    with trio.move_on_after(STOP_SECONDS) as scope:
        async with client.events("torrents") as events:
            await client.stop()
            try:
                async for _ in events:
                    pass
            except ControlError:  # it ended while it sent something
                pass
    return not scope.cancelled_caught
