"""Our side of one torrent: what its conversations have in common, for real and simulated peers.

It plans what to ask of whom, notes what came, and tells of pieces that are here now; it decides
whom to unchoke and when to decide again. Nothing here waits. Its host does, and fills the hooks: a
real one wakes its tasks by them, a simulated one notes what is to be done, now or later.
"""

import math
import random
from collections.abc import Callable, Mapping
from typing import Final

from trio_swarm.compiler_hints import mypyc_attr
from trio_swarm.engine.conversation import Conversation, TorrentSide
from trio_swarm.engine.download.block_source import BlockSource
from trio_swarm.engine.download.ledger import BlockOutcome, Ledger
from trio_swarm.engine.download.source import NO_LABELS
from trio_swarm.engine.guard import GuardedChoker, GuardedUploader
from trio_swarm.engine.lazy_haves import LazyHaves
from trio_swarm.engine.lengths import BLOCK_LENGTH
from trio_swarm.engine.upload.serving import CHOKE_PAUSE, CHOKE_ROUND
from trio_swarm.engine.upload.uploads import Uploads
from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import UploadRequest

MIN_OPEN_PIECES: Final = 4
"""Pieces that may be in flight however large they are: fewer would serialise peers."""

MIN_OPEN_LARGE_PIECES: Final = 2
"""The same for pieces that are not kept in memory: one arrives while one is verified."""

MAX_OPEN_PIECES: Final = 4096
"""Pieces in flight however small they are: beyond it bookkeeping outgrows the gain."""


