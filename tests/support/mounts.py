"""File systems that a test mounts for itself."""

import os
import subprocess
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest


@contextmanager
def mounted(folder: Path, *commands: Sequence[str]) -> Iterator[Path]:
    """Mount by `commands`; where that is not allowed (but as root in CI) skip the test."""
    try:
        for command in commands:
            subprocess.run(command, check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError) as error:
        if os.environ.get("CI") == "true" and os.geteuid() == 0:
            pytest.fail(f"cannot mount in CI: {error}")
        pytest.skip(f"cannot mount (needs root): {error}")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def in_memory(folder: Path, options: str) -> AbstractContextManager[Path]:
    """A file system in memory, in a folder made for it, where mounting is allowed."""
    folder.mkdir()
    return mounted(folder, ["mount", "-t", "tmpfs", "-o", options, "trio-swarm-test", str(folder)])
