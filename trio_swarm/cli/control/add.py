"""`trio-swarm add`: give a running node something to fetch or to share."""

import base64
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from trio_swarm.cli.control.asking import ask_node
from trio_swarm.cli.control.limit import TorrentLimits
from trio_swarm.cli.control.node_choice import NodeChoice
from trio_swarm.cli.control.scheduler import typed_options
from trio_swarm.cli.control.telling import folder_there
from trio_swarm.cli.control.torrent_lines import short_line, torrent_event
from trio_swarm.cli.options import Flag, OutputOptions, Trackers, Words, expanded, flagged
from trio_swarm.cli.output.reporting import Reporter, make_reporter
from trio_swarm.config.values import parse_peer, parse_tracker
from trio_swarm.control.client import Client, ControlRefusedError
from trio_swarm.errors import ConfigError, MetainfoError
from trio_swarm.foreign_text import shown
from trio_swarm.named_paths import is_file, is_there, read_whole


async def add(
    what: str,
    /,
    *more: str,
    share: Flag = False,
    folder: Annotated[Path | None, Parameter(name=("--dir", "-d", "-o"))] = None,
    name: str | None = None,
    paused: Flag = False,
    label: Words = (),
    tracker: Trackers = (),
    peer: Words = (),
    scheduler: Annotated[str | None, Parameter(name=("--scheduler", "-s"))] = None,
    option: Words = (),
    seed: bool = True,
    limits: TorrentLimits | None = None,
    node: NodeChoice | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Add torrents to a running node: it fetches them, or shares them with --share.

    They stay over restarts of the node, until `trio-swarm remove`. What is there already is not
    added again, and no failure.

    Parameters
    ----------
    what
        A name on a tracker, a .torrent file here, a magnet link, or an info-hash. With --share a
        file or folder.
    more
        Further ones.
    share
        Share a file or folder on the node's machine, instead of fetching.
    folder
        The folder to put what is fetched in. By default the node's.
    name
        With --share: the name to be found by.
    paused
        Add it, and begin only at `trio-swarm resume`.
    label
        A label of yours, to choose by; may be given several times.
    tracker
        URL of a tracker, instead of the node's; may be given several times.
    peer
        HOST:PORT of a peer to connect to at once; may be given several times.
    scheduler
        The strategy that decides what to fetch from whom.
    option
        KEY=VALUE for the strategy; may be given several times.
    seed
        Go on as a seeder when everything is there, or end.
    limits
        Its own limits.
    node
        Which node is asked.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    choice = node or NodeChoice()
    wanted = (what, *more)
    _check(wanted, share=share, folder=folder, name=name, scheduler=scheduler, option=option)
    common: dict[str, object] = {
        "paused": paused,
        "labels": list(label),
        "limits": (limits or TorrentLimits()).values(),
    }
    if tracker:
        common["trackers"] = [flagged("--tracker", parse_tracker, each) for each in tracker]
    if share:
        common |= {} if name is None else {"name": name}
        bodies = [common | {"path": str(_path_there(each, choice))} for each in wanted]
    else:
        common |= {"seed": seed}
        if folder is not None:
            common["folder"] = str(folder_there(folder, choice))
        if peer:
            for each in peer:
                flagged("--peer", parse_peer, each)
            common["peers"] = list(peer)
        if scheduler is not None:
            common["scheduler"] = {"name": scheduler, "options": typed_options(option)}
        bodies = [common | _wanted(each) for each in wanted]

    async def body(client: Client) -> int:
        for each in bodies:
            await _add(client, each, reporter)
        return 0

    return await ask_node(choice, reporter, body)


def _check(
    wanted: Sequence[str],
    *,
    share: bool,
    folder: Path | None,
    name: str | None,
    scheduler: str | None,
    option: Sequence[str],
) -> None:
    """Raise ConfigError for flags that do not go together."""
    if not all(each.strip() for each in wanted):
        raise ConfigError("say what to add: a name, a .torrent file, a magnet link, an info-hash")
    if share and folder is not None:
        raise ConfigError("--dir is where something is fetched to: it does not go with --share")
    if share and scheduler is not None:
        raise ConfigError("--scheduler is for something that is fetched: not with --share")
    if name is not None and (not share or len(wanted) > 1):
        raise ConfigError("--name is the name of one path to share: with --share and one path")
    if option and scheduler is None:
        raise ConfigError("--option is for a strategy: name it with --scheduler")


def _wanted(what: str) -> dict[str, object]:
    """Return what the node is told to fetch: a .torrent file here is sent whole. Blocking."""
    if what[:7].lower() == "http://" or what[:8].lower() == "https://":
        raise ConfigError(f"{what} is an address: fetch the .torrent file, and add that")
    path = expanded(Path(what)) or Path(what)
    is_path = "/" in what and what[:7].lower() != "magnet:"
    if not what.lower().endswith(".torrent") and not is_path:
        return {"what": what}
    if not is_there(path):
        if is_path:
            raise ConfigError(f"there is no file {what}")
        return {"what": what}  # a name may end so
    if not is_file(path) or not what.lower().endswith(".torrent"):
        raise ConfigError(f"{what} is no .torrent file: --share shares it")
    from trio_swarm.protocol.metainfo.torrent import (  # noqa: PLC0415 - links and names need none
        MAX_TORRENT_SIZE,
    )

    try:
        data = read_whole(path, MAX_TORRENT_SIZE)
    except OSError as error:
        raise MetainfoError(f"{what}: {error.strerror or error}") from error
    if len(data) > MAX_TORRENT_SIZE:
        raise MetainfoError(f"{what}: is too large for a .torrent file")
    return {"metainfo": base64.b64encode(data).decode("ascii")}


def _path_there(text: str, choice: NodeChoice) -> Path:
    """Return a path to share as the node takes it; it must be there, if the node is here."""
    path = folder_there(Path(text), choice)
    if choice.url is None and not is_there(path):
        raise ConfigError(f"there is no {text} to share")
    return path


async def _add(client: Client, body: dict[str, object], reporter: Reporter) -> None:
    try:
        torrent = await client.add(body)
    except ControlRefusedError as error:
        if error.code != "present" or error.torrent is None:
            raise
        reporter.answer(torrent_event(error.torrent), f"there already: {short_line(error.torrent)}")
    else:
        reporter.answer(torrent_event(torrent), f"added: {short_line(torrent)}")
        what = str(body.get("what", ""))
        if what.lower().endswith(".torrent"):
            reporter.say(
                f"there is no file {shown(what)} here: it is taken for a name on a tracker"
            )
