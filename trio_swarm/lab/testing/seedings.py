"""A seeder and its leechers, step by step, to test the decisions of an uploader."""

import math
from collections import Counter

from trio_swarm.engine.guard import weight_from
from trio_swarm.lab.testing.describing import pieces_text
from trio_swarm.lab.testing.views import rarity_of
from trio_swarm.piece_sets import PieceSet, full_set, iterate
from trio_swarm.schedulers.api import Uploader, UploadPeerView, UploadView
from trio_swarm.schedulers.uploading.spread import Spread

PIECE = 262144
STEP = 0.02
"""Virtual seconds of one step."""

MOST_STEPS = 5000
"""Steps (100 virtual seconds) after which a swarm counts as stuck: many times what any needs
here."""


class SeedingError(AssertionError):
    """The uploader broke its contract; the text says how."""


class TakenBackError(SeedingError):
    """The uploader hid a piece again that it had revealed."""


class WeightError(SeedingError):
    """The uploader gave a peer a weight that is none."""


def checked_weights(strategy: Uploader, view: UploadView) -> dict[int, float]:
    """Return the weight of each peer, 1 if the uploader does not weigh; may raise `WeightError`."""
    ask = getattr(strategy, "weight", None)
    if ask is None:
        return dict.fromkeys((peer.key for peer in view.peers), 1.0)
    weights: dict[int, float] = {}
    for peer in view.peers:
        answer: object = ask(view, peer)
        weight = weight_from(answer)
        if weight is None:
            raise WeightError(
                f"gave peer {peer.key} the weight {answer!r:.50}, which is not a finite number of "
                "0 or more"
            )
        weights[peer.key] = weight
    if math.isinf(sum(weights.values())):
        raise WeightError(f"gave the weights {weights!r:.200}, whose sum is not finite")
    return weights


class Leecher:
    """One leecher as a seeder sees it."""

    def __init__(self, key: int) -> None:
        self.key = key
        self.pieces: PieceSet = 0
        self.revealed: PieceSet = 0
        self.uploaded = 0
        self.queued = 0
        self.undelivered = 0
        self.unchoked = True
        self.interested = True
        self.is_seeder = False


class Seeding:
    """A seeder's torrent: applies the uploader's decisions, and counts the bytes sent."""

    def __init__(
        self, leechers: int, *, count: int = 60, number: int = 0, strategy: Uploader | None = None
    ) -> None:
        self.strategy: Uploader = Spread() if strategy is None else strategy
        self.count = count
        self.number = number
        self.have = full_set(count)
        self.is_seeder = True
        self.now = 0.0
        self.rate = 0.0
        self.uploaded = 0
        self.sent: dict[int, int] = {}
        self.leechers = {key: Leecher(key) for key in range(1, leechers + 1)}

    def view(self) -> UploadView:
        """Return the seeder's present view."""
        peers = [
            UploadPeerView(
                key=each.key,
                pieces=each.pieces,
                is_seeder=each.is_seeder,
                interested=each.interested,
                unchoked=each.unchoked,
                uploaded=each.uploaded,
                rate=self.rate / max(1, len(self.leechers)),
                revealed=each.revealed,
                queued=each.queued,
                address=f"10.0.0.{each.key}:6881",
            )
            for each in self.leechers.values()
        ]
        return UploadView(
            have=self.have,
            sent=self.sent,
            rarity=rarity_of([peer.pieces for peer in peers], self.count),
            peers=peers,
            piece_length=PIECE,
            piece_count=self.count,
            is_seeder=self.is_seeder,
            now=self.now,
            rate=self.rate,
            uploaded=self.uploaded,
            own_number=self.number,
            delivered={
                key: each.uploaded - each.undelivered for key, each in self.leechers.items()
            },
        )

    def look(self) -> dict[int, PieceSet]:
        """Ask for all decisions once, carry them out, and return what each leecher is revealed."""
        view = self.view()
        for peer in view.peers:
            leecher = self.leechers[peer.key]
            offered = self.strategy.offer(view, peer)
            offered = self.have if offered is None else offered
            beyond, back = offered & ~self.have, leecher.revealed & ~offered
            if beyond:
                raise SeedingError(f"revealed {pieces_text(beyond)}, which we do not have")
            if back:
                raise TakenBackError(
                    f"hid {pieces_text(back)} again, which it had revealed to peer {peer.key}"
                )
            leecher.revealed = offered
        checked_weights(self.strategy, view)
        return {key: each.revealed for key, each in self.leechers.items()}

    def send(self, key: int, piece: int, length: int = PIECE) -> None:
        """Send bytes of a piece to a leecher to which the piece is revealed."""
        assert self.leechers[key].revealed >> piece & 1
        self.sent[piece] = self.sent.get(piece, 0) + length
        self.uploaded += length
        self.leechers[key].uploaded += length

    def wants(self, key: int) -> list[int]:
        """Return the pieces that a leecher would request, in order."""
        leecher = self.leechers[key]
        return list(iterate(leecher.revealed & ~leecher.pieces))

    @property
    def copies(self) -> float:
        """Bytes sent, in copies of the torrent."""
        return sum(self.sent.values()) / (self.count * PIECE)


class SteppedSwarm:
    """Plays a swarm: the seeder sends `speed` pieces a step, leecher i passes on `passes[i]`."""

    def __init__(self, seeding: Seeding, speed: float, passes: dict[int, float]) -> None:
        self.seeding = seeding
        self.speed = speed
        self.passes = passes
        self.credit = dict.fromkeys([0, *passes], 0.0)
        self.turn = 0
        self.idle = 0
        """Steps in which the seeder could have sent more, but no leecher had anything to
        request."""
        seeding.rate = speed * PIECE / STEP

    def step(self) -> bool:
        """Play one step; return whether every leecher is complete."""
        seeding = self.seeding
        seeding.look()
        self.credit[0] += self.speed
        keys = list(seeding.leechers)
        while self.credit[0] >= 1.0:
            wanting = [key for key in keys if seeding.wants(key)]
            if not wanting:
                self.idle += 1
                self.credit[0] = 0.0
                break
            key = wanting[self.turn % len(wanting)]
            self.turn += 1
            piece = seeding.wants(key)[0]
            seeding.send(key, piece)
            seeding.leechers[key].pieces |= 1 << piece
            self.credit[0] -= 1.0
        for key in keys:
            self._pass_on(key)
        for each in seeding.leechers.values():
            each.queued = PIECE * len(seeding.wants(each.key))
        seeding.now += STEP
        return all(each.pieces == seeding.have for each in seeding.leechers.values())

    def _pass_on(self, key: int) -> None:
        """Send the piece that the fewest peers have to the leecher that has the fewest pieces."""
        leechers = self.seeding.leechers
        self.credit[key] = min(self.credit[key] + self.passes[key], max(1.0, self.passes[key]))
        while self.credit[key] >= 1.0:
            holders = Counter(piece for each in leechers.values() for piece in iterate(each.pieces))
            choices = [
                (holders[piece], other.pieces.bit_count(), piece, other.key)
                for other in leechers.values()
                for piece in iterate(leechers[key].pieces & ~other.pieces)
            ]
            if not choices:
                return
            _, _, piece, other_key = min(choices)
            leechers[other_key].pieces |= 1 << piece
            self.credit[key] -= 1.0

    def play(self) -> None:
        """Play until every leecher is complete; raises `SeedingError` if that never happens."""
        for _ in range(MOST_STEPS):
            if self.step():
                return
        raise SeedingError("never let every leecher have every piece")
