"""Strategies that break one promise or a few, as an author might by mistake: the kit finds each."""

import random
from collections.abc import Iterable, Sequence

from trio_swarm.piece_sets import PieceSet, full_set, iterate, lowest
from trio_swarm.schedulers.api import (
    Assignment,
    ChokeView,
    SwarmView,
    UploadPeerView,
    UploadRequest,
    UploadView,
)
from trio_swarm.schedulers.choking.taking_turns import TakingTurns
from trio_swarm.schedulers.draft import Draft
from trio_swarm.schedulers.rarest_first import RarestFirst
from trio_swarm.schedulers.uploading.least_sent import LeastSent


class Starves(RarestFirst):
    """Waits for a peer faster than any."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        fast = [peer for peer in view.peers if peer.rate > 1e12]
        return super().assign(view, rng) if fast else ()


class AsksPeersForWhatTheyLack:
    """Looks at what is wanted, and not at who has it."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        pieces = list(iterate(view.wanted))
        return [Assignment(peer.key, rng.choice(pieces), 1) for peer in view.peers if pieces]


class IgnoresRoom(RarestFirst):
    """Gives whole pieces, whatever a peer has room for."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        for peer, piece, _ in super().assign(view, rng):
            yield Assignment(peer, piece, view.blocks_of(piece))


class GivesBlocksTwice:
    """Gives each peer the same piece, as if it were alone."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        for peer in view.peers:
            pieces = view.wanted & peer.pieces
            if pieces:
                piece = lowest(pieces)
                yield Assignment(peer.key, piece, min(peer.room, view.blocks_of(piece)))


class AnswersEndlessly(RarestFirst):
    """Never stops."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        good = list(super().assign(view, rng))
        while good:
            yield from good


class ReturnsTuples(RarestFirst):
    """Returns what looks like assignments."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        return [tuple(each) for each in super().assign(view, rng)]  # type: ignore[misc]


class FailsWithoutPeers(RarestFirst):
    """Divides by the number of peers."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        _share = len(view.rarity) // len(view.peers)
        return super().assign(view, rng)


class GoesByTheHashOfLabels:
    """Sorts peers by the hash of a text, which differs from process to process."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        draft = Draft(view)
        for peer in sorted(view.peers, key=lambda peer: hash(f"peer {peer.key}")):
            while candidates := draft.candidates(peer):
                draft.give(peer, lowest(candidates))
        return draft.assignments


class GoesByTheAddressOfObjects:
    """Sorts peers by where they lie in memory."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        draft = Draft(view)
        for peer in sorted(view.peers, key=id):
            while candidates := draft.candidates(peer):
                draft.give(peer, lowest(candidates))
        return draft.assignments


class UsesTheModuleRandom(RarestFirst):
    """Forgets the rng it is given."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        return super().assign(view, random)  # type: ignore[arg-type]


class CrossesOut(RarestFirst):
    """Notes in the view what it has given."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        for each in super().assign(view, rng):
            view.free_blocks.pop(each.piece, None)  # type: ignore[attr-defined]
            yield each


class FavoursPiecesAfterGaps:
    """Takes the lowest piece after a random rotation."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        draft = Draft(view)
        for peer in view.peers:
            while candidates := draft.candidates(peer):
                start = rng.randrange(view.piece_count)
                draft.give(peer, lowest(candidates >> start << start or candidates))
        return draft.assignments


class LeavesRoom(RarestFirst):
    """Gives each peer one piece at a time."""

    def assign(self, view: SwarmView, rng: random.Random) -> Iterable[Assignment]:
        served = set()
        for each in super().assign(view, rng):
            if each.peer not in served:
                served.add(each.peer)
                yield each


class OffersEverything(LeastSent):
    """Offers what it is about to have."""

    def offer(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        return full_set(view.piece_count)


class TakesBack(LeastSent):
    """Shows what the peer lacks, and no longer what it has."""

    def offer(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        return view.have & ~peer.pieces


class KeepsTheLastPiece(LeastSent):
    """Waits for the peer to show that it has passed everything else on."""

    def offer(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        others = [other.pieces for other in view.peers if other.key != peer.key]
        last = view.have & ~full_set(view.piece_count - 1)
        if any(pieces == view.have & ~last for pieces in others):
            return view.have
        return (view.have & ~last) | peer.revealed


class DropsRequests(LeastSent):
    """Serves each piece once."""

    def order(
        self, view: UploadView, peer: UploadPeerView, requests: Sequence[UploadRequest]
    ) -> Sequence[UploadRequest]:
        return list({request.piece: request for request in requests}.values())


class SuggestsAnything(LeastSent):
    """Suggests what is rare, whether we have it or not."""

    def suggest(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        return view.rarity[0]


class KeepsQuietly(LeastSent):
    """Says that it leaves everybody alone, and does not."""

    def steers(self, view: UploadView) -> bool:
        return False

    def offer(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        return view.have


class WeighsByWhatIsOwed(LeastSent):
    """Takes a peer that was sent everything for one that owes us something."""

    def weight(self, view: UploadView, peer: UploadPeerView) -> float:
        return view.have.bit_count() * view.piece_length - peer.uploaded


class FavoursGrownPeers(LeastSent):
    """Has weights grow without bounds."""

    def weight(self, view: UploadView, peer: UploadPeerView) -> float:
        return 1.7e308 if peer.pieces else 1.0


class UnchokesStrangers(TakingTurns):
    """Goes on unchoking a peer that has left."""

    def unchoke(self, view: ChokeView, rng: random.Random) -> Iterable[int]:
        return [*list(super().unchoke(view, rng))[: view.slots - 1], -7]


class OverfillsSlots(TakingTurns):
    """Unchokes one more."""

    def unchoke(self, view: ChokeView, rng: random.Random) -> Iterable[int]:
        chosen = list(super().unchoke(view, rng))
        return chosen + [peer.key for peer in view.peers if peer.key not in chosen][:1]


class HasFavourites:
    """Serves whoever came first."""

    def unchoke(self, view: ChokeView, rng: random.Random) -> Iterable[int]:
        return [peer.key for peer in view.peers if peer.interested][: view.slots]


class ServesTheBored(TakingTurns):
    """Does not look who is interested."""

    def unchoke(self, view: ChokeView, rng: random.Random) -> Iterable[int]:
        keys = [peer.key for peer in view.peers]
        rng.shuffle(keys)
        return keys[: view.slots]
