"""What was sent, when to look again at what is kept from whom, and about whom is asked."""

import math
import random
from collections.abc import Sequence
from dataclasses import dataclass, field

import pytest
from hypothesis import given
from hypothesis import strategies as st

from served_leecher import Leecher
from trio_swarm.engine.download.ledger import Ledger
from trio_swarm.engine.guard import GuardedChoker, GuardedScheduler, GuardedUploader
from trio_swarm.engine.lengths import Lengths
from trio_swarm.engine.upload.reveal_times import RevealTimes
from trio_swarm.engine.upload.sent_bytes import SentBytes
from trio_swarm.engine.upload.serving import DRY_INTERVAL, REVEAL_INTERVAL, STEERING_INTERVAL
from trio_swarm.engine.upload.uploads import Uploads
from trio_swarm.identities import PieceIndex
from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import UploadPeerView, UploadRequest, UploadView
from trio_swarm.schedulers.choking.tit_for_tat import TitForTat
from trio_swarm.schedulers.rarest_first import RarestFirst


@given(st.lists(st.tuples(st.integers(0, 9), st.integers(1, 2**32)), max_size=20))
def test_bytes_are_counted_by_piece_however_many(sent: list[tuple[int, int]]) -> None:
    counted = SentBytes(10)
    expected: dict[int, int] = {}
    for piece, nbytes in sent:
        expected[piece] = expected.get(piece, 0) + nbytes
    half = len(sent) // 2
    for part in (sent[:half], sent[half:]):
        blocks = [UploadRequest(piece, 0, nbytes) for piece, nbytes in part]
        assert counted.add(blocks) == sum(nbytes for _, nbytes in part)
    assert counted == expected
    assert len(counted) == len(expected)
    assert [counted.get(piece, 0) for piece in range(-1, 12)] == [
        expected.get(piece, 0) for piece in range(-1, 12)
    ]
    with pytest.raises(KeyError):
        counted[10]


class Times:
    """Reveal times, and how often they became earlier."""

    def __init__(self) -> None:
        self.sooner = 0
        self.times = RevealTimes(self._sooner)

    def _sooner(self) -> None:
        self.sooner += 1


def test_nothing_is_due_while_nothing_is_kept_from_anybody() -> None:
    seen = Times()
    seen.times.note_change()
    seen.times.run_dry()
    assert (seen.times.due_at, seen.sooner) == (math.inf, 0)


def test_what_is_kept_from_a_newcomer_is_looked_at_at_once_and_then_after_a_rest() -> None:
    seen = Times()
    times = seen.times
    times.steer()
    assert times.due_at < 0.0
    assert seen.sooner == 1
    times.looked(5.0, is_steering=True)
    assert times.due_at == 5.0 + REVEAL_INTERVAL + STEERING_INTERVAL
    times.note_change()
    times.note_change()
    assert times.due_at == 5.0 + REVEAL_INTERVAL
    assert seen.sooner == 2


def test_a_seeder_that_nobody_asks_for_anything_looks_sooner() -> None:
    seen = Times()
    times = seen.times
    times.looked(5.0, is_steering=True)
    times.note_change()
    times.run_dry()
    times.run_dry()
    assert times.due_at == 5.0 + DRY_INTERVAL
    assert seen.sooner == 2
    times.looked(6.0, is_steering=True)
    times.note_change()
    assert times.due_at == 6.0 + REVEAL_INTERVAL


def test_a_look_after_which_nothing_is_kept_is_the_last() -> None:
    times = Times().times
    times.steer()
    times.looked(5.0, is_steering=False)
    times.note_change()
    assert times.due_at == math.inf


@dataclass
class Moody:
    """An uploader that keeps piece 0 from all while it steers, and says when it does."""

    is_steering: bool = False
    asked_about: list[int] = field(default_factory=list)
    moods: int = 0
    """How often it was asked whether it steers."""

    def steers(self, view: UploadView) -> bool:
        del view
        self.moods += 1
        return self.is_steering

    def offer(self, view: UploadView, peer: UploadPeerView) -> PieceSet | None:
        self.asked_about.append(peer.key)
        return view.have & ~1

    def order(
        self, view: UploadView, peer: UploadPeerView, requests: Sequence[UploadRequest]
    ) -> Sequence[UploadRequest]:
        del view, peer
        return requests


