"""The properties of a download strategy: one function checks one promise."""

import itertools
import random
from collections import Counter
from collections.abc import Iterator
from typing import Any

from hypothesis import strategies as st
from msgspec.structs import replace

from trio_swarm.lab.testing.common_properties import common_properties
from trio_swarm.lab.testing.decisions import Call, fresh
from trio_swarm.lab.testing.describing import describe, pieces_text
from trio_swarm.lab.testing.properties import Property, Subject, is_uniform
from trio_swarm.lab.testing.random_downloads import RandomDownload, downloads
from trio_swarm.lab.testing.views import BLOCK, rarity_of, swarm_views
from trio_swarm.piece_sets import PieceSet, from_pieces, full_set, iterate
from trio_swarm.schedulers.api import Assignment, PeerView, SwarmView

_SPARE_ASSIGNMENTS = 1000
"""Assignments beyond the blocks of room that a host reads before it takes a strategy for
endless."""

_SEEDS = st.integers(0, 2**32)
_DRAWS = 6000
"""First picks that are counted to check whether ties are broken uniformly."""


def scheduler_properties(*, fills_room: bool, uniform_ties: bool) -> list[Property]:
    """Return the properties of a scheduler; the arguments add promises that not all make."""
    anything = {"view": swarm_views(), "seed": _SEEDS}
    calls = st.builds(lambda view, seed: Call("assign", (view,), seed), swarm_views(), _SEEDS)
    properties = [
        Property(
            "returns_assignments_and_comes_to_an_end",
            "It returns Assignments of whole numbers, and a limited number of them.",
            returns_assignments_and_comes_to_an_end,
            anything,
        ),
        Property(
            "assigns_only_what_is_wanted_and_available",
            "It assigns only wanted pieces, each to a peer that can be asked for it.",
            assigns_only_what_is_wanted_and_available,
            anything,
        ),
        Property(
            "respects_room_and_free_blocks",
            "It assigns no peer more blocks than its room, and no piece more blocks than are free.",
            respects_room_and_free_blocks,
            anything,
        ),
        Property(
            "assigns_nothing_where_nothing_can_be_given",
            "Without peers, or with nothing wanted, it returns nothing and does not fail.",
            assigns_nothing_where_nothing_can_be_given,
            anything,
        ),
        Property(
            "leaves_no_lone_peer_idle",
            "If the only peer is idle and has a wanted piece, it is asked for a block.",
            leaves_no_lone_peer_idle,
            anything,
        ),
        *common_properties(st.lists(calls, min_size=1, max_size=3)),
        Property(
            "finishes_every_download_that_can_finish",
            "Peers may join, choke, fall silent and leave. If the others together have "
            "every piece, the download finishes, and the host need not assign.",
            finishes_every_download_that_can_finish,
            {"download": downloads()},
            is_long=True,
        ),
    ]
    if fills_room:
        properties.append(
            Property(
                "fills_all_room_that_can_be_filled",
                "No peer is left with room while a wanted block that it has is left.",
                fills_all_room_that_can_be_filled,
                anything,
            )
        )
    if uniform_ties:
        properties.append(
            Property(
                "breaks_ties_uniformly",
                "Among pieces alike each is picked first equally often.",
                breaks_ties_uniformly,
            )
        )
    return properties


def _assign(strategy: Any, view: SwarmView, seed: int) -> list[object]:
    """Return the assignments, cut off if they seem endless."""
    result = strategy.assign(fresh(view), random.Random(seed))
    return list(itertools.islice(result, _limit(view) + 1))


def _limit(view: SwarmView) -> int:
    return sum(peer.room for peer in view.peers) + _SPARE_ASSIGNMENTS


def _is_sound(item: object) -> bool:
    """Whether `item` is an assignment of whole numbers (True is not one, hence `type`)."""
    return (
        isinstance(item, Assignment)
        and type(item.peer) is int
        and type(item.piece) is int
        and (item.blocks is None or type(item.blocks) is int)
    )


