"""From an exception to one clear line and an exit code; a bug keeps its traceback."""

import sys
from collections.abc import Iterator

from trio_swarm.cli.json_events import Failure, json_line
from trio_swarm.cli.text import safe_text
from trio_swarm.config.problems import ConfigProblems
from trio_swarm.errors import ConfigError, LocalProtocolError, TrioSwarmError

FAILED = 1
USAGE = 2


def explain_failure(error: BaseException, *, as_json: bool) -> int | None:
    """Print what ended the command and return its exit code; None for a bug, which is not ours.

    A group of errors is explained when each of its leaves is.
    """
    leaves = list(_leaves(error))
    if any(isinstance(leaf, BrokenPipeError) for leaf in leaves):
        # Whoever read our output has gone; there is nobody to tell. stdout would fail again when
        # the interpreter flushes it.
        sys.stdout = None
        return FAILED
    if all(isinstance(leaf, KeyboardInterrupt) for leaf in leaves):
        return FAILED
    if not all(_is_explained(leaf) for leaf in leaves):
        return None
    code = USAGE if all(isinstance(leaf, ConfigError) for leaf in leaves) else FAILED
    # Several tasks may have met the same trouble.
    messages = dict.fromkeys(str(leaf) for leaf in leaves)
    for message in messages:
        complain(message, exit_code=code, as_json=as_json)
    return code


def complain(message: str, *, exit_code: int, as_json: bool) -> None:
    """Print one line of what went wrong on stderr, and with `--json` as an event on stdout."""
    if as_json:
        print(json_line(Failure(message=message, exit_code=exit_code)), flush=True)
    print(f"trio-swarm: {safe_text(message)}", file=sys.stderr, flush=True)


def _is_explained(error: BaseException) -> bool:
    return isinstance(error, TrioSwarmError) and not isinstance(error, LocalProtocolError)


def _leaves(error: BaseException) -> Iterator[BaseException]:
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from _leaves(each)
    elif isinstance(error, ConfigProblems):
        yield from error.problems
    else:
        yield error