class Serving:
    """A peer that has piece 0 of four, serves leechers 0 to 2, and gets the others of peer 9."""

    def __init__(self) -> None:
        self.uploader = Moody()
        self.ledger = Ledger(
            Lengths(length=4 * 16384, piece_length=16384),
            scheduler=GuardedScheduler(RarestFirst(), "scheduler", RarestFirst, lambda: 0.0),
            rng=random.Random(1),
            have=0b1,
            open_piece_limit=4,
        )
        self.changed: list[int] = []
        self.uploads: Uploads[Leecher] = Uploads(
            self.ledger,
            uploader=GuardedUploader(self.uploader, "uploader", lambda: 0.0),
            choker=GuardedChoker(TitForTat(), "choker"),
            rng=random.Random(1),
            slots=4,
            own_number=1,
            changed=lambda leecher: self.changed.append(leecher.key),
            sooner=lambda: None,
        )
        self.leechers = [self.join(key) for key in range(3)]
        self.ledger.add_peer(9, 0.0, identity="10.0.0.9:1")
        self.ledger.set_pieces(9, 0b1111)
        self.ledger.set_choked(9, choked=False, fast=True)
        self._granted = self.ledger.plan(0.0)

    def join(self, key: int) -> Leecher:
        leecher = Leecher(key)
        self.ledger.add_peer(key, 0.0, identity=f"10.0.0.{key}:1")
        self.uploads.join(leecher)
        return leecher

    def gain(self) -> None:
        """Have one piece more."""
        key, run = self._granted.pop()
        self.ledger.received(key, run.piece, run.begin, run.length, 1.0)
        self.ledger.verified(run.piece)

    def decide(self) -> None:
        """Ask about those that need it."""
        for leecher in self.leechers:
            if self.uploads.is_undecided(leecher):
                self.uploads.offer(leecher, 1.0)


def test_an_uploader_that_steers_nobody_is_asked_once_for_each_newcomer_and_each_new_piece() -> (
    None
):
    serving = Serving()
    serving.decide()
    assert serving.uploader.moods == 3
    serving.decide()
    assert serving.uploader.moods == 3
    serving.gain()
    serving.decide()
    assert serving.uploader.moods == 4
    serving.leechers.append(serving.join(3))
    serving.decide()
    assert serving.uploader.moods == 5
    assert not serving.uploader.asked_about
    assert not serving.changed


def test_who_steers_is_asked_about_each_and_all_are_shown_everything_when_it_ends() -> None:
    serving = Serving()
    serving.decide()
    serving.uploader.is_steering = True
    serving.gain()
    serving.decide()
    assert serving.uploader.asked_about == [0, 1, 2]
    assert all(leecher.offered == serving.ledger.have & ~1 for leecher in serving.leechers)
    serving.uploader.is_steering = False
    serving.changed.clear()
    serving.leechers.append(serving.join(3))
    serving.decide()
    assert all(leecher.offered is None for leecher in serving.leechers)
    assert serving.changed == [0, 1, 2]


def test_another_uploader_decides_for_all_at_once_whatever_the_one_before_had_hidden() -> None:
    serving = Serving()
    serving.uploader.is_steering = True
    serving.gain()
    serving.decide()
    assert all(leecher.offered == serving.ledger.have & ~1 for leecher in serving.leechers)
    serving.changed.clear()
    open_handed, slots = Moody(), GuardedChoker(TitForTat(), "choker")
    serving.uploads.set_strategies(
        GuardedUploader(open_handed, "open-handed", lambda: 0.0), slots, 2.0
    )
    assert all(leecher.offered is None for leecher in serving.leechers)
    assert serving.changed == [0, 1, 2]
    serving.uploads.set_strategies(
        GuardedUploader(serving.uploader, "moody", lambda: 0.0), slots, 3.0
    )
    assert all(leecher.offered == serving.ledger.have & ~1 for leecher in serving.leechers)
    assert serving.uploader.asked_about == [0, 1, 2, 0, 1, 2]


class LooksAtLinks(Moody):
    """Notes what each peer's link has delivered, twice, when it orders requests."""

    def __init__(self) -> None:
        super().__init__()
        self.delivered: list[tuple[int, int]] = []

    def order(
        self, view: UploadView, peer: UploadPeerView, requests: Sequence[UploadRequest]
    ) -> Sequence[UploadRequest]:
        self.delivered.append((view.delivered_to(peer), view.delivered_to(peer)))
        return requests


def test_a_link_is_asked_once_for_each_view_and_only_if_the_strategy_reads_what_it_says() -> None:
    serving = Serving()
    first, second, _ = serving.leechers
    first.uploaded, first.link_holds = 100_000, 30_000
    first.upload_queue = {UploadRequest(PieceIndex(n), 0, 16384): None for n in range(2)}
    serving.uploads.order(first, 1.0)
    assert first.link_looks == 0
    looks = LooksAtLinks()
    serving.uploads.set_strategies(
        GuardedUploader(looks, "looks", lambda: 0.0), GuardedChoker(TitForTat(), "choker"), 1.0
    )
    serving.uploads.order(first, 1.0)
    assert (looks.delivered, first.link_looks) == ([(70_000, 70_000)], 1)
    first.link_holds = 100_500  # Messages wait, too.
    serving.uploads.order(first, 1.5)
    assert (looks.delivered[1:], first.link_looks) == ([(0, 0)], 2)
    assert second.link_looks == 0
