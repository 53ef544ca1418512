"""Why a block was requested from a peer, found in a recording: facts, without words for people.

Times are seconds since the recording began, rates bytes/s, `begin` and `length` bytes.
"""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from trio_swarm.engine.download.ledger import Grant
from trio_swarm.recording import records
from trio_swarm.recording.reader import Recording
from trio_swarm.recording.story.history import History
from trio_swarm.recording.story.waiting import AwaitedBlocks, AwaitedRequests

By = Literal["strategy", "fallback", "host", "endgame"]
"""Who decided: see `records.Decider`; `endgame`: the host asked a second peer."""


class PeerOption(Struct, frozen=True, kw_only=True):
    """A peer that has the piece, when a decision was made."""

    peer: int
    address: str
    rate: float
    """Estimated download rate from it; 0.0 while unknown."""
    room: int
    """Blocks that it could be assigned."""
    in_flight: int
    """Blocks in flight from it already."""


class Slow(Struct, frozen=True, kw_only=True):
    """A peer that was asked for the same blocks before, and had not sent them."""

    peer: int
    address: str
    blocks: int
    seconds: float
    """Seconds since it was asked."""


class Choice(Struct, kw_only=True):
    """Blocks of a piece that were requested from a peer, and the reasons."""

    at: float
    peer: int
    address: str
    piece: int
    begin: int
    length: int
    blocks: int
    by: By
    wanted: int
    """Pieces with free blocks."""
    peers: int
    """Connected peers."""
    holders: int
    """Connected peers that have the piece."""
    unheld: int
    """Wanted pieces that no connected peer has."""
    rarer: int
    """Wanted pieces that fewer peers have than this one."""
    as_rare: int
    """Other wanted pieces that as many peers have."""
    options: list[PeerOption]
    """Peers with room that could be asked for the piece, including the chosen one."""
    busy: list[PeerOption]
    """Peers that have the piece and serve us, but had no room or were not in turn."""
    choking: int
    """Peers that have the piece and choke us."""
    is_begun: bool
    """Whether other blocks of the piece were requested before."""
    failures: int
    """How many times the piece had failed its hash."""
    slow: list[Slow]
    """For a second request: the peers that were asked before."""
    faults: list[str]
    """Faults that the guard found in the strategy's answer."""
    waited: float | None = None
    """Seconds until no block of it was awaited any more, for whatever reason; None if never."""


class Decision(Struct, frozen=True, kw_only=True):
    """One question to the strategy, and the blocks that were requested as a result."""

    at: float
    by: By
    took: float
    wanted: int
    peers: list[PeerOption]
    """The peers that the strategy was asked about."""
    faults: list[str]
    choices: list[Choice]


