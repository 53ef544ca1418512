"""The info dictionary over the wire (BEP 9): fetching it when we lack it, serving it when we do."""

import math
from typing import TYPE_CHECKING

import trio

from trio_swarm.errors import IdleTalkError
from trio_swarm.peer.wakeup import Wakeup
from trio_swarm.protocol.extensions.metadata import (
    METADATA_PIECE,
    UT_METADATA,
    MetadataData,
    MetadataMessage,
    MetadataReject,
    MetadataRequest,
    encode_metadata_message,
    metadata_piece_count,
    parse_metadata_message,
)
from trio_swarm.protocol.extensions.metadata_assembler import MetadataAssembler
from trio_swarm.protocol.metainfo.torrent import Info, parse_info

if TYPE_CHECKING:
    from trio_swarm.peer.connection import PeerConnection
    from trio_swarm.peer.torrent import Torrent

METADATA_QUEUE = 1024
"""Metadata pieces a peer may ask for before it takes the answers: all of the largest metadata."""

METADATA_BATCH = 4
"""Answers put out at once, 64 KiB: what a peer does not take costs a number, not the bytes."""


class MetadataExchange:
    """Owns the half-fetched metadata of one torrent; connections hand it their messages."""

    def __init__(self, torrent: "Torrent") -> None:
        self._torrent = torrent
        self._assembler = MetadataAssembler(torrent.info_hash, v2_hash=torrent.v2_hash)
        self._wakeup = Wakeup()
        self.moved_at = -math.inf
        """When a piece came last."""

    async def wait(self) -> Info:
        """Ask the peers for the metadata until it is whole; return it.

        Raises MetainfoError if what the info-hash stands for cannot be used.
        """
        while self._assembler.raw is None:
            now = trio.current_time()
            connections = self._torrent.peer_set.connections
            for ask in self._assembler.plan(now):
                connection = connections.get(ask.peer)
                if connection is not None:
                    self._send(connection, MetadataRequest(ask.piece))
            with trio.move_on_at(self._assembler.next_deadline()):
                await self._wakeup.wait()
        raw = self._assembler.raw
        return await trio.to_thread.run_sync(parse_info, raw)

    def peer_told(self, connection: "PeerConnection") -> None:
        """Take in an extension handshake: the peer may have the metadata."""
        extensions = connection.extensions
        if self._torrent.info is None and extensions is not None:
            offers = UT_METADATA in extensions.message_ids
            self._assembler.add_peer(connection.key, extensions.metadata_size if offers else None)
            if offers and extensions.metadata_size is None:
                self._assembler.add_silent_peer(connection.key, trio.current_time())
            self._wakeup.set()

    def peer_left(self, connection: "PeerConnection") -> None:
        """Forget a peer; what it was asked for goes to others."""
        self._assembler.remove_peer(connection.key)
        self._wakeup.set()

    @property
    def piece_count(self) -> int:
        """How many pieces the metadata has; 0 while it is not known."""
        info = self._torrent.info
        return 0 if info is None else metadata_piece_count(len(info.raw))

    def message(self, connection: "PeerConnection", payload: bytes) -> None:
        """Act on a ut_metadata message of a peer; raises RemoteProtocolError if it is wrong."""
        match parse_metadata_message(payload):
            case MetadataRequest(piece):
                self._requested(connection, piece)
            case MetadataData() as data if self._torrent.info is None:
                now = self.moved_at = trio.current_time()
                for liar in self._assembler.received(connection.key, data, now):
                    culprit = self._torrent.peer_set.connections.get(liar)
                    if culprit is not None:
                        culprit.close("it sent false metadata")
                self._wakeup.set()
            case MetadataReject(piece) if self._torrent.info is None:
                self._assembler.rejected(connection.key, piece, trio.current_time())
                self._wakeup.set()
            case _:
                pass  # Late answers after the metadata is whole, and kinds we do not know.

    def answer(self, connection: "PeerConnection") -> None:
        """Answer some of a peer's requests; its writing task calls again when they are sent."""
        info = self._torrent.info
        requests = connection.metadata_requests
        for _ in range(min(len(requests), METADATA_BATCH)):
            piece = requests.popleft()
            if info is None or piece >= metadata_piece_count(len(info.raw)):
                self._send(connection, MetadataReject(piece))
                continue
            begin = piece * METADATA_PIECE
            data = info.raw[begin : begin + METADATA_PIECE]
            self._send(connection, MetadataData(piece, len(info.raw), data))

    @staticmethod
    def _requested(connection: "PeerConnection", piece: int) -> None:
        if len(connection.metadata_requests) >= METADATA_QUEUE:
            raise IdleTalkError("it asks for metadata faster than it takes it")
        connection.metadata_requests.append(piece)
        connection.metadata_asked += 1
        connection.wakeup.set()

    @staticmethod
    def _send(connection: "PeerConnection", message: MetadataMessage) -> None:
        extensions = connection.extensions
        number = extensions.message_ids.get(UT_METADATA) if extensions is not None else None
        if number is not None:
            connection.wire.send_extended(number, encode_metadata_message(message))
            connection.wakeup.set()
