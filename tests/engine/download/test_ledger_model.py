"""The ledger against a naive model: any events, in any order, at any time."""

import math
import random
from collections import defaultdict
from collections.abc import Iterable

from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    RuleBasedStateMachine,
    consumes,
    initialize,
    invariant,
    precondition,
    rule,
)

from ledger_playground import check
from trio_swarm.engine.download.ledger import BlockOutcome
from trio_swarm.lab.testing.downloads import BLOCK, new_ledger
from trio_swarm.piece_sets import full_set, iterate
from trio_swarm.schedulers.api import Assignment, SwarmView

PIECES = 5
ALL = full_set(PIECES)

Block = tuple[int, int]


class Erratic:
    """Assigns anything that is allowed, or nothing, by the dice."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        for peer in view.peers:
            for piece in iterate(view.wanted & peer.pieces):
                if rng.random() < 0.5:
                    yield Assignment(peer.key, piece, rng.randint(1, 3))


class LedgerAgainstModel(RuleBasedStateMachine):
    """The model knows only what went over the wire: requests, cancels, blocks."""

    peers = Bundle("peers")

    @initialize(
        blocks=st.integers(1, 5),
        last_size=st.integers(1, 5 * BLOCK),
        limit=st.integers(1, PIECES),
        have=st.integers(0, ALL - 1),
        seed=st.integers(0, 99),
    )
    def begin(self, blocks: int, last_size: int, limit: int, have: int, seed: int) -> None:
        self.ledger = new_ledger(
            PIECES,
            blocks=blocks,
            last_size=min(last_size, blocks * BLOCK),
            strategy=Erratic(),
            open_piece_limit=limit,
            have=have,
            seed=seed,
        )
        self.born_with = have
        self.now = 1.0
        self.next_key = 0
        self.pieces: dict[int, int] = {}
        self.choked: dict[int, bool] = {}
        self.allowed: dict[int, int] = {}
        self.taken_back: dict[int, int] = {}  # pieces that a peer said it has no longer
        self.asked: dict[int, set[Block]] = {}  # requests on the wire, not yet answered
        self.arrived: dict[Block, int] = {}  # who sent the block that is kept
        self.verifying: set[int] = set()
        self.kept = 0
        self.dropped = 0

    # Events

    @rule(target=peers, pieces=st.one_of(st.just(ALL), st.integers(0, ALL)), who=st.integers(0, 3))
    def joins(self, pieces: int, who: int) -> int:
        key = self.next_key
        self.next_key += 1
        self.ledger.add_peer(key, self.now, identity=f"host {who}")
        self.ledger.set_pieces(key, pieces)
        self.pieces[key] = pieces
        self.choked[key] = True
        self.allowed[key] = 0
        self.asked[key] = set()
        self.taken_back[key] = 0
        return key

    @rule(key=consumes(peers))
    def leaves(self, key: int) -> None:
        self.ledger.remove_peer(key)
        del self.asked[key], self.pieces[key], self.choked[key]

    @rule(key=peers, piece=st.integers(0, PIECES - 1))
    def has(self, key: int, piece: int) -> None:
        self.ledger.add_piece(key, piece)
        self.pieces[key] |= 1 << piece

    @rule(key=peers, piece=st.integers(0, PIECES - 1))
    def takes_back(self, key: int, piece: int) -> None:
        self.ledger.take_back(key, 1 << piece)
        self.taken_back[key] |= self.pieces[key] & 1 << piece
        self.pieces[key] &= ~(1 << piece)
        assert not any(ask.piece == piece for ask in self.ledger.source(key).asks)

    @rule(key=peers, pieces=st.integers(0, ALL))
    def replaces_its_pieces(self, key: int, pieces: int) -> None:
        self.ledger.set_pieces(key, pieces)
        self.pieces[key] = pieces

    @rule(key=peers, choked=st.booleans(), fast=st.booleans())
    def chokes(self, key: int, choked: bool, fast: bool) -> None:  # noqa: FBT001  drawn
        self.ledger.set_choked(key, choked, fast=fast)
        self.choked[key] = choked

    @rule(key=peers)
    def unchokes(self, key: int) -> None:
        self.chokes(key, choked=False, fast=True)

    @rule(key=peers, piece=st.integers(0, PIECES - 1))
    def allows_fast(self, key: int, piece: int) -> None:
        self.ledger.allow_fast(key, piece)
        self.allowed[key] |= 1 << piece

    @rule(key=peers, limit=st.integers(-1, 40))
    def announces_its_queue(self, key: int, limit: int) -> None:
        self.ledger.set_queue_limit(key, limit)

    @rule(key=peers, data=st.data(), many=st.integers(1, 12))
    def sends(self, key: int, data: st.DataObject, many: int) -> None:
        for _ in range(many):
            waiting = sorted(self.asked[key])
            if not waiting:
                return
            piece, block = data.draw(st.sampled_from(waiting)) if many == 1 else waiting[0]
            self.asked[key].discard((piece, block))
            size = self.ledger.lengths.block_size(piece, block)
            before = self.ledger.received_bytes
            outcome = self.ledger.received(key, piece, block * BLOCK, size, self.now)
            assert outcome is not BlockOutcome.UNREQUESTED
            if outcome is BlockOutcome.DUPLICATE:
                assert self.ledger.received_bytes == before
                self.dropped += size
            else:
                assert self.ledger.received_bytes == before + size
                self.kept += size
                self.arrived[piece, block] = key
            count = self.ledger.lengths.block_count(piece)
            if outcome is BlockOutcome.COMPLETED:
                assert all((piece, n) in self.arrived for n in range(count))
                assert piece not in self.verifying
                self.verifying.add(piece)

    @rule(key=peers, piece=st.integers(-1, PIECES), begin=st.integers(-1, 6 * BLOCK))
    def sends_what_was_not_asked(self, key: int, piece: int, begin: int) -> None:
        if (piece, begin // BLOCK) not in self.asked[key]:
            outcome = self.ledger.received(key, piece, begin, BLOCK, self.now)
            assert outcome in {BlockOutcome.UNREQUESTED, BlockOutcome.DUPLICATE}

    @rule(key=peers, data=st.data())
    def rejects(self, key: int, data: st.DataObject) -> None:
        waiting = sorted(self.asked[key])
        if waiting:
            piece, block = data.draw(st.sampled_from(waiting))
            self.asked[key].discard((piece, block))
            size = self.ledger.lengths.block_size(piece, block)
            assert self.ledger.rejected(key, piece, block * BLOCK, size, self.now)

    @precondition(lambda self: self.verifying)
    @rule(data=st.data(), passes=st.booleans())
    def is_hashed(self, data: st.DataObject, passes: bool) -> None:  # noqa: FBT001  drawn
        piece = data.draw(st.sampled_from(sorted(self.verifying)))
        self.verifying.discard(piece)
        count = self.ledger.lengths.block_count(piece)
        digests = [b"good"] * count
        if passes:
            banned = self.ledger.verified(piece, digests)
        else:
            bad = data.draw(st.integers(0, count - 1))
            digests[bad] = b"bad"
            if data.draw(st.booleans()):
                banned = self.ledger.failed(piece, digests)
                for block in range(count):
                    del self.arrived[piece, block]
            else:
                banned = self.ledger.failed_blocks(piece, 1 << bad)
                del self.arrived[piece, bad]
        assert len(banned) == len(set(banned))

    @rule(chosen=st.integers(0, ALL))
    def chooses(self, chosen: int) -> None:
        open_before = set(self.ledger._open)
        self.ledger.choose(chosen, self.now)
        assert self.ledger.chosen == chosen
        for piece in open_before - set(self.ledger._open):
            assert not chosen >> piece & 1
            self.arrived = {at: key for at, key in self.arrived.items() if at[0] != piece}
        for piece, state in self.ledger._open.items():
            assert state.verifying or chosen >> piece & 1

    @rule(seconds=st.sampled_from([0.0, 0.01, 0.3, 2.0, 7.0, 40.0]))
    def passes_time(self, seconds: float) -> None:
        self.now += seconds
        self.ledger.expire(self.now)

    @rule()
    def waits_until_something_is_due(self) -> None:
        due = self.ledger.next_deadline()
        if due < math.inf:
            self.now = max(self.now, due)
            self.ledger.expire(self.now)
            self.plans()
            assert self.ledger.next_deadline() > self.now

    @rule()
    def plans(self) -> None:
        ledger = self.ledger
        requested: dict[Block, int] = defaultdict(int)
        for key, (piece, begin, length) in ledger.plan(self.now):
            assert length > 0
            assert self.pieces[key] >> piece & 1, "asked of a peer that lacks it"
            assert not self.choked[key] or self.allowed[key] >> piece & 1, "asked while choked"
            assert not ledger.have >> piece & 1
            assert ledger.chosen >> piece & 1, "asked for what nobody wants"
            assert piece not in self.verifying
            blocks = ledger.lengths.blocks_between(piece, begin, length)
            assert blocks
            for block in iterate(blocks):
                requested[piece, block] += 1
                self.asked[key].add((piece, block))
        assert all(count <= 2 for count in requested.values())
        for key, (piece, begin, length) in ledger.take_cancels():
            assert ledger.lengths.blocks_between(piece, begin, length)
            # It may have said meanwhile that it has the piece no longer.
            assert key not in self.asked or (self.pieces[key] | self.taken_back[key]) >> piece & 1
        ledger.take_abandoned()

    # What always holds

    @invariant()
    def the_books_balance(self) -> None:
        if hasattr(self, "ledger"):
            check(self.ledger, self.born_with)
            assert self.ledger.received_bytes == self.kept
            assert self.ledger.duplicate_bytes >= self.dropped
            assert {p for p, s in self.ledger._open.items() if s.verifying} == self.verifying


TestLedgerAgainstModel = LedgerAgainstModel.TestCase
