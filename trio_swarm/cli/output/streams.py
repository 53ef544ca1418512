"""The standard streams as the command finds them: closed, full, not blocking, of any encoding.

After `prepare_streams` all three are there, a character that the encoding lacks is written as an
escape, and a failed write to stdout is an `OutputError`, wherever it happens.
"""

import io
import os
import select
import sys
from typing import TYPE_CHECKING, TextIO

from trio_swarm.errors import TrioSwarmError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class OutputError(TrioSwarmError):
    """The output of the command cannot be written."""


class OutputGoneError(OutputError):
    """The reader of our output has gone (`trio-swarm ls | head -1`)."""


def output_error(error: OSError) -> OutputError:
    """Return the error to raise for one of the system's, met while writing output."""
    reason = f"output cannot be written: {error.strerror or error}"
    return OutputGoneError(reason) if isinstance(error, BrokenPipeError) else OutputError(reason)


def prepare_streams() -> None:
    """Replace stdout and stderr, and stdin where it is closed. Once, before anything is printed.

    A descriptor that was closed goes nowhere: it must not be given to the next socket or file, into
    which somebody would print.
    """
    for descriptor, mode in enumerate((os.O_RDONLY, os.O_WRONLY, os.O_WRONLY)):
        if not _is_open(descriptor):
            nowhere = os.open(os.devnull, mode)
            if nowhere != descriptor:
                os.dup2(nowhere, descriptor)
                os.close(nowhere)
    if sys.stdin is None:
        sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115 - for good
    sys.stdout = _replaced(sys.stdout, _Output(1))
    sys.stderr = _replaced(sys.stderr, _Comments(2))


def drop_output() -> None:
    """Send stdout nowhere, or it would fail again when the interpreter flushes it at the end."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def _is_open(descriptor: int) -> bool:
    try:
        os.fstat(descriptor)
    except OSError:
        return False
    return True


def _replaced(stream: TextIO | None, raw: "_Output") -> TextIO:
    """Return a stream that writes to `raw` as `stream` does to the same descriptor."""
    encoding = stream.encoding if stream is not None else "utf-8"
    if stream is not None:
        stream.flush()
    return io.TextIOWrapper(
        io.BufferedWriter(raw),
        encoding=encoding,
        errors="backslashreplace",  # names may hold what this terminal cannot show
        line_buffering=raw.isatty() or raw.fileno() == 2,
    )


class _Output(io.RawIOBase):
    """A descriptor to which all of the data is written; OutputError where that fails."""

    def __init__(self, descriptor: int) -> None:
        super().__init__()
        self._descriptor = descriptor
        self.name = f"<descriptor {descriptor}>"

    def fileno(self) -> int:
        return self._descriptor

    def isatty(self) -> bool:
        return os.isatty(self._descriptor)

    def writable(self) -> bool:
        return True

    def write(self, data: "ReadableBuffer", /) -> int:
        while True:
            try:
                return os.write(self._descriptor, data)
            except BlockingIOError:
                # Another program made the terminal or pipe that we share not blocking.
                select.select([], [self._descriptor], [])
            except OSError as error:
                raise output_error(error) from error


class _Comments(_Output):
    """stderr: where nobody can be told there is nothing left to do, and no reason to end."""

    def write(self, data: "ReadableBuffer", /) -> int:
        try:
            return super().write(data)
        except OutputError:
            return memoryview(data).nbytes
