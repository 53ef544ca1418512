"""`trio-swarm explain`: why a piece was asked of a peer, in plain words, from a recording."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from trio_swarm.cli.json_events import ExplainedDecision, ExplainedMoment, RecordingSummary
from trio_swarm.cli.options import OutputOptions
from trio_swarm.cli.recordings import open_recording
from trio_swarm.cli.reporting import Reporter, make_reporter
from trio_swarm.cli.text import (
    columns,
    count_text,
    duration_text,
    percent_text,
    rate_text,
    size_text,
)
from trio_swarm.errors import ConfigError
from trio_swarm.recording import Header, Recording
from trio_swarm.recording.explaining import Choice, Decision, Option, tell_decision
from trio_swarm.recording.history import History
from trio_swarm.recording.summary import PeerSummary, Summary, Wait, summarize
from trio_swarm.recording.telling import Moment, tell_peer, tell_piece

MOST_MOMENTS = 60
"""Lines of one peer's or piece's story that are printed; --json has all."""

_FEW = 4
"""Peers that are named where a sentence has them all."""


def explain(
    recording: Path,
    /,
    *,
    piece: int | None = None,
    peer: str | None = None,
    at: float | None = None,
    output: OutputOptions | None = None,
) -> int:
    """Tell from a recording why a piece was asked of a peer.

    Without options: a summary of all decisions. Recordings are made by `get --record`.

    Parameters
    ----------
    recording
        The file that was recorded.
    piece
        Tell all that happened to this piece, counted from 0.
    peer
        Tell all that happened with this peer: its address, or the number that the summary gives it.
    at
        Tell what was decided so many seconds after the beginning, or last before.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    if sum(option is not None for option in (piece, peer, at)) > 1:
        raise ConfigError("--piece, --peer and --at are three questions: ask one at a time")
    found = open_recording(recording, reporter)
    if piece is not None:
        _explain_piece(reporter, found, piece)
    elif peer is not None:
        _explain_peer(reporter, found, peer)
    elif at is not None:
        _explain_decision(reporter, found, at)
    else:
        _summarize(reporter, found, recording)
    return 0


# One piece, one peer, one decision


def _explain_piece(reporter: Reporter, recording: Recording, piece: int) -> None:
    count = recording.header.piece_count
    if not 0 <= piece < count:
        raise ConfigError(f"--piece: {piece} is none of {count} pieces, counted from 0")
    moments = tell_piece(recording, piece)
    lengths = recording.lengths
    reporter.heading(
        f"piece {piece} of {count:,}: {size_text(lengths.piece_size(piece))} in "
        f"{count_text(lengths.block_count(piece), 'block')}"
    )
    _tell(reporter, moments, recording.header, is_piece=True)
    if not moments:
        reporter.say("nothing was recorded of it: it was there already, or nobody was asked for it")


def _explain_peer(reporter: Reporter, recording: Recording, name: str) -> None:
    history = History(recording.lengths)
    for event in recording.events:
        history.apply(event)
    keys = [key for key, peer in history.known.items() if name in {peer.address, str(key)}]
    if not keys:
        known = ", ".join(peer.address for peer in list(history.known.values())[:_FEW])
        raise ConfigError(f"--peer: {name} was never connected (peers: {known or 'none'})")
    for key in keys:
        peer = history.known[key]
        reporter.heading(
            f"peer {key}, {peer.address}: sent {size_text(peer.received)} of "
            f"{count_text(peer.fetched.bit_count(), 'piece')}, and {size_text(peer.duplicate)} in "
            f"vain; got {size_text(peer.sent)}"
        )
        _tell(reporter, tell_peer(recording, key), recording.header, is_piece=False)


def _explain_decision(reporter: Reporter, recording: Recording, at: float) -> None:
    if at < 0 or at > recording.seconds:
        raise ConfigError(f"--at: the recording is from 0 to {recording.seconds:.3f} s")
    decision = tell_decision(recording, at)
    if decision is None:
        raise ConfigError(f"--at: nothing had been asked of anybody {at:g} s after the beginning")
    event = ExplainedDecision(at=decision.at, decision=msgspec.to_builtins(decision))
    reporter.answer(event, "\n".join(_decision_lines(decision, recording.header)))


def _tell(reporter: Reporter, moments: Sequence[Moment], header: Header, *, is_piece: bool) -> None:
    told = 0
    for index, moment in enumerate(moments):
        lines: list[str] = []
        if is_piece or not index or not _is_of_one_decision(moments[index - 1], moment):
            told += 1
            if told <= MOST_MOMENTS:
                together = _together(moments, index)
                lines = list(_moment_lines(moment, together, header, is_piece=is_piece))
        choice = None if moment.choice is None else msgspec.to_builtins(moment.choice)
        event = ExplainedMoment(
            at=moment.at,
            what=moment.what,
            piece=moment.piece,
            peer=moment.peer,
            address=moment.address,
            blocks=moment.blocks,
            text=moment.text,
            choice=choice,
        )
        reporter.answer(event, "\n".join(lines))
    if told > MOST_MOMENTS:
        reporter.say(f"and {told - MOST_MOMENTS:,} moments more, which --json prints")


