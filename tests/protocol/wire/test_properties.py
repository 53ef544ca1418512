"""Properties of the peer wire: round trips, any split of the stream, arbitrary bytes, two ends."""

import struct
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from trio_swarm.errors import LocalProtocolError, RemoteProtocolError
from trio_swarm.protocol.wire import messages as m
from trio_swarm.protocol.wire.buffers import LARGEST_RECEIVE_BUFFER, RECEIVE_BUFFER_LENGTH
from trio_swarm.protocol.wire.handshake import OUR_RESERVED, encode_handshake
from trio_swarm.protocol.wire.machine import PeerWire
from trio_swarm.protocol.wire.messages import FileBlock, WireEvent
from unusual_messages import send_block_data, send_port

HASH = bytes(range(20))
PIECES = 13
PIECE_LENGTH = 40_000
LENGTH = (PIECES - 1) * PIECE_LENGTH + 7
SIZES = {"piece_count": PIECES, "piece_length": PIECE_LENGTH, "length": LENGTH}

Send = Callable[[PeerWire], object]
Exchange = tuple[Send, WireEvent]


def piece_size(piece: int) -> int:
    return PIECE_LENGTH if piece < PIECES - 1 else 7


def content(piece: int, begin: int, length: int) -> bytes:
    return bytes((piece * 31 + begin + i) & 255 for i in range(length))


def frozen(events: list[WireEvent]) -> list[WireEvent]:
    """Take block data out of the receive buffer, each block as an event of its own."""
    result: list[WireEvent] = []
    for event in events:
        if isinstance(event, m.BlockReceived):
            begin = event.begin
            for data in (event.data, *(event.following or ())):
                result.append(m.BlockReceived(event.piece, begin, memoryview(bytes(data))))
                begin += len(data)
        else:
            result.append(event)
    return result


def flush(wire: PeerWire) -> bytes:
    return b"".join(
        content(s.piece, s.begin, s.length) if isinstance(s, FileBlock) else s
        for s in wire.data_to_send()
    )


def pair(*, sized: bool = True) -> tuple[PeerWire, PeerWire]:
    left = PeerWire(peer_id=b"l" * 20, info_hash=HASH, is_initiator=True)
    right = PeerWire(peer_id=b"r" * 20, info_hash=None, is_initiator=False)
    left.send_handshake(HASH)
    right.receive(flush(left))
    right.send_handshake(HASH)
    left.receive(flush(right))
    if sized:
        left.set_torrent(**SIZES)
        right.set_torrent(**SIZES)
    return left, right


indices = st.integers(0, PIECES - 1)


@st.composite
def ranges(draw: st.DrawFn, limit: int = m.BLOCK_LENGTH) -> tuple[int, int, int]:
    piece = draw(indices)
    begin = draw(st.integers(0, piece_size(piece) - 1))
    length = draw(st.integers(1, min(limit, piece_size(piece) - begin)))
    return piece, begin, length


def exchange(name: str, event: Callable[..., WireEvent], *values: object) -> Exchange:
    return (lambda wire: getattr(wire, name)(*values), event(*values))


def block(piece: int, begin: int, length: int) -> Exchange:
    data = memoryview(content(piece, begin, length))
    return (
        lambda wire: wire.send_block(piece, begin, length),
        m.BlockReceived(piece, begin, data),
    )


def block_data(piece: int, begin: int, length: int) -> Exchange:
    data = content(piece, begin, length)
    return (
        lambda wire: send_block_data(wire, piece, begin, data),
        m.BlockReceived(piece, begin, memoryview(data)),
    )


exchanges = st.one_of(
    st.builds(lambda p: (lambda wire: wire.send_haves(1 << p), m.HasPiece(p)), indices),
    st.builds(lambda p: exchange("send_suggest", m.Suggested, p), indices),
    st.builds(lambda p: exchange("send_allowed_fast", m.AllowedFast, p), indices),
    st.builds(
        lambda port: (lambda wire: send_port(wire, port), m.PortReceived(port)),
        st.integers(1, 65535),
    ),
    st.builds(lambda r: exchange("send_request", m.RequestReceived, *r), ranges()),
    st.builds(lambda r: exchange("send_cancel", m.CancelReceived, *r), ranges()),
    st.builds(lambda r: exchange("send_reject", m.RejectReceived, *r), ranges()),
    st.builds(lambda r: block(*r), ranges()),
    st.builds(lambda r: block_data(*r), ranges()),
    st.builds(
        lambda i, p: exchange("send_extended", m.ExtendedReceived, i, p),
        st.integers(0, 255),
        st.binary(max_size=300),
    ),
    st.just(exchange("send_keep_alive", m.KeptAlive)),
)


