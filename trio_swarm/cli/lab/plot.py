"""`trio-swarm plot`: a picture of a download that was recorded, or of a swarm that several did."""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter

from trio_swarm.cli.lab import column_words
from trio_swarm.cli.lab.plotting import picture_file, shows_sparks
from trio_swarm.cli.lab.recorded_tables import download_table, swarm_table
from trio_swarm.cli.lab.recordings import open_recording
from trio_swarm.cli.options import OutputOptions, expanded
from trio_swarm.cli.output.reporting import Reporter, make_reporter
from trio_swarm.cli.output.text import columns, count_text, duration_text, safe_text, size_text
from trio_swarm.errors import ConfigError, RecordingError
from trio_swarm.lab.pictures.course import Course, completion, moments, rarest
from trio_swarm.lab.pictures.from_recording import course_of
from trio_swarm.lab.pictures.from_recordings import swarm_of
from trio_swarm.lab.pictures.spark import spark
from trio_swarm.recording import Recording
from trio_swarm.recording.format import MAX_EVENTS

_SPARKS = 60

_MOST_SPARKS = 16
"""Peers that have a line of their own in the terminal."""

_SWARM_FILE = "swarm.html"


def plot(
    *recordings: Path,
    out: Annotated[Path | None, Parameter(name=("--out", "-o"))] = None,
    output: OutputOptions | None = None,
) -> int:
    """Draw a recorded download: how far it was when, who sent what, and how rare pieces were.

    Recordings are made by `get --record` and `simulate --record`. Several that peers of one swarm
    made are drawn as one swarm: who sent to whom, too. Needs the extra `plots`.

    Parameters
    ----------
    recordings
        The files that were recorded.
    out
        Where to draw: a file that ends in .html, .png or .svg; by default the recording's name, or
        `swarm` for several, with .html in this folder. An older one is replaced.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    if not recordings:
        raise ConfigError("say what to draw: trio-swarm plot RECORDING...")
    default = f"{recordings[0].stem}.html" if len(recordings) == 1 else _SWARM_FILE
    file = expanded(out) or Path(default)
    for recording in recordings:
        if file.exists() and recording.exists() and file.samefile(recording):
            raise ConfigError(f"--out: {file} is the recording itself")
    twice = [path for path, times in Counter(recordings).items() if times > 1]
    if twice:
        raise ConfigError(f"{twice[0]} is named twice")
    picture = picture_file("--out", file)
    found = _open_all(recordings, reporter)
    header = found[0].header
    if len(found) == 1:
        course, table, says = _download(recordings[0], found[0])
    else:
        course, table, says = _swarm(_names(recordings), found)
    reporter.heading(f"{safe_text(header.name)}: {says}")
    if shows_sparks(reporter):
        for line in columns(_sparks(course), left={0, 1}):
            reporter.say(line)
    if picture is not None:
        words = column_words.DOWNLOADED if len(found) == 1 else column_words.SWARMED
        written = picture.write(
            safe_text(header.name), [course], table=table, says=f"{says}.", columns=words
        )
        reporter.answer(written, f"wrote {file}")
    return 0


def _open_all(paths: Sequence[Path], reporter: Reporter) -> list[Recording]:
    found = []
    events = 0
    for path in paths:
        found.append(open_recording(path, reporter))
        events += len(found[-1].events)
        if events > MAX_EVENTS:
            raise RecordingError(f"{path}: with this there are more than {MAX_EVENTS:,} events")
    return found


def _names(paths: Sequence[Path]) -> list[str]:
    """Return a title for each recording: the shortest end of its path that no other has."""
    stems = Counter(path.stem for path in paths)
    return [safe_text(path.stem if stems[path.stem] == 1 else str(path)) for path in paths]


def _download(path: Path, recording: Recording) -> tuple[Course, list[list[str]], str]:
    header = recording.header
    try:
        course = course_of(recording, safe_text(header.scheduler))
    except RecordingError as error:
        raise RecordingError(f"{path}: {error}") from error
    says = (
        f"{size_text(header.size)} in {count_text(header.piece_count, 'piece')} over "
        f"{duration_text(recording.seconds)}, with {safe_text(header.scheduler)}, "
        f"seen by the peer that fetched it"
    )
    return course, download_table(recording), says


def _swarm(
    names: Sequence[str], recordings: Sequence[Recording]
) -> tuple[Course, list[list[str]], str]:
    header = recordings[0].header
    try:
        swarm = swarm_of(list(zip(names, recordings, strict=True)), "all")
    except RecordingError as error:
        raise ConfigError(safe_text(str(error))) from error
    schedulers = dict.fromkeys(safe_text(each.header.scheduler) for each in recordings)
    says = (
        f"{size_text(header.size)} in {count_text(header.piece_count, 'piece')} over "
        f"{duration_text(swarm.course.seconds)}, with {', '.join(schedulers)}, "
        f"seen by the {len(recordings)} peers that recorded it"
    )
    if swarm.strangers:
        says += f"; by which address others know {', '.join(swarm.strangers)} was not recorded"
    return swarm.course, swarm_table(swarm), says


def _sparks(course: Course) -> list[list[str]]:
    times = moments(course.seconds, _SPARKS)
    copies = rarest(course, times)
    rows = [
        [f"what {course.peers[index].name} has", spark(completion(course, times, [index]), 1.0)]
        for index in course.recorders[:_MOST_SPARKS]
    ]
    if not rows:
        rows.append(["what it has", spark(completion(course, times), 1.0)])
    elif len(course.recorders) > len(rows):
        rows.append(["what they have, on the mean", spark(completion(course, times), 1.0)])
    rows.append([f"copies of the rarest piece, up to {max(copies):,}", spark(copies, max(copies))])
    return rows
