"""A whole recording, summed up in plain words."""

from collections.abc import Iterator

from trio_swarm.cli.output.tables import widest
from trio_swarm.cli.output.text import columns, count_text, duration_text, percent_text, size_text
from trio_swarm.recording import Header
from trio_swarm.recording.story.sentences import times_text, wait_text
from trio_swarm.recording.story.summary import PeerSummary, Summary, Wait


def summary_lines(summary: Summary, header: Header, width: int | None = None) -> Iterator[str]:
    """Yield the lines about a whole recording: its peers, its decisions, its faults.

    Of a table that is wider than `width` the clients are left out: they are told of each peer.
    """
    how = "not complete when it ended"
    if summary.completed is not None:
        how = f"complete after {duration_text(summary.completed)}"
    yield (
        f"{header.name}: {size_text(header.size)} in {count_text(header.piece_count, 'piece')}, "
        f"by {header.scheduler}, {how}"
    )
    received = sum(peer.received for peer in summary.peers)
    rows = [
        ["peer", "address", "client", "joined", "left", "pieces", "gave", "share", "in vain"],
        *(_peer_row(peer, received) for peer in summary.peers),
    ]
    lines = columns(rows, left={1, 2})
    if width is not None and widest(lines) > width:
        lines = columns([[*row[:2], *row[3:]] for row in rows], left={1})
    yield from lines
    total = sum(summary.decisions.values())
    made = ", ".join(
        f"{count:,} by {'the ' + by if by != 'strategy' else header.scheduler}"
        for by, count in summary.decisions.items()
    )
    each = summary.decision_seconds / max(1, total) * 1e6
    took = f"{each:.0f} µs each, " if each else ""  # in a simulation they take no time
    yield (
        f"{count_text(total, 'decision')} ({made or 'none'}), {took}"
        f"{summary.declined:,} gave nothing; {count_text(summary.requests, 'request')}"
    )
    yield (
        f"endgame: {count_text(summary.doubled, 'second request')}; "
        f"{summary.cancelled:,} cancelled; overdue: {_times_or_never(summary.overdue)}; failed "
        f"pieces: {summary.failed:,}"
    )
    for fault, count in summary.faults.items():
        yield f"fault, {times_text(count)}: the strategy {fault}"
    if summary.waits:
        yield f"longest waits: {'; '.join(map(_wait, summary.waits))}"


def _times_or_never(count: int) -> str:
    return times_text(count) if count else "never"


def _wait(wait: Wait) -> str:
    return f"piece {wait.piece} of {wait.address} {wait_text(wait.seconds)}"


def _peer_row(peer: PeerSummary, received: int) -> list[str]:
    return [
        f"{peer.peer}",
        peer.address,
        peer.client or "?",
        f"{peer.joined:.1f} s",
        "" if peer.left is None else f"{peer.left:.1f} s",
        f"{peer.pieces:,}",
        size_text(peer.received),
        percent_text(peer.received, received),
        size_text(peer.duplicate),
    ]
