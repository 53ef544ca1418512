"""A large swarm in the middle of a download: what the speed of decisions is measured on."""

import random

from trio_swarm.piece_sets import from_pieces, full_set
from trio_swarm.schedulers.api import PeerView, SwarmView

PIECES = 10_000
PEERS = 50


def large_view(*, near_the_end: bool = False) -> SwarmView:
    rng = random.Random(1)
    held = [rng.getrandbits(PIECES) | rng.getrandbits(PIECES) for _ in range(PEERS)]
    rarity = [0] * (PEERS + 1)
    for piece in range(PIECES):
        rarity[sum(pieces >> piece & 1 for pieces in held)] |= 1 << piece
    wanted = full_set(PIECES) & ~rng.getrandbits(PIECES)
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
        piece_count=PIECES,
        remaining=(1500 if near_the_end else wanted.bit_count() * 16) * 16384,
        now=0.0,
    )
