"""Every exception trio-swarm raises on purpose.

`RemoteProtocolError` is a stranger's fault and ends that peer or datagram; `LocalProtocolError` is
a bug of ours and is never caught. The others carry one line for a person.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from trio_swarm.foreign_text import shown

ERROR_LENGTH: Final = 5000
"""Characters of a message about what a stranger made: the longest path, 4,096, and a sentence. What
is quoted of a stranger within it is much shorter (`SHOWN_LENGTH`)."""


class TrioSwarmError(Exception):
    """The root of all errors below; `str(error)` is one line fit to show a person."""


class ConfigError(TrioSwarmError):
    """A configuration, option or plugin is wrong; the caller shows it and stops (exit code 2).

    `file` and `key` (dotted path inside the file) are what to correct, where known.
    """

    def __init__(self, message: str, *, file: Path | None = None, key: str | None = None) -> None:
        where = ": ".join(str(part) for part in (file, key) if part)
        super().__init__(f"{where}: {message}" if where else message)
        self.file = file
        self.key = key


class SchedulerError(TrioSwarmError):
    """A strategy broke its contract; the host logs it once and falls back."""

    def __init__(
        self, message: str, *, plugin: str, peer: int | None = None, piece: int | None = None
    ) -> None:
        super().__init__(f"{plugin}: {message}")
        self.plugin = plugin
        self.peer = peer
        self.piece = piece


class _ForeignError(TrioSwarmError):
    """About what a stranger made: one line of bounded length, whatever of it is quoted."""

    def __init__(self, message: str) -> None:
        super().__init__(shown(message, ERROR_LENGTH))


class BencodeError(_ForeignError):
    """Bytes are not canonical enough bencode, or exceed a limit (BEP 3, "Bencoding")."""


class MetainfoError(_ForeignError):
    """A .torrent, info dictionary or magnet link is malformed, unsafe or beyond a limit."""


class StorageError(TrioSwarmError):
    """A path cannot be read or written as asked; `path` names it, `reason` says why."""

    def __init__(self, message: str, *, path: Path) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.reason = message


class FileChangedError(StorageError):
    """A file is not as it was verified: somebody else changed, replaced or removed it."""


class StateFolderError(StorageError):
    """The state folder cannot be used: what is known of files is not remembered."""


class DiskFullError(StorageError):
    """The file system has no room (or quota) left; nothing verified is lost, retry when it has."""


class RecordingError(TrioSwarmError):
    """A file is no recording, one of another version, or says what no recording does."""


class RemoteProtocolError(_ForeignError):
    """The other end broke the protocol: drop that peer or datagram, nothing else."""


class IdleTalkError(RemoteProtocolError):
    """A peer said so much of no use that others had to wait for it."""


class LocalProtocolError(TrioSwarmError):
    """We broke the protocol: a bug of ours, never caught."""


class TrackerError(TrioSwarmError):
    """A tracker could not be used; `tracker` is its URL.

    `retry_in` is in how many seconds it wants to be asked again, or can be: inf for never, None if
    nobody told.
    """

    def __init__(self, message: str, *, tracker: str, retry_in: float | None = None) -> None:
        super().__init__(f"{tracker}: {message}")
        self.tracker = tracker
        self.reason = message
        self.retry_in = retry_in


class TrackerUnreachableError(TrackerError):
    """No usable answer after all tries; retry later."""


class TrackerRefusedError(TrackerError):
    """The tracker answered with an error message (BEP 15, action 3; BEP 3, "failure reason")."""


class StalledError(TrioSwarmError):
    """Nothing came for as long as somebody was willing to wait."""


class NameUnknownError(TrioSwarmError):
    """No tracker knows the name."""

    def __init__(self, name: str, trackers: Sequence[str], *, silent: Sequence[str] = ()) -> None:
        answered = [url for url in trackers if url not in silent]
        asked = ", ".join(answered or trackers) or "no tracker"
        unheard = f"; no answer from {', '.join(silent)}" if silent else ""
        super().__init__(f"nobody shares {name!r} (asked {asked}{unheard})")
        self.name = name
        self.silent = tuple(silent)


class NameAmbiguousError(TrioSwarmError):
    """A name stands for several info-hashes; `info_hashes` (20 bytes each), best first."""

    def __init__(
        self, name: str, info_hashes: Sequence[bytes], details: Sequence[str] = ()
    ) -> None:
        shown = "; ".join(details or [h.hex() for h in info_hashes])
        super().__init__(
            f"{name!r} stands for {len(info_hashes)} different torrents, choose one with "
            f"--info-hash: {shown}"
        )
        self.name = name
        self.info_hashes = tuple(info_hashes)


def leaves_of(error: BaseException) -> Iterator[BaseException]:
    """Yield the errors in a group and in the groups in it; an error that is no group is itself."""
    if isinstance(error, BaseExceptionGroup):
        for each in error.exceptions:
            yield from leaves_of(each)
    else:
        yield error


def is_explained(error: BaseException) -> bool:
    """Whether `error`, or everything in a group, says in one line what is wrong; a bug does not."""
    return all(
        isinstance(leaf, TrioSwarmError) and not isinstance(leaf, LocalProtocolError)
        for leaf in leaves_of(error)
    )
