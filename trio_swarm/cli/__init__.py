"""The command line parses, calls and prints; only here are lines printed and exit codes made.

Reading order: `app` (finds a command and runs it), `command_table` (all commands), `options` and
`node_options` (flags, and how they become settings), `commands` (one module each), `output` (how a
command talks), `lab` (commands of the laboratory, which run no node), `control` (commands that ask
a running node). Around each command are
`running` and `interrupts` (signals, and a clean end), `failures` (from an error to a line and an
exit code), `prompts` (questions at a terminal) and `early_questions` (to trackers, while a node is
imported). `trio_swarm.service` keeps a peer running.
"""

import gc
import os
import sys


def main() -> int:
    """Run the command in `sys.argv` and return the exit code: 0 done, 1 failed, 2 used wrongly."""
    arguments = sys.argv[1:]
    before_names = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--version" in before_names:
        return _tell_version()
    if sys.getfilesystemencoding() != "utf-8":
        _start_again_in_utf_8()
    from trio_swarm.cli.interrupts import signals_end_at_once  # noqa: PLC0415 - not for --version

    signals_end_at_once()
    # Nothing that imports make is garbage, and looking for some takes a tenth of the start; what
    # runs for long turns it on again, see `run_until_interrupted`.
    gc.disable()
    try:
        from trio_swarm.cli.app import run  # noqa: PLC0415 - see above
        from trio_swarm.cli.output.streams import prepare_streams  # noqa: PLC0415 - the same
    except (OSError, ImportError) as error:  # too few files may be open, or some are not there
        print(f"trio-swarm: cannot start: {error}", file=sys.stderr)
        return 1

    prepare_streams()
    try:
        return run(arguments)
    finally:
        gc.freeze()  # or the interpreter looks for garbage as it exits, which takes as long


def _tell_version() -> int:
    """Answer before anything is imported: scripts ask often, and Trio alone takes 0.1 s."""
    from trio_swarm import __version__  # noqa: PLC0415 - the rest is imported late, too

    try:
        print(f"trio-swarm {__version__}", flush=True)
    except OSError as error:
        # Or the interpreter would try once more at the end, and complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if not isinstance(error, BrokenPipeError) and sys.stderr is not None:
            print(f"trio-swarm: output cannot be written: {error.strerror}", file=sys.stderr)
        return 1
    return 0


def _start_again_in_utf_8() -> None:
    """Run this program anew in Python's UTF-8 mode (PEP 540).

    Under a locale of another encoding Python would read file names in that, and they would get into
    torrents, where names are UTF-8 (BEP 3). What is printed keeps the locale's encoding.
    """
    os.environ.setdefault("PYTHONIOENCODING", sys.stdout.encoding if sys.stdout else "utf-8")
    arguments = [sys.executable, "-X", "utf8", *sys.orig_argv[1:]]
    os.execv(sys.executable, [os.fsencode(each) for each in arguments])  # noqa: S606 - ourselves