def _is_of_one_decision(one: Moment, other: Moment) -> bool:
    """Whether both are requests of one answer: one line tells of all of those to a peer."""
    if one.choice is None or other.choice is None:
        return False
    return (one.at, one.choice.by) == (other.at, other.choice.by)


def _together(moments: Sequence[Moment], index: int) -> Sequence[Moment]:
    end = index + 1
    while end < len(moments) and _is_of_one_decision(moments[index], moments[end]):
        end += 1
    return moments[index:end]


def _moment_lines(
    moment: Moment, together: Sequence[Moment], header: Header, *, is_piece: bool
) -> Iterator[str]:
    choice = moment.choice
    if choice is None:
        yield f"{_time(moment.at)}  {_happening(moment, is_piece=is_piece)}"
        return
    whom = choice.address
    what = ""
    if is_piece:
        together = [moment]
    else:
        whom = "it"
        pieces = sorted({each.piece for each in together if each.piece is not None})
        what = f" of {'piece' if len(pieces) == 1 else 'pieces'} {_listed(list(map(str, pieces)))}"
    blocks = count_text(sum(each.blocks for each in together), "block")
    waits = [each.choice.waited for each in together if each.choice is not None]
    known = [wait for wait in waits if wait is not None]
    took = f", which took {_seconds(max(known))}" if len(known) == len(waits) else ""
    yield f"{_time(moment.at)}  {_who(choice, header)} asked {whom} for {blocks}{what}{took}"
    for line in _reasons(choice):
        yield f"{'':>10}  {line}"


def _time(seconds: float) -> str:
    return f"{seconds:8.3f} s"


def _seconds(seconds: float) -> str:
    return f"{seconds * 1e3:.0f} ms" if seconds < 1 else duration_text(seconds)


def _who(choice: Choice | Decision, header: Header) -> str:
    match choice.by:
        case "strategy":
            return header.scheduler
        case "fallback":
            return f"the fallback, in the place of {header.scheduler} after too many faults,"
        case "host":
            return f"the host, since {header.scheduler} gave nothing to anybody,"
        case "endgame":
            return "the host (endgame)"


def _reasons(choice: Choice) -> Iterator[str]:
    """Yield in lines why this piece, and why this peer."""
    if choice.slow:
        late = ", ".join(
            f"{each.address} had owed {count_text(each.blocks, 'block')} for "
            f"{_seconds(each.seconds)}"
            for each in choice.slow
        )
        yield f"a second time, since {late}"
    if choice.by != "endgame":
        wanted = count_text(choice.wanted, "piece")
        nobody = f", {choice.unheld:,} of them had by nobody" if choice.unheld else ""
        rare = f"{choice.rarer:,} rarer, {choice.as_rare:,} as rare"
        had = f"{choice.holders} of {count_text(choice.peers, 'peer')} had it"
        begun = ", and it was begun" if choice.is_begun else ""
        yield f"{wanted} wanted{nobody}, {rare}; {had}{begun}"
    if choice.failures:
        yield f"it had failed its hash {_times(choice.failures)}, so one peer at a time is asked"
    others = [option for option in choice.options if option.peer != choice.peer]
    mine = [option for option in choice.options if option.peer == choice.peer]
    for option in mine:
        alone = "" if others or choice.busy else "; no other could be asked"
        yield f"{option.address} {_could(option)}{alone}"
    if others:
        could = [f"{each.address} ({_could(each)})" for each in others]
        yield f"it could have been {_listed(could)}"
    if choice.busy:
        busy = [f"{each.address} ({each.in_flight} in flight)" for each in choice.busy]
        yield f"no room, or not in turn: {_listed(busy)}"
    if choice.choking:
        yield f"{count_text(choice.choking, 'peer')} more had it, and choked us"
    for fault in choice.faults:
        yield f"dropped by the guard: the strategy {fault}"


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"


def _listed(items: Sequence[str]) -> str:
    shown = ", ".join(items[:_FEW])
    return shown if len(items) <= _FEW else f"{shown} and {len(items) - _FEW} more"


def _could(option: Option) -> str:
    rate = f"at {rate_text(option.rate)}" if option.rate >= 1 else "at a rate not yet known"
    return f"had room for {count_text(option.room, 'block')}, {option.in_flight} in flight, {rate}"


