"""Pieces, peers and decisions of a recording, in plain words."""

from collections.abc import Iterator, Sequence

from trio_swarm.cli.output.text import columns, count_text, duration_text, rate_text
from trio_swarm.recording import Header
from trio_swarm.recording.story.explaining import Choice, Decision, PeerOption
from trio_swarm.recording.story.telling import Moment

MOST_TOLD = 60
"""Moments of one story, or requests of one decision, that are printed; --json has all."""

FEW = 4
"""Peers that are named where a sentence has them all."""


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
        what = f" of {'piece' if len(pieces) == 1 else 'pieces'} {_listed(list(map(str, pieces)))}"
    blocks = count_text(sum(each.blocks for each in together), "block")
    waits = [each.choice.waited for each in together if each.choice is not None]
    known = [wait for wait in waits if wait is not None]
    took = f", which took {wait_text(max(known))}" if len(known) == len(waits) else ""
    yield f"{_time(moment.at)}  {_who(choice, header)} asked {whom} for {blocks}{what}{took}"
    for line in _reasons(choice):
        yield f"{'':>10}  {line}"


def _time(seconds: float) -> str:
    return f"{seconds:8.3f} s"


def wait_text(seconds: float) -> str:
    """Return how long somebody waited, to the millisecond below a second."""
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
            f"{wait_text(each.seconds)}"
            for each in choice.slow
        )
        yield f"a second time, since {late}"
    if choice.by != "endgame":
        wanted = count_text(choice.wanted, "piece")
        nobody = f", {choice.unheld:,} of them shown by nobody" if choice.unheld else ""
        rare = f"{choice.rarer:,} rarer, {choice.as_rare:,} as rare"
        had = f"{choice.holders} of {count_text(choice.peers, 'peer')} had it"
        begun = ", and it was begun" if choice.is_begun else ""
        yield f"{wanted} wanted{nobody}, {rare}; {had}{begun}"
    if choice.failures:
        failed = times_text(choice.failures)
        yield f"it had failed its hash {failed}, so one peer at a time is asked"
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


def times_text(count: int) -> str:
    """Return how often something happened, for a sentence."""
    return "once" if count == 1 else f"{count} times"


def _listed(items: Sequence[str]) -> str:
    shown = ", ".join(items[:FEW])
    return shown if len(items) <= FEW else f"{shown} and {len(items) - FEW} more"


def _could(option: PeerOption) -> str:
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


def decision_lines(decision: Decision, header: Header) -> Iterator[str]:
    """Yield the lines about one decision, and a table of its requests."""
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
        for choice in decision.choices[:MOST_TOLD]
    ]
    yield from columns(rows, left={4, 5})
    if len(decision.choices) > MOST_TOLD:
        more = count_text(len(decision.choices) - MOST_TOLD, "more request")
        yield f"and {more}, which --json prints"


def _because(choice: Choice) -> str:
    if choice.by == "endgame":
        late = [f"{each.address} for {wait_text(each.seconds)}" for each in choice.slow]
        return f"a second time: owed by {_listed(late)}" if late else "a second time"
    others = sum(option.peer != choice.peer for option in choice.options)
    if choice.failures:
        return "it failed its hash: one peer at a time"
    return f"{others} more could have" if others else "no other could be asked"
