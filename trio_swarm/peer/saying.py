"""What a conversation says, as frames of the peer wire; and our extension handshake."""

from collections.abc import Iterable, Mapping

from trio_swarm.engine import messages as say
from trio_swarm.engine.conversation import REQUEST_QUEUE
from trio_swarm.engine.upload.serving import request_size
from trio_swarm.piece_sets import PieceSet, iterate
from trio_swarm.protocol.extensions.dont_have import LT_DONTHAVE, encode_dont_have
from trio_swarm.protocol.extensions.handshake import (
    ExtensionHandshake,
    encode_extension_handshake,
)
from trio_swarm.protocol.extensions.table import HANDSHAKE_ID, OUR_MESSAGE_IDS
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.protocol.wire.machine import PeerWire

OWN_MAX_BLOCK = 1024 * 1024
"""Largest block asked of, and served to, another trio-swarm peer; everybody else gets 16 KiB.
Measured: a transfer on one machine takes 0.95 of the time that it takes with 512 KiB."""


def longest_block(upload_rate: float | None) -> int:
    """Return the most bytes that another trio-swarm peer may ask of us in one request.

    upload_rate: the user's limit, bytes/s; None: no limit. A block leaves in one go, and all others
    wait for it: with one of 1 MiB under a limit of 100 KiB/s that were ten seconds.
    """
    return OWN_MAX_BLOCK if upload_rate is None else request_size(upload_rate, OWN_MAX_BLOCK)


def greet(
    wire: PeerWire,
    info: Info | None,
    *,
    client: str,
    port: int,
    upload_only: bool,
    shows_all_of_part: bool = False,
    max_block: int = OWN_MAX_BLOCK,
) -> None:
    """Put the extension handshake out (BEP 10); again, with the metadata's size, once it is known.

    A peer that lacks the metadata, too, could not ask us for it otherwise (BEP 9).
    """
    if not wire.extensions:
        return
    told = ExtensionHandshake(
        message_ids=OUR_MESSAGE_IDS,
        client=client,
        port=port or None,
        request_queue=REQUEST_QUEUE,
        metadata_size=len(info.raw) if info is not None else None,
        upload_only=upload_only,
        max_block=max_block,
    )
    wire.send_extended(
        HANDSHAKE_ID, encode_extension_handshake(told, shows_all_of_part=shows_all_of_part)
    )


def put_out(
    wire: PeerWire, messages: Iterable[say.Message], message_ids: Mapping[str, int]
) -> None:
    """Put messages into a wire on which both ends have shaken hands.

    `message_ids` are the numbers under which the peer takes extended messages (BEP 10).
    """
    for kind, content in messages:
        if kind == say.ASK:
            piece, begin, length, each = content
            wire.send_request(piece, begin, length, block=each)
        elif kind == say.HAVE:
            wire.send_haves(content)
        elif kind == say.REJECT:
            wire.send_reject(*content)
        elif kind == say.CANCEL:
            wire.send_cancel(*content)
        elif kind in {say.INTEREST, say.CHOKE}:
            _put_out_state(wire, kind, is_so=content)
        elif kind == say.LOST:
            for lost in iterate(content):
                wire.send_extended(message_ids[LT_DONTHAVE], encode_dont_have(lost))
        else:
            _put_out_pieces(wire, kind, content)


def _put_out_state(wire: PeerWire, kind: int, *, is_so: bool) -> None:
    if kind == say.INTEREST:
        send = wire.send_interested if is_so else wire.send_not_interested
    else:
        send = wire.send_choke if is_so else wire.send_unchoke
    send()


def _put_out_pieces(wire: PeerWire, kind: int, pieces: PieceSet) -> None:
    if kind == say.PIECES:
        wire.send_bitfield(pieces)
        return
    send = wire.send_allowed_fast if kind == say.ALLOWED else wire.send_suggest
    for piece in iterate(pieces):
        send(piece)
