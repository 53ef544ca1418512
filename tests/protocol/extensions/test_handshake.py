"""The extension handshake, lt_donthave and allowed-fast sets."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.errors import LocalProtocolError, RemoteProtocolError
from trio_swarm.protocol import bencode
from trio_swarm.protocol.extensions.handshake import (
    ExtensionHandshake,
    encode_extension_handshake,
    parse_extension_handshake,
)
from trio_swarm.protocol.extensions.metadata import MAX_METADATA_SIZE
from trio_swarm.protocol.wire.allowed_fast import allowed_fast_set

names = st.text("abcdefghijklmnopqrstuvwxyz_", min_size=1, max_size=16)


@st.composite
def handshakes(draw: st.DrawFn) -> ExtensionHandshake:
    numbers = draw(st.dictionaries(names, st.integers(0, 255), max_size=10))
    return ExtensionHandshake(
        message_ids={name: number for name, number in numbers.items() if number},
        disabled=frozenset(name for name, number in numbers.items() if not number),
        client=draw(st.text("abcXYZ 0123./µ", max_size=30)).strip(),
        port=draw(st.none() | st.integers(1, 65535)),
        request_queue=draw(st.none() | st.integers(1, 1_000_000)),
        metadata_size=draw(st.none() | st.integers(1, MAX_METADATA_SIZE)),
        upload_only=draw(st.booleans()),
        max_block=draw(st.none() | st.sampled_from([1 << n for n in range(14, 21)])),
        your_ip=draw(st.none() | st.ip_addresses().map(str)),
    )


@given(handshakes())
def test_a_handshake_comes_back_as_it_was(handshake: ExtensionHandshake) -> None:
    assert parse_extension_handshake(encode_extension_handshake(handshake)) == handshake


def test_the_handshake_of_bep_10_is_understood() -> None:
    payload = b"d1:md11:LT_metadatai1e6:\xc2\xb5T_PEXi2ee1:pi6881e1:v13:\xc2\xb5Torrent 1.2e"
    # BEP 10 counts the name as 6 bytes, but in UTF-8 it has 7.
    assert parse_extension_handshake(payload) == ExtensionHandshake()
    handshake = parse_extension_handshake(payload.replace(b"6:\xc2\xb5T", b"7:\xc2\xb5T"))
    assert handshake.message_ids == {"LT_metadata": 1, "µT_PEX": 2}
    assert (handshake.port, handshake.client) == (6881, "µTorrent 1.2")


def test_a_seeder_does_not_say_so_to_who_would_leave_when_not_shown_enough() -> None:
    """libtorrent 2.1.1 leaves an `upload_only` peer (BEP 21) that shows nothing it lacks."""
    told = encode_extension_handshake(ExtensionHandshake(upload_only=True))
    fields = bencode.decode(told)
    assert isinstance(fields, dict)
    assert b"upload_only" not in fields
    assert parse_extension_handshake(told).upload_only
    assert parse_extension_handshake(b"d11:upload_onlyi1ee").upload_only
    # One that has shown all of the part that it has is of no more use to it.
    shown = encode_extension_handshake(ExtensionHandshake(upload_only=True), shows_all_of_part=True)
    assert bencode.decode(shown)[b"upload_only"] == 1  # type: ignore[index, call-overload]


def test_a_later_handshake_adds_replaces_and_switches_off() -> None:
    first = ExtensionHandshake(
        message_ids={"ut_metadata": 3, "ut_pex": 1}, client="x 1", metadata_size=5, upload_only=True
    )
    later = parse_extension_handshake(b"d1:md11:lt_donthavei7e6:ut_pexi0ee4:reqqi9ee")
    both = first.updated(later)
    assert both.message_ids == {"ut_metadata": 3, "lt_donthave": 7}
    assert (both.client, both.metadata_size, both.request_queue) == ("x 1", 5, 9)
    assert not both.upload_only


def test_many_handshakes_do_not_collect_names_without_end() -> None:
    first = ExtensionHandshake(message_ids={f"a{i}": 1 for i in range(40)})
    later = ExtensionHandshake(message_ids={f"b{i}": 1 for i in range(40)})
    assert len(first.updated(later).updated(later).message_ids) == 64


def test_a_handshake_beyond_reason_is_refused() -> None:
    with pytest.raises(RemoteProtocolError):
        parse_extension_handshake(bencode.encode({"v": "x" * 20_000}))


@pytest.mark.parametrize("payload", [b"", b"i1e", b"d1:m", b"l" * 1000])
def test_what_is_no_dictionary_tells_nothing(payload: bytes) -> None:
    """libtorrent 2.1 stays connected to such a peer."""
    assert parse_extension_handshake(payload) == ExtensionHandshake()


@pytest.mark.parametrize("names", [1, "x", {"a": 256}, {"a": -1}, {"a": 2**63}, {"a": []}])
def test_the_rest_of_a_handshake_holds_where_its_extensions_make_no_sense(names: object) -> None:
    """libtorrent 2.1 stays connected to such a peer."""
    told = parse_extension_handshake(bencode.encode({"m": names, "p": 6881}))
    assert told == ExtensionHandshake(port=6881)


def test_sound_extensions_among_senseless_and_many_are_taken() -> None:
    names = {"ut_metadata": 3, "z": 256} | {f"x{i}": 1 for i in range(100)}
    told = parse_extension_handshake(bencode.encode({"m": names}))
    assert told.message_ids["ut_metadata"] == 3
    assert len(told.message_ids) <= 64


def test_facts_that_make_no_sense_are_as_if_not_told() -> None:
    payload = bencode.encode(
        {
            "m": {"ut_metadata": "x", "y" * 65: 4},
            "p": 0,
            "reqq": -5,
            "metadata_size": MAX_METADATA_SIZE + 1,
            "upload_only": "yes",
            "ts_max_block": 1000,
            "yourip": b"12345",
            "v": 7,
            "unheard_of": [1, {"a": "b"}],
        }
    )
    assert parse_extension_handshake(payload) == ExtensionHandshake()


@pytest.mark.parametrize(
    ("told", "meant"), [(1 << 30, 1 << 20), (100_000, 65536), (16384, 16384), (16383, None)]
)
def test_a_block_length_is_rounded_down_to_one_that_can_be_agreed_on(
    told: int, meant: int | None
) -> None:
    assert parse_extension_handshake(bencode.encode({"ts_max_block": told})).max_block == meant


def test_a_client_name_is_made_fit_to_print() -> None:
    payload = bencode.encode({"v": b"\x1b[31mevil\xff" + b"x" * 100})
    client = parse_extension_handshake(payload).client
    assert client.startswith(".[31mevil")
    assert client.isprintable()
    assert len(client) == 64


@given(st.binary(max_size=200) | st.binary(max_size=60).map(lambda b: b"d1:md" + b + b"ee"))
def test_arbitrary_bytes_are_a_handshake_or_a_fault_of_the_peer(payload: bytes) -> None:
    with contextlib.suppress(RemoteProtocolError):
        parse_extension_handshake(payload)


def test_the_allowed_fast_sets_are_those_of_bep_6() -> None:
    expected = [1059, 431, 808, 1217, 287, 376, 1188, 353, 508]
    assert allowed_fast_set("80.4.4.200", b"\xaa" * 20, 1313, 7) == expected[:7]
    assert allowed_fast_set("80.4.4.200", b"\xaa" * 20, 1313, 9) == expected
    assert allowed_fast_set("80.4.4.7", b"\xaa" * 20, 1313, 9) == expected
    assert allowed_fast_set("::ffff:80.4.4.7", b"\xaa" * 20, 1313, 9) == expected


def test_allowed_fast_sets_end_for_small_torrents_and_ipv6() -> None:
    assert allowed_fast_set("80.4.4.200", b"\xaa" * 20, 3) == [0, 1, 2]
    assert len(set(allowed_fast_set("80.4.4.200", b"\xaa" * 20, 11))) == 10
    assert allowed_fast_set("::1", b"\xaa" * 20, 1313) == []
    with pytest.raises(LocalProtocolError):
        allowed_fast_set("localhost", b"\xaa" * 20, 1313)