def talking_pair() -> tuple[PeerWire, PeerWire]:
    """A pair where everything may be sent from left to right."""
    left, right = pair()
    left.send_bitfield(1)
    left.send_interested()
    left.send_unchoke()
    right.send_unchoke()
    right.receive(flush(left))
    left.receive(flush(right))
    return left, right


@given(st.lists(exchanges, max_size=12))
def test_every_message_arrives_as_it_was_sent(talk: list[Exchange]) -> None:
    left, right = talking_pair()
    for send, _ in talk:
        send(left)
    assert frozen(right.receive(flush(left)) if talk else []) == [event for _, event in talk]


@given(st.integers(0, (1 << PIECES) - 1), st.booleans())
def test_every_piece_set_arrives_as_it_was_sent(pieces: int, sized_before: bool) -> None:  # noqa: FBT001 - drawn by hypothesis
    left, right = pair(sized=False)
    left.set_torrent(**SIZES)
    left.send_bitfield(pieces)
    events = right.set_torrent(**SIZES) if sized_before else []
    events += right.receive(flush(left))
    events += [] if sized_before else right.set_torrent(**SIZES)
    (event,) = events
    assert isinstance(event, m.HasPieces)
    assert event.pieces == pieces


@given(st.lists(exchanges, max_size=12), st.lists(st.integers(1, 20_000)), st.booleans())
def test_any_split_of_the_stream_gives_the_same_events(
    talk: list[Exchange],
    cuts: list[int],
    in_place: bool,  # noqa: FBT001 - drawn by hypothesis
) -> None:
    left, _ = talking_pair()
    for send, _event in talk:
        send(left)
    stream = encode_handshake(HASH, b"l" * 20) + b"\0\0\0\1\1" + flush(left)
    right = PeerWire(peer_id=b"r" * 20, info_hash=HASH, is_initiator=True)
    right.set_torrent(**SIZES)
    right.send_handshake(HASH)
    events: list[WireEvent] = []
    start = 0
    for size in [*cuts, len(stream)]:
        part = stream[start : start + size]
        start += size
        if not part:
            break
        if in_place:
            space = right.receive_buffers()[0][: len(part)]
            space[:] = part
            events += frozen(right.received(len(part)))
        else:
            events += frozen(right.receive(part))
    assert events == [
        m.HandshakeReceived(HASH, b"l" * 20, OUR_RESERVED),
        m.Unchoked(),
        *(event for _, event in talk),
    ]
    assert right.receive(b"") == []


def test_a_long_stream_through_the_buffer_in_place_loses_nothing() -> None:
    """More than the buffer holds several times over, in reads that never meet a frame's end."""
    left, right = talking_pair()
    expected = []
    for number in range(100):
        left.send_haves(1 << number % PIECES)
        left.send_block(number % 12, number, 16384)
        expected += [
            m.HasPiece(number % PIECES),
            m.BlockReceived(number % 12, number, memoryview(content(number % 12, number, 16384))),
        ]
    stream = memoryview(flush(left))
    events: list[WireEvent] = []
    while stream:
        space = right.receive_buffers()[0]
        count = min(len(space), len(stream), 50_021)
        space[:count] = stream[:count]
        events += frozen(right.received(count))
        stream = stream[count:]
    assert events == expected


def test_reads_that_fill_the_buffer_make_it_larger_up_to_a_limit() -> None:
    left, right = talking_pair()
    expected = []
    for number in range(400):
        left.send_block(number % 12, number, 16384)
        expected.append(
            m.BlockReceived(number % 12, number, memoryview(content(number % 12, number, 16384)))
        )
    stream = memoryview(flush(left))
    events: list[WireEvent] = []
    spaces = []
    while stream:
        space = right.receive_buffers()[0]
        spaces.append(len(space))
        count = min(len(space), len(stream))
        space[:count] = stream[:count]
        events += frozen(right.received(count))
        stream = stream[count:]
    assert events == expected
    assert spaces[0] == RECEIVE_BUFFER_LENGTH
    assert LARGEST_RECEIVE_BUFFER * 3 // 4 < max(spaces) <= LARGEST_RECEIVE_BUFFER