def open_piece_limit(memory: int, piece_length: int, *, least: int = MIN_OPEN_PIECES) -> int:
    """Return how many pieces may be begun and not yet verified; `memory` is for their buffers."""
    return max(least, min(MAX_OPEN_PIECES, memory // max(1, piece_length)))


@mypyc_attr(allow_interpreted_subclasses=True)
class Exchange(TorrentSide):
    """See the module. Hosts define `wake`, `replan`, `rechoke`, `reveal_sooner` and `part`.

    Times are in seconds. `sent(key, request)` is told of each block that is put out.
    """

    __slots__ = (
        "_choked_at",
        "_chokes_at",
        "_lazy_haves",
        "_others",
        "choke_pause",
        "conversations",
        "plans_at",
    )

    def __init__(
        self,
        ledger: Ledger,
        *,
        uploader: GuardedUploader,
        choker: GuardedChoker,
        rng: random.Random,
        slots: int,
        own_number: int,
        choke_pause: float = CHOKE_PAUSE,
        least_request: int = BLOCK_LENGTH,
        sent: Callable[[int, UploadRequest], None] | None = None,
    ) -> None:
        super().__init__(ledger, least_request=least_request)
        self.choke_pause = choke_pause
        self.uploads: Uploads[Conversation] = Uploads(
            ledger,
            uploader=uploader,
            choker=choker,
            rng=rng,
            slots=slots,
            own_number=own_number,
            changed=self.wake,
            sooner=self.reveal_sooner,
            sent=sent,
        )
        self.conversations = self.uploads.peers
        """By the ledger's keys, in the order they joined."""
        self.plans_at = math.inf
        """When to plan though nothing happens."""
        self._others: dict[int, BlockSource] | None = None
        self._lazy_haves = LazyHaves()
        self._choked_at = self._chokes_at = -math.inf

    # --- hooks ------------------------------------------------------------------------------------

    def rechoke(self, when: float) -> None:
        """Call `choke` at `when`, or at once if that has passed."""
        raise NotImplementedError

    def reveal_sooner(self) -> None:
        """Call `reveal` at `uploads.times.due_at`, which has become earlier."""
        raise NotImplementedError

    def part(self, conversation: Conversation) -> None:
        """End a connection that is of use to neither end, if that is so."""
        raise NotImplementedError

    def tell(self, conversations: list[Conversation], now: float) -> None:
        """Tell these of pieces that are new here."""
        del now
        for conversation in conversations:
            self.wake(conversation)

    # --- who is there -----------------------------------------------------------------------------

    def join(
        self,
        conversation: Conversation,
        now: float,
        *,
        identity: str,
        labels: Mapping[str, str] = NO_LABELS,
        queue_limit: int | None = None,
    ) -> None:
        """Let a peer take part; `identity`, `labels` and `queue_limit` are for the ledger."""
        ledger, key = self.ledger, conversation.key
        ledger.add_peer(key, now, identity=identity, labels=labels)
        if queue_limit is not None:
            ledger.set_queue_limit(key, queue_limit)
        conversation.begin(ledger.source(key))
        self.uploads.join(conversation)
        self.wake(conversation)
        self.rechoke(now)

    def leave(self, conversation: Conversation, now: float) -> None:
        """Forget a peer: what it was asked for is asked of others."""
        conversation.end()
        self.ledger.remove_peer(conversation.key)
        self.replan()
        self.rechoke(now)
        self.uploads.leave(conversation.key)

    def add_source(
        self,
        source: BlockSource,
        now: float,
        *,
        labels: Mapping[str, str] = NO_LABELS,
        queue_limit: int | None = None,
    ) -> None:
        """Ask something that is no BitTorrent peer for blocks as well.

        It has all pieces, and serves from now on.
        """
        ledger, key = self.ledger, source.key
        if self._others is None:
            self._others = {}
        self._others[key] = source
        ledger.add_peer(key, now, identity=source.address, labels=labels)
        if queue_limit is not None:
            ledger.set_queue_limit(key, queue_limit)
        ledger.set_pieces(key, self.every)
        ledger.set_choked(key, choked=False, fast=True)
        self.replan()

    def remove_source(self, source: BlockSource) -> None:
        """Ask it no longer: what it was asked for is asked of others."""
        others = self._others
        if others is not None and others.pop(source.key, None) is not None:
            self.ledger.remove_peer(source.key)
            self.replan()

    def _source(self, key: int) -> BlockSource | None:
        conversation = self.conversations.get(key)
        if conversation is not None:
            return conversation
        others = self._others
        return None if others is None else others.get(key)

    # --- what is asked, and what comes ------------------------------------------------------------

    def plan(self, now: float) -> list[int]:
        """Give late blocks back, ask the strategy, and hand out what it says.

        Returns the pieces that are begun no longer, though not verified: they need no buffers.
        """
        ledger = self.ledger
        abandoned: list[int] = []
        if ledger.is_due(now):
            ledger.expire(now)
            self.cancel_unneeded()
            for key, run in ledger.plan(now):
                source = self._source(key)
                if source is None:
                    raise AssertionError("only those are asked that are here")
                source.grant(run)
            abandoned = ledger.take_abandoned()
        self.plans_at = ledger.next_deadline()
        return abandoned

    def cancel_unneeded(self) -> None:
        """Cancel what was asked of several and came from one; `plan` does that as well.

        To be called at the end of a download, when there is nothing to plan.
        """
        for key, run in self.ledger.take_cancels():
            source = self._source(key)
            if source is not None:
                source.cancel(run)

    def blocks_received(
        self, key: int, piece: int, begin: int, length: int, now: float
    ) -> BlockOutcome:
        """Note blocks that came from a source; says what to do with their bytes."""
        ledger = self.ledger
        outcome = ledger.received(key, piece, begin, length, now)
        if ledger.is_due(now) or ledger.next_deadline() < self.plans_at:
            self.replan()
        return outcome

    def note_haves(self, ends: list[Conversation], pieces: list[PieceSet]) -> None:
        """Note which more pieces these peers have; some may have left."""
        ledger = self.ledger
        wanted = ledger.wanted if self.is_fetching else 0
        every = self.every
        is_awaited = False
        complete: list[Conversation] = []
        for index, end in enumerate(ends):
            if not end.is_open:
                continue
            new = pieces[index]
            if ledger.add_have(end.source, new):
                is_awaited = True
            if not end.am_interested and wanted & new:
                self.wake(end)
            if end.has_become_complete(every):
                complete.append(end)
        if is_awaited:
            self.replan()
        self.uploads.times.note_change()
        for end in complete:
            self._part_if_useless(end)

    def pieces_changed(self, conversation: Conversation) -> None:
        """Look again at what a peer is good for."""
        self.replan()
        self.wake(conversation)
        self.uploads.times.note_change()
        if conversation.wants_nothing:
            self._part_if_useless(conversation)

    def _part_if_useless(self, conversation: Conversation) -> None:
        if not (self.is_fetching and self.ledger.wanted):
            self.part(conversation)

    def part_useless(self) -> None:
        """Part, having everything, with all that want nothing."""
        for conversation in list(self.conversations.values()):
            if conversation.wants_nothing:
                self.part(conversation)

    # --- what is told -----------------------------------------------------------------------------

    @property
    def tells_at(self) -> float:
        """When to call `tell_everybody`; inf: not before there are new pieces."""
        return self._lazy_haves.due_at

    def tell_of(self, pieces: PieceSet, now: float) -> None:
        """Tell of pieces that are new here: those that lack one at once, others in time."""
        ledger = self.ledger
        is_due = self._lazy_haves.add(pieces.bit_count(), now)
        told: list[Conversation] = []
        for each in self.conversations.values():
            held = each.source.pieces & pieces
            # The first says the same as the second for most, and compares no large numbers.
            if held == 0 or held != pieces or ledger.may_show_more(each.source):
                told.append(each)
        self.tell(told, now)
        if is_due or ledger.is_complete:
            self.tell_everybody()

    def tell_everybody(self) -> None:
        """Have all told of the latest pieces, those that have them, too."""
        self._lazy_haves.told()
        have = self.ledger.have
        wanted = self.ledger.wanted if self.is_fetching else 0
        for each in self.conversations.values():
            is_interested = each.source.pieces & wanted != 0
            if have & ~each.told or is_interested != each.am_interested:
                self.wake(each)

    # --- whom to unchoke --------------------------------------------------------------------------

    def interest_changed(self, conversation: Conversation, now: float) -> None:
        """Decide again whom to unchoke, but not at every change of interest: see CHOKE_PAUSE."""
        uploads = self.uploads
        uploads.times.note_change()
        if conversation.peer_interested and not conversation.should_unchoke:
            others = self.conversations.values()
            taken = sum([each.should_unchoke and each.peer_interested for each in others])
            if taken < uploads.slots:
                self.rechoke(now)
                return
        if self._chokes_at < now:
            self._chokes_at = max(now, self._choked_at + self.choke_pause)
            self.rechoke(self._chokes_at)

    @property
    def round_ends_at(self) -> float:
        """When to decide again whom to unchoke though nothing happens."""
        return self._choked_at + CHOKE_ROUND

    def choke(self, now: float) -> None:
        """Decide whom to unchoke, now and again in a round's time."""
        self._choked_at = now
        self.uploads.choke(now)
