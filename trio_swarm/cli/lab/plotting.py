"""Pictures as files, as `--plot` and `trio-swarm plot` write them, and as lines in a terminal."""

import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from trio_swarm.cli.output.json_events import Written
from trio_swarm.cli.output.new_files import write_new_file
from trio_swarm.cli.output.reporting import JsonReporter, Reporter
from trio_swarm.errors import ConfigError
from trio_swarm.lab.pictures.course import Course
from trio_swarm.lab.pictures.spark import BARS

_SUFFIXES = (".html", ".png", ".svg")

_EXTRA = "pip install 'trio-swarm[plots]'"


class PictureFile:
    """A file to be written, which was looked at before the work began."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def write(
        self,
        title: str,
        courses: Sequence[Course],
        *,
        table: Sequence[Sequence[str]],
        says: str,
        columns: Mapping[str, str],
    ) -> Written:
        """Draw, and write it; an older file of the name is replaced. Raises StorageError.

        `columns` tells what those of the table mean.
        """
        if self.path.suffix.lower() == ".html":
            from trio_swarm.lab.pictures.page import page  # noqa: PLC0415 - half a second

            content = page(title, courses, table=table, says=says, columns=columns)
        else:
            from trio_swarm.lab.pictures.poster import poster  # noqa: PLC0415 - half a second

            is_png = self.path.suffix.lower() == ".png"
            content = poster(title, courses, "png" if is_png else "svg", says=says)
        write_new_file(self.path, content, may_replace=True)
        return Written(file=str(self.path))


def picture_file(flag: str, path: Path | None) -> PictureFile | None:
    """Return the file a picture is to be written to, or None without a path.

    Raises ConfigError that names `flag`: a suffix that nothing is drawn for, a folder that is not
    there, or no library to draw with.
    """
    if path is None:
        return None
    if path.suffix.lower() not in _SUFFIXES:
        raise ConfigError(f"{flag}: expected a name that ends in .html, .png or .svg, got {path}")
    if not path.parent.is_dir():
        raise ConfigError(f"{flag}: there is no folder {path.parent}")
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise ConfigError(f"{flag}: {path} cannot be written")
    try:
        import matplotlib  # noqa: F401, ICN001, PLC0415 - an extra, which may be missing
    except ImportError as error:
        raise ConfigError(f"{flag}: pictures need matplotlib: {_EXTRA}") from error
    return PictureFile(path)


def shows_sparks(reporter: Reporter) -> bool:
    """Whether curves as text reach a person."""
    if reporter.quiet or isinstance(reporter, JsonReporter):
        return False
    try:
        BARS.encode(sys.stdout.encoding or "utf-8")
    except (UnicodeEncodeError, LookupError):
        return False
    return True
