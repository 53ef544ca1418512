"""Hypothesis strategies: any view of any swarm that a strategy can be asked about.

They draw all views that a host can make and more: empty swarms, peers without pieces, torrents of
one piece. A property that holds for all of them holds in a swarm.
"""

import itertools

from hypothesis import strategies as st

from trio_swarm.piece_sets import PieceSet, full_set, iterate
from trio_swarm.schedulers.api import (
    ChokePeerView,
    ChokeView,
    PeerView,
    SwarmView,
    UploadPeerView,
    UploadRequest,
    UploadView,
)

BLOCK = 16384

_RATES = st.one_of(st.just(0.0), st.floats(0.0, 1e9), st.sampled_from([1e5, 1e6]))
_LINKS = [
    (rate, rtt) for rate in (0.0, 0.3, 1e4, 1e5, 1e5 + 1, 1e6, 1e9) for rtt in (0.0, 0.01, 2.0)
]
"""(bytes/s, seconds); only a few, because drawing each number makes views slow."""
_LABELS: tuple[dict[str, str], ...] = (
    {},
    {"zone": "a"},
    {"zone": "b"},
    {"cost": "2.5"},
    {"cost": "nan"},
    {"rack": "r1"},
)
_MOST_BYTES = 10**9


def rarity_of(held: list[PieceSet], piece_count: int) -> list[PieceSet]:
    """Return the `rarity` of peers with these pieces: one set for each number of peers."""
    rarity = [0] * (len(held) + 1)
    for piece in range(piece_count):
        rarity[sum(pieces >> piece & 1 for pieces in held)] |= 1 << piece
    return rarity


def _piece_sets(piece_count: int) -> st.SearchStrategy[PieceSet]:
    everything = full_set(piece_count)
    return st.one_of(st.just(everything), st.just(0), st.integers(0, everything))


def _keys() -> st.SearchStrategy[list[int]]:
    return st.lists(st.integers(-5, 10**6), max_size=8, unique=True)


@st.composite
def swarm_views(draw: st.DrawFn) -> SwarmView:
    """Draw a view of a `Scheduler`: up to 40 pieces of up to 20 blocks, up to 8 peers."""
    count = draw(st.integers(1, 40))
    blocks = draw(st.integers(1, 20))
    sets = _piece_sets(count)
    everybody = [draw(_peer_views(key, sets, full_set(count))) for key in draw(_keys())]
    wanted = draw(sets)
    started = wanted & draw(sets) if blocks > 1 else 0
    free = itertools.cycle(
        draw(st.lists(st.integers(1, max(1, blocks - 1)), min_size=1, max_size=4))
    )
    return SwarmView(
        wanted=wanted,
        started=started,
        free_blocks={piece: next(free) for piece in iterate(started)},
        rarity=rarity_of([peer.pieces for peer in everybody], count),
        peers=[peer for peer in everybody if peer.room],
        busy=[peer for peer in everybody if not peer.room],
        piece_length=blocks * BLOCK,
        block_length=BLOCK,
        piece_count=count,
        remaining=draw(st.integers(0, wanted.bit_count() * blocks * BLOCK)),
        now=draw(st.floats(0, 1e6)),
        deadlines=draw(_deadlines(count)),
    )


def _deadlines(piece_count: int) -> st.SearchStrategy[dict[int, float]]:
    """Draw when readers want pieces; mostly nobody reads."""
    pieces = st.lists(st.integers(0, piece_count - 1), max_size=4, unique=True)
    some = pieces.map(lambda chosen: {piece: float(at) for at, piece in enumerate(chosen)})
    return st.one_of(st.just({}), some)


def _peer_views(
    key: int, sets: st.SearchStrategy[PieceSet], everything: PieceSet
) -> st.SearchStrategy[PeerView]:
    def view(  # noqa: PLR0917  the drawn values
        pieces: PieceSet,
        room: int,
        in_flight: int,
        link: tuple[float, float],
        labels: dict[str, str],
        suggested: PieceSet,
    ) -> PeerView:
        return PeerView(
            key=key,
            pieces=pieces,
            room=room,
            in_flight=in_flight,
            rate=link[0],
            rtt=link[1],
            is_seeder=pieces == everything,
            labels=labels,
            suggested=suggested & pieces,
        )

    return st.builds(
        view,
        sets,
        st.integers(0, 60),
        st.integers(0, 60),
        st.sampled_from(_LINKS),
        st.sampled_from(_LABELS),
        st.one_of(st.just(0), sets),
    )


