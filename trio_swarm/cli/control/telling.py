"""`trio-swarm pause`, `resume`, `reannounce`, `move`, `rename`, and `verify` in a node."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from trio_swarm.cli.control.asking import ask_node
from trio_swarm.cli.control.choosing import find_torrents, reference
from trio_swarm.cli.control.node_choice import NodeChoice
from trio_swarm.cli.control.side_by_side import for_each
from trio_swarm.cli.control.torrent_lines import short_line, torrent_event
from trio_swarm.cli.options import Flag, OutputOptions, expanded
from trio_swarm.cli.output.reporting import Reporter, make_reporter
from trio_swarm.control.answers import Torrent
from trio_swarm.control.client import Client
from trio_swarm.errors import ConfigError

Everything = Annotated[Flag, Parameter(name="--all")]


async def pause(
    *torrent: str,
    everything: Everything = False,
    node: NodeChoice | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Pause torrents of a running node: no peers, no announces, until they are resumed.

    They stay paused over restarts.

    Parameters
    ----------
    torrent
        Name, info-hash or id of a torrent, or the beginning of either; any number of them.
    everything
        All torrents of the node.
    node
        Which node is asked.
    output
        How it talks.

    """
    return await _tell("pause", torrent, node, output, is_all=everything)


async def resume(
    *torrent: str,
    everything: Everything = False,
    node: NodeChoice | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Let paused torrents of a running node go on.

    Parameters
    ----------
    torrent
        Name, info-hash or id of a torrent, or the beginning of either; any number of them.
    everything
        All torrents of the node.
    node
        Which node is asked.
    output
        How it talks.

    """
    return await _tell("resume", torrent, node, output, is_all=everything)


async def verify_in_node(
    torrents: Sequence[str], node: NodeChoice | None, output: OutputOptions | None
) -> int:
    """Let a running node hash the data of torrents anew."""
    return await _tell("verify", torrents, node, output)


async def reannounce(
    *torrent: str, node: NodeChoice | None = None, output: OutputOptions | None = None
) -> int:
    """Ask the trackers of torrents of a running node for peers now.

    Parameters
    ----------
    torrent
        Name, info-hash or id of a torrent, or the beginning of either; any number of them.
    node
        Which node is asked.
    output
        How it talks.

    """
    return await _tell("reannounce", torrent, node, output)


async def move(
    torrent: str,
    folder: Path,
    /,
    *,
    keep_data: Flag = False,
    node: NodeChoice | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Move the data of a torrent of a running node to another folder, and go on there.

    Parameters
    ----------
    torrent
        Name, info-hash or id of the torrent, or the beginning of either.
    folder
        The folder its data is to be in; made if it does not exist. Nothing there is overwritten.
    keep_data
        Move nothing: the data is in the folder already, and is verified there.
    node
        Which node is asked.
    output
        How it talks.

    """
    choice = node or NodeChoice()
    there = folder_there(folder, choice)
    details = {"folder": str(there), "move_data": not keep_data}
    return await _tell("move", (torrent,), choice, output, details=details)


async def rename(
    torrent: str,
    path: str,
    name: str,
    /,
    *,
    node: NodeChoice | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Give a file or folder of a torrent of a running node another name on the disk.

    The torrent stays the same for its peers, and is seeded on. Nothing is overwritten.

    Parameters
    ----------
    torrent
        Name, info-hash or id of the torrent, or the beginning of either.
    path
        A file or folder as `files` lists it, or `.` for the file or folder that all of it is in.
    name
        Its new name, without a folder.
    node
        Which node is asked.
    output
        How it talks.

    """
    details = {"path": None if path == "." else path, "name": name}
    return await _tell("rename", (torrent,), node, output, details=details)


def folder_there(folder: Path, choice: NodeChoice) -> Path:
    """Return a folder as the node takes it: a relative one begins here, if the node is here."""
    path = expanded(folder) if choice.url is None else folder
    assert path is not None  # it was given
    return path if choice.url is not None else path.absolute()


async def _tell(
    what: str,
    names: Sequence[str],
    node: NodeChoice | None,
    output: OutputOptions | None,
    *,
    details: Mapping[str, object] | None = None,
    is_all: bool = False,
) -> int:
    reporter = make_reporter(output or OutputOptions())
    if is_all == bool(names):
        raise ConfigError(f"say what to {what}: trio-swarm {what} TORRENT" + _or_all(what))

    async def body(client: Client) -> int:
        found = await client.torrents() if is_all else await find_torrents(client, names)

        async def tell(torrent: Torrent) -> Torrent:
            await client.tell(reference(torrent), what, details)
            return await client.torrent(reference(torrent))

        await for_each(found, tell, lambda _, told: _answer(told, reporter))
        if not found:
            reporter.say("the node has no torrent")
        return 0

    return await ask_node(node or NodeChoice(), reporter, body)


def _or_all(what: str) -> str:
    return ", or --all" if what in {"pause", "resume"} else ""


def _answer(torrent: Torrent, reporter: Reporter) -> None:
    reporter.answer(torrent_event(torrent), short_line(torrent))