@pytest.mark.parametrize("block_length", [m.MAX_REQUEST, m.MAX_NEGOTIATED_BLOCK])
def test_the_buffer_grows_only_to_the_block_that_was_agreed_on(block_length: int) -> None:
    wire = PeerWire(peer_id=b"w" * 20, info_hash=HASH, is_initiator=True)
    wire.set_torrent(piece_count=4, piece_length=2 << 20, length=8 << 20)
    wire.send_handshake(HASH)
    wire.receive(encode_handshake(HASH, b"p" * 20))
    wire.expect_blocks_up_to(block_length)
    data = bytes(range(256)) * (block_length // 256)
    stream = memoryview(
        b"".join(
            struct.pack(">IBII", 9 + block_length, 7, piece, 0) + data + bytes(4)
            for piece in range(4)
        )
    )
    sizes = set()
    events: list[WireEvent] = []
    while stream:
        space = wire.receive_buffers()[0]
        sizes.add(len(space))
        count = min(len(space), len(stream), 100_003)
        space[:count] = stream[:count]
        events += frozen(wire.received(count))
        stream = stream[count:]
    assert [e.data == data for e in events if isinstance(e, m.BlockReceived)] == [True] * 4
    assert len(events) == 8
    assert max(sizes) <= max(256 * 1024, block_length + 13)


fragments = st.one_of(
    st.binary(max_size=40),
    st.builds(
        lambda i, b: struct.pack(">IB", 1 + len(b), i) + b,
        st.integers(0, 22),
        st.binary(max_size=40),
    ),
    st.builds(
        lambda i, p, b, n: struct.pack(">IBIII", 13, i, p, b, n),
        st.sampled_from([6, 8, 16]),
        st.integers(0, PIECES),
        st.integers(0, PIECE_LENGTH),
        st.integers(0, PIECE_LENGTH),
    ),
    st.builds(
        lambda i, p: struct.pack(">IBI", 5, i, p),
        st.sampled_from([4, 13, 17]),
        st.integers(0, PIECES),
    ),
    st.builds(
        lambda n, p, b, d: struct.pack(">IBII", n, 7, p, b) + d,
        st.integers(5, 60),
        st.integers(0, PIECES),
        st.integers(0, PIECE_LENGTH),
        st.binary(max_size=60),
    ),
)


@given(
    stream=st.lists(fragments, max_size=20).map(b"".join),
    opening=st.sampled_from(
        [b"", encode_handshake(HASH, b"p" * 20), m.PROTOCOL_PREFIX + bytes(48)]
    ),
    sized=st.booleans(),
    answered=st.booleans(),
    cut=st.integers(1, 200),
)
def test_arbitrary_bytes_are_events_or_a_fault_of_the_peer(
    stream: bytes,
    opening: bytes,
    sized: bool,  # noqa: FBT001 - drawn by hypothesis
    answered: bool,  # noqa: FBT001 - drawn by hypothesis
    cut: int,
) -> None:
    wire = PeerWire(peer_id=b"w" * 20, info_hash=HASH if answered else None, is_initiator=answered)
    if answered:
        wire.send_handshake(HASH)
    data = opening + stream
    try:
        for start in range(0, len(data), cut):
            wire.receive(data[start : start + cut])
        if not sized:
            wire.set_torrent(**SIZES)
        wire.receive(b"")
    except RemoteProtocolError:
        with pytest.raises(RemoteProtocolError):
            wire.received(1)


class TwoWires(RuleBasedStateMachine):
    """Two wires connected by byte queues; each send is legal or refused, each delivery right."""

    @initialize(fast=st.booleans())
    def connect(self, *, fast: bool) -> None:
        self.wires = [
            PeerWire(peer_id=bytes([48 + i]) * 20, info_hash=HASH, is_initiator=i == 0)
            for i in range(2)
        ]
        self.fast = fast
        self.pipes = [b"", b""]
        self.sent: list[list[WireEvent]] = [[], []]
        handshakes = []
        reserved = bytes((0, 0, 0, 0, 0, 0x10, 0, 4 if fast else 0))
        for i, wire in enumerate(self.wires):
            wire.set_torrent(**SIZES)
            handshakes.append(m.PROTOCOL_PREFIX + reserved + HASH + bytes([48 + i]) * 20)
        self.wires[0].send_handshake(HASH)
        self.wires[1].receive(handshakes[0])
        self.wires[1].send_handshake(HASH)
        self.wires[0].receive(handshakes[1])
        for wire in self.wires:
            wire.data_to_send()
            assert wire.fast == fast

    def _send(self, side: int, send: Send, event: WireEvent | None, *, legal: bool) -> None:
        wire = self.wires[side]
        if legal:
            send(wire)
            if event is not None:
                self.sent[side].append(event)
        else:
            with pytest.raises(LocalProtocolError):
                send(wire)
        self.pipes[side] += flush(wire)

    @rule(side=st.integers(0, 1), choke=st.booleans())
    def choke(self, *, side: int, choke: bool) -> None:
        wire = self.wires[side]
        event: WireEvent | None = None
        if wire.am_choking != choke:
            event = m.Choked() if choke else m.Unchoked()
        send: Send = PeerWire.send_choke if choke else PeerWire.send_unchoke
        self._send(side, send, event, legal=True)

    @rule(side=st.integers(0, 1), interested=st.booleans())
    def interest(self, *, side: int, interested: bool) -> None:
        wire = self.wires[side]
        event: WireEvent | None = None
        if wire.am_interested != interested:
            event = m.Interested() if interested else m.NotInterested()
        send: Send = PeerWire.send_interested if interested else PeerWire.send_not_interested
        self._send(side, send, event, legal=True)

    @rule(side=st.integers(0, 1), where=ranges())
    def request(self, *, side: int, where: tuple[int, int, int]) -> None:
        wire = self.wires[side]
        usable = not wire.peer_choking or where[0] in wire._allowed_to_us
        send, event = exchange("send_request", m.RequestReceived, *where)
        self._send(side, send, event, legal=wire.am_interested and usable)

    @rule(side=st.integers(0, 1), where=ranges())
    def serve(self, *, side: int, where: tuple[int, int, int]) -> None:
        wire = self.wires[side]
        allowed = m.AllowedFast(where[0]) in self.ever_allowed[side]
        send, event = block(*where)
        self._send(side, send, event, legal=not wire.am_choking or allowed)

    @initialize()
    def nothing_allowed(self) -> None:
        self.ever_allowed: list[list[WireEvent]] = [[], []]

    @rule(side=st.integers(0, 1), piece=indices)
    def allow_fast(self, *, side: int, piece: int) -> None:
        send, event = exchange("send_allowed_fast", m.AllowedFast, piece)
        self._send(side, send, event, legal=self.fast)
        if self.fast:
            self.ever_allowed[side].append(event)

    @rule(side=st.integers(0, 1), where=ranges())
    def reject(self, *, side: int, where: tuple[int, int, int]) -> None:
        send, event = exchange("send_reject", m.RejectReceived, *where)
        self._send(side, send, event, legal=self.fast)

    @precondition(lambda self: any(self.pipes))
    @rule(data=st.data())
    def deliver(self, *, data: st.DataObject) -> None:
        side = data.draw(st.sampled_from([i for i in (0, 1) if self.pipes[i]]))
        count = data.draw(st.integers(1, len(self.pipes[side])))
        part, self.pipes[side] = self.pipes[side][:count], self.pipes[side][count:]
        events = frozen(self.wires[1 - side].receive(part))
        assert events == self.sent[side][: len(events)]
        del self.sent[side][: len(events)]

    @invariant()
    def both_ends_agree_when_nothing_is_under_way(self) -> None:
        for side in (0, 1):
            if not self.pipes[side]:
                assert self.sent[side] == []
                sender, receiver = self.wires[side], self.wires[1 - side]
                assert sender.am_choking == receiver.peer_choking
                assert sender.am_interested == receiver.peer_interested


TestTwoWires = TwoWires.TestCase
