"""Blocks that are received straight into memory that was lent for them."""

import random
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.errors import RemoteProtocolError
from trio_swarm.protocol.wire import messages as m
from trio_swarm.protocol.wire.block_place import BlockPlace
from trio_swarm.protocol.wire.buffers import HEADER_READ
from trio_swarm.protocol.wire.handshake import encode_handshake
from trio_swarm.protocol.wire.machine import PeerWire
from trio_swarm.protocol.wire.reader import LEAST_PLACED

HASH = bytes(20)
PIECES, PIECE_LENGTH = 4, 1 << 20


def a_wire() -> PeerWire:
    wire = PeerWire(peer_id=b"w" * 20, info_hash=HASH, is_initiator=True)
    wire.set_torrent(piece_count=PIECES, piece_length=PIECE_LENGTH, length=PIECES * PIECE_LENGTH)
    wire.send_handshake(HASH)
    wire.receive(encode_handshake(HASH, b"p" * 20))
    wire.expect_blocks_up_to(m.MAX_NEGOTIATED_BLOCK)
    return wire


def block_frame(piece: int, begin: int, data: bytes) -> bytes:
    return struct.pack(">IBII", 9 + len(data), 7, piece, begin) + data


def feed(wire: PeerWire, data: bytes | memoryview) -> list[m.WireEvent]:
    """Let one read bring `data`, which must not be more than there is room for."""
    rest = memoryview(data)
    for space in wire.receive_buffers():
        count = min(len(space), len(rest))
        space[:count] = rest[:count]
        rest = rest[count:]
    assert not rest
    return wire.received(len(data))


blocks = st.builds(
    lambda piece, begin, length: (piece, begin, min(length, PIECE_LENGTH - begin)),
    st.integers(0, PIECES - 1),
    st.integers(0, PIECE_LENGTH - 1),
    st.sampled_from([1, 16384, LEAST_PLACED, LEAST_PLACED + 14, 300_000, m.MAX_NEGOTIATED_BLOCK]),
)


@given(
    st.lists(blocks, min_size=1, max_size=6),
    st.lists(st.integers(1, 400_000), max_size=20),
    st.integers(0, 1 << 32),
)
def test_any_split_gives_the_same_blocks_wherever_they_were_received(
    sent: list[tuple[int, int, int]], sizes: list[int], seed: int
) -> None:
    # Not drawn by Hypothesis byte by byte: there are megabytes.
    rng = random.Random(seed)
    wire = a_wire()
    memory = [memoryview(bytearray(PIECE_LENGTH)) for _ in range(PIECES)]
    lent: list[BlockPlace] = []

    def place_block(piece: int, begin: int, length: int) -> BlockPlace | None:
        # As with the real owner: a place is lent again only after its block was taken.
        if rng.random() < 0.3 or any(place.piece == piece for place in lent):
            return None
        place = BlockPlace(piece, begin, memory[piece][begin : begin + length])
        lent.append(place)
        return place

    wire.place_block = place_block
    contents = [rng.randbytes(length) for _, _, length in sent]
    stream = memoryview(
        b"".join(
            block_frame(piece, begin, data) + m.INDEX_FRAME.pack(5, 4, piece)
            for (piece, begin, _), data in zip(sent, contents, strict=True)
        )
    )
    got: list[bytes] = []
    while stream:
        room = sum(map(len, wire.receive_buffers()))
        size = min(room, len(stream), sizes.pop() if sizes else room)
        for event in feed(wire, stream[:size]):
            if isinstance(event, m.BlockReceived):
                assert event.following is None  # a HAVE follows each
                got.append(bytes(event.data))
                if event.place is not None:
                    lent.remove(event.place)
                    if event.place.is_lent:
                        in_place = memory[event.piece][event.begin :][: len(event.data)]
                        assert in_place == event.data
            else:
                assert event == m.HasPiece(sent[len(got) - 1][0])
        stream = stream[size:]
        if rng.random() < 0.2:
            for place in lent:
                place.take_back()
                memory[place.piece][:] = bytes(PIECE_LENGTH)
    assert got == contents


def test_a_long_block_never_passes_through_the_buffer_of_the_wire() -> None:
    wire = a_wire()
    target = memoryview(bytearray(PIECE_LENGTH))
    wire.place_block = lambda piece, begin, _: BlockPlace(piece, begin, target)
    data = random.Random(1).randbytes(PIECE_LENGTH)
    frame = block_frame(0, 0, data)
    assert feed(wire, frame[:100]) == []
    place, rest = wire.receive_buffers()
    assert (len(place), len(rest)) == (PIECE_LENGTH - 100 + 13, HEADER_READ)
    (event,) = feed(wire, frame[100:])
    assert isinstance(event, m.BlockReceived)
    assert target == data
    # The next one is expected to be as long, so only its header comes through the buffer.
    assert [len(space) for space in wire.receive_buffers()] == [HEADER_READ]


def test_short_blocks_after_long_ones_are_read_many_at_a_time_again() -> None:
    wire = a_wire()
    target = memoryview(bytearray(PIECE_LENGTH))
    wire.place_block = lambda piece, begin, _: BlockPlace(piece, begin, target)
    frame = block_frame(0, 0, bytes(PIECE_LENGTH))
    feed(wire, frame[:13])
    feed(wire, frame[13:])
    feed(wire, block_frame(1, 0, bytes(1024)))
    assert [len(space) > HEADER_READ for space in wire.receive_buffers()] == [True]


def test_a_peer_that_closes_inside_a_placed_block_is_at_fault_and_the_place_is_given_up() -> None:
    wire = a_wire()
    target = memoryview(bytearray(PIECE_LENGTH))
    wire.place_block = lambda piece, begin, _: BlockPlace(piece, begin, target)
    feed(wire, block_frame(0, 0, bytes(PIECE_LENGTH))[:1000])
    with pytest.raises(RemoteProtocolError, match="inside a message"):
        wire.received(0)
    place = wire.give_up_place()
    assert place is not None
    assert (place.piece, place.begin) == (0, 0)
    assert wire.give_up_place() is None


def test_how_much_is_here_of_a_block_on_its_way_to_its_place_shows() -> None:
    wire = a_wire()
    target = memoryview(bytearray(PIECE_LENGTH))
    wire.place_block = lambda piece, begin, _: BlockPlace(piece, begin, target)
    frame = block_frame(0, 0, bytes(PIECE_LENGTH))
    assert wire.bytes_within_block == 0
    feed(wire, frame[:100])
    assert wire.bytes_within_block == 100 - 13
    feed(wire, frame[100:1000])
    assert wire.bytes_within_block == 1000 - 13
    feed(wire, frame[1000:])
    assert wire.bytes_within_block == 0
