"""`trio-swarm check` and `trio-swarm init`: configuration files."""

import shlex
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter

from trio_swarm.cli.failures import USAGE, complain
from trio_swarm.cli.options import OutputOptions, expanded
from trio_swarm.cli.output.json_events import ConfigChange, ConfigChecked, Problem, Written
from trio_swarm.cli.output.new_files import write_new_file
from trio_swarm.cli.output.reporting import JsonReporter, Reporter, make_reporter
from trio_swarm.cli.output.text import count_text
from trio_swarm.config.reading import find_problems, read_config, read_former_config
from trio_swarm.config.starting import Role, starting_file
from trio_swarm.errors import ConfigError


def check(config: Path, /, *, diff: Path | None = None, output: OutputOptions | None = None) -> int:
    """Find everything that is wrong with a configuration file.

    Looks at keys, types and values, at the strategies and their options, at paths to share and
    programs to run. Exit code 2 if anything is wrong.

    Parameters
    ----------
    config
        The TOML file.
    diff
        An older copy of it: shows what would change in a peer that runs by that, and how.
    output
        How it talks.

    """
    output = output or OutputOptions()
    reporter = make_reporter(output)
    problems = find_problems(config)
    if diff is not None and not problems:
        _tell_changes(config, expanded(diff) or diff, reporter)
    for problem in problems:
        if isinstance(reporter, JsonReporter):
            file, message = str(problem.file or config), str(problem)
            reporter.answer(Problem(file=file, key=problem.key, message=message), "")
        else:
            complain(str(problem), exit_code=USAGE, as_json=False)
    if isinstance(reporter, JsonReporter):
        reporter.answer(ConfigChecked(file=str(config), problems=len(problems)), "")
    elif not problems:
        reporter.say(f"{config}: good")
    else:
        reporter.say(f"{config}: {count_text(len(problems), 'problem')}")
    return USAGE if problems else 0


def _tell_changes(config: Path, former: Path, reporter: Reporter) -> None:
    """Tell what differs from an older copy; ConfigError if that cannot be read."""
    from trio_swarm.config.changes import changes_between  # noqa: PLC0415 - few ask for it

    changes = changes_between(read_former_config(former, config), read_config(config))
    for each in changes:
        event = ConfigChange(
            file=str(config), key=each.key, was=each.was, will_be=each.will_be, how=each.how
        )
        reporter.answer(event, str(each))
    if not changes:
        reporter.say(f"{config}: nothing would change")


def init(
    role: Literal["tracker", "seeder", "leecher"] | None = None,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
    output: OutputOptions | None = None,
) -> int:
    """Write a complete configuration file to start from, with every key explained.

    Parameters
    ----------
    role
        What the peer is to be: tracker, seeder or leecher.
    out
        Where to write it; by default ROLE.toml in this folder. Never overwrites a file.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    if role is None:
        raise ConfigError("say what the peer is to be: trio-swarm init tracker, seeder or leecher")
    file = expanded(out) or Path(f"{role}.toml")
    chosen: Role = role
    write_new_file(file, starting_file(chosen).encode())
    to_fill = {"seeder": "put your path into it", "leecher": "put the name to fetch into it"}
    todo = to_fill.get(role, "look through it")
    text = f"wrote {file}; {todo}, then: trio-swarm run {shlex.quote(str(file))}"
    reporter.answer(Written(file=str(file)), text)
    return 0
