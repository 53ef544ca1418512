"""`trio-swarm plot`: a picture of a download that was recorded."""

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from trio_swarm.cli.options import OutputOptions, expanded
from trio_swarm.cli.plotting import picture_file, shows_sparks
from trio_swarm.cli.recordings import open_recording
from trio_swarm.cli.reporting import make_reporter
from trio_swarm.cli.text import (
    columns,
    count_text,
    duration_text,
    percent_text,
    safe_text,
    size_text,
)
from trio_swarm.errors import ConfigError, RecordingError
from trio_swarm.pictures.course import completion, moments, rarest
from trio_swarm.pictures.from_recording import course_of
from trio_swarm.pictures.spark import spark
from trio_swarm.recording import Recording
from trio_swarm.recording.summary import summarize

_SPARKS = 60


def plot(
    recording: Path,
    /,
    *,
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
    output: OutputOptions | None = None,
) -> int:
    """Draw a recorded download: how far it was when, who sent what, and how rare pieces were.

    Recordings are made by `get --record`. Needs the extra `plots`.

    Parameters
    ----------
    recording
        The file that was recorded.
    out
        Where to draw: a file that ends in .html, .png or .svg; by default the recording's name
        with .html in this folder. An older one is replaced.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    file = expanded(out) or Path(f"{recording.stem}.html")
    if file.exists() and recording.exists() and file.samefile(recording):
        raise ConfigError(f"--out: {file} is the recording itself")
    picture = picture_file("--out", file)
    found = open_recording(recording, reporter)
    header = found.header
    try:
        course = course_of(found, safe_text(header.scheduler))
    except RecordingError as error:
        raise RecordingError(f"{recording}: {error}") from error
    says = (
        f"{size_text(header.size)} in {count_text(header.piece_count, 'piece')} over "
        f"{duration_text(found.seconds)}, with {safe_text(header.scheduler)}, "
        f"seen by the peer that fetched it"
    )
    reporter.heading(f"{safe_text(header.name)}: {says}")
    if shows_sparks(reporter):
        times = moments(found.seconds, _SPARKS)
        copies = rarest(course, times)
        rows = [
            ["what it has", spark(completion(course, times), 1.0)],
            [f"copies of the rarest piece, up to {max(copies)}", spark(copies, max(copies))],
        ]
        for line in columns(rows, left={0, 1}):
            reporter.say(line)
    if picture is not None:
        written = picture.write(
            safe_text(header.name), [course], table=_table(found), says=f"{says}."
        )
        reporter.answer(written, f"wrote {file}")
    return 0


_MOST_ROWS = 50
"""Peers in the table of a page: those that sent most."""


def _table(recording: Recording) -> list[list[str]]:
    """Return what each connection gave."""
    peers = sorted(summarize(recording).peers, key=lambda each: -each.received)
    received = sum(peer.received for peer in peers)
    rows = [["peer", "client", "joined", "left", "sent us", "share", "in vain", "sent it"]]
    rows += [
        [
            safe_text(peer.address),
            safe_text(peer.client),
            duration_text(peer.joined),
            "" if peer.left is None else duration_text(peer.left),
            size_text(peer.received),
            percent_text(peer.received, received),
            size_text(peer.duplicate),
            size_text(peer.sent),
        ]
        for peer in peers[:_MOST_ROWS]
    ]
    if len(peers) > _MOST_ROWS:
        rows.append([f"and {len(peers) - _MOST_ROWS:,} more", *[""] * 7])
    return rows
