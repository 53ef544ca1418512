"""Amounts and intervals of uploading, the same for real and simulated peers.

How much to request and to send at a time, and how often to decide about uploads.
"""

from typing import Final

from trio_swarm.engine.lengths import BLOCK_LENGTH

CHOKE_ROUND: Final = 10.0
"""Seconds between choke rounds (BEP 3, "choking"); free slots are also filled at once."""

CHOKE_PAUSE: Final = 0.5
"""Seconds between two decisions whom to unchoke for nothing but a change of interest, where many
peers are simulated: real ones decide at once, which there was a quarter of the work. A peer that
may have a free slot is not kept waiting by either."""

WELCOME: Final = 2.0
"""Seconds for which a peer that has just come counts as interested while slots are free. So it is
unchoked with the first message it hears, and its first blocks come a round trip sooner. As long as
any round trip; who says nothing until then has no use for a slot."""

PEER_VIEWS_AGE: Final = 0.5
"""Seconds for which an uploader that only orders requests gets the same views of the peers: making
them takes time for each peer."""

REVEAL_INTERVAL: Final = 0.02
"""Least seconds between two decisions what to reveal: a small part of what is revealed ahead."""

DRY_INTERVAL: Final = 0.002
"""Least seconds between two such decisions if no peer has any request left."""

STEERING_INTERVAL: Final = 0.5
"""Seconds after which to decide again without any change: a peer may have stopped requesting."""

HIDING_LIMIT: Final = 2.0
"""Seconds for which a peer may have nothing to request while pieces are hidden from it, whatever
the uploader decides; then all pieces are revealed to it for good. Less than the time after which
clients leave a swarm, and longer than `spread` itself allows."""

LARGE_BLOCK_SECONDS: Final = 0.05
"""A request is no larger than the bytes that its peer sends in these seconds, so that a slow peer
is not busy for long with one block."""

UPLOAD_BATCH: Final = 256 * 1024
"""Most bytes of blocks sent before control messages are sent again."""

LEAST_AHEAD: Final = BLOCK_LENGTH
FIRST_AHEAD: Final = 64 * 1024
MOST_AHEAD: Final = 8 * 1024 * 1024
"""Limits of the bytes that are handed to the link ahead, and the first value."""

AHEAD_SECONDS: Final = 0.05
"""Seconds for which the link is busy with bytes handed to it ahead. A control message waits this
long, and so does every leecher that wants to request the piece that a HAVE announces."""


def request_size(rate: float, most: int) -> int:
    """Return the length of a request to a peer with this rate (bytes/s), at most `most` bytes."""
    while most > BLOCK_LENGTH and most > rate * LARGE_BLOCK_SECONDS:
        most >>= 1
    return most


def bytes_ahead(rate: float, now_ahead: int) -> int:
    """Return the bytes to hand ahead to a link of `rate` bytes/s (0.0: unknown).

    It stays at `now_ahead` while the rate changes little.
    """
    wanted = min(MOST_AHEAD, max(LEAST_AHEAD, int(rate * AHEAD_SECONDS))) if rate else FIRST_AHEAD
    return now_ahead if wanted <= 1.5 * now_ahead <= 2.25 * wanted else wanted
