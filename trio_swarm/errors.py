"""Every exception trio-swarm raises on purpose.

`RemoteProtocolError` means that the other end is at fault: it ends that peer or drops that
datagram. `LocalProtocolError` is a bug of ours and is never caught. Every other error carries one
line for a person.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from trio_swarm.foreign_text import shown

ERROR_LENGTH: Final = 5000
"""Most characters of an error message that quotes a stranger's data: the longest path (4,096) and a
sentence. The quotation itself is much shorter (`SHOWN_LENGTH`)."""


class TrioSwarmError(Exception):
    """The root of all errors below; `str(error)` is one line to show to a person."""


class ConfigError(TrioSwarmError):
    """A configuration, option or plugin is wrong; the caller prints it and exits with code 2.

    `file` is the path and `key` the dotted key inside that file to correct; each is None if it is
    not known.
    """

    def __init__(self, message: str, *, file: Path | None = None, key: str | None = None) -> None:
        where = ": ".join(str(part) for part in (file, key) if part)
        super().__init__(f"{where}: {message}" if where else message)
        self.file = file
        self.key = key


class SchedulerError(TrioSwarmError):
    """A strategy broke its contract; the host logs it and assigns in its place.

    `plugin` is the strategy's name; `peer` (its key) and `piece` (its index) are None if the fault
    concerns neither.
    """

    def __init__(
        self, message: str, *, plugin: str, peer: int | None = None, piece: int | None = None
    ) -> None:
        super().__init__(f"{plugin}: {message}")
        self.plugin = plugin
        self.peer = peer
        self.piece = piece


class _ForeignError(TrioSwarmError):
    """An error that may quote a stranger's data: one line of at most `ERROR_LENGTH` characters."""

    def __init__(self, message: str) -> None:
        super().__init__(shown(message, ERROR_LENGTH))


class BencodeError(_ForeignError):
    """The bytes are not valid bencode, or exceed a limit (BEP 3, "Bencoding")."""


class MetainfoError(_ForeignError):
    """A .torrent file, info dictionary or magnet link is malformed, unsafe or beyond a limit."""


class StorageError(TrioSwarmError):
    """A path cannot be read or written; `path` names it and `reason` says why."""

    def __init__(self, message: str, *, path: Path) -> None:
        super().__init__(f"{path}: {message}")
        self.path = path
        self.reason = message


class FileChangedError(StorageError):
    """A verified file was changed, replaced or removed by another program."""


class NotHereError(TrioSwarmError):
    """Bytes of a torrent, or what its files are, are not here (yet), or were not verified."""


class StateFolderError(StorageError):
    """The state folder cannot be used: the state of verified files is not stored."""


class DiskFullError(StorageError):
    """The file system (or the user's quota) is full.

    Verified pieces are kept, and the download can be tried again once there is space.
    """


class TooManyFilesError(StorageError):
    """No more files may be open in this process, or on this machine; try again later."""


class RecordingError(TrioSwarmError):
    """A file is not a recording, has another format version, or holds an impossible record."""


class RemoteProtocolError(_ForeignError):
    """The other end broke the protocol: that peer or datagram is dropped, nothing else."""


class IdleTalkError(RemoteProtocolError):
    """A peer sent so many useless messages that other peers had to wait."""


class LocalProtocolError(TrioSwarmError):
    """We broke the protocol: a bug of ours, which is never caught."""


class TrackerError(TrioSwarmError):
    """A tracker could not be used; `tracker` is its URL and `reason` says why.

    `retry_in` is the number of seconds after which the tracker may be asked again: inf means never,
    None means that it is not known.
    """

    def __init__(self, message: str, *, tracker: str, retry_in: float | None = None) -> None:
        super().__init__(f"{tracker}: {message}")
        self.tracker = tracker
        self.reason = message
        self.retry_in = retry_in


class TrackerUnreachableError(TrackerError):
    """The tracker gave no usable answer to any try; it can be asked again later."""


class TrackerRefusedError(TrackerError):
    """The tracker answered with an error message (BEP 15, action 3; BEP 3, "failure reason")."""


class StalledError(TrioSwarmError):
    """Nothing arrived for as long as the caller was willing to wait."""


class NameUnknownError(TrioSwarmError):
    """No tracker that answered knows `name`; `silent` holds the URLs that did not answer."""

    def __init__(self, name: str, trackers: Sequence[str], *, silent: Sequence[str] = ()) -> None:
        answered = [url for url in trackers if url not in silent]
        asked = ", ".join(answered or trackers) or "no tracker"
        unheard = f"; no answer from {', '.join(silent)}" if silent else ""
        super().__init__(f"nobody shares {name!r} (asked {asked}{unheard})")
        self.name = name
        self.silent = tuple(silent)


class NameAmbiguousError(TrioSwarmError):
    """A name stands for several torrents.

    `info_hashes` holds the info-hash of each (20 bytes), most seeders first, then oldest first.
    """

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


class EntryUnknownError(TrioSwarmError):
    """No torrent in the node's list is meant by `text`."""

    def __init__(self, text: str) -> None:
        super().__init__(f"no torrent here is called or begins with {shown(text)!r}")
        self.text = text


class EntryAmbiguousError(TrioSwarmError):
    """`text` means several torrents in the node's list; `matches` holds id and name of each."""

    MOST_SHOWN: Final = 10

    def __init__(self, text: str, matches: Sequence[str]) -> None:
        listed = [shown(each) for each in matches[: self.MOST_SHOWN]]
        if len(matches) > len(listed):
            listed.append(f"and {len(matches) - len(listed)} more")
        super().__init__(f"{shown(text)!r} means several torrents: {'; '.join(listed)}")
        self.text = text
        self.matches = tuple(matches)


class EntryPresentError(TrioSwarmError):
    """A torrent that is to be added is in the node's list already; `id` is its id there."""

    def __init__(self, name: str, number: int) -> None:
        super().__init__(f"{shown(name)} is in the list already, as number {number}")
        self.id = number


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
