"""The peer wire: what two ends say to each other, and what a stranger may not say."""

import struct
from collections.abc import Callable

import pytest

from trio_swarm import piece_sets
from trio_swarm.errors import IdleTalkError, LocalProtocolError, RemoteProtocolError
from trio_swarm.protocol.wire import messages as m
from trio_swarm.protocol.wire.handshake import OUR_RESERVED, encode_handshake
from trio_swarm.protocol.wire.machine import PeerWire
from trio_swarm.protocol.wire.messages import FileBlock, WireEvent
from trio_swarm.protocol.wire.reader import MESSAGES_AT_ONCE
from unusual_messages import send_block_data

HASH = bytes(range(20))
PIECES = 20
PIECE_LENGTH = 64 * 1024
LENGTH = (PIECES - 1) * PIECE_LENGTH + 1000
SIZES = {"piece_count": PIECES, "piece_length": PIECE_LENGTH, "length": LENGTH}


def handshake(*, reserved: bytes = OUR_RESERVED, info_hash: bytes = HASH) -> bytes:
    return m.PROTOCOL_PREFIX + reserved + info_hash + b"p" * 20


def frame(message_id: int, body: bytes = b"") -> bytes:
    return struct.pack(">IB", 1 + len(body), message_id) + body


def ints(*values: int) -> bytes:
    return struct.pack(f">{len(values)}I", *values)


def flush(wire: PeerWire) -> bytes:
    data = b""
    for segment in wire.data_to_send():
        data += bytes(segment.length) if isinstance(segment, FileBlock) else segment
    return data


def open_wire(
    *, sized: bool = True, reserved: bytes = OUR_RESERVED, is_initiator: bool = True
) -> PeerWire:
    wire = PeerWire(peer_id=b"w" * 20, info_hash=HASH, is_initiator=is_initiator)
    if sized:
        wire.set_torrent(**SIZES)
    if is_initiator:
        wire.send_handshake(HASH)
        wire.receive(handshake(reserved=reserved))
    else:
        wire.receive(handshake(reserved=reserved))
        wire.send_handshake(HASH)
    wire.data_to_send()
    return wire


NO_FAST = bytes((0, 0, 0, 0, 0, 0x10, 0, 0))
NO_EXTENSIONS = bytes(8)


def test_an_incoming_wire_learns_the_info_hash_and_answers_with_it() -> None:
    ours = PeerWire(peer_id=b"a" * 20, info_hash=None, is_initiator=False)
    theirs = PeerWire(peer_id=b"b" * 20, info_hash=HASH, is_initiator=True)
    theirs.send_handshake(HASH)
    events = ours.receive(flush(theirs))
    assert events == [m.HandshakeReceived(HASH, b"b" * 20, OUR_RESERVED)]
    assert ours.info_hash == HASH
    ours.send_handshake(HASH)
    assert theirs.receive(flush(ours)) == [m.HandshakeReceived(HASH, b"a" * 20, OUR_RESERVED)]
    for wire in (ours, theirs):
        assert wire.is_open
        assert wire.fast
        assert wire.extensions
        assert wire.am_choking
        assert wire.peer_choking
        assert not wire.am_interested
        assert not wire.peer_interested


def test_our_handshake_offers_fast_and_extensions_and_no_dht() -> None:
    wire = PeerWire(peer_id=b"a" * 20, info_hash=HASH, is_initiator=True)
    wire.send_handshake(HASH)
    assert flush(wire) == (b"\x13BitTorrent protocol" + b"\0\0\0\0\0\x10\0\x04" + HASH + b"a" * 20)


@pytest.mark.parametrize("position", range(20))
def test_a_wrong_protocol_is_refused_at_its_first_wrong_byte(position: int) -> None:
    wire = PeerWire(peer_id=b"a" * 20, info_hash=None, is_initiator=False)
    if position:
        assert wire.receive(handshake()[:position]) == []
    with pytest.raises(RemoteProtocolError, match="not a BitTorrent handshake"):
        wire.receive(b"\0")


def test_an_answer_for_another_info_hash_is_refused_before_the_peer_id() -> None:
    wire = PeerWire(peer_id=b"a" * 20, info_hash=HASH, is_initiator=True)
    with pytest.raises(RemoteProtocolError, match="another info-hash"):
        wire.receive(handshake(info_hash=bytes(20))[:48])


def test_an_end_at_a_frame_boundary_is_no_fault() -> None:
    assert open_wire().receive(b"") == []


