"""The command line: the only place that prints and exits."""

import gc
import sys


def main() -> int:
    """Run the command in `sys.argv` and return the exit code: 0 done, 1 failed, 2 used wrongly."""
    arguments = sys.argv[1:]
    before_names = arguments[: arguments.index("--")] if "--" in arguments else arguments
    if "--version" in before_names:
        # Answered before anything is imported: scripts ask often, and Trio alone takes 0.1 s.
        from trio_swarm import __version__  # noqa: PLC0415 - the rest is imported late, too

        print(f"trio-swarm {__version__}")
        return 0
    # Nothing that imports make is garbage, and looking for some takes a tenth of the start; what
    # runs for long turns it on again, see `run_until_interrupted`.
    gc.disable()
    try:
        from trio_swarm.cli.app import run  # noqa: PLC0415 - see above
    except KeyboardInterrupt:
        return 1  # Ctrl-C within the first tenths of a second

    try:
        return run(arguments)
    finally:
        gc.freeze()  # or the interpreter looks for garbage as it exits, which takes as long
