"""Running a command's tasks until they end or a person ends them."""

import gc
import os
import resource
import signal
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from typing import Final

import trio

from trio_swarm import __version__
from trio_swarm.cli.failures import FAILED
from trio_swarm.cli.output.log_lines import logging_to
from trio_swarm.cli.output.reporting import Reporter
from trio_swarm.logs import logger_of

log = logger_of(__name__)

_USEFUL_DESCRIPTORS: Final = 1 << 16
"""Open files and connections of which a node makes use, if it may have so many."""

_SHOW_CURSOR = "\x1b[?25h"


async def run_until_interrupted(
    body: Callable[[], Awaitable[int]],
    reporter: Reporter,
    *,
    interrupted: Callable[[], int],
    reload: Callable[[], None] | None = None,
) -> int:
    """Run `body` and return its exit code, or `interrupted()` when a signal ended it.

    SIGINT, SIGTERM and SIGHUP cancel the body, which announces `stopped` and saves on its way out;
    a second signal ends the process at once. With `reload` SIGHUP calls that instead, unless it
    came because the terminal of this process has gone. Log lines are printed meanwhile. Raises the
    errors of the body, and OutputError.
    """
    _allow_descriptors()
    # All that is needed is imported: those objects stay, and need not be looked through again.
    gc.freeze()
    gc.enable()
    code = FAILED
    with _signals() as received, logging_to(reporter):
        log.debug("trio-swarm %s on Python %s", __version__, sys.version.split()[0])
        async with trio.open_nursery() as nursery:
            scope = trio.CancelScope()
            reporter.stop = scope.cancel
            nursery.start_soon(_heed_signals, received, scope, reload, _terminals())
            try:
                with scope:
                    code = await body()
            finally:
                reporter.flush()
            nursery.cancel_scope.cancel()
    if reporter.failure is not None:
        raise reporter.failure
    return interrupted() if scope.cancelled_caught else code


def _signals() -> AbstractContextManager[AsyncIterator[int]]:
    wanted = [signal.SIGINT, signal.SIGTERM]
    # nohup ignores it, and so do we then.
    if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
        wanted.append(signal.SIGHUP)
    return trio.open_signal_receiver(*wanted)


def _terminals() -> list[int]:
    """Return which of stdin, stdout and stderr are terminals."""
    return [number for number in range(3) if os.isatty(number)]


async def _heed_signals(
    received: AsyncIterator[int],
    scope: trio.CancelScope,
    reload: Callable[[], None] | None,
    terminals: list[int],
) -> None:
    async for number in received:
        # A terminal that was closed is none any more: then nobody asked for a reload.
        is_asked = number == signal.SIGHUP and all(map(os.isatty, terminals))
        if reload is not None and is_asked and not scope.cancel_called:
            reload()
            continue
        if scope.cancel_called:
            if sys.stdout.isatty():
                print(_SHOW_CURSOR, flush=True)
            os._exit(FAILED)
        log.info("stopping on %s (once more to stop at once)", signal.Signals(number).name)
        scope.cancel()


def _allow_descriptors() -> None:
    """Let this process have as many descriptors as its user may allow it, and a node has use for.

    The usual limit of 1,024 is for programs that use select(2).
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    useful = _USEFUL_DESCRIPTORS
    wanted = useful if hard == resource.RLIM_INFINITY else min(useful, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
