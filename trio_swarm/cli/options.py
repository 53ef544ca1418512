"""Flags that several commands share, and how typed values become settings.

A wrong value is a `ConfigError` that names its flag: exit code 2.
"""

import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, TypeVar

from cyclopts import Group, Parameter

from trio_swarm.config.values import parse_tracker, parse_tracker_list
from trio_swarm.errors import ConfigError
from trio_swarm.named_paths import is_folder, is_there
from trio_swarm.settings import DEFAULT_TRACKER, default_state_folder

_Value = TypeVar("_Value")

TRACKER_VARIABLE = "TRIO_SWARM_TRACKER"
OUTPUT = Group("Output", sort_key=30)

MOST_SEEDS = 10_000
"""Runs of one strategy: all results are in memory to the end, and more of them tell no more."""

Flag = Annotated[bool, Parameter(negative="", show_default=False)]
Words = Annotated[tuple[str, ...], Parameter(negative="", show_default=False)]
"""A flag that may be given several times."""
Trackers = Annotated[Words, Parameter(name=("--tracker", "-t"))]


@Parameter(name="*", group=OUTPUT)
@dataclass(frozen=True, kw_only=True)
class OutputOptions:
    """Options of every command: how much it prints, and as text or JSON."""

    json: Flag = False
    """Print one JSON object a line on stdout, for programs."""
    quiet: Annotated[Flag, Parameter(name=("--quiet", "-q"))] = False
    """Print only warnings, errors and what was asked for."""
    verbose: Annotated[Flag, Parameter(name=("--verbose", "-v"))] = False
    """Print everything: peers that come and go, and each step of waiting, too."""


def flagged(flag: str, parse: Callable[[object], _Value], value: object) -> _Value:
    """Return `parse(value)`; its ConfigError names `flag`."""
    try:
        return parse(value)
    except ConfigError as error:
        raise ConfigError(f"{flag}: {error}") from error


def expanded(path: Path | None) -> Path | None:
    """Return `path` with `~` as the home folder; ConfigError if there is no such user."""
    if path is None:
        return None
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise ConfigError(f"{path}: {error}") from error


def state_folder(path: Path | None) -> Path:
    """Return the folder of `--state-dir`, or the default; ConfigError if it is no folder."""
    folder = expanded(path) or default_state_folder()
    if is_there(folder) and not is_folder(folder):
        raise ConfigError(f"--state-dir: {folder} is not a folder")
    return folder


def positive(flag: str, value: float | None) -> None:
    """Raise ConfigError unless `value` is None or a number above zero (NaN is not)."""
    if value is not None and not value > 0:
        raise ConfigError(f"{flag}: must be more than 0, got {value:g}")


def at_most(flag: str, value: int | None, most: int) -> None:
    """Raise ConfigError if `value` is above `most`, the limit of one command."""
    if value is not None and value > most:
        raise ConfigError(f"{flag}: must be at most {most:,}, got {value:,}")


def trackers_given(flags: Sequence[str]) -> tuple[str, ...]:
    """Return the trackers a person named by `--tracker`, else by `TRIO_SWARM_TRACKER`."""
    if flags:
        return tuple(flagged("--tracker", parse_tracker, url) for url in flags)
    return flagged(
        TRACKER_VARIABLE, lambda _: parse_tracker_list(os.environ.get(TRACKER_VARIABLE, "")), ""
    )


def trackers_or_default(flags: Sequence[str]) -> tuple[str, ...]:
    """Return the trackers a person named, else the one on this machine."""
    return trackers_given(flags) or (DEFAULT_TRACKER,)


def plugin_paths(plugins: Iterable[str]) -> tuple[Path, ...]:
    """Return the paths of `--plugin` flags, `~` expanded."""
    return tuple(path for each in plugins if (path := expanded(Path(each))))
