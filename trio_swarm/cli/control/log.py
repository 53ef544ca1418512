"""`trio-swarm log`: what a running node tells its operator."""

from datetime import datetime
from typing import Annotated, Final, Literal, get_args

from cyclopts import Parameter

from trio_swarm.cli.control.asking import ask_node
from trio_swarm.cli.control.node_choice import NodeChoice
from trio_swarm.cli.options import Flag, OutputOptions
from trio_swarm.cli.output.json_events import NodeLogged
from trio_swarm.cli.output.reporting import Reporter, make_reporter
from trio_swarm.cli.output.text import MESSAGE_LENGTH
from trio_swarm.control.answers import LogLine
from trio_swarm.control.client import Client, ControlError
from trio_swarm.foreign_text import shown

Level = Literal["debug", "info", "warning", "error"]

_LEVELS: Final = get_args(Level)
"""The least grave first."""


async def log(
    *,
    follow: Annotated[Flag, Parameter(name=("--follow", "-f"))] = False,
    level: Level = "debug",
    node: NodeChoice | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Print the latest log lines of a running node.

    Parameters
    ----------
    follow
        Go on with each line that comes, until Ctrl-C.
    level
        Only lines that are at least so grave. By default all that the node logs, which `log.level`
        of its configuration file decides.
    node
        Which node is asked.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())

    async def body(client: Client) -> int:
        count = 0
        # Severities with other names are told in any case.
        left_out = _LEVELS[: _LEVELS.index(level)]
        async with client.log(follow=follow) as events:
            async for event in events:
                if event.name != "logged":
                    continue
                line = client.decoded(event, LogLine)
                if line.severity not in left_out:
                    _tell(line, reporter)
                    count += 1
        if follow:
            raise ControlError("the node has ended")
        if not count:
            reporter.say("nothing such was logged" if left_out else "nothing was logged yet")
        return 0

    return await ask_node(node or NodeChoice(), reporter, body, interrupted=0 if follow else 1)


def _tell(line: LogLine, reporter: Reporter) -> None:
    event = NodeLogged(
        at=line.time, severity=line.severity, logger=line.logger, message=line.message
    )
    severity = "" if line.severity == "info" else f"{shown(line.severity)}: "
    text = shown(line.message, MESSAGE_LENGTH)
    reporter.answer(event, f"{_moment(line.time)}  {severity}{text}")


def _moment(seconds: float) -> str:
    try:
        return f"{datetime.fromtimestamp(seconds):%Y-%m-%d %H:%M:%S}"  # noqa: DTZ006 - as on the wall
    except (ValueError, OverflowError, OSError):
        return "?"
