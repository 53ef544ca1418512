"""Pieces, peers and decisions of a recording, in plain words."""

from collections.abc import Iterator, Sequence

from trio_swarm.cli.output.text import columns, count_text
from trio_swarm.recording import Header
from trio_swarm.recording.story.explaining import Choice, Decision
from trio_swarm.recording.story.sentences import (
    could_text,
    listed,
    reason_lines,
    wait_text,
    who_text,
)
from trio_swarm.recording.story.telling import Moment

MOST_TOLD = 60
"""Moments of one story, or requests of one decision, that are printed; --json has all."""


def moment_lines(
    moment: Moment, together: Sequence[Moment], header: Header, *, is_piece: bool
) -> Iterator[str]:
    """Yield the lines of a moment in the story of a piece, else of a peer.

    `together` are all moments of one answer of a strategy, from this one on: in the story of a peer
    they are told at once.
    """
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
        what = f" of {'piece' if len(pieces) == 1 else 'pieces'} {listed(list(map(str, pieces)))}"
    blocks = count_text(sum(each.blocks for each in together), "block")
    waits = [each.choice.waited for each in together if each.choice is not None]
    known = [wait for wait in waits if wait is not None]
    took = f", which took {wait_text(max(known))}" if len(known) == len(waits) else ""
    who = who_text(choice, header.scheduler)
    yield f"{_time(moment.at)}  {who} asked {whom} for {blocks}{what}{took}"
    for line in reason_lines(choice):
        yield f"{'':>10}  {line}"


def _time(seconds: float) -> str:
    return f"{seconds:8.3f} s"


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
            return ""  # see reason_lines


def decision_lines(decision: Decision, header: Header) -> Iterator[str]:
    """Yield the lines about one decision, and a table of its requests."""
    took = f", in {decision.took * 1e6:.0f} µs" if decision.took else ""
    asked = count_text(len(decision.choices), "request")
    yield f"{_time(decision.at)}  {who_text(decision, header.scheduler)} made {asked}{took}"
    if decision.by != "endgame":
        yield (
            f"{'':>10}  {count_text(decision.wanted, 'piece')} wanted; asked about "
            f"{count_text(len(decision.peers), 'peer')}"
        )
    for option in decision.peers:
        yield f"{'':>10}  {option.address} {could_text(option)}"
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
        for choice in decision.choices[:MOST_TOLD]
    ]
    yield from columns(rows, left={4, 5})
    if len(decision.choices) > MOST_TOLD:
        more = count_text(len(decision.choices) - MOST_TOLD, "more request")
        yield f"and {more}, which --json prints"


def _because(choice: Choice) -> str:
    if choice.by == "endgame":
        late = [f"{each.address} for {wait_text(each.seconds)}" for each in choice.slow]
        return f"a second time: owed by {listed(late)}" if late else "a second time"
    others = sum(option.peer != choice.peer for option in choice.options)
    if choice.failures:
        return "it failed its hash: one peer at a time"
    return f"{others} more could have" if others else "no other could be asked"
