"""Nobody waits long for what a seeder hides, whatever others claim, take or leave unsaid.

Random swarms of one seeder, step by step: honest leechers, fast and slow, that know each other or
not; liars that claim pieces and take nothing; some that take everything and never tell; some that
want something and ask for nothing, or ask and take nothing. With each uploader of ours, and some
that hide more than they should.
"""

import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from served_leecher import Leecher
from trio_swarm.engine.download.ledger import Ledger
from trio_swarm.engine.guard import GuardedChoker, GuardedScheduler, GuardedUploader
from trio_swarm.engine.lengths import Lengths
from trio_swarm.engine.upload.serving import (
    CHOKE_ROUND,
    HIDING_LIMIT,
    REVEAL_INTERVAL,
    STEERING_INTERVAL,
)
from trio_swarm.engine.upload.uploads import Uploads
from trio_swarm.piece_sets import PieceSet, full_set, iterate, lowest
from trio_swarm.schedulers.api import Uploader, UploadPeerView, UploadRequest, UploadView
from trio_swarm.schedulers.choking.tit_for_tat import TitForTat
from trio_swarm.schedulers.rarest_first import RarestFirst
from trio_swarm.schedulers.uploading.first_copies_leecher import LONGEST_WAIT
from trio_swarm.schedulers.uploading.least_sent import LeastSent
from trio_swarm.schedulers.uploading.spread import Spread
from trio_swarm.schedulers.uploading.waiting_time import BUSY_SECONDS

PIECE = 16384
STEP = 0.05
"""Virtual seconds."""

UPLINK = 40
"""Pieces a second that the seeder can send."""

LOOKS = REVEAL_INTERVAL + STEERING_INTERVAL
"""Seconds between two looks at what is hidden, at most."""

Kind = Literal["honest", "liar", "mute", "idle", "stuck"]


