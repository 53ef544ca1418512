"""Hashes of version 2 over the wire (BEP 52): fetching those we lack, giving out those we have."""

from collections import deque
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Protocol

import trio

from trio_swarm.engine.lengths import BlockSet
from trio_swarm.errors import IdleTalkError, StorageError
from trio_swarm.identities import PieceIndex
from trio_swarm.piece_sets import from_pieces
from trio_swarm.protocol.extensions.hash_answers import HashAnswers
from trio_swarm.protocol.extensions.hash_fetch import (
    ANSWER_WITHIN,
    HashFetch,
    layer_ranges,
    leaf_ranges,
    with_proven_layers,
)
from trio_swarm.protocol.metainfo import merkle
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.protocol.wire.messages import (
    HashesReceived,
    HashesRejected,
    HashesRequested,
    HashRange,
    WireEvent,
)

HASH_EVENTS = frozenset((HashesRequested, HashesReceived, HashesRejected))

HASH_QUEUE = 256
"""Requests for hashes that a peer may make before it takes the answers."""

ANSWER_WEIGHT = 16
"""What a request costs a peer that has asked for as many as the torrent has: up to 16 MiB are read
and hashed for it."""

LEAVES_WITHIN = 8.0
"""Seconds for the hashes of the blocks of a piece that failed; then the whole piece is fetched
again, from one peer."""

LEAVES_OF_ONE_WITHIN = 2.0
"""Seconds for one peer to send them, before another is asked: who sent the wrong block says
nothing."""

ReadPieces = Callable[[range], bytes | None]
"""Returns the content of some pieces of one file, from any thread; None if they are not here."""


class HashPeer(Protocol):
    """A peer that may have hashes, or want some."""

    @property
    def key(self) -> int:
        """The peer's number in the torrent."""

    @property
    def speaks_v2(self) -> bool:
        """Whether it may be asked."""

    def ask_for_hashes(self, wanted: HashRange) -> None:
        """Send it a request."""

    def close(self, reason: str) -> None:
        """End the connection soon; `reason` is for people."""


class HashRequests:
    """What one peer asked for and was not answered yet; one is worked on at a time."""

    __slots__ = ("answers", "heard", "is_working", "waiting")

    def __init__(self) -> None:
        self.waiting: deque[HashRange] = deque()
        self.answers: deque[tuple[HashRange, bytes | None]] = deque()
        """What is to be sent: the hashes, or None for a rejection."""
        self.heard = 0
        """How many it has asked for so far."""
        self.is_working = False

    def add(self, asked: HashRange) -> None:
        """Take one more in; raises IdleTalkError if it does not take what it asked for before."""
        if len(self.waiting) >= HASH_QUEUE:
            raise IdleTalkError("it asks for hashes faster than it takes them")
        self.waiting.append(asked)
        self.heard += 1


