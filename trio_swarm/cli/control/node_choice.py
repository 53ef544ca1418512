"""Which running node a command asks: the flags that name it."""

from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Group, Parameter

from trio_swarm.cli.options import expanded, state_folder
from trio_swarm.control.client import Door, url_door
from trio_swarm.errors import ConfigError

NODE = Group("Which node", sort_key=20)


@Parameter(name="*", group=NODE)
@dataclass(frozen=True, kw_only=True)
class NodeChoice:
    """The running node that is asked; without options the one with the default state folder."""

    state_folder: Annotated[Path | None, Parameter(name=("--state-folder", "--state-dir"))] = None
    """The state folder of the node. By default ~/.local/state/trio-swarm."""
    config: Path | None = None
    """The configuration file that it runs, which names its state folder."""
    url: str | None = None
    """A node elsewhere, if `[control] listen` opened it: http://HOST:PORT."""
    token_file: Path | None = None
    """A file with the token for --url."""


def door_of(choice: NodeChoice) -> Door:
    """Return where the node is asked; ConfigError for flags that cannot be meant. Blocking."""
    given = [choice.state_folder, choice.config, choice.url]
    if sum(each is not None for each in given) > 1:
        raise ConfigError("--state-folder, --config and --url name a node each: give one of them")
    if choice.url is not None:
        return url_door(choice.url, expanded(choice.token_file))
    if choice.token_file is not None:
        raise ConfigError("--token-file goes with --url: the socket of a node needs none")
    if choice.config is None:
        return Door(state_folder=state_folder(choice.state_folder))
    from trio_swarm.config.reading import state_folder_in  # noqa: PLC0415 - seldom needed

    file = expanded(choice.config)
    assert file is not None  # it was given
    return Door(state_folder=state_folder_in(file) or state_folder(None))
