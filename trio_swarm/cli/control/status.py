"""`trio-swarm status`: what a running node does."""

from collections.abc import Sequence

from trio_swarm.cli.control.asking import ask_node
from trio_swarm.cli.control.choosing import find_torrents
from trio_swarm.cli.control.node_choice import NodeChoice
from trio_swarm.cli.control.torrent_lines import (
    failure_lines,
    node_event,
    node_line,
    torrent_event,
    torrent_table,
    waiting_lines,
    whole_lines,
)
from trio_swarm.cli.options import Flag, OutputOptions
from trio_swarm.cli.output.reporting import JsonReporter, Reporter, make_reporter
from trio_swarm.cli.output.tables import width_of_terminal
from trio_swarm.control.answers import Torrent
from trio_swarm.control.client import Client
from trio_swarm.errors import ConfigError


async def status(
    *torrent: str,
    watch: Flag = False,
    state: str = "",
    label: str = "",
    node: NodeChoice | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Show the torrents of a running node, or all about some of them.

    Parameters
    ----------
    torrent
        Torrents to tell all about: name, info-hash, id, or the beginning of either. By default a
        table of all.
    watch
        Go on, live, until Ctrl-C.
    state
        Only torrents in this state: hashing, waiting, queued, metadata, checking, downloading,
        seeding, paused, done or failed.
    label
        Only torrents with this label.
    node
        Which node is asked.
    output
        How it talks.

    """
    output = output or OutputOptions()
    reporter = make_reporter(output)
    if torrent and (state or label):
        raise ConfigError("--state and --label choose torrents: name none besides")
    if watch and (state or label):
        raise ConfigError("--watch shows all torrents or the ones that are named")

    async def body(client: Client) -> int:
        if watch:
            from trio_swarm.cli.control.watching import watch_node  # noqa: PLC0415 - rich, perhaps

            return await watch_node(client, torrent, reporter)
        if torrent:
            _tell_whole(await find_torrents(client, torrent), reporter)
        else:
            await _tell_all(client, state, label, reporter)
        return 0

    return await ask_node(node or NodeChoice(), reporter, body, interrupted=0 if watch else 1)


def _tell_whole(found: Sequence[Torrent], reporter: Reporter) -> None:
    for index, torrent in enumerate(found):
        if index:
            reporter.heading("")
        reporter.answer(torrent_event(torrent), "\n".join(whole_lines(torrent)))


async def _tell_all(client: Client, state: str, label: str, reporter: Reporter) -> None:
    session = await client.session()
    found = await client.torrents(state=state, label=label)
    if isinstance(reporter, JsonReporter):
        reporter.answer(node_event(session), "")
    lines = torrent_table(found, width_of_terminal())
    if found:
        reporter.heading(lines[0])
    for torrent, line in zip(found, lines[1:], strict=True):
        reporter.answer(torrent_event(torrent), line)
    for line in (*failure_lines(found), *waiting_lines(found)):
        reporter.say(line)
    if found or not (state or label):
        reporter.say(node_line(session, len(found)))
    else:
        reporter.say("no torrent is so")
