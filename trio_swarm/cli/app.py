"""The commands of `trio-swarm`, found by name and imported only when they are used."""

import importlib
import sys
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

from cyclopts import App
from cyclopts.exceptions import CycloptsError

from trio_swarm import __version__
from trio_swarm.cli.command_table import COMMANDS, GROUPS, Command, Group
from trio_swarm.cli.failures import FAILED, USAGE, complain, explain_failure
from trio_swarm.cli.interrupts import signals_interrupt
from trio_swarm.cli.output.help_texts import HelpFormatter

if TYPE_CHECKING:
    from rich.console import Console

_OUTPUT_FLAGS = frozenset({"--json", "--quiet", "-q", "--verbose", "-v"})

_HELP_FLAGS = frozenset({"--help", "-h"})
_NARROWEST_HELP = 40
"""Columns. Below, the flags alone leave no room for words; `COLUMNS=0` means that nobody knows."""
_WIDEST_HELP = 120
"""Columns. Longer lines are hard to read."""

_HELP = "Share files from one machine and fetch them by name on others, over BitTorrent."

_EXAMPLES = """\
On the machine with the file:

    trio-swarm tracker
    trio-swarm seed holiday.mkv

On another one:

    trio-swarm get holiday.mkv --tracker udp://HOST:6969

Every command takes --json, --quiet and --verbose, and has a --help of its own.
Exit codes: 0 done, 1 failed (or stopped before it was done), 2 used wrongly.
"""


def make_app(chosen: str = "", inner: str = "") -> App:
    """Return the command line, with none of its commands imported yet.

    Where a command was `chosen`, it has no other: none is needed, and thirty take a while. A
    summary given here would replace the docstring of the command, so that one gets none. `inner` is
    the second word, where the first is that of a group.
    """
    app = App(
        name="trio-swarm",
        help=_HELP,
        help_epilogue=_EXAMPLES,
        help_format="plaintext",
        help_formatter=HelpFormatter(),
        version=__version__,
        suppress_keyboard_interrupt=False,  # it would be exit code 130: `run` explains it
        backend="trio",
        result_action="return_value",
    )
    if chosen in COMMANDS:
        _add_command(app, chosen, COMMANDS[chosen], is_chosen=True)
        return app
    for sort_key, (name, command) in enumerate(COMMANDS.items()):
        _add_command(app, name, command, sort_key=sort_key)
    for sort_key, (name, group) in enumerate(GROUPS.items(), start=len(COMMANDS)):
        within = inner if name == chosen else ""
        app.command(_make_group(name, group, chosen=within, sort_key=sort_key))
    app.register_install_completion_command(help="Install completion for this shell.")
    return app


def _add_command(
    app: App, name: str, command: Command, *, is_chosen: bool = False, sort_key: int = 0
) -> None:
    app.command(
        f"trio_swarm.cli.{command.place}",
        name=name,
        help=None if is_chosen else command.summary,
        help_epilogue=command.epilogue,
        sort_key=sort_key,
    )


def _make_group(name: str, group: Group, *, chosen: str, sort_key: int) -> App:
    """Return the commands below a word of their own, none of them imported yet."""
    app = App(
        name=name,
        help=group.summary,
        help_format="plaintext",
        help_formatter=HelpFormatter(),
        result_action="return_value",
        sort_key=sort_key,
    )
    for inner_key, (inner_name, command) in enumerate(group.commands.items()):
        is_chosen = inner_name == chosen
        _add_command(app, inner_name, command, is_chosen=is_chosen, sort_key=inner_key)
    return app