def _sound(items: list[object]) -> Iterator[Assignment]:
    """Yield the sound assignments; another property checks the others."""
    for item in items:
        if isinstance(item, Assignment) and _is_sound(item):
            yield item


def returns_assignments_and_comes_to_an_end(subject: Subject, view: SwarmView, seed: int) -> None:
    """Check the type of each returned item, and their number."""
    __tracebackhide__ = True
    result: Any = subject.make().assign(fresh(view), random.Random(seed))
    try:
        items: Iterator[object] = iter(result)
    except TypeError:
        raise subject.broke(
            f"returned {result!r:.80}, which is not an iterable of Assignments", describe(view)
        ) from None
    for count, item in enumerate(items):
        if not _is_sound(item):
            raise subject.broke(
                f"returned {item!r:.80} instead of an Assignment of whole numbers", describe(view)
            )
        if count > _limit(view):
            raise subject.broke(
                f"returned more than {_limit(view)} assignments: it seems to be endless",
                describe(view),
            )


def assigns_only_what_is_wanted_and_available(subject: Subject, view: SwarmView, seed: int) -> None:
    """Check each piece and peer; ask twice, so that state kept from the first call counts."""
    __tracebackhide__ = True
    strategy = subject.make()
    for _ in range(2):
        for each in _sound(_assign(strategy, view, seed)):
            wrong = _wrong_place(view, each)
            if wrong:
                raise subject.broke(
                    f"gave piece {each.piece} to peer {each.peer}, {wrong}", describe(view)
                )


def _wrong_place(view: SwarmView, given: Assignment) -> str:
    peer = next((peer for peer in view.peers if peer.key == given.peer), None)
    if peer is None:
        is_busy = any(peer.key == given.peer for peer in view.busy)
        return "which is busy (view.busy)" if is_busy else "which is no peer of view.peers"
    if not 0 <= given.piece < view.piece_count:
        return f"but there are {view.piece_count} pieces"
    if not view.wanted >> given.piece & 1:
        return f"but wanted are only {pieces_text(view.wanted)}"
    if not peer.pieces >> given.piece & 1:
        return f"which can be asked only for {pieces_text(peer.pieces)}"
    return ""


def respects_room_and_free_blocks(subject: Subject, view: SwarmView, seed: int) -> None:
    """Count what is left after each assignment; ask twice, as above."""
    __tracebackhide__ = True
    strategy = subject.make()
    for _ in range(2):
        room = {peer.key: peer.room for peer in view.peers}
        free = {piece: view.blocks_of(piece) for piece in iterate(view.wanted)}
        for key, piece, blocks in _sound(_assign(strategy, view, seed)):
            if key not in room or piece not in free:
                continue  # another property checks it
            possible = min(room[key], free[piece])
            taken = possible if blocks is None else blocks
            if not 0 < taken <= possible:
                many = "blocks=None" if blocks is None else f"{blocks} blocks"
                raise subject.broke(
                    f"gave {many} of piece {piece} to peer {key}, when the peer had room for "
                    f"{room[key]} more and the piece {free[piece]} free blocks",
                    describe(view),
                )
            room[key] -= taken
            free[piece] -= taken


def assigns_nothing_where_nothing_can_be_given(
    subject: Subject, view: SwarmView, seed: int
) -> None:
    """Ask without peers, without wanted pieces, and without any room."""
    __tracebackhide__ = True
    busy = [replace(peer, room=0) for peer in (*view.peers, *view.busy)]
    for bare in (
        replace(view, peers=[], busy=[]),
        replace(view, peers=[], busy=busy),
        replace(view, wanted=0, started=0, free_blocks={}),
    ):
        given = _assign(subject.make(), bare, seed)
        if given:
            raise subject.broke(
                f"returned {given[0]} where there is nothing to give", describe(bare)
            )


