"""Ctrl-C, SIGTERM and SIGHUP at any moment: while the program is imported, and afterwards.

`signals_end_at_once` holds for the start, in which nothing needs a clean-up. `signals_interrupt`
then makes each a KeyboardInterrupt, until Trio takes them over (see `run_until_interrupted`).
"""

import os
import signal
import sys
import time

TYPE_CHECKING = False  # see `trio_swarm`
if TYPE_CHECKING:
    from sys import UnraisableHookArgs
    from types import FrameType

_STOPPED = 1
"""Exit code of a command that was stopped before it was done."""

_AGAIN_AFTER = 0.01
"""Seconds until an interrupt that was lost comes again: the callback that lost it has ended."""


def signals_end_at_once() -> None:
    """End at a signal with exit code 1, without a KeyboardInterrupt.

    While modules are imported, a KeyboardInterrupt is often raised within a callback of the import
    system, and lost there; or it becomes another error of the module that is imported.
    """
    if signal.getsignal(signal.SIGINT) is signal.default_int_handler:
        signal.signal(signal.SIGINT, _end_at_once)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is signal.SIG_DFL:  # nohup ignores it, and so do we then
            signal.signal(number, _end_at_once)
    sys.unraisablehook = _send_again


def signals_interrupt() -> None:
    """Raise KeyboardInterrupt at a signal from now on, if `signals_end_at_once` was called."""
    if signal.getsignal(signal.SIGINT) is _end_at_once:
        # The handler of Python itself, or Trio would not take it over.
        signal.signal(signal.SIGINT, signal.default_int_handler)
    for number in (signal.SIGTERM, signal.SIGHUP):
        if signal.getsignal(number) is _end_at_once:
            signal.signal(number, _interrupt)


def _end_at_once(_number: int, _frame: "FrameType | None") -> None:
    os._exit(_STOPPED)


def _interrupt(_number: int, _frame: "FrameType | None") -> None:
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in the background
        raise KeyboardInterrupt
    signal.raise_signal(signal.SIGINT)  # Trio knows when that may be raised


def _send_again(unraisable: "UnraisableHookArgs") -> None:
    """Send an interrupt once more that was raised where Python can only print exceptions.

    Such places are callbacks and finalizers, above all of imports within commands.
    """
    if not isinstance(unraisable.exc_value, KeyboardInterrupt):
        sys.__unraisablehook__(unraisable)
        return
    import threading  # noqa: PLC0415 - seldom needed

    is_ignored = signal.getsignal(signal.SIGINT) is signal.SIG_IGN
    number = signal.SIGTERM if is_ignored else signal.SIGINT
    main = threading.main_thread().ident
    assert main is not None  # it runs
    threading.Thread(target=_interrupt_again, args=(number, main), daemon=True).start()


def _interrupt_again(number: int, main: int) -> None:
    """Send a real signal, which ends a wait of the main thread, too, once that can heed it.

    On a busy machine the main thread may be in `_send_again` still, where it would be lost again.
    """
    while True:
        time.sleep(_AGAIN_AFTER)
        frame: FrameType | None = sys._current_frames().get(main)  # noqa: SLF001 - documented
        while frame is not None and frame.f_code is not _send_again.__code__:
            frame = frame.f_back
        if frame is None:
            signal.pthread_kill(main, number)
            return
