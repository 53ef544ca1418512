"""lt_donthave (BEP 54), and the table by which extended messages find who hears them (BEP 10)."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.errors import RemoteProtocolError
from trio_swarm.protocol.extensions.dont_have import encode_dont_have, parse_dont_have
from trio_swarm.protocol.extensions.metadata import (
    MetadataMessage,
    MetadataRequest,
    encode_metadata_message,
)
from trio_swarm.protocol.extensions.table import (
    EXTENSIONS,
    HANDSHAKE_ID,
    OUR_MESSAGE_IDS,
    Extension,
    hear_extended,
)


class Listener:
    """Notes what it hears, and charges three for each."""

    def __init__(self) -> None:
        self.heard: list[object] = []

    def piece_taken_back(self, piece: int) -> int:
        self.heard.append(piece)
        return 3

    def metadata_told(self, message: MetadataMessage) -> int:
        self.heard.append(message)
        return 3


def test_a_dont_have_is_the_four_bytes_of_bep_54() -> None:
    assert encode_dont_have(0x01020304) == b"\x01\x02\x03\x04"
    assert parse_dont_have(b"\x01\x02\x03\x04") == 0x01020304


@pytest.mark.parametrize("payload", [b"", b"\0\0\0", bytes(5), bytes(8)])
def test_a_dont_have_of_another_length_is_a_fault(payload: bytes) -> None:
    with pytest.raises(RemoteProtocolError, match="lt_donthave of"):
        parse_dont_have(payload)


def test_each_extension_has_a_name_and_a_number_of_its_own() -> None:
    assert len(OUR_MESSAGE_IDS) == len(EXTENSIONS)
    numbers = {each.number for each in EXTENSIONS}
    assert len(numbers) == len(EXTENSIONS)
    assert HANDSHAKE_ID not in numbers
    assert all(0 < number < 256 for number in numbers)


def test_a_message_is_heard_by_whoever_the_table_says() -> None:
    listener = Listener()
    assert hear_extended(listener, OUR_MESSAGE_IDS["lt_donthave"], b"\0\0\0\7") == 3
    asked = encode_metadata_message(MetadataRequest(2))
    assert hear_extended(listener, OUR_MESSAGE_IDS["ut_metadata"], asked) == 3
    assert listener.heard == [7, MetadataRequest(2)]


@given(st.integers(3, 255), st.binary(max_size=5000))
def test_messages_of_unknown_numbers_are_skipped_and_charged_by_their_length(
    number: int, payload: bytes
) -> None:
    listener = Listener()
    assert hear_extended(listener, number, payload) == 1 + len(payload) // 1024
    assert not listener.heard


@given(st.sampled_from(EXTENSIONS), st.binary(max_size=100))
def test_arbitrary_bytes_are_heard_or_a_fault_of_the_peer(
    extension: Extension, payload: bytes
) -> None:
    with contextlib.suppress(RemoteProtocolError):
        assert hear_extended(Listener(), extension.number, payload) >= 1
