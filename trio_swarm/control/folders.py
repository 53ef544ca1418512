"""Which folders content of added torrents may go to: what a client names is checked here."""

import os
from collections.abc import Sequence
from pathlib import Path

from trio_swarm.errors import TrioSwarmError
from trio_swarm.foreign_text import shown


class FolderRefusedError(TrioSwarmError):
    """A path that a client named lies outside of the allowed folders, or is not absolute."""


def allowed_path(text: str, folders: Sequence[Path]) -> Path:
    """Return the path that a client named, if it lies in one of the allowed folders. Blocking.

    Symbolic links and `..` are followed before it is compared; the result begins with the allowed
    folder as it is configured. It need not exist. Raises FolderRefusedError.
    """
    if not text.startswith("/"):
        raise FolderRefusedError(f"{shown(text)} is not an absolute path")
    try:
        real = Path(os.path.realpath(text))
        for folder in folders:
            real_folder = Path(os.path.realpath(folder))
            if real.is_relative_to(real_folder):
                return folder.absolute() / real.relative_to(real_folder)
    except (OSError, ValueError) as error:  # ValueError: a NUL in it
        raise FolderRefusedError(f"{shown(text)}: {getattr(error, 'strerror', error)}") from error
    allowed = ", ".join(str(folder.absolute()) for folder in folders)
    raise FolderRefusedError(
        f"{shown(text)} is outside of the folders for added torrents ({allowed}); "
        "see folders, below [control]"
    )
