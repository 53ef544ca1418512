"""`trio-swarm diff`: what a new version of a torrent shares with the old one."""

from collections.abc import Iterator
from pathlib import Path

from trio_swarm import read_torrent
from trio_swarm.cli.options import OutputOptions
from trio_swarm.cli.output.json_events import FileChange, TorrentsCompared
from trio_swarm.cli.output.reporting import JsonReporter, make_reporter
from trio_swarm.cli.output.text import count_text, safe_text, size_text
from trio_swarm.protocol.metainfo import comparison
from trio_swarm.protocol.metainfo.comparison import Comparison
from trio_swarm.protocol.metainfo.torrent import Info


def diff(old: Path, new: Path, /, *, output: OutputOptions | None = None) -> int:
    """Tell what a new version of a torrent shares with the old one, and what has to be fetched.

    Files are the same if their roots are (version 2), or all hashes of their pieces. Where neither
    can be compared, a file with the same path and length is told as one that may be the same.

    Parameters
    ----------
    old
        The .torrent file of the old version.
    new
        That of the new version.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    before, after = read_torrent(old).info, read_torrent(new).info
    found = comparison.compare(before, after)
    if isinstance(reporter, JsonReporter):
        for change in found.files:
            reporter.answer(_change_event(change), "")
    reporter.answer(_event(before, after, found), "\n".join(_lines(before, after, found)))
    return 0


def _change_event(change: comparison.FileChange) -> FileChange:
    return FileChange(
        change=change.kind,
        path="/".join(change.path),
        was=None if change.was is None else "/".join(change.was),
        size=change.length,
        needed=change.needed,
    )


def _event(before: Info, after: Info, found: Comparison) -> TorrentsCompared:
    return TorrentsCompared(
        old_info_hash=before.info_hash.hex(),
        new_info_hash=after.info_hash.hex(),
        old_name=before.name,
        new_name=after.name,
        size=found.size,
        needed=found.needed,
        maybe=found.maybe,
        by_roots=found.by_roots,
        by_pieces=found.by_pieces,
    )


def _lines(before: Info, after: Info, found: Comparison) -> Iterator[str]:
    yield from map(_line, (each for each in found.files if each.kind != "same"))
    same = sum(each.kind == "same" for each in found.files)
    yield f"same       {count_text(same, 'file')}"
    needed = f"{size_text(found.needed)} of {size_text(found.size)}"
    maybe = (
        f", {size_text(found.maybe)} of them in files that may be the same" if found.maybe else ""
    )
    yield f"to fetch   {needed}, for who has {safe_text(before.name)}{maybe}"
    if before.info_hash == after.info_hash:
        yield "compared   the two are one torrent: they have one info-hash"
    elif found.by_roots:
        yield "compared   by the roots of files (version 2)"
    elif found.by_pieces:
        yield "compared   by hashes of pieces, as far as files begin at the same place of a piece"
    else:
        yield "compared   by path and length only: piece lengths or versions of the protocol differ"


def _line(change: comparison.FileChange) -> str:
    path = safe_text("/".join(change.path))
    facts = [size_text(change.length)]
    if change.was is not None:
        facts.append(f"was {safe_text('/'.join(change.was))}")
    if change.kind in {"changed", "maybe"} and change.needed < change.length:
        facts.append(f"{size_text(change.needed)} to fetch")
    return f"{change.kind:<10} {path}  ({', '.join(facts)})"
