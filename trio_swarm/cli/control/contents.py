"""`trio-swarm files`, `peers` and `trackers`: what a torrent of a running node has."""

import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, TypeVar

import msgspec

from trio_swarm.cli.control.asking import ask_node
from trio_swarm.cli.control.choosing import find_torrent, reference
from trio_swarm.cli.control.node_choice import NodeChoice
from trio_swarm.cli.control.tables import Column, table_lines
from trio_swarm.cli.options import OutputOptions
from trio_swarm.cli.output.json_events import FileStatus, PeerStatus, TrackerStatus
from trio_swarm.cli.output.reporting import Reporter, make_reporter
from trio_swarm.cli.output.tables import width_of_terminal
from trio_swarm.cli.output.text import (
    cells_text,
    duration_text,
    percent_text,
    rate_text,
    size_text,
)
from trio_swarm.control.answers import File, Peer, Torrent, TrackerState
from trio_swarm.control.client import Client
from trio_swarm.events import Event

_Part = TypeVar("_Part")

_CLIENT_CELLS = 24
_RESULT_CELLS = 60


def _peer_words(peer: Peer) -> str:
    words = [
        "silent" if peer.snubbed else "chokes us" if peer.choking_us else "",
        "waits for us" if peer.interested and not peer.unchoked else "",
    ]
    return ", ".join(filter(None, words))


_FILES: tuple[Column[File], ...] = (
    Column("FILE", lambda each: each.path, is_left=True),
    Column("SIZE", lambda each: size_text(each.length), rank=1),
    Column("DONE", lambda each: percent_text(each.have, each.length) if each.length else "100 %"),
)
_PEERS: tuple[Column[Peer], ...] = (
    Column("PEER", lambda each: each.address, is_left=True),
    Column("CLIENT", lambda each: cells_text(each.client, _CLIENT_CELLS), is_left=True, rank=3),
    Column("GIVES", lambda each: rate_text(each.download_rate) or "-"),
    Column("TAKES", lambda each: rate_text(each.upload_rate) or "-"),
    Column("GAVE", lambda each: size_text(each.downloaded) if each.downloaded else "", rank=4),
    Column("TOOK", lambda each: size_text(each.uploaded) if each.uploaded else "", rank=5),
    Column("HAS", lambda each: "all" if each.is_seeder else percent_text(each.share, 1.0), rank=1),
    Column("", _peer_words, is_left=True, rank=2),
)


async def files(
    torrent: str,
    /,
    *,
    node: NodeChoice | None = None,
    output: OutputOptions | None = None,
) -> int:
    """List the files of a torrent of a running node, and how much of each is here.

    Parameters
    ----------
    torrent
        Name, info-hash or id of the torrent, or the beginning of either.
    node
        Which node is asked.
    output
        How it talks.

    """

    def tell(found: Torrent, listed: Sequence[File], reporter: Reporter) -> None:
        lines = table_lines(_FILES, listed, width_of_terminal())
        events = [FileStatus(**_of_torrent(found), **msgspec.to_builtins(each)) for each in listed]
        _tell_table(reporter, events, lines, "its metadata is not here yet")

    return await _ask(torrent, Client.files, tell, node, output)


async def peers(
    torrent: str,
    /,
    *,
    node: NodeChoice | None = None,
    output: OutputOptions | None = None,
) -> int:
    """List the peers of a torrent of a running node, and what they give and take.

    Parameters
    ----------
    torrent
        Name, info-hash or id of the torrent, or the beginning of either.
    node
        Which node is asked.
    output
        How it talks.

    """

    def tell(found: Torrent, listed: Sequence[Peer], reporter: Reporter) -> None:
        busiest = sorted(listed, key=lambda each: -(each.download_rate + each.upload_rate))
        lines = table_lines(_PEERS, busiest, width_of_terminal())
        events = [PeerStatus(**_of_torrent(found), **msgspec.to_builtins(each)) for each in busiest]
        _tell_table(reporter, events, lines, "no peer is connected")

    return await _ask(torrent, Client.peers, tell, node, output)


async def trackers(
    torrent: str,
    /,
    *,
    node: NodeChoice | None = None,
    output: OutputOptions | None = None,
) -> int:
    """List the trackers of a torrent of a running node, and what they answered.

    Parameters
    ----------
    torrent
        Name, info-hash or id of the torrent, or the beginning of either.
    node
        Which node is asked.
    output
        How it talks.

    """

    def tell(found: Torrent, listed: Sequence[TrackerState], reporter: Reporter) -> None:
        now = time.time()
        shown: tuple[Column[TrackerState], ...] = (
            Column("TRACKER", lambda each: each.url, is_left=True),
            Column("TIER", lambda each: str(each.tier + 1), rank=5),
            Column("SEEDERS", lambda each: _count(each.seeders), rank=2),
            Column("LEECHERS", lambda each: _count(each.leechers), rank=3),
            Column("ASKED", lambda each: _ago(each.last_announce, now), rank=6),
            Column("NEXT", lambda each: _until(each.next_announce, now), rank=4),
            Column(
                "ANSWER",
                lambda each: cells_text(each.result, _RESULT_CELLS),
                is_left=True,
                rank=1,
            ),
        )
        lines = table_lines(shown, listed, width_of_terminal())
        events = [
            TrackerStatus(**_of_torrent(found), **msgspec.to_builtins(each)) for each in listed
        ]
        _tell_table(reporter, events, lines, "it is told to no tracker")

    return await _ask(torrent, Client.trackers, tell, node, output)


def _count(number: int | None) -> str:
    return "" if number is None else f"{number:,}"


def _ago(moment: float | None, now: float) -> str:
    return "" if moment is None else f"{duration_text(max(0.0, now - moment))} ago"


def _until(moment: float | None, now: float) -> str:
    if moment is None:
        return ""
    return f"in {duration_text(moment - now)}" if moment > now else "now"


def _of_torrent(torrent: Torrent) -> dict[str, Any]:
    return {"info_hash": torrent.info_hash, "share_name": torrent.name}


def _tell_table(
    reporter: Reporter, events: Sequence[Event], lines: Sequence[str], nothing: str
) -> None:
    if not events:
        reporter.say(nothing)
        return
    reporter.heading(lines[0])
    for event, line in zip(events, lines[1:], strict=True):
        reporter.answer(event, line)


async def _ask(
    name: str,
    question: Callable[[Client, str], Awaitable[Sequence[_Part]]],
    tell: Callable[[Torrent, Sequence[_Part], Reporter], None],
    node: NodeChoice | None,
    output: OutputOptions | None,
) -> int:
    """Ask for the parts of one torrent, and tell them."""
    reporter = make_reporter(output or OutputOptions())

    async def body(client: Client) -> int:
        found = await find_torrent(client, name)
        tell(found, await question(client, reference(found)), reporter)
        return 0

    return await ask_node(node or NodeChoice(), reporter, body)
