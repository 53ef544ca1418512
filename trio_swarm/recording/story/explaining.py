"""Why something was asked of somebody, worked out from a recording: facts, and no words yet.

Times are seconds since the recording began, rates bytes/s, `begin` and `length` bytes.
"""

from collections.abc import Iterator
from typing import Literal

from msgspec import Struct

from trio_swarm.engine.download.ledger import Grant
from trio_swarm.recording import records as ev
from trio_swarm.recording.reader import Recording
from trio_swarm.recording.story.history import History
from trio_swarm.recording.story.waiting import Ask, Waiting

By = Literal["strategy", "fallback", "host", "endgame"]
"""Who chose: see `events.Decider`; `endgame`: the host asked a second peer."""


class Option(Struct, frozen=True, kw_only=True):
    """A peer that has the piece."""

    peer: int
    address: str
    rate: float
    """Estimated; 0.0 while unknown."""
    room: int
    """Blocks it could be given."""
    in_flight: int
    """Blocks it had to send before."""


class Slow(Struct, frozen=True, kw_only=True):
    """A peer that was asked for the same blocks, and had not sent them."""

    peer: int
    address: str
    blocks: int
    seconds: float
    """Since it was asked."""


class Choice(Struct, kw_only=True):
    """Blocks of a piece that were asked of a peer, and why."""

    at: float
    peer: int
    address: str
    piece: int
    begin: int
    length: int
    blocks: int
    by: By
    wanted: int
    """Pieces of which blocks could be given out."""
    peers: int
    """Connected."""
    holders: int
    """Of those, how many have the piece."""
    unheld: int
    """Wanted pieces that no connected peer has."""
    rarer: int
    """Wanted pieces that fewer peers have."""
    as_rare: int
    """Other wanted pieces that as many have."""
    options: list[Option]
    """Peers with room that could be asked for it, the chosen one included."""
    busy: list[Option]
    """Peers that have it and serve us, and had no room or were not in turn."""
    choking: int
    """Peers that have it, and choke us."""
    is_begun: bool
    """Other blocks of it were asked for before."""
    failures: int
    """How often it had failed its hash."""
    slow: list[Slow]
    """If it is a second request, of what peers it is the second."""
    faults: list[str]
    """What the guard found wrong in the answer it is from."""
    waited: float | None = None
    """Until nothing of it was awaited any more, however it ended; None if that was never."""


class Decision(Struct, frozen=True, kw_only=True):
    """One question to the strategy, and what came of it."""

    at: float
    by: By
    took: float
    wanted: int
    peers: list[Option]
    """Those it was asked about."""
    faults: list[str]
    choices: list[Choice]


class Story:
    """Goes through a recording once, and knows for each request which decision it is from."""

    def __init__(self, recording: Recording) -> None:
        self.history = History(recording.lengths)
        self.waiting: Waiting[Choice | None] = Waiting(recording.lengths, _settle)
        self._recording = recording
        self._pending: list[ev.Decided] = []

    def events(self) -> Iterator[ev.Record]:
        """Yield the events, each before it is applied."""
        pending = self._pending
        for event in self._recording.events:
            if pending and event.at != pending[-1].at:
                pending.clear()  # it gave nothing to anybody
            yield event
            self.history.apply(event)
            self.waiting.apply(event)
            if isinstance(event, ev.Decided):
                pending.append(event)
            elif isinstance(event, ev.Granted):
                pending.clear()

    def ask(self, event: ev.Granted, index: int, choice: Choice | None) -> None:
        """Await what was granted."""
        key, run = event.grants[index]
        self.waiting.ask(key, run, event.at, choice)

    def address(self, key: int) -> str:
        """Return where a peer was."""
        return self.history.known[key].address

    def choice(self, event: ev.Granted, index: int) -> Choice:
        """Return why something of a `Granted`, which is not applied yet, was asked."""
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
                Option(
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

    def decision(self, event: ev.Granted, choices: list[Choice]) -> Decision:
        """Return the question that a `Granted`, which is not applied yet, answers."""
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

    def _decision_of(self, grant: Grant) -> ev.Decided | None:
        for decision in reversed(self._pending):
            if any(
                peer == grant.peer and piece == grant.run.piece
                for peer, piece, _ in decision.assigned
            ):
                return decision
        return None

    def _options(self, decision: ev.Decided, piece: int) -> list[Option]:
        peers = self.history.peers
        return [
            option
            for option in options_of(self.history, decision)
            if option.peer in peers and peers[option.peer].askable(piece)
        ]


def options_of(history: History, decision: ev.Decided) -> list[Option]:
    """Return the peers that a strategy was asked about."""
    return [
        Option(
            peer=each.peer,
            address=history.known[each.peer].address,
            rate=float(each.rate),
            room=each.room,
            in_flight=each.in_flight,
        )
        for each in decision.peers
    ]


def _settle(ask: Ask[Choice | None], at: int) -> None:
    if ask.what is not None:
        ask.what.waited = (at - ask.at) / 1e6


def tell_decision(recording: Recording, at: float) -> Decision | None:
    """Return the latest time, `at` seconds at most, that something was asked; None if none was."""
    last: int | None = None
    for event in recording.events:
        if isinstance(event, ev.Granted) and event.at / 1e6 <= at:
            last = event.at
    story = Story(recording)
    for event in story.events():
        if isinstance(event, ev.Granted):
            choices = [
                story.choice(event, index) if event.at == last else None
                for index in range(len(event.grants))
            ]
            for index, choice in enumerate(choices):
                story.ask(event, index, choice)
            if event.at == last:
                found = story.decision(event, [each for each in choices if each is not None])
    return None if last is None else found
