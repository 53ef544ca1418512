"""From an exception to one clear line and an exit code; a bug keeps its traceback."""

import errno
import sys
from collections.abc import Iterator

from trio_swarm.cli.output.journal import ERROR, marked
from trio_swarm.cli.output.json_lines import Failure, json_line
from trio_swarm.cli.output.streams import OutputError, OutputGoneError, drop_output
from trio_swarm.cli.output.text import MESSAGE_LENGTH, safe_text
from trio_swarm.config.problems import ConfigProblems
from trio_swarm.errors import ConfigError, is_explained, leaves_of
from trio_swarm.protocol.trackers.url_secrets import without_tokens

FAILED = 1
USAGE = 2

_TOO_MANY = frozenset({errno.EMFILE, errno.ENFILE})
_FEW_FILES = "too few files may be open at once: allow more, as by `ulimit -n 1024`"


def explain_failure(error: BaseException, *, as_json: bool) -> int | None:
    """Print the error that ended the command and return its exit code; None for a bug.

    A group of errors is explained when each of its leaves is. Notes of an error (what to do now)
    follow it as further lines on stderr.
    """
    leaves = list(_messages(error))
    if any(isinstance(leaf, OutputError) for leaf in leaves):
        drop_output()
    if any(isinstance(leaf, OutputGoneError) for leaf in leaves):
        return FAILED  # there is nobody to tell
    if all(isinstance(leaf, KeyboardInterrupt) for leaf in leaves):
        return FAILED
    if any(isinstance(leaf, OSError) and leaf.errno in _TOO_MANY for leaf in leaves):
        complain(_FEW_FILES, exit_code=FAILED, as_json=as_json)
        return FAILED
    if not is_explained(error):
        return None
    code = USAGE if all(isinstance(leaf, ConfigError) for leaf in leaves) else FAILED
    # Several tasks may have met the same trouble.
    messages = {str(leaf): getattr(leaf, "__notes__", ()) for leaf in leaves}
    for message, notes in messages.items():
        complain(message, exit_code=code, as_json=as_json)
        for note in notes:
            text = safe_text(without_tokens(note[:MESSAGE_LENGTH]))
            line = marked(f"trio-swarm: {text}", ERROR, sys.stderr)
            print(line, file=sys.stderr, flush=True)
    return code


def complain(message: str, *, exit_code: int, as_json: bool) -> None:
    """Print one line about a failure on stderr, and with `--json` an event on stdout."""
    message = without_tokens(message)
    message = message if len(message) <= MESSAGE_LENGTH else f"{message[:MESSAGE_LENGTH]}…"
    if as_json:
        try:
            print(json_line(Failure(message=message, exit_code=exit_code)), flush=True)
        except OutputError:
            drop_output()  # the line on stderr must do
    line = marked(f"trio-swarm: {safe_text(message)}", ERROR, sys.stderr)
    print(line, file=sys.stderr, flush=True)


def _messages(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors in a group, and each problem of a configuration file by itself."""
    for leaf in leaves_of(error):
        if isinstance(leaf, ConfigProblems):
            yield from leaf.problems
        else:
            yield leaf
