"""Why a block was asked of a peer, in sentences: of recorded decisions, and of live ones."""

from collections.abc import Iterator, Sequence
from typing import Final

from trio_swarm.amounts import count_text, duration_text, rate_text
from trio_swarm.recording.story.explaining import Choice, Decision, PeerOption

FEW: Final = 4
"""Peers that are named where a sentence has them all."""


def wait_text(seconds: float) -> str:
    """Return how long somebody waited, to the millisecond below a second."""
    return f"{seconds * 1e3:.0f} ms" if seconds < 1 else duration_text(seconds)


def who_text(choice: Choice | Decision, scheduler: str) -> str:
    """Return who decided, where the strategy is called `scheduler`."""
    match choice.by:
        case "strategy":
            return scheduler
        case "fallback":
            return f"the fallback, in the place of {scheduler} after too many faults,"
        case "host":
            return f"the host, since {scheduler} gave nothing to anybody,"
        case "endgame":
            return "the host (endgame)"


def reason_lines(choice: Choice) -> Iterator[str]:
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
        yield f"{option.address} {could_text(option)}{alone}"
    if others:
        could = [f"{each.address} ({could_text(each)})" for each in others[:FEW]]
        yield f"it could have been {listed(could, len(others))}"
    if choice.busy:
        busy = [f"{each.address} ({each.in_flight} in flight)" for each in choice.busy[:FEW]]
        yield f"no room, or not in turn: {listed(busy, len(choice.busy))}"
    if choice.choking:
        yield f"{count_text(choice.choking, 'peer')} more had it, and choked us"
    for fault in choice.faults:
        yield f"dropped by the guard: the strategy {fault}"


def times_text(count: int) -> str:
    """Return how often something happened, for a sentence."""
    return "once" if count == 1 else f"{count} times"


def listed(items: Sequence[str], count: int | None = None) -> str:
    """Return the first FEW of `count` things (None: of these), and how many more there are."""
    count = len(items) if count is None else count
    shown = ", ".join(items[:FEW])
    return shown if count <= FEW else f"{shown} and {count - FEW} more"


def could_text(option: PeerOption) -> str:
    """Return what a peer had room for, and what was known of it."""
    rate = f"at {rate_text(option.rate)}" if option.rate >= 1 else "at a rate not yet known"
    return f"had room for {count_text(option.room, 'block')}, {option.in_flight} in flight, {rate}"
