"""How much to ask and to put out at a time, and how often to decide about uploads.

What real and simulated peers have in common.
"""

from typing import Final

from trio_swarm.engine.lengths import BLOCK_LENGTH

CHOKE_ROUND: Final = 10.0
"""Seconds between choke rounds (BEP 3, "Choking"); free slots are given out at once besides."""

CHOKE_PAUSE: Final = 0.5
"""Seconds between two decisions whom to unchoke for nothing but a change of interest, unless a slot
is free for a peer that waits: that is not kept waiting. A peer whose interest comes and goes costs
little then, and in a swarm such decisions were a quarter of the work."""

PEER_VIEWS_AGE: Final = 0.5
"""Seconds the uploader's view of the peers is kept while it only orders: building it is linear in
the peers."""

REVEAL_INTERVAL: Final = 0.02
"""Seconds between two looks at what else to reveal: a small part of what is revealed ahead."""

DRY_INTERVAL: Final = 0.002
"""Seconds between two such looks if nobody has anything left to ask of us."""

STEERING_INTERVAL: Final = 0.5
"""Seconds after which to look though nothing has happened: a peer may have fallen silent."""

HIDING_LIMIT: Final = 2.0
"""Seconds for which a peer may have nothing to ask for while pieces are kept from it, whatever the
uploader says: then it is shown everything, for good. Less than it takes to give a swarm up, and
longer than `spread` takes to see to it by itself."""

LARGE_BLOCK_SECONDS: Final = 0.05
"""A request is no larger than what its peer sends in this time, so that slow peers stay nimble."""

UPLOAD_BATCH: Final = 256 * 1024
"""Bytes of blocks put out before control messages get their turn again, at most."""

LEAST_AHEAD: Final = 64 * 1024
FIRST_AHEAD: Final = 64 * 1024
MOST_AHEAD: Final = 8 * 1024 * 1024
"""Limits to the bytes put out ahead of the link, and how many at first."""

AHEAD_SECONDS: Final = 0.05
"""For how long the link is busy with what is put out ahead of it: control messages wait so long,
and so does every leecher that would pass on the piece that a HAVE tells of."""


def request_size(rate: float, most: int) -> int:
    """Return how long requests to a peer are that sends `rate` bytes/s and accepts `most` bytes."""
    while most > BLOCK_LENGTH and most > rate * LARGE_BLOCK_SECONDS:
        most >>= 1
    return most


def bytes_ahead(rate: float, now_ahead: int) -> int:
    """Return how many bytes to put out ahead of a link that takes `rate` bytes/s (0.0: unknown).

    A power of two, and not another than `now_ahead` for little.
    """
    wanted = min(MOST_AHEAD, max(LEAST_AHEAD, int(rate * AHEAD_SECONDS))) if rate else FIRST_AHEAD
    return now_ahead if wanted <= now_ahead < 4 * wanted else 1 << wanted.bit_length()
