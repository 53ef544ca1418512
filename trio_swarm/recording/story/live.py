"""The latest decisions of a download that goes on: why this piece was asked of that peer.

A record is kept while somebody looks at it, and for a while after that; then it switches itself
off, and planning costs what it did before.
"""

from collections import deque
from collections.abc import Sequence
from typing import Final

from msgspec import Struct

from trio_swarm.amounts import count_text
from trio_swarm.engine.download.ledger import Grant, Ledger
from trio_swarm.engine.download.outcomes import Asked
from trio_swarm.engine.download.source import Source
from trio_swarm.recording.story.explaining import By, Choice, PeerOption, Slow
from trio_swarm.recording.story.sentences import reason_lines, who_text
from trio_swarm.schedulers.rarity import Rarity

KEPT: Final = 300
"""Decisions that are kept, some hundred KiB: half a minute of a download at LEAST_PAUSE."""

LEAST_PAUSE: Final = 0.1
"""Seconds between two decisions that are told: nobody reads more. A fast download makes hundreds a
second, and each that is told costs some 50 µs for a request."""

TOLD_REQUESTS: Final = 8
"""Requests of one decision that are told; of the others only how many there are."""

LOOKED_FOR: Final = 30.0
"""Seconds after the last look for which decisions are still recorded: pages look every second."""


class ToldRequest(Struct, frozen=True, kw_only=True):
    """Blocks of a piece that were requested from a peer, and why."""

    piece: int
    blocks: int
    address: str
    text: str
    """Who asked whom for what, in one sentence."""
    reasons: Sequence[str]
    """Why this piece, and why this peer, a sentence each."""


class ToldDecision(Struct, frozen=True, kw_only=True):
    """One plan, and the requests that it led to."""

    number: int
    """From 1 on; those that were not told have none."""
    at: float
    """Seconds since 1970."""
    by: By
    scheduler: str
    took: float
    """Seconds that the strategy took for its answers."""
    wanted: int
    """Pieces with free blocks."""
    peers: int
    """Peers that the strategy was asked about."""
    requests: Sequence[ToldRequest]
    more: int
    """Requests beyond these."""
    faults: Sequence[str]
    """What the guard found wrong in the strategy's answers."""


class LiveDecisions:
    """The record of one download, a watcher of its ledger.

    `clock` is what makes seconds since 1970 of the ledger's times.
    """

    def __init__(self, ledger: Ledger, clock: float) -> None:
        self._ledger = ledger
        self._clock = clock
        self._kept: deque[ToldDecision] = deque(maxlen=KEPT)
        self._number = 0
        self._next_at = self._until = float("-inf")

    def look(self, since: int, limit: int, now: float) -> list[ToldDecision]:
        """Return the decisions after number `since`, the last `limit` of them; records go on.

        A number that none has yet is one of an earlier download of this torrent: then all are new.
        """
        if since > self._number:
            since = 0
        self._until = now + LOOKED_FOR
        self._ledger.watcher = self
        found = [decision for decision in self._kept if decision.number > since]
        return found[-limit:] if limit > 0 else []

    def wants(self, now: float) -> bool:
        """Whether the plan that is about to be made is told; switches the record off in time."""
        if now > self._until:
            self._ledger.watcher = None
            self._kept.clear()
            return False
        return now >= self._next_at

    def planned(self, asked: list[Asked], grants: list[Grant], now: float) -> None:
        """Tell of one plan."""
        self._next_at = now + LEAST_PAUSE
        self._number += 1
        latest = asked[-1] if asked else None
        plan = _Plan(self._ledger, asked, grants, now)
        self._kept.append(
            ToldDecision(
                number=self._number,
                at=self._clock + now,
                by="endgame" if latest is None else latest.by,
                scheduler=plan.scheduler,
                took=sum(each.took for each in asked),
                wanted=0 if latest is None else asked[0].view.wanted.bit_count(),
                peers=0 if latest is None else len(asked[0].view.peers),
                requests=[plan.told(grant) for grant in grants[:TOLD_REQUESTS]],
                more=max(0, len(grants) - TOLD_REQUESTS),
                faults=[fault for each in asked for fault in each.faults],
            )
        )


