"""`trio-swarm verify`: data on the disk by a .torrent file, or torrents of a running node."""

from pathlib import Path

from trio_swarm.cli.commands.verify import verify_data_of
from trio_swarm.cli.control.node_choice import NodeChoice
from trio_swarm.cli.control.telling import verify_in_node
from trio_swarm.cli.options import OutputOptions
from trio_swarm.errors import ConfigError

_SUFFIX = ".torrent"


async def verify(
    *what: str, node: NodeChoice | None = None, output: OutputOptions | None = None
) -> int:
    """Compare data with a .torrent file; or let a running node hash its torrents anew.

    With a .torrent file and a folder nothing is shared or changed: files that are bad, missing or
    of another size are named, and the exit code is 1 if there are any. With names of torrents the
    running node is asked, which fetches again what is wrong.

    Parameters
    ----------
    what
        A .torrent file, and the file or folder with its data, or the folder that it lies in. Or, of
        a running node: name, info-hash or id of a torrent, or the beginning of either; any number.
    node
        Which node is asked. With one of these options a node is always meant.
    output
        How it talks.

    """
    if not what:
        raise ConfigError(
            "say what to verify: trio-swarm verify FILE.torrent FOLDER, or trio-swarm verify "
            "TORRENT in a running node"
        )
    if node is not None or not (what and what[0].lower().endswith(_SUFFIX)):
        return await verify_in_node(what, node, output)
    if len(what) != 2:
        raise ConfigError(
            f"say where its data is: trio-swarm verify {what[0]} FOLDER (a torrent of a running "
            "node with such a name is meant by its info-hash)"
        )
    return await verify_data_of(Path(what[0]), Path(what[1]), output)
