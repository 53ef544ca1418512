"""The best a swarm of equals can do, as a schedule: a reference that strategies are compared with.

N leechers and one seeder each send one whole piece a round, and take any number. No scheme brings M
pieces to all of them in fewer than M + ⌊log2 N⌋ rounds, and `schedule` needs no more (Mundinger,
Weber and Weiss, "Optimal scheduling of peer-to-peer file dissemination", 2008). It knows everything
and plans for all, so that real peers can only come near to it.

How: a new piece leaves the seeder each round. All that hold a piece send it, so that their number
doubles, while nobody holds two such pieces. With k = ⌊log2 N⌋ + 1, after k rounds a piece is with
2^(k-1) leechers, among whom are all that hold no younger piece, but for one; these send it to the
rest. When the last piece has left the seeder, it helps to double that.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple

from trio_swarm.lab.simulator.scenario import Scenario

SEEDER = 0
"""The seeder's number; leechers are 1 … N."""


class Transfer(NamedTuple):
    """One piece, sent whole in one round; pieces are 0 … M - 1."""

    sender: int
    receiver: int
    piece: int


def least_rounds(leechers: int, pieces: int) -> int:
    """Return in how many rounds all of one or more leechers can have all of one or more pieces."""
    if leechers < 1 or pieces < 1:
        raise ValueError("a swarm needs a leecher and a piece")
    return pieces + leechers.bit_length() - 1


def best_seconds(scenario: Scenario) -> float | None:
    """Return the least seconds for whole pieces; None where peers are not all equal.

    They are if there is one seeder, all have the same uplinks and unlimited downlinks, and come at
    the start. Pieces must be equal, too.
    """
    peers = scenario.peers
    first = peers[0]
    are_equal = all(
        peer.up == first.up < math.inf
        and peer.down == math.inf
        and peer.joins_at == 0.0
        and peer.role != "free-rider"
        for peer in peers
    )
    leechers = sum(peer.role == "leecher" for peer in peers)
    pieces, rest = divmod(scenario.size, scenario.piece_length)
    if not are_equal or not leechers or leechers != len(peers) - 1 or not pieces or rest:
        return None
    return least_rounds(leechers, pieces) * scenario.piece_length / first.up


def schedule(leechers: int, pieces: int) -> Iterator[list[Transfer]]:
    """Yield the transfers of each round, `least_rounds` of them.

    Who sends a piece has had it before the round, sends nothing else in it, and nobody is sent what
    he has. Raises ValueError if there is no leecher or no piece.
    """
    everybody = range(1, leechers + 1)
    ages = leechers.bit_length()
    holders: dict[int, list[int]] = {}
    for now in range(least_rounds(leechers, pieces)):
        young = [piece for piece in holders if now - piece < ages]
        busy = {peer for piece in young for peer in holders[piece]}
        idle = [peer for peer in everybody if peer not in busy]
        # The one that stops being young leaves its holders free to take another, if need be.
        leaving = now - ages + 1
        free = idle + holders.get(leaving, [])
        sent: list[Transfer] = []
        for piece in (*young, now):
            if piece == leaving and ages > 1:
                continue
            senders = _senders(holders, piece, now, pieces)
            sent += _send(piece, senders, free[: len(senders)])
            del free[: len(senders)]
        if leaving in holders and ages > 1:
            had = set(holders[leaving])
            still_idle = [peer for peer in free if peer not in had]
            others = [peer for peer in everybody if peer not in had and peer not in still_idle]
            senders = _senders(holders, leaving, now, pieces)
            sent += _send(leaving, senders, still_idle + others)
        oldest = now - ages
        if oldest in holders:
            had = set(holders.pop(oldest))
            senders = [peer for peer in idle if peer in had]
            sent += _send(oldest, senders, [peer for peer in everybody if peer not in had])
        for transfer in sent:
            if transfer.piece != oldest:
                holders.setdefault(transfer.piece, []).append(transfer.receiver)
        yield sent


def _senders(holders: dict[int, list[int]], piece: int, now: int, pieces: int) -> list[int]:
    """Return all that can send a young piece; the seeder sends the newest."""
    if piece >= pieces:
        return []
    senders = list(holders.get(piece, ()))
    return [SEEDER, *senders] if piece == min(now, pieces - 1) else senders


def _send(piece: int, senders: list[int], receivers: list[int]) -> list[Transfer]:
    return [
        Transfer(sender, receiver, piece)
        for sender, receiver in zip(senders, receivers, strict=False)
    ]