class _Plan:
    """One plan that was just made, and what was known when it was."""

    def __init__(
        self, ledger: Ledger, asked: Sequence[Asked], grants: Sequence[Grant], now: float
    ) -> None:
        self._ledger = ledger
        self._asked = asked
        self._now = now
        self._options: dict[int, list[tuple[PeerOption, int]]] = {}
        self._granted: dict[int, int] = {}  # blocks that each peer was asked for in this plan
        for key, run in grants:
            blocks = ledger.lengths.blocks_between(*run).bit_count()
            self._granted[key] = self._granted.get(key, 0) + blocks
        self.scheduler = asked[-1].name if asked else ""

    def told(self, grant: Grant) -> ToldRequest:
        """Return one of its requests in words."""
        choice = self._choice(grant)
        who = who_text(choice, self.scheduler)
        blocks = count_text(choice.blocks, "block")
        return ToldRequest(
            piece=choice.piece,
            blocks=choice.blocks,
            address=choice.address,
            text=f"{who} asked {choice.address} for {blocks} of piece {choice.piece}",
            reasons=list(reason_lines(choice)),
        )

    def _choice(self, grant: Grant) -> Choice:
        ledger = self._ledger
        key, run = grant
        piece = run.piece
        asked = None if ledger.is_doubled(run) else self._question_of(grant)
        options = [] if asked is None else self._options_for(asked, piece)
        offered = {option.peer for option in options}
        rarity = ledger.rarity if asked is None else asked.view.rarity
        assert isinstance(rarity, Rarity)
        wanted = ledger.wanted if asked is None else asked.view.wanted
        fewer, equal = rarity.split(rarity.holders_of(piece))
        nobody = rarity[0]
        others = wanted & ~(1 << piece)
        holders = [each for each in ledger.sources.values() if each.pieces >> piece & 1]
        return Choice(
            at=self._now,
            peer=key,
            address=ledger.source(key).identity,
            piece=piece,
            begin=run.begin,
            length=run.length,
            blocks=ledger.lengths.blocks_between(*run).bit_count(),
            by="endgame" if asked is None else asked.by,
            wanted=wanted.bit_count(),
            peers=len(rarity) - 1,
            holders=rarity.holders_of(piece),
            unheld=(nobody & others).bit_count(),
            rarer=(fewer & others & ~nobody).bit_count(),
            as_rare=(equal & others).bit_count(),
            options=options,
            busy=[
                PeerOption(
                    peer=each.key,
                    address=each.identity,
                    rate=0.0,
                    room=0,
                    in_flight=each.in_flight - self._granted.get(each.key, 0),
                )
                for each in holders
                if each.serves and each.key not in offered and each.key != key
            ],
            choking=sum(not each.askable() >> piece & 1 for each in holders),
            is_begun=asked is not None and bool(asked.view.started >> piece & 1),
            failures=ledger.failures(piece),
            slow=[] if asked is not None else self._slow(grant),
            faults=[] if asked is None else asked.faults,
        )

    def _question_of(self, grant: Grant) -> Asked | None:
        for asked in reversed(self._asked):
            if any(
                peer == grant.peer and piece == grant.run.piece for peer, piece, _ in asked.assigned
            ):
                return asked
        return None

    def _options_for(self, asked: Asked, piece: int) -> list[PeerOption]:
        options = self._options.get(id(asked))
        if options is None:
            sources = self._ledger.sources
            options = self._options[id(asked)] = [
                (
                    PeerOption(
                        peer=view.key,
                        address=sources[view.key].identity,
                        rate=view.rate,
                        room=view.room,
                        in_flight=view.in_flight,
                    ),
                    view.pieces,
                )
                for view in asked.view.peers
            ]
        return [option for option, pieces in options if pieces >> piece & 1]

    def _slow(self, grant: Grant) -> list[Slow]:
        """Return the other peers that owe the same blocks."""
        piece = grant.run.piece
        blocks = self._ledger.lengths.blocks_between(*grant.run)
        found = []
        for source in self._ledger.sources.values():
            owed, since = _owed(source, piece, blocks)
            if owed and source.key != grant.peer:
                found.append(
                    Slow(
                        peer=source.key,
                        address=source.identity,
                        blocks=owed.bit_count(),
                        seconds=self._now - since,
                    )
                )
        return found


def _owed(source: Source, piece: int, blocks: int) -> tuple[int, float]:
    """Return what a peer owes of its requests for any of some blocks, and since when."""
    asks = [ask for ask in source.asks if ask.piece == piece and ask.blocks & blocks]
    late = source.late.get(piece, 0) & blocks
    owed = late
    for ask in asks:
        owed |= ask.blocks
    since = [ask.at for ask in asks] + ([source.late_since] if late else [])
    return owed, min(since, default=0.0)
