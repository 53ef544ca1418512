"""`trio-swarm scheduler`: change the strategy of a running download."""

from collections.abc import Sequence

from trio_swarm.cli.control.asking import ask_node
from trio_swarm.cli.control.choosing import find_torrent, reference
from trio_swarm.cli.control.node_choice import NodeChoice
from trio_swarm.cli.control.torrent_lines import strategy_text, torrent_event, torrent_name
from trio_swarm.cli.options import OutputOptions, Words, flagged
from trio_swarm.cli.output.reporting import make_reporter
from trio_swarm.config.values import parse_option
from trio_swarm.control.client import Client
from trio_swarm.errors import ConfigError
from trio_swarm.foreign_text import shown


def typed_options(typed: Sequence[str]) -> dict[str, str]:
    """Return the values of `--option KEY=VALUE`, as text: the node knows their types."""
    return dict(flagged("--option", lambda text: parse_option(str(text)), each) for each in typed)


async def scheduler(
    torrent: str,
    name: str | None = None,
    /,
    *,
    option: Words = (),
    node: NodeChoice | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Let a running download go on with another strategy; without a name, tell which it has.

    Nothing that was asked for is lost.

    Parameters
    ----------
    torrent
        Name, info-hash or id of the torrent, or the beginning of either.
    name
        The strategy, one that the node knows: built in, or from its plugins.
    option
        KEY=VALUE for the strategy; may be given several times.
    node
        Which node is asked.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    options = typed_options(option)
    if options and name is None:
        raise ConfigError("--option is for a strategy: trio-swarm scheduler TORRENT NAME --option")

    async def body(client: Client) -> int:
        found = await find_torrent(client, torrent)
        if name is not None:
            changes = {"scheduler": {"name": name, "options": options}}
            found = await client.change(reference(found), changes)
        chosen = found.scheduler
        text = "none: it fetches nothing" if chosen is None else strategy_text(chosen)
        reporter.answer(torrent_event(found), f"{torrent_name(found)}: {text}")
        if name is None:
            known = (await client.session()).schedulers
            if known:
                reporter.say(f"the node has {shown(', '.join(known), 1000)}")
        return 0

    return await ask_node(node or NodeChoice(), reporter, body)