class HashExchange:
    """The hashes of one torrent: what is fetched of its peers, and what they are answered.

    `info()` is the metadata once it is known, `peers` are those that are connected, and `read`
    reads pieces that are here. `start` runs a task of the torrent for as long as it is active.
    """

    def __init__(
        self,
        *,
        info: Callable[[], Info | None],
        peers: Mapping[int, HashPeer],
        read: ReadPieces,
        start: Callable[..., None],
    ) -> None:
        self._info = info
        self._peers = peers
        self._read = read
        self._start = start
        self._fetch = HashFetch()
        self._changed = trio.Event()
        self._answers: tuple[Info, HashAnswers] | None = None

    # --- fetching -------------------------------------------------------------------------------

    async def layers_of(self, info: Info) -> Info:
        """Ask the peers for the piece layers of a torrent; return it with them when all are proven.

        Raises MetainfoError if they are not those of the torrent, which they then lie about.
        """
        wanted = {each: each.root for each in layer_ranges(info)}
        proven = await self._fetched(wanted)
        return await trio.to_thread.run_sync(with_proven_layers, info, proven)

    async def wrong_blocks(self, info: Info, piece: int, leaves: bytes) -> BlockSet | None:
        """Return which blocks of a piece that failed are wrong; None if nobody tells in time.

        `leaves` are the digests of the blocks that came, 32 bytes each.
        """
        wanted = dict.fromkeys(leaf_ranges(info, piece), info.v2_piece_hash(piece))
        proven: dict[HashRange, bytes] = {}
        with trio.move_on_after(LEAVES_WITHIN):
            proven = await self._fetched(wanted, answer_within=LEAVES_OF_ONE_WITHIN)
        if len(proven) < len(wanted) or not wanted:
            # A piece of one block was sent by one peer: that is known without asking.
            return None
        right = b"".join(proven.values())
        size = merkle.HASH_LENGTH
        return from_pieces(
            block
            for block, at in enumerate(range(0, len(leaves), size))
            if leaves[at : at + size] != right[at : at + size]
        )

    @property
    def may_be_asked(self) -> bool:
        """Whether a peer is connected that may know hashes."""
        return any(peer.speaks_v2 for peer in self._peers.values())

    async def _fetched(
        self, wanted: Mapping[HashRange, bytes], *, answer_within: float = ANSWER_WITHIN
    ) -> dict[HashRange, bytes]:
        fetch = self._fetch
        for each, above in wanted.items():
            fetch.want(each, above, answer_within=answer_within)
        left = list(wanted)
        for peer in self._peers.values():
            self.met(peer)
        try:
            while True:
                while left and left[-1] in fetch.proven:
                    left.pop()
                if not left:
                    return {each: fetch.proven[each] for each in wanted}
                for ask in fetch.plan(trio.current_time()):
                    asked = self._peers.get(ask.peer)
                    if asked is not None:
                        asked.ask_for_hashes(ask.range)
                changed = self._changed
                with trio.move_on_at(fetch.next_deadline()):
                    await changed.wait()
        finally:
            for each in wanted:
                fetch.drop(each)

    def _tell_changed(self) -> None:
        self._changed.set()
        self._changed = trio.Event()

    def met(self, peer: HashPeer) -> None:
        """Take in a peer, whose handshake tells whether it may be asked."""
        if not self._fetch.is_done and peer.speaks_v2:
            self._fetch.add_peer(peer.key)
            self._tell_changed()

    def peer_left(self, key: int) -> None:
        """Forget a peer; what it was asked for goes to others."""
        self._fetch.remove_peer(key)
        self._tell_changed()

    # --- hearing and answering ------------------------------------------------------------------

    def heard(self, peer: HashPeer, requests: HashRequests, event: WireEvent) -> int:
        """Act on a message about hashes; returns what it is charged.

        Raises IdleTalkError for a peer that asks for more than it takes.
        """
        match event:
            case HashesRequested(asked):
                requests.add(asked)
                return ANSWER_WEIGHT if requests.heard > self._most_requests else 0
            case HashesReceived(answer, hashes):
                if not self._fetch.received(peer.key, answer, hashes):
                    peer.close("it sent false hashes")
                self._tell_changed()
            case HashesRejected(answer):
                self._fetch.rejected(peer.key, answer, trio.current_time())
                self._tell_changed()
        return 1

    @property
    def _most_requests(self) -> int:
        """How many requests all hashes of the torrent take: one for each file and 512 pieces."""
        info = self._info()
        return 0 if info is None else 2 * (len(info.files) + info.piece_count // 256 + 16)

    def work(self, requests: HashRequests, wake: Callable[[], None]) -> None:
        """Work on the next request of a peer; `wake` is called when there is an answer to send."""
        if requests.waiting and not requests.is_working:
            requests.is_working = True
            self._start(partial(self._work, requests, wake), name="answer with hashes")

    async def _work(self, requests: HashRequests, wake: Callable[[], None]) -> None:
        try:
            asked = requests.waiting.popleft()
            answer = await trio.to_thread.run_sync(self._answer_to, asked)
            requests.answers.append((asked, answer))
        finally:
            requests.is_working = False
        wake()

    def _answer_to(self, asked: HashRange) -> bytes | None:
        """Return the hashes and their proof; None if they are not known. In a thread."""
        info = self._info()
        if info is None or not info.v2_piece_hashes:
            return None
        if self._answers is None or self._answers[0] is not info:
            self._answers = info, HashAnswers(info)
        answers = self._answers[1]
        pieces = answers.pieces_of(asked)
        if pieces is None:
            return None
        try:
            content = self._read(pieces) if pieces else b""
        except StorageError:
            return None
        return None if content is None else answers.answer(asked, content)


def read_pieces(
    info: Info, pieces: Iterable[int], read: Callable[[PieceIndex, int, int], bytes]
) -> bytes:
    """Return the content of some pieces, without padding at their ends."""
    return b"".join([read(PieceIndex(piece), 0, info.piece_size(piece)) for piece in pieces])