def run(arguments: Sequence[str]) -> int:
    """Run one command and return its exit code; print the error that ended it, if one did."""
    tokens = _as_one_word(_flags_after_command(list(arguments)))
    as_json = "--json" in (tokens[: tokens.index("--")] if "--" in tokens else tokens)
    try:
        _import_command(tokens)
        signals_interrupt()
        if tokens[:1] == ["--install-completion"]:
            tokens = _with_shell(tokens)
        app = make_app(*tokens[:2])
        console = _help_console() if _shows_help(tokens) else None
        code = app(tokens, console=console, exit_on_error=False, print_error=False)
        sys.stdout.flush()  # what cannot be written is a failure, too
    except CycloptsError as error:
        complain(" ".join(str(error).split()), exit_code=USAGE, as_json=as_json)
        return USAGE
    except SystemExit:
        raise
    except _UnknownShellError as error:
        complain(str(error), exit_code=USAGE, as_json=as_json)
        return USAGE
    except (OSError, RuntimeError) as error:
        if "--install-completion" not in tokens:
            return _explain(error, as_json=as_json)
        # RuntimeError: no home folder. What writes the file is not ours.
        reason = f"--install-completion: {error}; name a file with --output"
        complain(reason, exit_code=FAILED, as_json=as_json)
        return FAILED
    except BaseException as error:  # noqa: BLE001 - the one boundary of the whole program
        return _explain(error, as_json=as_json)
    return code if isinstance(code, int) else 0


class _UnknownShellError(Exception):
    """Nothing tells which shell the completion is for."""


def _with_shell(tokens: list[str]) -> list[str]:
    """Name the shell of this session to the command that installs the completion.

    Raises `_UnknownShellError`: where nothing tells it, the command would print a line of its own.
    """
    from cyclopts.completion.detect import (  # noqa: PLC0415 - imports much
        ShellDetectionError,
        detect_shell,
    )

    if _shows_help(tokens) or any(token.split("=")[0] == "--shell" for token in tokens):
        return tokens
    try:
        return [*tokens, "--shell", detect_shell()]
    except ShellDetectionError as error:
        reason = "--install-completion: this shell is not known; name it with --shell bash"
        raise _UnknownShellError(f"{reason} (or zsh, fish)") from error


def _import_command(tokens: Sequence[str]) -> None:
    """Import the command that is named first, if one is: as a part of the start."""
    group = GROUPS.get(tokens[0]) if tokens else None
    commands, word = (group.commands, tokens[1:2]) if group else (COMMANDS, tokens[:1])
    for command in filter(None, map(commands.get, word)):
        module, _, _ = command.place.partition(":")
        importlib.import_module(f"trio_swarm.cli.{module}")


def _explain(error: BaseException, *, as_json: bool) -> int:
    explained = explain_failure(error, as_json=as_json)
    if explained is not None:
        return explained
    traceback.print_exception(error)
    return FAILED


def _shows_help(tokens: Sequence[str]) -> bool:
    """Whether help is asked for, or a command is missing."""
    before_names = tokens[: tokens.index("--")] if "--" in tokens else tokens
    is_missing = not tokens or (tokens[0] in GROUPS and len(tokens) == 1)
    return is_missing or not _HELP_FLAGS.isdisjoint(before_names)


def _help_console() -> "Console":
    """Return a console for the help: as wide as the terminal or `$COLUMNS`, within limits."""
    import shutil  # noqa: PLC0415 - imports much

    from rich.console import Console  # noqa: PLC0415 - takes as long as the rest of the start

    width = shutil.get_terminal_size((80, 24)).columns
    return Console(width=min(_WIDEST_HELP, max(_NARROWEST_HELP, width)))


def _as_one_word(tokens: list[str]) -> list[str]:
    """Let `trio-swarm tracker status` mean `tracker-status`: a tracker takes no words."""
    if tokens[:2] == ["tracker", "status"]:
        return ["tracker-status", *tokens[2:]]
    return tokens


def _flags_after_command(tokens: list[str]) -> list[str]:
    """Let `trio-swarm --json ls` mean `trio-swarm ls --json`."""
    count = 0
    while count < len(tokens) and tokens[count] in _OUTPUT_FLAGS:
        count += 1
    flags, rest = tokens[:count], tokens[count:]
    return [*rest[:1], *flags, *rest[1:]] if rest else []
