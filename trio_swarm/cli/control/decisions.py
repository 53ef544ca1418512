"""Why a running download asks which piece of which peer, in words, as it happens."""

from datetime import datetime
from pathlib import Path

import trio

from trio_swarm.amounts import count_text
from trio_swarm.cli.control.asking import ask_node
from trio_swarm.cli.control.choosing import TorrentUnknownError, find_torrent, reference
from trio_swarm.cli.control.node_choice import NodeChoice
from trio_swarm.cli.control.torrent_lines import short_line, torrent_name
from trio_swarm.cli.output.json_events import DecisionTold
from trio_swarm.cli.output.reporting import Reporter
from trio_swarm.cli.output.tables import width_of_terminal, wrapped
from trio_swarm.control.answers import Decision, Torrent
from trio_swarm.control.client import Client, ControlError
from trio_swarm.errors import ConfigError
from trio_swarm.foreign_text import shown
from trio_swarm.named_paths import is_file

FOLLOW_SECONDS = 1.0
"""Between two looks at a node: it keeps what happened in between."""
FIRST_SECONDS = 3.0
"""How long the first decision is waited for: a node keeps them from the first look on."""
_LOOK_SECONDS = 0.2
"""Between two looks for it."""
_MOST = 1_000
"""Decisions of one look: a fast download makes hundreds a second, and a person reads few."""
_COMPLETE = frozenset({"seeding", "done"})
"""States of a torrent that fetches nothing."""
_LAST = 20
"""Decisions that are told without --follow."""
_TEXT_LENGTH = 2_000
"""Characters of one sentence."""
_INDENT = 14
"""Columns, as long as the time of a line."""


async def explain_live(
    choice: NodeChoice,
    name: str,
    *,
    piece: int | None,
    peer: str | None,
    follow: bool,
    reporter: Reporter,
) -> int:
    """Tell the latest decisions of a download, and with `follow` each that it makes from now on."""

    async def body(client: Client) -> int:
        try:
            torrent = await find_torrent(client, name)
        except (ControlError, TorrentUnknownError) as error:
            file = f"the file {shown(name)} is no recording"
            none = f"nor is there a recording {shown(name)}"
            error.add_note(file if is_file(Path(name)) else none)
            raise
        await _tell(client, torrent, piece, peer, reporter, follow=follow)
        return 0

    return await ask_node(choice, reporter, body, interrupted=0 if follow else 1)


async def _tell(
    client: Client,
    torrent: Torrent,
    piece: int | None,
    peer: str | None,
    reporter: Reporter,
    *,
    follow: bool,
) -> None:
    def is_wanted(decision: Decision) -> bool:
        return (piece is None or decision.piece == piece) and (
            peer is None or decision.peer == peer
        )

    name = reference(torrent)
    if piece is not None and torrent.pieces and not 0 <= piece < torrent.pieces:
        pieces = count_text(torrent.pieces, "piece")
        raise ConfigError(f"--piece: {piece} is none of {pieces}, counted from 0")
    found = await client.decisions(name, limit=_MOST)
    if not (found or follow) and torrent.state == "downloading":
        found = await _first_decisions(client, name)
    wanted = [each for each in found if is_wanted(each)]
    chosen = wanted if piece is not None or peer is not None else wanted[-_LAST:]
    for decision in chosen:
        _tell_one(torrent, decision, reporter)
    if not follow:
        if not chosen:
            reporter.say(_nothing_told(torrent, piece, peer))
        return
    since = max((each.number for each in found), default=0)
    told_state = "downloading"
    while True:
        if not found:
            torrent = await client.torrent(name)
            if torrent.state != told_state:
                reporter.say(_why_nothing_comes(torrent))
                told_state = torrent.state
            if torrent.state in _COMPLETE:
                return
        await trio.sleep(FOLLOW_SECONDS)
        found = await client.decisions(name, limit=_MOST, since=since)
        for decision in filter(is_wanted, found):
            _tell_one(torrent, decision, reporter)
        since = max((each.number for each in found), default=since)


async def _first_decisions(client: Client, name: str) -> list[Decision]:
    found: list[Decision] = []
    with trio.move_on_after(FIRST_SECONDS):
        while not found:
            await trio.sleep(_LOOK_SECONDS)
            found = await client.decisions(name, limit=_MOST)
    return found


def _nothing_told(torrent: Torrent, piece: int | None, peer: str | None) -> str:
    if torrent.state != "downloading":
        return _why_nothing_comes(torrent)
    about = "" if piece is None else f" about piece {piece}"
    about += "" if peer is None else f" with {shown(peer)}"
    return f"{short_line(torrent)}; nothing was decided{about} lately; --follow waits for it"


def _why_nothing_comes(torrent: Torrent) -> str:
    if torrent.state in _COMPLETE:
        return f"{torrent_name(torrent)}: complete: there is nothing left to decide"
    return f"{short_line(torrent)}; decisions come while it downloads"


def _tell_one(torrent: Torrent, decision: Decision, reporter: Reporter) -> None:
    event = DecisionTold(
        info_hash=torrent.info_hash,
        share_name=torrent.name,
        number=decision.number,
        at=decision.time,
        by=decision.by,
        scheduler=decision.scheduler,
        piece=decision.piece,
        peer=decision.peer,
        blocks=decision.blocks,
        text=decision.text,
        reasons=decision.reasons,
    )
    width = width_of_terminal()
    text = shown(decision.text, _TEXT_LENGTH)
    lines = wrapped(f"{_clock(decision.time)}  {text}", width, indent=_INDENT)
    for reason in decision.reasons:
        line = f"{'':{_INDENT}}{shown(reason, _TEXT_LENGTH)}"
        lines += wrapped(line, width, indent=_INDENT + 2)
    reporter.answer(event, "\n".join(lines))


def _clock(seconds: float) -> str:
    """Return the time of day, to the millisecond."""
    try:
        moment = datetime.fromtimestamp(seconds)  # noqa: DTZ006 - as the clock on the wall
    except (ValueError, OverflowError, OSError):
        return f"{'?':12}"
    return f"{moment:%H:%M:%S}.{moment.microsecond // 1000:03}"