@pytest.mark.parametrize("part", [b"\0", b"\0\0\0\5", frame(4, ints(1))[:-1]])
def test_an_end_inside_a_message_is_a_fault(part: bytes) -> None:
    wire = open_wire()
    wire.receive(part)
    with pytest.raises(RemoteProtocolError, match="inside a message"):
        wire.received(0)


def test_an_end_inside_the_handshake_is_a_fault() -> None:
    wire = PeerWire(peer_id=b"a" * 20, info_hash=None, is_initiator=False)
    with pytest.raises(RemoteProtocolError, match="handshake"):
        wire.received(0)


def test_a_fault_stays_a_fault() -> None:
    wire = open_wire()
    for data in (frame(4, ints(PIECES)), frame(1)):
        with pytest.raises(RemoteProtocolError, match="piece index 20"):
            wire.receive(data)


def test_choke_and_interest_are_told_once_and_seen_by_both_ends() -> None:
    left, right = open_wire(), open_wire()
    left.send_choke()
    left.send_not_interested()
    assert not left.has_data_to_send
    left.send_unchoke()
    left.send_unchoke()
    left.send_interested()
    left.send_interested()
    assert right.receive(flush(left)) == [m.Unchoked(), m.Interested()]
    assert not left.am_choking
    assert left.am_interested
    assert not right.peer_choking
    assert right.peer_interested
    left.send_choke()
    left.send_not_interested()
    assert right.receive(flush(left)) == [m.Choked(), m.NotInterested()]
    assert right.peer_choking
    assert not right.peer_interested


def test_neighbouring_messages_leave_as_one_bytes_and_a_block_keeps_its_place() -> None:
    wire = open_wire()
    wire.send_unchoke()
    wire.send_keep_alive()
    wire.send_block(1, 0, 16384)
    wire.send_block(1, 16384, 16384)
    wire.send_keep_alive()
    header = struct.pack(">IBII", 9 + 16384, 7, 1, 0)
    second = struct.pack(">IBII", 9 + 16384, 7, 1, 16384)
    assert wire.data_to_send() == [
        frame(1) + bytes(4) + header,
        FileBlock(1, 0, 16384),
        second,
        FileBlock(1, 16384, 16384),
        bytes(4),
    ]
    assert wire.data_to_send() == []
    assert not wire.has_data_to_send


def test_a_block_points_into_the_receive_buffer() -> None:
    wire = open_wire()
    data = frame(7, ints(3, 16384) + b"x" * 16384)
    space = wire.receive_buffers()[0]
    space[: len(data)] = data
    (event,) = wire.received(len(data))
    assert isinstance(event, m.BlockReceived)
    assert (event.piece, event.begin, bytes(event.data)) == (3, 16384, b"x" * 16384)
    space[13] = ord("y")
    assert event.data[0] == ord("y")


def test_more_than_the_buffer_in_one_receive_leaves_every_block_valid() -> None:
    wire = open_wire()
    data = b"".join(frame(7, ints(1, 0) + bytes([i]) * 16384) for i in range(40))
    events = wire.receive(data)
    assert [bytes(e.data) for e in events if isinstance(e, m.BlockReceived)] == [
        bytes([i]) * 16384 for i in range(40)
    ]


def test_a_bitfield_is_have_all_or_have_none_where_both_are_fast() -> None:
    for pieces, expected in (
        (piece_sets.full_set(PIECES), m.HasAll(piece_sets.full_set(PIECES))),
        (0, m.HasNone(0)),
        (0b1011, m.HasPieces(0b1011)),
    ):
        wire = open_wire()
        wire.send_bitfield(pieces)
        sent = flush(wire)
        assert (len(sent) == 5) == (type(expected) is not m.HasPieces)
        assert open_wire().receive(sent) == [expected]


def test_without_fast_a_full_set_is_a_bitfield_and_an_empty_one_is_nothing() -> None:
    wire = open_wire(reserved=NO_FAST)
    wire.send_bitfield(piece_sets.full_set(PIECES))
    assert flush(wire) == frame(5, b"\xff\xff\xf0")
    wire = open_wire(reserved=NO_FAST)
    wire.send_bitfield(0)
    assert not wire.has_data_to_send