def _happening(moment: Moment, *, is_piece: bool) -> str:  # noqa: PLR0911, PLR0912  one a kind
    blocks = count_text(moment.blocks, "block")
    who = moment.address if is_piece else "it"
    of_it = "" if is_piece or moment.piece is None else f" of piece {moment.piece}"
    owing = f", with {blocks} in flight" if moment.blocks else ""
    match moment.what:
        case "arrived":
            return f"{blocks} had come from {who}"
        case "in vain":
            return f"{blocks}{of_it} came from {who} in vain"
        case "cancelled":
            return f"{who} was told that {blocks}{of_it} need not come"
        case "rejected":
            return f"{who} refused {blocks}{of_it}"
        case "withdrawn":
            return f"{blocks}{of_it} were not asked of {who} after all: it choked us"
        case "overdue":
            return f"{who} was overdue with {blocks}: others may be asked"
        case "verified":
            return "verified"
        case "failed":
            return f"failed its hash; its blocks were from {moment.text}"
        case "sent":
            return f"{blocks}{of_it} had been sent to {who}"
        case "joined":
            return "joined"
        case "named":
            return f"is {moment.text}"
        case "has":
            return f"has {count_text(moment.blocks, 'piece')}"
        case "unchoked":
            return f"{who} unchoked us"
        case "choked":
            return f"{who} choked us{owing}"
        case "left":
            return f"{who} left{owing}"
        case "banned":
            return "banned: it had sent wrong bytes"
        case "asked":
            return ""  # see _reasons


def _decision_lines(decision: Decision, header: Header) -> Iterator[str]:
    took = f", in {decision.took * 1e6:.0f} µs" if decision.took else ""
    asked = count_text(len(decision.choices), "request")
    yield f"{_time(decision.at)}  {_who(decision, header)} made {asked}{took}"
    if decision.by != "endgame":
        yield (
            f"{'':>10}  {count_text(decision.wanted, 'piece')} wanted; asked about "
            f"{count_text(len(decision.peers), 'peer')}"
        )
    for option in decision.peers:
        yield f"{'':>10}  {option.address} {_could(option)}"
    for fault in decision.faults:
        yield f"{'':>10}  dropped by the guard: the strategy {fault}"
    rows = [["piece", "blocks", "had by", "rarer", "peer", "because"]]
    rows += [
        [
            f"{choice.piece}",
            f"{choice.blocks}",
            f"{choice.holders} of {choice.peers}",
            f"{choice.rarer}",
            choice.address,
            _because(choice),
        ]
        for choice in decision.choices[:MOST_MOMENTS]
    ]
    yield from columns(rows, left={4, 5})
    if len(decision.choices) > MOST_MOMENTS:
        yield f"and {len(decision.choices) - MOST_MOMENTS:,} requests more, which --json prints"


def _because(choice: Choice) -> str:
    if choice.by == "endgame":
        late = [f"{each.address} for {_seconds(each.seconds)}" for each in choice.slow]
        return f"a second time: owed by {_listed(late)}" if late else "a second time"
    others = sum(option.peer != choice.peer for option in choice.options)
    if choice.failures:
        return "it failed its hash: one peer at a time"
    return f"{others} more could have" if others else "no other could be asked"


# The whole recording


def _summarize(reporter: Reporter, recording: Recording, file: Path) -> None:
    header = recording.header
    summary = summarize(recording)
    event = RecordingSummary(
        file=str(file),
        share_name=header.name,
        info_hash=header.info_hash,
        size=header.size,
        pieces=header.piece_count,
        scheduler=header.scheduler,
        cut_off=recording.cut_off,
        summary=msgspec.to_builtins(summary),
    )
    reporter.answer(event, "\n".join(_summary_lines(summary, header)))


def _summary_lines(summary: Summary, header: Header) -> Iterator[str]:
    how = "not complete when it ended"
    if summary.completed is not None:
        how = f"complete after {duration_text(summary.completed)}"
    yield (
        f"{header.name}: {size_text(header.size)} in {count_text(header.piece_count, 'piece')}, "
        f"by {header.scheduler}, {how}"
    )
    received = sum(peer.received for peer in summary.peers)
    yield from columns(
        [
            ["peer", "address", "client", "joined", "left", "pieces", "gave", "share", "in vain"],
            *(_peer_row(peer, received) for peer in summary.peers),
        ],
        left={1, 2},
    )
    total = sum(summary.decisions.values())
    made = ", ".join(
        f"{count:,} by {'the ' + by if by != 'strategy' else header.scheduler}"
        for by, count in summary.decisions.items()
    )
    each = summary.decision_seconds / max(1, total) * 1e6
    yield (
        f"{count_text(total, 'decision')} ({made or 'none'}), {each:.0f} µs each, "
        f"{summary.declined:,} gave nothing; {count_text(summary.requests, 'request')}"
    )
    yield (
        f"endgame: {count_text(summary.doubled, 'second request')}; "
        f"{summary.cancelled:,} cancelled; overdue: {_times_or_never(summary.overdue)}; failed "
        f"pieces: {summary.failed:,}"
    )
    for fault, count in summary.faults.items():
        yield f"fault, {_times(count)}: the strategy {fault}"
    if summary.waits:
        yield f"longest waits: {'; '.join(map(_wait, summary.waits))}"


def _times_or_never(count: int) -> str:
    return _times(count) if count else "never"


def _wait(wait: Wait) -> str:
    return f"piece {wait.piece} of {wait.address} {_seconds(wait.seconds)}"


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
