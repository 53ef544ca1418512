"""`trio-swarm show`: what a .torrent file or magnet link says."""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

from msgspec.structs import replace

from trio_swarm import Magnet, Metainfo, parse_magnet, read_torrent
from trio_swarm.cli.options import (
    Flag,
    OutputOptions,
    Trackers,
    trackers_given,
    trackers_or_default,
)
from trio_swarm.cli.output.default_tracker import DefaultTracker
from trio_swarm.cli.output.elsewhere import is_here_only
from trio_swarm.cli.output.file_trees import tree_lines
from trio_swarm.cli.output.json_events import Described
from trio_swarm.cli.output.reporting import make_reporter
from trio_swarm.cli.output.text import count_text, safe_text, size_text
from trio_swarm.config.values import is_hash_prefix
from trio_swarm.errors import NameUnknownError
from trio_swarm.foreign_text import shown
from trio_swarm.identities import InfoHash
from trio_swarm.named_paths import is_there
from trio_swarm.protocol.addresses import format_address
from trio_swarm.protocol.trackers.url_secrets import to_give_away
from trio_swarm.service.naming import hash_beginning

COMMENT_LENGTH = 1_000
"""Characters of a comment that a person is shown."""
LONGEST_TEXT = 64 * 1024
"""Characters of a comment in JSON."""


def show(
    what: str,
    /,
    *,
    tree: Flag = False,
    tracker: Trackers = (),
    output: OutputOptions | None = None,
) -> int:
    """Show what a .torrent file or magnet link says.

    Parameters
    ----------
    what
        A .torrent file, a magnet link, or an info-hash (of one that a tracker knows, its first
        digits).
    tree
        Show the files as a tree: folders with their sizes, and what is in them.
    tracker
        URL of a tracker to ask for those digits; may be given several times. By default
        $TRIO_SWARM_TRACKER, or udp://127.0.0.1:6969.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    if what[:7].lower() == "magnet:":
        event = describe_magnet(parse_magnet(what))
    elif re.fullmatch(r"[0-9a-fA-F]{40}", what) and not is_there(Path(what)):
        event = describe_magnet(Magnet(info_hash=InfoHash(bytes.fromhex(what))))
    elif is_hash_prefix(what) and not is_there(Path(what)):
        event = describe_magnet(_known_to_trackers(what, tracker))
    else:
        event = describe_torrent(read_torrent(Path(what)))
    reporter.answer(event, "\n".join(_lines(event, as_tree=tree)))
    return 0


def _known_to_trackers(prefix: str, flags: Sequence[str]) -> Magnet:
    """Return a link to the one torrent whose info-hash begins with `prefix`."""
    import trio  # noqa: PLC0415 - only here something waits

    trackers = trackers_or_default(flags)
    default = DefaultTracker(is_used=not trackers_given(flags))
    match = trio.run(default.asked, hash_beginning(prefix, trackers))
    if match is None:
        raise NameUnknownError(prefix, trackers)
    return Magnet(
        info_hash=InfoHash(match.info_hash),
        name=match.name,
        trackers=tuple(trackers),
        length=match.size or None,
    )


def describe_magnet(magnet: Magnet) -> Described:
    """Return all a magnet link says."""
    return Described(
        share_name=magnet.name,
        info_hash=magnet.info_hash.hex(),
        info_hash_v2=None if magnet.v2_hash is None else magnet.v2_hash.hex(),
        size=magnet.length,
        padding=None,
        piece_length=None,
        pieces=None,
        private=None,
        files=[],
        trackers=[[url] for url in magnet.trackers],
        web_seeds=[],
        peers=[format_address(peer) for peer in magnet.peers],
        comment="",
        created_by="",
        creation_date=None,
        magnet=replace(
            magnet, trackers=tuple(to_give_away(url) for url in magnet.trackers)
        ).to_uri(),
    )


def describe_torrent(metainfo: Metainfo) -> Described:
    """Return all a .torrent file says."""
    info = metainfo.info
    return Described(
        share_name=info.name,
        info_hash=info.info_hash.hex(),
        info_hash_v2=None if info.v2_hash is None else info.v2_hash.hex(),
        size=info.length - info.padding,
        # That of version 2 is none: its files only begin with pieces.
        padding=info.padding if info.has_v1 else 0,
        piece_length=info.piece_length,
        pieces=info.piece_count,
        private=info.private,
        files=[
            {"path": "/".join((info.name, *file.path)), "size": file.length}
            for file in info.files
            if not file.padding
        ],
        trackers=[list(tier) for tier in metainfo.announce_tiers],
        web_seeds=list(metainfo.web_seeds),
        peers=[],
        comment=metainfo.comment[:LONGEST_TEXT],
        created_by=metainfo.created_by[:LONGEST_TEXT],
        creation_date=metainfo.creation_date,
        magnet=torrent_magnet(metainfo),
    )


def torrent_magnet(metainfo: Metainfo) -> str:
    """Return the magnet link of a .torrent file, with its trackers, but without keys for them."""
    return Magnet(
        info_hash=metainfo.info.info_hash,
        name=metainfo.info.name,
        trackers=tuple(to_give_away(url) for tier in metainfo.announce_tiers for url in tier),
        length=metainfo.info.size,
        v2_hash=metainfo.info.v2_hash,
    ).to_uri()


def _lines(event: Described, *, as_tree: bool) -> Iterator[str]:
    yield from _named(event)
    if event.pieces is not None and event.piece_length is not None:
        yield f"pieces     {event.pieces:,} of {size_text(event.piece_length)}"
    if event.private:
        yield "private    yes: peers only from its trackers"
    for number, tier in enumerate(event.trackers, 1):
        yield f"{'trackers' if number == 1 else '':<10} {' or '.join(tier)}"
    here = [url for tier in event.trackers for url in tier if is_here_only(url)]
    if here:
        yield f"warning    {' and '.join(here)}: on every machine that is the machine itself"
    for number, url in enumerate(event.web_seeds, 1):
        yield f"{'web seeds' if number == 1 else '':<10} {safe_text(url)}"
    for number, peer in enumerate(event.peers, 1):
        yield f"{'peers' if number == 1 else '':<10} {peer}"
    if event.comment:
        comment = " ".join(event.comment[:COMMENT_LENGTH].split())
        yield f"comment    {shown(comment, COMMENT_LENGTH)}"
    if event.created_by:
        yield f"made by    {shown(event.created_by)}"
    if event.creation_date is not None:
        yield f"made on    {datetime.fromtimestamp(event.creation_date, UTC):%Y-%m-%d %H:%M} UTC"
    yield f"magnet     {event.magnet}"
    if event.files:
        yield f"{count_text(len(event.files), 'file')}:"
        files = [(file["path"], file["size"]) for file in event.files]
        if as_tree:
            yield from tree_lines([(path.split("/"), size) for path, size in files])
            return
        for path, size in files:
            yield f"{size_text(size):>12}  {safe_text(path)}"


def _named(event: Described) -> Iterator[str]:
    """Tell what it is called, and how big it is."""
    yield f"name       {safe_text(event.share_name or '(not told)')}"
    yield f"info-hash  {event.info_hash}"
    if event.info_hash_v2 is not None:
        yield f"version 2  {event.info_hash_v2}"
    if event.size is not None:
        padding = f", and {size_text(event.padding)} of padding" if event.padding else ""
        yield f"size       {size_text(event.size)} ({event.size:,} bytes){padding}"