BAD_FRAMES: dict[str, bytes] = {
    "choke with a body": frame(0, b"x"),
    "have of a piece beyond the last": frame(4, ints(PIECES)),
    "have of three bytes": frame(4, b"abc"),
    "bitfield too short": frame(5, bytes(2)),
    "bitfield too long": frame(5, bytes(4)),
    "block beyond the piece": frame(7, ints(0, PIECE_LENGTH - 1) + b"xx"),
    "block of a piece beyond the last": frame(7, ints(PIECES, 0) + b"xx"),
    "block without data": frame(7, ints(0, 0)),
    "block without begin": frame(7, ints(0)),
    "block above what we ask": frame(7, ints(0, 0) + bytes(m.BLOCK_LENGTH + 1)),
    "port of one byte": frame(9, b"1"),
    "extended without an id": frame(20),
}


@pytest.mark.parametrize("data", BAD_FRAMES.values(), ids=BAD_FRAMES.keys())
def test_a_stranger_may_not_send(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        open_wire().receive(data)


BAD_REQUESTS = {
    "beyond the piece": (0, PIECE_LENGTH - 1, 2),
    "beyond the last piece": (PIECES - 1, 0, 1001),
    "of nothing": (0, 0, 0),
    "of nothing at the end": (0, PIECE_LENGTH, 0),
    "above the limit": (0, 0, m.MAX_REQUEST + 1),
    "that overflows": (0, 0xFFFFFFFF, 0xFFFFFFFF),
    "of a piece beyond the last": (PIECES, 0, 1),
    "of a negative piece": (0xFFFFFFFF, 0, 1),
}


@pytest.mark.parametrize("numbers", BAD_REQUESTS.values(), ids=BAD_REQUESTS.keys())
def test_a_request_nobody_can_serve_is_rejected_or_met_with_silence(
    numbers: tuple[int, int, int],
) -> None:
    """libtorrent 2.1 `incoming_request`, Transmission 4 `on_peer_made_request`; BEP 6, "Reject"."""
    wire = open_wire()
    assert wire.receive(frame(6, ints(*numbers)) + frame(1)) == [m.Unchoked()]
    assert flush(wire) == frame(0x10, ints(*numbers))
    assert wire.ignored == 1
    quiet = open_wire(reserved=NO_FAST)
    assert quiet.receive(frame(6, ints(*numbers)) + frame(1)) == [m.Unchoked()]
    assert not quiet.has_data_to_send


IGNORED: dict[str, bytes] = {
    "cancel beyond the piece": frame(8, ints(0, PIECE_LENGTH, 1)),
    "cancel of nothing": frame(8, ints(0, 0, 0)),
    "reject beyond the piece": frame(0x10, ints(0, PIECE_LENGTH, 1)),
    "reject above what we ask": frame(0x10, ints(0, 0, m.BLOCK_LENGTH + 1)),
    "reject of a piece beyond the last": frame(0x10, ints(PIECES, 0, 1)),
    "suggest beyond the last piece": frame(0x0D, ints(PIECES)),
    "allowed fast beyond the last piece": frame(0x11, ints(0xFFFFFFFF)),
}


@pytest.mark.parametrize("data", IGNORED.values(), ids=IGNORED.keys())
def test_a_hint_outside_the_torrent_is_ignored_and_counted(data: bytes) -> None:
    """libtorrent 2.1 (`incoming_suggest` and others) and Transmission 4 go on as well."""
    wire = open_wire()
    assert wire.receive(data * 3 + frame(1)) == [m.Unchoked()]
    assert wire.ignored == 3
    assert not wire.has_data_to_send


@pytest.mark.parametrize("sized", [True, False])
def test_spare_bits_of_a_bitfield_are_not_looked_at(*, sized: bool) -> None:
    """As in libtorrent 2.1 and Transmission 4; BEP 3 wants them to be zero."""
    wire = open_wire(sized=sized)
    events = wire.receive(frame(5, b"\x80\0\x1f"))
    if not sized:
        events = wire.set_torrent(**SIZES)
    assert events == [m.HasPieces(1 | 1 << PIECES - 1)]


def test_what_is_said_in_one_go_is_parsed_bit_by_bit() -> None:
    wire = open_wire()
    data = frame(4, ints(3)) * (MESSAGES_AT_ONCE * 2 + 10) + frame(99) * MESSAGES_AT_ONCE
    wire.receive_buffers()[0][: len(data)] = data
    counts = [len(wire.received(len(data)))]
    while wire.is_behind:
        with pytest.raises(LocalProtocolError):
            wire.received(0)
        counts.append(len(wire.parse_more()))
    assert counts == [MESSAGES_AT_ONCE, MESSAGES_AT_ONCE, 10, 0]
    assert wire.ignored == MESSAGES_AT_ONCE
    assert wire.received(0) == []


def test_long_messages_without_meaning_are_counted_by_the_kibibyte() -> None:
    wire = open_wire()
    assert wire.receive(frame(99, bytes(100 * 1024))) == []
    assert wire.ignored == 101


@pytest.mark.parametrize(
    "header",
    [
        ints(0x7FFFFFFF),
        struct.pack(">IB", m.MAX_EXTENDED_LENGTH + 3, 20),
        struct.pack(">IB", m.MAX_UNKNOWN_LENGTH + 2, 99),
        struct.pack(">IB", 9 + m.BLOCK_LENGTH + 1, 7),
        struct.pack(">IB", 5, 5),
        struct.pack(">IBII", 9 + 16384, 7, PIECES, 0),
    ],
)
def test_a_frame_that_announces_too_much_is_refused_before_its_body(header: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        open_wire().receive(header)


def test_messages_of_unknown_kind_are_skipped() -> None:
    wire = open_wire()
    assert wire.receive(frame(99, b"?" * 1000) + frame(30) + frame(1)) == [m.Unchoked()]


@pytest.mark.parametrize("message_id", [0x0D, 0x0E, 0x0F, 0x10, 0x11])
def test_fast_messages_without_fast_are_a_fault(message_id: int) -> None:
    with pytest.raises(RemoteProtocolError, match="Fast"):
        open_wire(reserved=NO_FAST).receive(struct.pack(">IB", 1, message_id))


def test_extended_messages_without_the_extension_protocol_are_skipped() -> None:
    assert open_wire(reserved=NO_EXTENSIONS).receive(frame(20, b"\0de")) == []


def test_an_extension_handshake_may_come_before_the_bitfield_and_haves_before_too() -> None:
    data = frame(20, b"\0de") + frame(4, ints(1)) + frame(5, b"\x80\0\0") + frame(0x0E)
    assert open_wire().receive(data) == [
        m.ExtendedReceived(0, b"de"),
        m.HasPiece(1),
        m.HasPieces(1),
        m.HasAll(piece_sets.full_set(PIECES)),
    ]


def test_telling_all_pieces_over_and_over_is_a_flood() -> None:
    wire = open_wire()
    wire.receive(frame(0x0E) * 8)
    with pytest.raises(RemoteProtocolError, match="again and again"):
        wire.receive(frame(0x0F))


def test_requests_are_bounded_by_what_was_agreed_on() -> None:
    piece = 1 << 21
    left = PeerWire(peer_id=b"a" * 20, info_hash=HASH, is_initiator=True)
    left.set_torrent(piece_count=2, piece_length=piece, length=2 * piece)
    left.send_handshake(HASH)
    left.receive(handshake() + frame(1))
    left.send_interested()
    with pytest.raises(LocalProtocolError):
        left.send_request(0, 0, 1 << 20)
    left.expect_blocks_up_to(1 << 20)
    left.expect_blocks_up_to(1 << 15)
    left.data_to_send()
    left.send_request(0, 0, 1 << 20)
    request = flush(left)

    right = PeerWire(
        peer_id=b"b" * 20,
        info_hash=HASH,
        is_initiator=True,
        piece_count=2,
        piece_length=piece,
        length=2 * piece,
    )
    right.send_handshake(HASH)
    right.receive(handshake())
    right.allow_requests_up_to(1 << 20)
    assert right.receive(request) == [m.RequestReceived(0, 0, 1 << 20)]
    right.send_unchoke()
    right.data_to_send()
    send_block_data(right, 0, 0, b"z" * (1 << 20))
    (event,) = left.receive(flush(right))
    assert isinstance(event, m.BlockReceived)
    assert event.data == b"z" * (1 << 20)


# Before the torrent's size is known


def test_pieces_told_before_the_size_is_known_come_out_when_it_is() -> None:
    full = piece_sets.full_set(PIECES)
    for data, expected in (
        (frame(99), []),
        (frame(5, b"\xa0\0\x10"), [m.HasPieces(0b101 | 1 << 19)]),
        (frame(5, b"\xa0\0\x10") + frame(4, ints(1)), [m.HasPieces(0b111 | 1 << 19)]),
        (frame(4, ints(3)) + frame(4, ints(19)), [m.HasPieces(1 << 3 | 1 << 19)]),
        (frame(0x0E), [m.HasAll(full)]),
        (frame(0x0E) + frame(4, ints(3)), [m.HasAll(full)]),
        (frame(0x0F), [m.HasNone(0)]),
        (frame(0x0F) + frame(4, ints(3)), [m.HasPieces(8)]),
        (frame(4, ints(3)) + frame(0x0F), [m.HasNone(0)]),
        (frame(0x11, ints(7)) + frame(0x0D, ints(8)), [m.AllowedFast(7), m.Suggested(8)]),
    ):
        wire = open_wire(sized=False)
        assert wire.receive(data) == []
        assert wire.set_torrent(**SIZES) == expected
        assert wire.receive(frame(4, ints(2))) == [m.HasPiece(2)]


@pytest.mark.parametrize(
    "data",
    [
        frame(5, bytes(2)),
        frame(5, bytes(4)),
        frame(5, b"\0\0"),
        frame(4, ints(PIECES)),
    ],
)
def test_what_does_not_fit_the_torrent_is_a_fault_once_it_is_known(data: bytes) -> None:
    wire = open_wire(sized=False)
    assert wire.receive(data) == []
    with pytest.raises(RemoteProtocolError):
        wire.set_torrent(**SIZES)
    with pytest.raises(RemoteProtocolError):
        wire.receive(bytes(4))


@pytest.mark.parametrize(
    "data",
    [
        frame(4, ints(m.MAX_UNKNOWN_PIECES)),
        struct.pack(">IB", 2 + m.MAX_UNKNOWN_PIECES // 8, 5),
        frame(7, ints(0, 0) + b"x"),
    ],
)
def test_what_no_torrent_can_have_is_refused_before_the_size_is_known(data: bytes) -> None:
    with pytest.raises(RemoteProtocolError):
        open_wire(sized=False).receive(data)


def test_pieces_taken_back_before_the_size_is_known_are_not_there_when_it_is() -> None:
    """BEP 54: a piece that was told by a HAVE, or by any set, may be taken back."""
    nothing = frame(99)
    full = piece_sets.full_set(PIECES)
    have = [frame(4, ints(piece)) for piece in range(PIECES)]
    for told, gone, again, expected in (
        (nothing, [3], nothing, []),
        (frame(5, b"\xa0\0\x10"), [0], nothing, [m.HasPieces(0b100 | 1 << 19)]),
        (frame(5, b"\xa0\0\x10"), [0, 0, 1], have[0], [m.HasPieces(0b101 | 1 << 19)]),
        (have[3] + have[19], [3], nothing, [m.HasPieces(1 << 19)]),
        (have[3], [3], nothing, [m.HasPieces(0)]),
        (frame(0x0E), [3, 3, 5], nothing, [m.HasPieces(full & ~(1 << 3 | 1 << 5))]),
        (frame(0x0E), [3, 5], have[3] + have[5], [m.HasAll(full)]),
        (frame(0x0E), [3], frame(0x0E), [m.HasAll(full)]),
        (frame(0x0F) + have[3], [3], nothing, [m.HasPieces(0)]),
    ):
        wire = open_wire(sized=False)
        wire.receive(told)
        assert [wire.take_back(piece) for piece in gone] == [False] * len(gone)
        wire.receive(again)
        assert wire.set_torrent(**SIZES) == expected
        assert wire.take_back(2)


def test_a_piece_taken_back_must_be_one_of_the_torrent() -> None:
    with pytest.raises(RemoteProtocolError, match="piece index 20 of 20"):
        open_wire().take_back(PIECES)
    wire = open_wire(sized=False)
    with pytest.raises(RemoteProtocolError, match="beyond any"):
        wire.take_back(m.MAX_UNKNOWN_PIECES)
    wire.take_back(PIECES)
    with pytest.raises(RemoteProtocolError, match="claims piece 20"):
        wire.set_torrent(**SIZES)


def test_what_a_seeder_takes_back_before_the_size_is_known_is_limited() -> None:
    wire = open_wire(sized=False)
    wire.receive(frame(0x0E))
    for piece in range(1024):
        wire.take_back(piece)
    with pytest.raises(IdleTalkError):
        wire.take_back(1024)


def test_hints_that_turn_out_to_be_outside_the_torrent_are_left_out() -> None:
    wire = open_wire(sized=False)
    wire.receive(frame(0x11, ints(PIECES)) + frame(0x0D, ints(0xFFFFFFFF)) + frame(0x11, ints(2)))
    assert wire.ignored == 0
    assert wire.set_torrent(**SIZES) == [m.AllowedFast(2)]


def test_haves_before_the_size_is_known_are_counted_only_if_they_are_no_news() -> None:
    wire = open_wire(sized=False)
    wire.receive(b"".join(frame(4, ints(piece)) for piece in range(5000)))
    assert wire.ignored == 0
    wire.receive(frame(4, ints(7)) * 10 + frame(8, ints(0, 0, 1)) + frame(0x10, ints(0, 0, 1)))
    assert wire.ignored == 12


def test_requests_before_the_size_is_known_are_rejected_or_ignored_but_not_without_end() -> None:
    request = frame(6, ints(5, 0, 16384))
    wire = open_wire(sized=False)
    assert wire.receive(request) == []
    assert flush(wire) == frame(0x10, ints(5, 0, 16384))
    assert wire.receive(frame(8, ints(5, 0, 16384))) == []
    quiet = open_wire(sized=False, reserved=NO_FAST)
    assert quiet.receive(request) == []
    assert not quiet.has_data_to_send
    with pytest.raises(RemoteProtocolError, match="we do not have"):
        wire.receive(request * 1024)


def test_a_request_that_comes_with_the_handshake_is_ignored_but_not_without_end() -> None:
    """libtorrent 2.1 stays connected to a peer that asks before it was told anything."""
    request = frame(6, ints(5, 0, 16384))
    wire = PeerWire(peer_id=b"a" * 20, info_hash=None, is_initiator=False)
    (event,) = wire.receive(handshake() + request)
    assert isinstance(event, m.HandshakeReceived)
    assert not wire.has_data_to_send
    with pytest.raises(RemoteProtocolError, match="we do not have"):
        wire.receive(request * 1024)


def test_allowed_fast_hints_are_kept_only_as_far_as_clients_send_them() -> None:
    wire = open_wire(sized=False)
    wire.receive(frame(0x11, ints(1)) * 100_000)
    assert len(wire.set_torrent(**SIZES)) == 64


def test_a_peer_cannot_allow_pieces_fast_without_end() -> None:
    wire = PeerWire(peer_id=b"w" * 20, info_hash=HASH, is_initiator=True)
    wire.set_torrent(piece_count=1000, piece_length=1, length=1000)
    wire.send_handshake(HASH)
    wire.receive(handshake())
    events = wire.receive(b"".join(frame(0x11, ints(piece)) for piece in range(1000)))
    assert len(events) == 256
    wire.send_interested()
    wire.send_request(255, 0, 1)
    with pytest.raises(LocalProtocolError, match="choked"):
        wire.send_request(999, 0, 1)


# Our own duties


def allowed_fast_wire() -> PeerWire:
    wire = open_wire()
    wire.send_interested()
    wire.receive(frame(0x11, ints(3)))
    return wire


def test_an_allowed_fast_piece_may_be_asked_for_while_choked() -> None:
    wire = allowed_fast_wire()
    wire.send_request(3, 0, 16384)
    with pytest.raises(LocalProtocolError, match="choked"):
        wire.send_request(4, 0, 16384)


def test_a_piece_we_allowed_fast_may_be_served_while_choking() -> None:
    wire = open_wire()
    wire.send_allowed_fast(2)
    wire.send_block(2, 0, 16384)
    with pytest.raises(LocalProtocolError, match="choking"):
        wire.send_block(3, 0, 16384)


def test_a_block_longer_than_granted_is_never_sent() -> None:
    wire = PeerWire(peer_id=b"w" * 20, info_hash=HASH, is_initiator=True)
    wire.set_torrent(piece_count=1, piece_length=1 << 20, length=1 << 20)
    wire.send_handshake(HASH)
    wire.receive(handshake())
    wire.send_unchoke()
    wire.send_block(0, 0, m.MAX_REQUEST)
    with pytest.raises(LocalProtocolError, match="granted"):
        wire.send_block(0, 0, m.MAX_REQUEST + 1)


def test_a_torrent_of_empty_files_has_no_piece() -> None:
    wire = open_wire(sized=False)
    assert wire.set_torrent(piece_count=0, piece_length=16384, length=0) == []
    with pytest.raises(RemoteProtocolError, match="piece index 0 of 0 pieces"):
        wire.receive(struct.pack(">IBI", 5, 4, 0))


ILLEGAL_SENDS: dict[str, Callable[[PeerWire], object]] = {
    "a second handshake": lambda w: w.send_handshake(HASH),
    "a request without interest": lambda w: w.send_request(0, 0, 16384),
    "a block while choking": lambda w: w.send_block(0, 0, 16384),
    "a have before the bitfield": lambda w: w.send_haves(1),
    "a piece set beyond the last": lambda w: w.send_bitfield(1 << PIECES),
    "a negative piece set": lambda w: w.send_bitfield(-1),
    "an allowed-fast piece beyond the last": lambda w: w.send_allowed_fast(PIECES),
    "a negative piece": lambda w: w.send_suggest(-1),
    "a cancel beyond the piece": lambda w: w.send_cancel(PIECES - 1, 0, 16384),
    "a cancel of nothing": lambda w: w.send_cancel(0, 0, 0),
    "a reject before the piece": lambda w: w.send_reject(0, -1, 1),
    "an extended id that is none": lambda w: w.send_extended(256, b""),
    "an extended payload too long": lambda w: w.send_extended(1, bytes(m.MAX_EXTENDED_LENGTH + 1)),
    "the torrent again": lambda w: w.set_torrent(**SIZES),
    "blocks too long to agree on": lambda w: w.expect_blocks_up_to(m.MAX_NEGOTIATED_BLOCK + 1),
    "requests too short to agree on": lambda w: w.allow_requests_up_to(0),
}


@pytest.mark.parametrize("send", ILLEGAL_SENDS.values(), ids=ILLEGAL_SENDS.keys())
def test_we_may_not_send(send: Callable[[PeerWire], object]) -> None:
    wire = open_wire()
    with pytest.raises(LocalProtocolError):
        send(wire)
    assert not wire.has_data_to_send


FAST_SENDS: list[Callable[[PeerWire], object]] = [
    lambda w: w.send_reject(0, 0, 1),
    lambda w: w.send_suggest(0),
    lambda w: w.send_allowed_fast(0),
    lambda w: w.send_extended(0, b"de"),
]


@pytest.mark.parametrize("send", FAST_SENDS)
def test_we_may_not_send_what_the_peer_does_not_speak(send: Callable[[PeerWire], object]) -> None:
    with pytest.raises(LocalProtocolError):
        send(open_wire(reserved=NO_EXTENSIONS))


def test_nothing_is_sent_before_both_handshakes() -> None:
    wire = PeerWire(peer_id=b"a" * 20, info_hash=HASH, is_initiator=True)
    wire.send_handshake(HASH)
    with pytest.raises(LocalProtocolError, match="handshakes"):
        wire.send_keep_alive()
    answering = PeerWire(peer_id=b"a" * 20, info_hash=None, is_initiator=False)
    with pytest.raises(LocalProtocolError, match="answered"):
        answering.send_handshake(HASH)
    answering.receive(handshake())
    with pytest.raises(LocalProtocolError, match="handshakes"):
        answering.send_keep_alive()
    with pytest.raises(LocalProtocolError, match="info-hash"):
        answering.send_handshake(bytes(20))


def test_a_wire_refuses_ids_of_the_wrong_length_and_sizes_that_do_not_agree() -> None:
    for peer_id, info_hash in ((b"", HASH), (b"a" * 20, b""), (b"a" * 20, None)):
        with pytest.raises(LocalProtocolError):
            PeerWire(peer_id=peer_id, info_hash=info_hash, is_initiator=True)
    with pytest.raises(LocalProtocolError):
        PeerWire(peer_id=b"a" * 20, info_hash=HASH, is_initiator=True, piece_count=3)
    wire = PeerWire(peer_id=b"a" * 20, info_hash=HASH, is_initiator=True)
    with pytest.raises(LocalProtocolError):
        wire.set_torrent(piece_count=2, piece_length=10, length=10)


def test_pieces_are_told_once_and_before_the_size_is_known_only_as_none() -> None:
    wire = open_wire(sized=False)
    with pytest.raises(LocalProtocolError, match="unknown size"):
        wire.send_bitfield(1)
    wire.send_bitfield(0)
    assert flush(wire) == frame(0x0F)
    wire.set_torrent(**SIZES)
    wire.send_haves(1 << 3)
    with pytest.raises(LocalProtocolError, match="already"):
        wire.send_bitfield(0)


def test_events_of_different_kinds_are_never_equal() -> None:
    events: list[WireEvent] = [m.HasPiece(1), m.Suggested(1), m.AllowedFast(1), m.HasPieces(1)]
    assert all(a != b for i, a in enumerate(events) for b in events[i + 1 :])
    assert len({repr(e) for e in (m.Choked(), m.Unchoked(), m.HasAll(1), m.HasPieces(1))}) == 4


def test_a_long_request_goes_out_in_blocks() -> None:
    wire = open_wire()
    wire.receive(frame(1))
    wire.send_interested()
    flush(wire)
    wire.send_request(0, 100, 40_000, block=16384)
    expected = [(0, 100, 16384), (0, 16484, 16384), (0, 32868, 7232)]
    assert flush(wire) == b"".join(frame(6, ints(*one)) for one in expected)


def test_blocks_behind_each_other_in_one_read_are_one_event() -> None:
    wire = open_wire()
    data = b"".join(frame(7, ints(2, begin) + bytes([begin]) * 10) for begin in (0, 10, 20, 31))
    first, second = wire.receive(data)
    assert isinstance(first, m.BlockReceived)
    assert isinstance(second, m.BlockReceived)
    assert first.following is not None
    assert (first.begin, len(first.data), list(map(bytes, first.following))) == (
        0,
        10,
        [bytes([10]) * 10, bytes([20]) * 10],
    )
    assert (second.begin, second.following) == (31, None)


@pytest.mark.parametrize("twin", [b"t" * 20, b""])
def test_the_other_hash_of_a_hybrid_may_be_answered(twin: bytes) -> None:
    """libtorrent 2.1.1 does so once it was asked by the version 2 hash from the same address.

    Before there is metadata, nobody knows what that hash is.
    """
    wire = PeerWire(peer_id=b"w" * 20, info_hash=HASH, is_initiator=True, twin_hash=twin)
    wire.send_handshake(HASH)
    wire.receive(encode_handshake(b"t" * 20, b"p" * 20))
    assert wire.is_open
    assert wire.info_hash == HASH


@pytest.mark.parametrize("twin", [b"t" * 20, None])
def test_no_other_hash_may_be_answered(twin: bytes | None) -> None:
    wire = PeerWire(peer_id=b"w" * 20, info_hash=HASH, is_initiator=True, twin_hash=twin)
    with pytest.raises(RemoteProtocolError, match="another info-hash"):
        wire.receive(encode_handshake(b"x" * 20, b"p" * 20))


RANGE = m.HashRange(root=b"r" * 32, base=2, index=512, length=512, proof=9)


def test_hashes_are_asked_for_sent_and_rejected() -> None:
    ours, theirs = open_wire(), open_wire()
    ours.send_hash_request(RANGE)
    assert theirs.receive(flush(ours)) == [m.HashesRequested(RANGE)]
    theirs.send_hashes(RANGE, b"h" * 64)
    theirs.send_hash_reject(RANGE)
    assert ours.receive(flush(theirs)) == [
        m.HashesReceived(RANGE, b"h" * 64),
        m.HashesRejected(RANGE),
    ]


def test_more_hashes_than_may_be_asked_for_end_the_connection() -> None:
    ours = open_wire()
    most = (m.MAX_HASHES + m.MAX_PROOF) * m.HASH_LENGTH
    with pytest.raises(RemoteProtocolError, match="message 22 cannot have"):
        ours.receive(m.BARE_FRAME.pack(1 + 48 + most + 32, 22))


@pytest.mark.parametrize("answer", [b"1" * 20, b"2" * 20])
def test_a_peer_that_is_offered_version_2_may_answer_by_its_info_hash(answer: bytes) -> None:
    """BEP 52, "Upgrade Path"."""
    first, second = b"1" * 20, b"2" * 32
    ours = PeerWire(peer_id=b"a" * 20, info_hash=first, is_initiator=True, twin_hash=second[:20])
    theirs = PeerWire(peer_id=b"b" * 20, info_hash=None, is_initiator=False)
    ours.send_handshake(first, offers_v2=True)
    theirs.receive(flush(ours))
    assert theirs.speaks_v2(second)
    assert not theirs.speaks_v2(None)
    theirs.send_handshake(first, upgrade=answer)
    ours.receive(flush(theirs))
    assert ours.speaks_v2(second) == (answer == second[:20])
