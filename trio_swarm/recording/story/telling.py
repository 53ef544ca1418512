"""The story of one piece or one peer, from the beginning to the end of a recording."""

from collections.abc import Iterable, Iterator
from typing import Literal

from msgspec import Struct
from msgspec.structs import replace

from trio_swarm.engine.lengths import BlockRun
from trio_swarm.recording import records
from trio_swarm.recording.reader import Recording
from trio_swarm.recording.story.explaining import Choice, Story

What = Literal[
    "asked",
    "arrived",
    "in vain",
    "cancelled",
    "rejected",
    "withdrawn",
    "overdue",
    "verified",
    "failed",
    "sent",
    "joined",
    "named",
    "has",
    "unchoked",
    "choked",
    "left",
    "banned",
]


class Moment(Struct, frozen=True, kw_only=True):
    """One event of a piece or a peer."""

    at: float
    what: What
    piece: int | None = None
    peer: int | None = None
    address: str = ""
    blocks: int = 0
    text: str = ""
    """A stranger's words: the name of a program, addresses."""
    choice: Choice | None = None


def tell_piece(recording: Recording, piece: int) -> list[Moment]:
    """Return the events of a piece; blocks that arrived one after the other are one moment."""
    return list(_merged(_Teller(recording, piece=piece).tell()))


def tell_peer(recording: Recording, peer: int) -> list[Moment]:
    """Return the events of a peer, without its answers to requests, which `Choice` tells."""
    return list(_merged(_Teller(recording, peer=peer).tell()))


class _Teller:
    def __init__(
        self, recording: Recording, *, piece: int | None = None, peer: int | None = None
    ) -> None:
        self._piece = piece
        self._peer = peer
        self._story = Story(recording)

    def tell(self) -> Iterator[Moment]:
        """Yield the moments in order, not yet merged."""
        for event in self._story.events():
            if isinstance(event, records.Granted):
                yield from self._asked(event)
            else:
                yield from self._of_run(event)

    def _is_meant(self, peer: int, piece: int) -> bool:
        return peer == self._peer or piece == self._piece

    def _moment(
        self,
        event: records.Record,
        what: What,
        peer: int | None,
        run: BlockRun | None = None,
        *,
        text: str = "",
        blocks: int = 0,
    ) -> Moment:
        story = self._story
        if run is not None:
            blocks = story.history.lengths.blocks_between(*run).bit_count()
        return Moment(
            at=event.at / 1e6,
            what=what,
            piece=self._piece if run is None else run.piece,
            peer=peer,
            address="" if peer is None else story.address(peer),
            blocks=blocks,
            text=text,
        )

    def _asked(self, event: records.Granted) -> Iterator[Moment]:
        for index, (peer, run) in enumerate(event.grants):
            choice = self._story.choice(event, index) if self._is_meant(peer, run.piece) else None
            self._story.ask(event, index, choice)
            if choice is not None:
                yield Moment(
                    at=choice.at,
                    what="asked",
                    piece=run.piece,
                    peer=peer,
                    address=choice.address,
                    blocks=choice.blocks,
                    choice=choice,
                )

    def _of_run(self, event: records.Record) -> Iterator[Moment]:
        match event:
            case records.Cancelled():
                for peer, run in event.grants:
                    if self._is_meant(peer, run.piece):
                        yield self._moment(event, "cancelled", peer, run)
            case records.Arrived() | records.Rejected() | records.Withdrawn() | records.Sent():
                if self._is_meant(event.peer, event.piece):
                    what = _what_of(event)
                    if what != "arrived" or self._piece is not None:
                        run = BlockRun(event.piece, event.begin, event.length)
                        yield self._moment(event, what, event.peer, run)
            case records.Snubbed() | records.Left() | records.Choked():
                yield from self._ended(event)
            case records.Verified() | records.Failed():
                if event.piece == self._piece:
                    is_good = isinstance(event, records.Verified)
                    text = "" if isinstance(event, records.Verified) else ", ".join(event.senders)
                    yield self._moment(event, "verified" if is_good else "failed", None, text=text)
            case records.Banned():
                if self._peer is not None and self._story.address(self._peer) in event.addresses:
                    yield self._moment(event, "banned", self._peer)
            case _:
                yield from self._of_peer(event)

    def _ended(self, event: records.Snubbed | records.Left | records.Choked) -> Iterator[Moment]:
        """Yield a moment for an event that ends all requests to a peer, if it had any."""
        what: What = "overdue"
        if isinstance(event, records.Left):
            what = "left"
        elif isinstance(event, records.Choked):
            what = "choked"
        peer = self._story.history.known[event.peer]
        blocks = peer.blocks_in_flight
        if self._piece is not None:
            blocks = peer.in_flight.get(self._piece, 0).bit_count()
            if isinstance(event, records.Choked) and event.fast:
                blocks = 0  # each of them is still answered
        if event.peer == self._peer or (self._piece is not None and blocks):
            yield self._moment(event, what, event.peer, blocks=blocks)

    def _of_peer(self, event: records.Record) -> Iterator[Moment]:
        if self._peer is None or getattr(event, "peer", None) != self._peer:
            return
        match event:
            case records.Joined():
                # The wait is known only afterwards.
                yield Moment(
                    at=event.at / 1e6, what="joined", peer=event.peer, address=event.address
                )
            case records.Named() if event.client or event.uploads_only:
                words = [event.client, "a seeder" if event.uploads_only else ""]
                text = ", ".join(filter(None, words))
                yield self._moment(event, "named", event.peer, text=text)
            case records.Held():
                count = records.unpack(
                    event.pieces, self._story.history.lengths.piece_count
                ).bit_count()
                yield self._moment(event, "has", event.peer, blocks=count)
            case records.Unchoked():
                yield self._moment(event, "unchoked", event.peer)
            case _:
                pass


def _what_of(event: records.Arrived | records.Rejected | records.Withdrawn | records.Sent) -> What:
    match event:
        case records.Arrived():
            return "in vain" if event.again else "arrived"
        case records.Rejected():
            return "rejected"
        case records.Withdrawn():
            return "withdrawn"
        case records.Sent():
            return "sent"


def _merged(moments: Iterable[Moment]) -> Iterator[Moment]:
    """Yield the moments; adjacent arrivals or losses of blocks become one, the last."""
    held: Moment | None = None
    for moment in moments:
        if held is not None and not _is_more_of(held, moment):
            yield held
            held = None
        if moment.what in {"arrived", "in vain", "sent"}:
            blocks = moment.blocks + (0 if held is None else held.blocks)
            held = replace(moment, blocks=blocks)
        else:
            yield moment
    if held is not None:
        yield held


def _is_more_of(one: Moment, other: Moment) -> bool:
    return (one.what, one.peer) == (other.what, other.peer)