def leaves_no_lone_peer_idle(subject: Subject, view: SwarmView, seed: int) -> None:
    """Ask about one peer alone, with nothing in flight, and check that it is asked for a block."""
    __tracebackhide__ = True
    for peer in view.peers[:1]:
        if not view.wanted & peer.pieces:
            continue
        peers = [replace(peer, in_flight=0)]
        rarity = rarity_of([peer.pieces], view.piece_count)
        alone = replace(view, peers=peers, busy=[], rarity=rarity)
        if not _assign(subject.make(), alone, seed):
            raise subject.broke(
                "assigned nothing, though the only peer is idle and has wanted pieces: nothing "
                "would ever be fetched",
                describe(alone),
            )


def fills_all_room_that_can_be_filled(subject: Subject, view: SwarmView, seed: int) -> None:
    """Check that no peer has room left for a free block that it could send."""
    __tracebackhide__ = True
    room = {peer.key: peer.room for peer in view.peers}
    free = {piece: view.blocks_of(piece) for piece in iterate(view.wanted)}
    for key, piece, blocks in _sound(_assign(subject.make(), view, seed)):
        if key in room and piece in free:
            most = min(room[key], free[piece])
            taken = most if blocks is None else max(0, min(blocks, most))
            room[key] -= taken
            free[piece] -= taken
    left = from_pieces(piece for piece, blocks in free.items() if blocks)
    for peer in view.peers:
        if room[peer.key] and left & peer.pieces:
            raise subject.broke(
                f"left peer {peer.key} with room for {room[peer.key]} blocks, while it could be "
                f"asked for {pieces_text(left & peer.pieces)}",
                describe(view),
            )


def breaks_ties_uniformly(subject: Subject) -> None:
    """Count first picks among equal pieces: all of 24, and 8 of them with gaps of all sizes.

    The seed is fixed, so that a strategy passes always or never. (Taking the lowest piece after a
    random rotation favours pieces that follow a gap.)
    """
    __tracebackhide__ = True
    for wanted in (full_set(24), from_pieces({0, 1, 2, 9, 20, 21, 22, 23})):
        view = _alike(wanted)
        rng = random.Random(20240501)
        picks: Counter[int] = Counter()
        for _ in range(_DRAWS):
            first = next(iter(subject.make().assign(view, rng)), None)
            if first is None:
                raise subject.broke("assigned nothing to a lone idle peer", describe(view))
            picks[first.piece] += 1
        if not is_uniform(picks, set(iterate(wanted))):
            counts = ", ".join(f"{piece}: {picks[piece]}" for piece in iterate(wanted))
            raise subject.broke(
                f"does not pick pieces alike equally often; of {_DRAWS} first picks each should "
                f"have about {_DRAWS // wanted.bit_count()}, and they have: {counts}",
                describe(view),
            )


def _alike(wanted: PieceSet) -> SwarmView:
    """Return a swarm of one peer in which all wanted pieces are equal."""
    count = 24
    peer = PeerView(1, full_set(count), 16, 0, 1e6, 0.02, is_seeder=True)
    return SwarmView(
        wanted=wanted,
        started=0,
        free_blocks={},
        rarity=[0, full_set(count)],
        peers=[peer],
        piece_length=16 * BLOCK,
        block_length=BLOCK,
        piece_count=count,
        remaining=wanted.bit_count() * 16 * BLOCK,
        now=0.0,
    )


def finishes_every_download_that_can_finish(subject: Subject, download: RandomDownload) -> None:
    """Play a download with a real ledger, in which the host does not help the strategy."""
    __tracebackhide__ = True
    outcome = download.play(subject.make())
    if outcome.faults:
        raise subject.broke(
            f"was replaced in the midst of a download: {outcome.faults[0]}", download.describe()
        )
    if outcome.finished_at is None:
        raise subject.broke(
            f"did not finish a download that can finish: after {outcome.seconds:.0f} s the pieces "
            f"{pieces_text(outcome.missing)} are missing",
            download.describe(),
        )
