"""`trio-swarm remove`: take torrents off a running node."""

from collections.abc import Sequence

from trio_swarm.cli.control.asking import ask_node
from trio_swarm.cli.control.choosing import find_torrents, reference
from trio_swarm.cli.control.node_choice import NodeChoice
from trio_swarm.cli.control.side_by_side import for_each
from trio_swarm.cli.control.torrent_lines import removed_event, torrent_name
from trio_swarm.cli.failures import FAILED
from trio_swarm.cli.options import Flag, OutputOptions
from trio_swarm.cli.output.reporting import make_reporter
from trio_swarm.cli.output.text import count_text, size_text
from trio_swarm.cli.prompts import ask_line, can_ask
from trio_swarm.control.answers import Torrent
from trio_swarm.control.client import Client
from trio_swarm.errors import ConfigError

_MOST_NAMED = 10
"""Torrents that the question names."""


async def remove(
    torrent: str,
    /,
    *torrents: str,
    delete_data: Flag = False,
    yes: Flag = False,
    node: NodeChoice | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Take torrents off a running node; their data stays, unless --delete-data.

    What the configuration file names stays away over restarts, too, as long as it names it so.

    Parameters
    ----------
    torrent
        Name, info-hash or id of a torrent, or the beginning of either.
    torrents
        Further ones.
    delete_data
        Delete their files as well, finished or not, and nothing else. Asks before it does.
    yes
        Delete without a question, as where nobody can be asked.
    node
        Which node is asked.
    output
        How it talks.

    """
    output = output or OutputOptions()
    reporter = make_reporter(output)
    asks = delete_data and not yes
    if asks and not can_ask(output):
        raise ConfigError("--delete-data: nobody can be asked here, so say --yes as well")

    async def body(client: Client) -> int:
        found = await find_torrents(client, (torrent, *torrents))
        if asks and not await _is_wanted(found):
            reporter.say("nothing was removed")
            return FAILED

        async def take_off(each: Torrent) -> None:
            await client.remove(reference(each), delete_data=delete_data)

        def tell(each: Torrent, _: None) -> None:
            what = "removed, and its data deleted" if delete_data else "removed; its data stays"
            event = removed_event(each, data_deleted=delete_data)
            reporter.answer(event, f"{torrent_name(each)}: {what}")

        await for_each(found, take_off, tell)
        return 0

    return await ask_node(node or NodeChoice(), reporter, body)


async def _is_wanted(torrents: Sequence[Torrent]) -> bool:
    """Ask the person at the terminal whether the data is to be deleted."""
    for torrent in torrents[:_MOST_NAMED]:
        print(f"  {torrent_name(torrent)}, {size_text(torrent.have)}")
    if len(torrents) > _MOST_NAMED:
        print(f"  and {len(torrents) - _MOST_NAMED:,} more")
    size = size_text(sum(torrent.have for torrent in torrents))
    data = f"the data of {count_text(len(torrents), 'torrent')} ({size})"
    line = await ask_line(f"Delete {data} for good (y/N)? ")
    return (line or "").strip().casefold() in {"y", "yes"}
