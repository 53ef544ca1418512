"""Recordings, as the commands that take one read them."""

from pathlib import Path

from trio_swarm.cli.output.reporting import Reporter
from trio_swarm.errors import RecordingError, StorageError
from trio_swarm.named_paths import opened
from trio_swarm.recording import Recording, read_recording


def open_recording(path: Path, reporter: Reporter) -> Recording:
    """Return the recording in a file, and warn if its end is missing. Blocking.

    Raises RecordingError if it is no recording or a broken one, StorageError if it cannot be read.
    """
    try:
        with opened(path) as file:
            recording = read_recording(file, str(path))
    except OSError as error:
        raise StorageError(f"cannot be read: {error.strerror or error}", path=path) from error
    if not recording.events:
        reason = recording.cut_off or "it is empty"
        raise RecordingError(f"{path}: nothing was recorded: {reason}")
    if recording.cut_off is not None:
        reporter.warn(f"{path}: has no end: {recording.cut_off}")
    return recording
