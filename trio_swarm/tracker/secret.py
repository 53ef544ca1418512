"""The secret by which a tracker makes connection ids, kept in a file.

libtorrent keeps one connection id for an IP address, whatever the port, and is deaf for 90 s to a
tracker that refuses it. So all trackers of a user on a machine have one secret, and a restarted
tracker has that of before.
"""

import os
import secrets
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

from trio_swarm.logs import logger_of

SECRET_BYTES: Final = 32

SECRET_FILE: Final = "tracker-secret"  # noqa: S105 - its name
_OTHERS: Final = stat.S_IRWXG | stat.S_IRWXO

_logger = logger_of(__name__)


def kept_secret(folder: Path | None) -> bytes:
    """Return the secret kept in a folder; it is made if there is none.

    Without a folder, or where nothing can be kept, it is a new one each time. A file that others
    than its owner may read is no secret, and is replaced.
    """
    fresh = secrets.token_bytes(SECRET_BYTES)
    if folder is None:
        return fresh
    path = folder / SECRET_FILE
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = _read(path)
        if kept is None:
            _put(path, fresh)
            kept = _read(path)
    except OSError as error:
        _logger.warning(
            "%s: the tracker's secret cannot be kept there (%s): its clients need a minute to find "
            "it again after a restart",
            path,
            error.strerror or error,
        )
        return fresh
    return fresh if kept is None else kept


def _read(path: Path) -> bytes | None:
    """Return a secret that only its owner can read, None if there is none; raises OSError."""
    try:
        number = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    with os.fdopen(number, "rb") as file:
        status = os.fstat(number)
        if stat.S_ISREG(status.st_mode) and not status.st_mode & _OTHERS:
            secret = file.read(SECRET_BYTES + 1)
            if len(secret) == SECRET_BYTES:
                return secret
    path.unlink(missing_ok=True)
    return None


def _put(path: Path, secret: bytes) -> None:
    """Write a secret whole, unless another process was first; raises OSError."""
    unfinished = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    number = os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(number, "wb") as file:
            file.write(secret)
        with suppress(FileExistsError):
            os.link(unfinished, path)
    finally:
        unfinished.unlink(missing_ok=True)