class Story:
    """Reads a recording once, and finds the decision behind each request."""

    def __init__(self, recording: Recording) -> None:
        self.history = History(recording.lengths)
        self.waiting: AwaitedRequests[Choice | None] = AwaitedRequests(recording.lengths, _settle)
        self._recording = recording
        self._pending: list[records.Decided] = []

    def events(self) -> Iterator[records.Record]:
        """Yield the events, each before it is applied to the history."""
        pending = self._pending
        for event in self._recording.events:
            if pending and event.at != pending[-1].at:
                pending.clear()  # it assigned nothing
            yield event
            self.history.apply(event)
            self.waiting.apply(event)
            if isinstance(event, records.Decided):
                pending.append(event)
            elif isinstance(event, records.Granted):
                pending.clear()

    def ask(self, event: records.Granted, index: int, choice: Choice | None) -> None:
        """Note that the blocks of grant `index` are awaited; `choice` is the reason for it."""
        key, run = event.grants[index]
        self.waiting.ask(key, run, event.at, choice)

    def address(self, key: int) -> str:
        """Return the address of a peer, by its key."""
        return self.history.known[key].address

    def choice(self, event: records.Granted, index: int) -> Choice:
        """Return why grant `index` of a `Granted` was requested; call it before that is applied."""
        history = self.history
        grant = event.grants[index]
        key, run = grant
        piece = run.piece
        is_second = index in event.seconds
        decision = None if is_second else self._decision_of(grant)
        holders = [peer for peer in history.peers.values() if peer.pieces >> piece & 1]
        options = [] if decision is None else self._options(decision, piece)
        offered = {option.peer for option in options}
        unheld, rarer, as_rare = history.rarer(piece)
        return Choice(
            at=event.at / 1e6,
            peer=key,
            address=self.address(key),
            piece=piece,
            begin=run.begin,
            length=run.length,
            blocks=history.lengths.blocks_between(*run).bit_count(),
            by="endgame" if decision is None else decision.by,
            wanted=history.wanted.bit_count(),
            peers=len(history.peers),
            holders=len(holders),
            unheld=unheld,
            rarer=rarer,
            as_rare=as_rare,
            options=options,
            busy=[
                PeerOption(
                    peer=peer.key,
                    address=peer.address,
                    rate=0.0,
                    room=0,
                    in_flight=peer.blocks_in_flight,
                )
                for peer in holders
                if peer.serves and peer.key not in offered and peer.key != key
            ],
            choking=sum(not peer.askable(piece) for peer in holders),
            is_begun=bool(history.begun >> piece & 1),
            failures=history.failed.get(piece, 0),
            slow=[
                Slow(
                    peer=ask.peer,
                    address=self.address(ask.peer),
                    blocks=ask.blocks.bit_count(),
                    seconds=(event.at - ask.at) / 1e6,
                )
                for ask in self.waiting.others(key, run)
            ],
            faults=[] if decision is None else decision.faults,
        )

    def decision(self, event: records.Granted, choices: list[Choice]) -> Decision:
        """Return the question that led to a `Granted`; call it before that is applied."""
        asked = self._pending[-1] if self._pending else None
        return Decision(
            at=event.at / 1e6,
            by="endgame" if asked is None else asked.by,
            took=0.0 if asked is None else asked.took / 1e6,
            wanted=self.history.wanted.bit_count(),
            peers=[] if asked is None else options_of(self.history, asked),
            faults=[fault for each in self._pending for fault in each.faults],
            choices=choices,
        )

    def _decision_of(self, grant: Grant) -> records.Decided | None:
        for decision in reversed(self._pending):
            if any(
                peer == grant.peer and piece == grant.run.piece
                for peer, piece, _ in decision.assigned
            ):
                return decision
        return None

    def _options(self, decision: records.Decided, piece: int) -> list[PeerOption]:
        peers = self.history.peers
        return [
            option
            for option in options_of(self.history, decision)
            if option.peer in peers and peers[option.peer].askable(piece)
        ]


def options_of(history: History, decision: records.Decided) -> list[PeerOption]:
    """Return the peers that a strategy was asked about."""
    return [
        PeerOption(
            peer=each.peer,
            address=history.known[each.peer].address,
            rate=float(each.rate),
            room=each.room,
            in_flight=each.in_flight,
        )
        for each in decision.peers
    ]


def _settle(ask: AwaitedBlocks[Choice | None], at: int) -> None:
    if ask.what is not None:
        ask.what.waited = (at - ask.at) / 1e6


def tell_decision(recording: Recording, at: float) -> Decision | None:
    """Return the last decision, at `at` seconds or before, with a request; None if none."""
    last: int | None = None
    for event in recording.events:
        if isinstance(event, records.Granted) and event.at / 1e6 <= at:
            last = event.at
    story = Story(recording)
    for event in story.events():
        if isinstance(event, records.Granted):
            choices = [
                story.choice(event, index) if event.at == last else None
                for index in range(len(event.grants))
            ]
            for index, choice in enumerate(choices):
                story.ask(event, index, choice)
            if event.at == last:
                found = story.decision(event, [each for each in choices if each is not None])
    return None if last is None else found
