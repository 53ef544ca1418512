"""`trio-swarm explain FILE`: why a piece was asked of a peer, in words, from a recording."""

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import msgspec

from trio_swarm.cli.lab.explained import MOST_TOLD, decision_lines, moment_lines
from trio_swarm.cli.lab.explained_summary import summary_lines
from trio_swarm.cli.lab.recordings import open_recording
from trio_swarm.cli.output.json_events import ExplainedDecision, ExplainedMoment, RecordingSummary
from trio_swarm.cli.output.reporting import Reporter
from trio_swarm.cli.output.tables import width_of_terminal, wrapped
from trio_swarm.cli.output.text import count_text, size_text
from trio_swarm.errors import ConfigError
from trio_swarm.recording import Header, Recording
from trio_swarm.recording.story.explaining import tell_decision
from trio_swarm.recording.story.history import History
from trio_swarm.recording.story.sentences import FEW
from trio_swarm.recording.story.summary import summarize
from trio_swarm.recording.story.telling import Moment, tell_peer, tell_piece


def explain_recording(
    recording: Path,
    *,
    piece: int | None,
    peer: str | None,
    at: float | None,
    reporter: Reporter,
) -> None:
    """Tell from a recording what happened to a piece, with a peer, at a moment; else a summary.

    Raises ConfigError for more than one question, or one that the recording has no answer to.
    """
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


def _explain_piece(reporter: Reporter, recording: Recording, piece: int) -> None:
    count = recording.header.piece_count
    if not 0 <= piece < count:
        pieces = count_text(count, "piece")
        raise ConfigError(f"--piece: {piece} is none of {pieces}, counted from 0")
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
        addresses = dict.fromkeys(peer.address for peer in history.known.values())
        known = ", ".join(list(addresses)[:FEW])
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
    if not 0 <= at <= recording.seconds:  # NaN neither
        raise ConfigError(f"--at: the recording is from 0 to {recording.seconds:.3f} s")
    decision = tell_decision(recording, at)
    if decision is None:
        raise ConfigError(f"--at: nothing had been asked of anybody {at:g} s after the beginning")
    event = ExplainedDecision(at=decision.at, decision=msgspec.to_builtins(decision))
    reporter.answer(event, "\n".join(_fitted(decision_lines(decision, recording.header))))


def _tell(reporter: Reporter, moments: Sequence[Moment], header: Header, *, is_piece: bool) -> None:
    told = 0
    for index, moment in enumerate(moments):
        lines: list[str] = []
        if is_piece or not index or not _is_of_one_decision(moments[index - 1], moment):
            told += 1
            if told <= MOST_TOLD:
                together = _together(moments, index)
                lines = list(moment_lines(moment, together, header, is_piece=is_piece))
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
        reporter.answer(event, "\n".join(_fitted(lines)))
    if told > MOST_TOLD:
        more = count_text(told - MOST_TOLD, "more moment")
        reporter.say(f"and {more}, which --json prints")


def _fitted(lines: Iterable[str]) -> Iterator[str]:
    """Yield lines for the terminal: sentences go on below themselves."""
    width = width_of_terminal()
    for line in lines:
        yield from wrapped(line, width, indent=12)


def _is_of_one_decision(one: Moment, other: Moment) -> bool:
    """Whether both requests are of one decision: one line tells all of its requests to a peer."""
    if one.choice is None or other.choice is None:
        return False
    return (one.at, one.choice.by) == (other.at, other.choice.by)


def _together(moments: Sequence[Moment], index: int) -> Sequence[Moment]:
    end = index + 1
    while end < len(moments) and _is_of_one_decision(moments[index], moments[end]):
        end += 1
    return moments[index:end]


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
    lines = summary_lines(summary, header, width_of_terminal())
    reporter.answer(event, "\n".join(_fitted(lines)))
