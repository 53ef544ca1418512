"""The info dictionary over the wire (BEP 9): fetching it when we lack it, serving it when we do."""

import math
from collections import deque
from collections.abc import Callable, Mapping
from typing import Protocol

import trio

from trio_swarm.errors import IdleTalkError
from trio_swarm.identities import InfoHash
from trio_swarm.peer.wakeup import Wakeup
from trio_swarm.protocol.extensions.handshake import ExtensionHandshake
from trio_swarm.protocol.extensions.metadata import (
    METADATA_PIECE,
    UT_METADATA,
    MetadataData,
    MetadataMessage,
    MetadataReject,
    MetadataRequest,
    metadata_piece_count,
)
from trio_swarm.protocol.extensions.metadata_assembler import MetadataAssembler
from trio_swarm.protocol.metainfo.torrent import Info, parse_info

METADATA_QUEUE = 1024
"""Metadata pieces a peer may ask for before it takes the answers: all of the largest metadata."""

METADATA_BATCH = 4
"""Answers put out at once, 64 KiB: what a peer does not take costs a number, not the bytes."""


class MetadataPeer(Protocol):
    """A peer that may have the metadata, or want it."""

    @property
    def key(self) -> int:
        """The peer's number in the torrent."""

    @property
    def extensions(self) -> ExtensionHandshake | None:
        """What its latest extension handshake told."""

    def send_metadata(self, message: MetadataMessage) -> None:
        """Send it a message, if it takes any."""

    def close(self, reason: str) -> None:
        """End the connection soon; `reason` is for people."""


class MetadataRequests:
    """Pieces of the metadata that one peer asked for and was not sent yet."""

    __slots__ = ("_pieces", "heard")

    def __init__(self) -> None:
        self._pieces: deque[int] = deque()
        self.heard = 0
        """How many it has asked for so far."""

    def __len__(self) -> int:
        return len(self._pieces)

    def add(self, piece: int) -> None:
        """Take one more in; raises IdleTalkError if it does not take what it asked for before."""
        if len(self._pieces) >= METADATA_QUEUE:
            raise IdleTalkError("it asks for metadata faster than it takes it")
        self._pieces.append(piece)
        self.heard += 1

    def take(self) -> int:
        """Return the oldest, and forget it."""
        return self._pieces.popleft()


class MetadataExchange:
    """Owns the half-fetched metadata of one torrent; connections hand it their messages.

    `info()` is the metadata once it is known, `peers` are those that are connected.
    """

    def __init__(
        self,
        info_hash: InfoHash,
        v2_hash: bytes | None,
        *,
        info: Callable[[], Info | None],
        peers: Mapping[int, MetadataPeer],
    ) -> None:
        self._info = info
        self._peers = peers
        self._assembler = MetadataAssembler(info_hash, v2_hash=v2_hash)
        self._wakeup = Wakeup()
        self.moved_at = -math.inf
        """When a piece came last."""

    async def wait(self) -> Info:
        """Ask the peers for the metadata until it is whole; return it.

        Raises MetainfoError if what the info-hash stands for cannot be used.
        """
        while self._assembler.raw is None:
            now = trio.current_time()
            for ask in self._assembler.plan(now):
                peer = self._peers.get(ask.peer)
                if peer is not None:
                    peer.send_metadata(MetadataRequest(ask.piece))
            with trio.move_on_at(self._assembler.next_deadline()):
                await self._wakeup.wait()
        raw = self._assembler.raw
        return await trio.to_thread.run_sync(parse_info, raw)

    def peer_told(self, peer: MetadataPeer) -> None:
        """Take in an extension handshake: the peer may have the metadata."""
        extensions = peer.extensions
        if self._info() is None and extensions is not None:
            offers = UT_METADATA in extensions.message_ids
            self._assembler.add_peer(peer.key, extensions.metadata_size if offers else None)
            if offers and extensions.metadata_size is None:
                self._assembler.add_silent_peer(peer.key, trio.current_time())
            self._wakeup.set()

    def peer_left(self, key: int) -> None:
        """Forget a peer; what it was asked for goes to others."""
        self._assembler.remove_peer(key)
        self._wakeup.set()

    @property
    def piece_count(self) -> int:
        """How many pieces the metadata has; 0 while it is not known."""
        info = self._info()
        return 0 if info is None else metadata_piece_count(len(info.raw))

    def message(
        self, peer: MetadataPeer, requests: MetadataRequests, message: MetadataMessage
    ) -> None:
        """Act on a ut_metadata message; what it asks for is added to the peer's `requests`.

        Raises IdleTalkError if that is more than it takes.
        """
        match message:
            case MetadataRequest(piece):
                requests.add(piece)
            case MetadataData() as data if self._info() is None:
                now = self.moved_at = trio.current_time()
                for liar in self._assembler.received(peer.key, data, now):
                    culprit = self._peers.get(liar)
                    if culprit is not None:
                        culprit.close("it sent false metadata")
                self._wakeup.set()
            case MetadataReject(piece) if self._info() is None:
                self._assembler.rejected(peer.key, piece, trio.current_time())
                self._wakeup.set()
            case _:
                pass  # Late answers after the metadata is whole.

    def answer(self, peer: MetadataPeer, requests: MetadataRequests) -> None:
        """Answer some of a peer's requests; its writing task calls again when they are sent."""
        info = self._info()
        for _ in range(min(len(requests), METADATA_BATCH)):
            piece = requests.take()
            if info is None or piece >= metadata_piece_count(len(info.raw)):
                peer.send_metadata(MetadataReject(piece))
                continue
            begin = piece * METADATA_PIECE
            data = info.raw[begin : begin + METADATA_PIECE]
            peer.send_metadata(MetadataData(piece, len(info.raw), data))
