"""What a real torrent's wire never sends: blocks from memory, and ports of a DHT node."""

import struct

from trio_swarm.protocol.wire import messages as msg
from trio_swarm.protocol.wire.machine import PeerWire


def send_block_data(wire: PeerWire, piece: int, begin: int, data: bytes | bytearray) -> None:
    """Answer a request by any bytes: a torrent's wire sends those of its file only."""
    frame = msg.PIECE_FRAME.pack(9 + len(data), msg.MessageId.PIECE, piece, begin)
    wire._outgoing.add(frame + data)


def send_port(wire: PeerWire, port: int) -> None:
    """Tell the UDP port of a DHT node (BEP 5), which has to be understood, and is not told."""
    wire._outgoing.add(struct.pack(">IBH", 3, msg.MessageId.PORT, port))
