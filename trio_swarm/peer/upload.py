"""The upload side of one torrent: the tasks that see to it, around the decisions of `Uploads`."""

import math
import random
from collections import OrderedDict
from collections.abc import Iterable
from functools import partial

import trio

from trio_swarm.engine.download.ledger import Ledger
from trio_swarm.engine.guard import GuardedChoker, GuardedUploader
from trio_swarm.engine.upload.serving import CHOKE_ROUND
from trio_swarm.engine.upload.uploads import Uploads
from trio_swarm.peer.connection import PeerConnection
from trio_swarm.peer.wakeup import Wakeup
from trio_swarm.schedulers.api import UploadRequest


class Upload:
    """Serves the peers that joined, once `begin` has told what there is to serve.

    `run` is the one task that chokes, `reveal` the one that reveals more to those from whom
    something is kept.
    """

    def __init__(
        self,
        *,
        uploader: GuardedUploader,
        choker: GuardedChoker,
        rng: random.Random,
        slots: int,
        own_number: int,
    ) -> None:
        self.wakeup = Wakeup()
        self._uploads: Uploads[PeerConnection] | None = None
        self._reveal_wakeup = Wakeup()
        self._make_uploads = partial(
            Uploads,
            uploader=uploader,
            choker=choker,
            rng=rng,
            slots=slots,
            own_number=own_number,
            changed=_changed,
            sooner=self._reveal_wakeup.set,
        )

    def begin(self, ledger: Ledger) -> None:
        """Serve what a ledger has."""
        self._uploads = self._make_uploads(ledger)

    @property
    def uploaded(self) -> int:
        """Bytes of blocks put out so far, to anybody."""
        return 0 if self._uploads is None else self._uploads.uploaded

    def rate(self, now: float) -> float:
        """Return how fast blocks are put out, bytes/s."""
        return 0.0 if self._uploads is None else self._uploads.rate.rate(now)

    def join(self, connection: PeerConnection) -> None:
        """Serve a peer, which the ledger knows."""
        self._begun.join(connection)

    def leave(self, connection: PeerConnection) -> None:
        """Serve a peer no longer."""
        self._begun.leave(connection.key)

    def is_undecided(self, connection: PeerConnection) -> bool:
        """Whether `offer` is to be called before a peer is told of pieces."""
        return self._begun.is_undecided(connection)

    def offer(self, connection: PeerConnection) -> None:
        """Decide what to reveal to a peer that joined, or when we have new pieces."""
        self._begun.offer(connection, trio.current_time())

    def order(self, connection: PeerConnection) -> None:
        """Put a peer's requests into the order to serve them."""
        ordered = self._begun.order(connection, trio.current_time())
        if ordered is not None:
            connection.upload_queue = OrderedDict.fromkeys(ordered)

    def put_out(
        self, connection: PeerConnection, blocks: Iterable[UploadRequest], now: float
    ) -> None:
        """Count blocks that were put out for a peer."""
        self._begun.put_out(connection, blocks, now)

    def note_change(self) -> None:
        """Look soon whether more is to be revealed: something has changed."""
        if self._uploads is not None:
            self._uploads.times.note_change()

    async def reveal(self) -> None:
        """Reveal more to peers from whom something is kept, whenever it may be time."""
        while True:
            with trio.move_on_at(self._reveal_at()):
                await self._reveal_wakeup.wait()
            now = trio.current_time()
            if now >= self._reveal_at():
                self._begun.look(now)

    def _reveal_at(self) -> float:
        return math.inf if self._uploads is None else self._uploads.times.due_at

    async def run(self) -> None:
        """Decide each round, and at once when interest changes or a peer joins or leaves."""
        while True:
            self._choke(trio.current_time())
            with trio.move_on_after(CHOKE_ROUND):
                await self.wakeup.wait()

    def _choke(self, now: float) -> None:
        if self._uploads is not None:
            self._uploads.choke(now)

    @property
    def _begun(self) -> Uploads[PeerConnection]:
        assert self._uploads is not None
        return self._uploads


def _changed(connection: PeerConnection) -> None:
    connection.wakeup.set()