class Hiding:
    """Shows the first `shown` pieces, for ever."""

    shown = 0

    def offer(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        del peer
        return view.have & full_set(self.shown)

    def order(
        self, view: UploadView, peer: UploadPeerView, requests: Sequence[UploadRequest]
    ) -> Sequence[UploadRequest]:
        del view, peer
        return requests


class HidingMost(Hiding):
    """Shows three pieces."""

    shown = 3


class SuperSeeding(Hiding):
    """Shows its next piece to whoever says that it has the last (BEP 16)."""

    def offer(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        lacking = view.have & ~peer.pieces
        return view.have & (peer.pieces | (lacking and 1 << lowest(lacking)))


class Dripping(Hiding):
    """Shows one piece more each second and a half."""

    def offer(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        return view.have & full_set(int((view.now - peer.joined_at) / 1.5))


@dataclass(frozen=True)
class Habits:
    """How one peer behaves."""

    kind: Kind
    speed: float = UPLINK
    """Pieces a second it takes."""
    claims: PieceSet = 0
    passes_on: float = 0.0
    """Pieces a second it gives to each that knows it."""
    knows: bool = False
    """It is connected to the other honest ones that know somebody."""
    joins_at: float = 0.0


class Guest(Leecher):
    """One peer as it is served."""

    def __init__(self, key: int, habits: Habits, joined_at: float, address: str) -> None:
        super().__init__(key, joined_at=joined_at, address=address)
        self.peer_interested = False
        self.habits = habits
        self.got: PieceSet = 0
        """What it really has."""
        self.asked: PieceSet = 0
        self.credit = 0.0
        self.passing = 0.0
        self.complete_at: float | None = None


class Swarm:
    """A seeder and its guests."""

    def __init__(
        self, count: int, uploader: Uploader, habits: Sequence[Habits], slots: int
    ) -> None:
        self.now = 100.0
        self.count = count
        self.every = full_set(count)
        self.ledger = Ledger(
            Lengths(length=count * PIECE, piece_length=PIECE),
            scheduler=GuardedScheduler(RarestFirst(), "scheduler", RarestFirst, lambda: 0.0),
            rng=random.Random(1),
            have=self.every,
            open_piece_limit=4,
        )
        self.uploads: Uploads[Guest] = Uploads(
            self.ledger,
            uploader=GuardedUploader(uploader, "uploader", lambda: 0.0),
            choker=GuardedChoker(TitForTat(), "choker"),
            rng=random.Random(1),
            slots=slots,
            own_number=1,
            changed=lambda _guest: None,
            sooner=lambda: None,
        )
        self.guests: list[Guest] = []
        self.to_come = sorted(habits, key=lambda each: each.joins_at)
        self.began_at = self.now
        self.chokes_at = self.now
        self.credit = 0.0

    def honest(self) -> Iterator[Guest]:
        return (each for each in self.guests if each.habits.kind == "honest")

    def step(self) -> None:
        """Let a moment pass."""
        self._let_in()
        for guest in self.guests:
            self._tell(guest)
            self._act(guest)
        if self.now >= self.chokes_at:
            self._choke()
        self._serve()
        self._pass_on()
        if self.now >= self.uploads.times.due_at:
            self.uploads.look(self.now)
        self.now += STEP

    def _let_in(self) -> None:
        while self.to_come and self.began_at + self.to_come[0].joins_at <= self.now:
            key = len(self.guests)
            guest = Guest(key, self.to_come.pop(0), self.now, f"10.0.0.{key}:1")
            self.guests.append(guest)
            self.ledger.add_peer(key, self.now, identity=guest.address)
            self.ledger.set_pieces(key, guest.habits.claims)
            self.uploads.join(guest)
            self.chokes_at = self.now

    def _tell(self, guest: Guest) -> None:
        if self.uploads.is_undecided(guest):
            self.uploads.offer(guest, self.now)
        offered = self.every if guest.offered is None else guest.offered
        assert not guest.told & ~offered, "took something back"
        guest.told = offered
        guest.am_choking = not guest.should_unchoke
        if guest.am_choking:
            guest.upload_queue = {}
            guest.asked &= guest.got

    def _act(self, guest: Guest) -> None:
        wants = guest.told & ~guest.got
        kind = guest.habits.kind
        is_interested = kind in {"idle", "liar"} or bool(wants)
        if is_interested != guest.peer_interested:
            guest.set_interest(is_interested, self.now)
            self.uploads.times.note_change()
            self.chokes_at = self.now
        if guest.am_choking or kind in {"idle", "liar"}:
            return
        queue = dict(guest.upload_queue)
        for piece in iterate(wants & ~guest.asked):
            if len(queue) >= 8:
                break
            queue[UploadRequest(piece, 0, PIECE)] = None
            guest.asked |= 1 << piece
        guest.upload_queue = queue

    def _choke(self) -> None:
        self.uploads.choke(self.now)
        self.chokes_at = self.now + CHOKE_ROUND

    def _serve(self) -> None:
        self.credit = min(self.credit + UPLINK * STEP, UPLINK * STEP + 1.0)
        for guest in self.guests:
            guest.credit = min(guest.credit + guest.habits.speed * STEP, 4.0)
            queue = self.uploads.order(guest, self.now)
            if queue is not None:
                guest.upload_queue = dict.fromkeys(queue)
        while self.credit >= 1.0:
            ready = [each for each in self.guests if each.upload_queue and each.credit >= 1.0]
            if not ready:
                return
            guest = max(ready, key=lambda each: each.credit)
            request = next(iter(guest.upload_queue))
            del guest.upload_queue[request]
            guest.credit -= 1.0
            self.credit -= 1.0
            guest.note_sent(PIECE, self.now)
            self.uploads.put_out(guest, [request], self.now)
            self._get(guest, request.piece)

    def _get(self, guest: Guest, piece: int) -> None:
        guest.got |= 1 << piece
        if guest.got == self.every and guest.complete_at is None:
            guest.complete_at = self.now
        if guest.habits.kind != "mute":
            self.ledger.add_piece(guest.key, piece)
            guest.wants_nothing = guest.got == self.every
            self.uploads.times.note_change()

    def _pass_on(self) -> None:
        knowing = [each for each in self.honest() if each.habits.knows]
        for giver in knowing:
            giver.passing = min(giver.passing + giver.habits.passes_on * STEP, 2.0)
            for taker in knowing:
                new = giver.got & ~taker.got
                if taker is not giver and new and giver.passing >= 1.0:
                    giver.passing -= 1.0
                    self._get(taker, lowest(new))

    def seconds_until_all_honest_are_complete(self, most: float) -> float:
        """Play until then, or for `most` seconds."""
        while self.to_come or any(each.complete_at is None for each in self.honest()):
            if self.now - self.began_at > most:
                break
            self.step()
        return self.now - self.began_at


@st.composite
def _habits(draw: st.DrawFn, count: int) -> Habits:
    kind: Kind = draw(st.sampled_from(["honest", "honest", "liar", "mute", "idle", "stuck"]))
    every = full_set(count)
    return Habits(
        kind,
        speed=0.0 if kind == "stuck" else draw(st.sampled_from([2.0, 8.0, 100.0])),
        claims=draw(st.integers(0, every)) if kind == "liar" else 0,
        passes_on=draw(st.sampled_from([0.0, 0.5, 4.0, 20.0])),
        knows=draw(st.booleans()),
        joins_at=draw(st.sampled_from([0.0, 0.0, 0.5, 3.0])),
    )


def _bound(habits: Sequence[Habits], count: int, slots: int, limit: float) -> float:
    """Return the seconds in which everybody must be complete: sent all by the seeder alone."""
    slowest = min(each.speed or math.inf for each in habits)
    sending = count / slowest + len(habits) * count / UPLINK
    waited = limit + BUSY_SECONDS + LOOKS + 2 * STEP
    last_to_come = max(each.joins_at for each in habits)
    # A slot is given up after 30 s at the next round, if somebody waits for it.
    waiting = 0.0
    if len(habits) > slots:
        turn = TitForTat().turn_seconds + CHOKE_ROUND
        turns = -(-len(habits) // slots) * turn
        waiting = turns * (1 + sending / TitForTat().minimum_seconds)
    return last_to_come + 2 * sending + 2 * waited + waiting + 1.0


BUILT_IN: list[Callable[[], Uploader]] = [Spread, lambda: Spread(hide=False), LeastSent]
HIDING: list[Callable[[], Uploader]] = [Hiding, HidingMost, SuperSeeding, Dripping]


@settings(max_examples=60)
@given(data=st.data(), count=st.integers(1, 60), slots=st.sampled_from([1, 3, 20]))
@pytest.mark.parametrize(
    ("uploader", "limit"),
    [(each, LONGEST_WAIT) for each in BUILT_IN] + [(each, HIDING_LIMIT) for each in HIDING],
    ids=["spread", "suggesting", "least-sent", "nothing", "three", "super-seeding", "dripping"],
)
def test_every_honest_leecher_gets_everything_in_time(
    uploader: Callable[[], Uploader], limit: float, data: st.DataObject, count: int, slots: int
) -> None:
    habits = data.draw(st.lists(_habits(count), min_size=1, max_size=8))
    most = _bound(habits, count, slots, limit)
    swarm = Swarm(count, uploader(), habits, slots)
    swarm.seconds_until_all_honest_are_complete(most)
    assert all(each.complete_at is not None for each in swarm.honest())


@pytest.mark.parametrize(("idle", "speed"), [(2, 8.0), (3, 2.0), (6, 100.0)])
def test_pieces_that_nobody_asks_for_are_not_handed_round_among_those_that_ask_for_nothing(
    idle: int, speed: float
) -> None:
    # They were, for ever: of 200 pieces the leecher got 39, 188 and 175.
    habits = [
        Habits("honest", speed=speed),
        *(Habits("idle", joins_at=0.5 * (n > 1)) for n in range(idle)),
    ]
    swarm = Swarm(200, Spread(), habits, 20)
    ideal = 200 / min(speed, UPLINK)
    assert swarm.seconds_until_all_honest_are_complete(1000.0) < 1.02 * ideal + 2.0


@pytest.mark.parametrize("uploader", [Spread, Hiding])
@pytest.mark.parametrize(
    "other",
    [
        Habits("liar", claims=full_set(1023)),
        Habits("liar", claims=full_set(1024) ^ 2),
        Habits("honest", speed=2.0),
        Habits("mute", speed=2.0),
        Habits("idle"),
        Habits("stuck", speed=0.0),
    ],
    ids=["claims all but the last", "claims all but one", "is slow", "is mute", "is idle", "stuck"],
)
def test_one_other_takes_no_more_than_a_moment_from_a_leecher(
    uploader: Callable[[], Uploader], other: Habits
) -> None:
    swarm = Swarm(1024, uploader(), [other, Habits("honest", speed=1000.0)], 8)
    alone = 1024 / UPLINK
    while len(swarm.guests) < 2 or swarm.guests[1].complete_at is None:
        swarm.step()
        assert swarm.now - swarm.began_at < alone * (UPLINK / (UPLINK - 2)) + 5.0