@st.composite
def upload_views(draw: st.DrawFn) -> UploadView:
    """Draw a view of an `Uploader`: up to 40 pieces, up to 8 peers."""
    count = draw(st.integers(1, 40))
    sets = _piece_sets(count)
    have = draw(sets)
    piece_length = BLOCK * draw(st.integers(1, 16))
    peers: list[UploadPeerView] = []
    for key in draw(_keys()):
        pieces = draw(sets)
        peers.append(
            UploadPeerView(
                key=key,
                pieces=pieces,
                is_seeder=pieces == full_set(count),
                interested=draw(st.booleans()),
                unchoked=draw(st.booleans()),
                uploaded=draw(st.integers(0, _MOST_BYTES)),
                rate=draw(_RATES),
                revealed=have & draw(sets),
                queued=draw(st.sampled_from([0, BLOCK, 100 * BLOCK])),
                joined_at=draw(st.floats(0, 100)),
                address=f"10.0.0.{len(peers) + 1}:6881",
                takes_suggestions=draw(st.booleans()),
                suggested=have & draw(sets),
            )
        )
    return UploadView(
        have=have,
        sent=draw(st.dictionaries(st.integers(0, count - 1), st.integers(0, _MOST_BYTES))),
        rarity=rarity_of([peer.pieces for peer in peers], count),
        peers=peers,
        piece_length=piece_length,
        piece_count=count,
        is_seeder=have == full_set(count),
        now=draw(st.floats(100, 200)),
        rate=draw(_RATES),
        uploaded=draw(st.integers(0, _MOST_BYTES)),
        length=draw(st.sampled_from([0, count * piece_length - piece_length // 2])),
        own_number=draw(st.integers(0, 2**64 - 1)),
        delivered={
            peer.key: max(0, peer.uploaded - BLOCK * waiting)
            for peer in peers
            if (waiting := draw(st.sampled_from([0, 1, 100, None]))) is not None
        },
    )


def upload_requests(view: UploadView) -> st.SearchStrategy[list[UploadRequest]]:
    """Draw the requests of a peer: blocks of pieces we have, some perhaps twice."""
    pieces = list(iterate(view.have))
    if not pieces:
        return st.just([])
    begins = range(0, view.piece_length, BLOCK)
    return st.lists(
        st.builds(UploadRequest, st.sampled_from(pieces), st.sampled_from(begins), st.just(BLOCK))
    )


@st.composite
def choke_views(draw: st.DrawFn, *, with_riders: bool = True) -> ChokeView:
    """Draw a view of a `Choker`: up to 12 peers, 6 slots; without riders no peer chokes us."""
    peers = []
    for key in draw(st.lists(st.integers(0, 10**6), max_size=12, unique=True)):
        interested = draw(st.booleans())
        unchoked = draw(st.booleans())
        peers.append(
            ChokePeerView(
                key=key,
                interested=interested,
                unchoked=unchoked,
                unchoked_at=draw(st.floats(0, 100)) if unchoked else None,
                waiting_since=draw(st.floats(0, 100)) if interested and not unchoked else None,
                download_rate=draw(st.floats(0, 1e9)),
                upload_rate=draw(st.floats(0, 1e9)),
                uploaded=draw(st.integers(0, _MOST_BYTES)),
                snubbed=draw(st.booleans()),
                joined_at=draw(st.floats(0, 100)),
                is_interesting=with_riders and draw(st.booleans()),
                choking_us=with_riders and draw(st.booleans()),
                gave_at=draw(st.none() | st.floats(0, 100)) if with_riders else None,
            )
        )
    return ChokeView(
        peers=peers,
        slots=draw(st.integers(1, 6)),
        is_seeder=draw(st.booleans()),
        now=draw(st.floats(100, 200)),
    )
