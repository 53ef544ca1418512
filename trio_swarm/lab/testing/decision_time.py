"""The time of a decision in a large swarm, to be compared with others measured at the same time."""

import math
import random
import time
from collections.abc import Callable
from typing import Any

from msgspec.structs import replace

from trio_swarm.piece_sets import from_pieces, full_set
from trio_swarm.schedulers.api import (
    ChokePeerView,
    ChokeView,
    PeerView,
    SwarmView,
    UploadPeerView,
    UploadView,
)
from trio_swarm.schedulers.loading import Axis

PIECES = 10_000
PEERS = 50
CHOKED_PEERS = 200

_REPEATS = 5
_REPEAT_SECONDS = 0.02
"""Processor time of one repetition; the fastest one counts."""


def large_swarm_view(*, near_the_end: bool = False, piece_count: int = PIECES) -> SwarmView:
    """Return a view from the middle of a large download: of 50 peers, one has room for one block.

    200 of its pieces (also the least `piece_count`) are started if they are wanted.
    """
    rng = random.Random(1)
    held = [rng.getrandbits(piece_count) | rng.getrandbits(piece_count) for _ in range(PEERS)]
    rarity = [0] * (PEERS + 1)
    for piece in range(piece_count):
        rarity[sum(pieces >> piece & 1 for pieces in held)] |= 1 << piece
    wanted = full_set(piece_count) & ~rng.getrandbits(piece_count)
    begun = from_pieces(piece for piece in range(200) if wanted >> piece & 1)
    peers = [
        PeerView(key, pieces, 1 if key == 7 else 0, 20, 1e6 * (1 + key % 7), 0.02, is_seeder=False)
        for key, pieces in enumerate(held)
    ]
    return SwarmView(
        wanted=wanted,
        started=begun,
        free_blocks={piece: 7 for piece in range(200) if begun >> piece & 1},
        rarity=rarity,
        peers=[peer for peer in peers if peer.room],
        busy=[peer for peer in peers if not peer.room],
        piece_length=16 * 16384,
        block_length=16384,
        piece_count=piece_count,
        remaining=(1500 if near_the_end else wanted.bit_count() * 16) * 16384,
        now=0.0,
    )


def large_upload_view() -> UploadView:
    """Return the view of a seeder with 10,000 pieces and 50 leechers, soon after the start."""
    rng = random.Random(1)
    peers = []
    for key in range(PEERS):
        pieces = full_set(20) << 20 * key
        peers.append(
            UploadPeerView(
                key=key,
                pieces=pieces,
                is_seeder=False,
                interested=True,
                unchoked=True,
                uploaded=20 << 18,
                rate=1e6,
                revealed=pieces | full_set(4) << (5000 + 4 * key),
                queued=rng.choice([0, 1 << 18]),
                address=f"10.0.0.{key + 1}:6881",
            )
        )
    everything = full_set(PIECES)
    out = full_set(20 * PEERS)
    return UploadView(
        have=everything,
        sent=dict.fromkeys(range(20 * PEERS), 1 << 18),
        rarity=[everything & ~out, out, *[0] * (PEERS - 1)],
        peers=peers,
        piece_length=1 << 18,
        piece_count=PIECES,
        is_seeder=True,
        now=5.0,
        rate=5e7,
        uploaded=PEERS * 20 << 18,
    )


def large_choke_view() -> ChokeView:
    """Return the view of a leecher with 200 interested peers."""
    peers = [
        ChokePeerView(
            key=key,
            interested=True,
            unchoked=key < 8,
            unchoked_at=5.0 * key if key < 8 else None,
            waiting_since=None if key < 8 else float(key % 90),
            download_rate=1e4 * (key * 37 % 101),
            upload_rate=1e4 * (key * 53 % 101),
            uploaded=1 << 20,
            snubbed=False,
            joined_at=0.0,
        )
        for key in range(CHOKED_PEERS)
    ]
    return ChokeView(peers=peers, slots=8, is_seeder=False, now=100.0)


def decision_seconds(axis: Axis, factory: Callable[[], Any]) -> float:
    """Return the processor time of one decision in seconds: the fastest repetition.

    NaN if the strategy fails.
    """
    try:
        decide, decisions = _questions(axis, factory())
        decide()
    except Exception:  # noqa: BLE001  a strategy may raise anything
        return math.nan
    best = math.inf
    for _ in range(_REPEATS):
        rounds = 0
        started = now = time.process_time()
        while now - started < _REPEAT_SECONDS:
            decide()
            rounds += 1
            now = time.process_time()
        best = min(best, (now - started) / (rounds * decisions))
    return best


def _questions(axis: Axis, strategy: Any) -> tuple[Callable[[], object], int]:
    """Return a function that asks a strategy, and how many decisions one call makes."""
    rng = random.Random(2)
    if axis == "scheduler":
        swarm = large_swarm_view()
        return lambda: list(strategy.assign(swarm, rng)), 1
    if axis == "choker":
        choke = large_choke_view()
        return lambda: list(strategy.unchoke(choke, rng)), 1
    seeding = large_upload_view()

    def look() -> None:
        # A new view each time, because a strategy may plan for all peers once for each view.
        seen = replace(seeding)
        for peer in seen.peers:
            strategy.offer(seen, peer)

    return look, PEERS
