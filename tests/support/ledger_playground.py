"""A look into a ledger: its pieces as text, and everything that must always hold, by counting."""

import math
from collections import defaultdict

from trio_swarm.engine.download.ledger import Ledger
from trio_swarm.engine.download.piece_states import PieceStates
from trio_swarm.piece_sets import PieceSet, full_set, iterate


def picture(ledger: Ledger, piece: int) -> str:
    """Return a piece as text, one sign a block.

    `.` wanted, `a`-`z` in flight from that peer (key 0 is a), `2` from two, `#` received; a piece
    verified is all `=`, one being verified all `?`.
    """
    count = ledger.lengths.block_count(piece)
    if ledger.have >> piece & 1:
        return "=" * count
    state = ledger._open.get(piece)
    if state is None:
        return "." * count
    if state.verifying:
        return "?" * count
    signs = []
    for block in range(count):
        bit = 1 << block
        if state.received & bit:
            signs.append("#")
            continue
        if state.free & bit:
            signs.append(".")
            continue
        keys = [
            source.key
            for source in ledger._sources.values()
            for ask in source.asks
            if ask.piece == piece and ask.blocks & bit
        ]
        signs.append(chr(ord("a") + keys[0]) if len(keys) == 1 else str(len(keys)))
    return "".join(signs)


def check(ledger: Ledger, born_with: PieceSet = 0) -> None:
    """Assert everything that must always hold, by counting; it began with `born_with`."""
    states = ledger._states
    lengths = ledger.lengths
    check_sets(states)
    requesters: dict[tuple[int, int], int] = defaultdict(int)
    for source in ledger._sources.values():
        asked = 0
        for ask in source.asks:
            assert ask.blocks
            assert source.pieces >> ask.piece & 1
            for block in iterate(ask.blocks):
                requesters[ask.piece, block] += 1
                asked += 1
        assert source.in_flight == asked
        assert not (source.banned and asked)
        assert source.idle_since == math.inf or not asked
    started = free_total = received = awaited = 0
    for piece, state in states.open.items():
        assert not state.free & state.received
        flying = state.full & ~state.free & ~state.received
        blocks = range(state.full.bit_length())
        assert sum(1 << b for b in blocks if requesters[piece, b]) == flying
        two = sum(1 << b for b in blocks if requesters[piece, b] == 2)
        assert state.doubled == two
        assert not two & ~state.contested
        assert state.verifying == (state.received == state.full)
        sent_by_all = 0
        for sent in state.senders().values():
            assert not sent_by_all & sent
            sent_by_all |= sent
        assert sent_by_all == state.received
        received += lengths.size_of(piece, state.received)
        if states.wanted >> piece & 1:
            awaited += lengths.size_of(piece, state.received)
        if state.free:
            started |= 1 << piece
            assert states.free_counts[piece] == state.free.bit_count()
            free_total += state.free.bit_count()
    assert all(count <= 2 for count in requesters.values())
    assert all(piece in states.open for piece, _ in requesters)
    assert states.started == started
    assert set(states.free_counts) == set(iterate(started))
    assert states.free_total == free_total
    missing = sum(lengths.piece_size(piece) for piece in iterate(states.wanted))
    assert states.remaining == missing - awaited
    verified = sum(map(lengths.piece_size, iterate(states.have & ~born_with)))
    assert ledger.received_bytes == verified + received + ledger.failed_bytes
    for n, held in enumerate(ledger.rarity):
        for piece in iterate(held):
            assert sum(s.pieces >> piece & 1 for s in ledger._sources.values()) == n
    assert sum(held.bit_count() for held in ledger.rarity) == lengths.piece_count
    check_nobody_is_forgotten(ledger)


def check_sets(states: PieceStates) -> None:
    """Assert that each piece is in the sets that it belongs to."""
    every = full_set(states.lengths.piece_count)
    assert not states.have & ~every
    assert not states.chosen & ~every
    assert states.wanted == states.chosen & ~states.have
    opened = sum(1 << piece for piece in states.open)
    assert states.untouched == states.wanted & ~opened
    verifying = sum(1 << piece for piece, state in states.open.items() if state.verifying)
    assert not opened & ~states.wanted & ~verifying
    assert len(states.open) <= states.open_limit


def check_nobody_is_forgotten(ledger: Ledger) -> None:
    """Assert that each peer that could be given blocks is one that the next plan looks at."""
    planner = ledger._planner
    waiting = planner.ready.keys() | planner._declined.keys()
    assignable = ledger._states.assignable()
    for key, source in ledger._sources.items():
        if source.room > 0 and source.in_flight <= source.low_water:
            assert key in waiting or key in planner.idle
            if planner._askable(source, assignable):
                assert key in waiting
