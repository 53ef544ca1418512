"""Addresses: compact and text forms, both ways, and only the documented errors."""

from ipaddress import IPv4Address, IPv6Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from packed_addresses import packed
from trio_swarm.errors import ConfigError, RemoteProtocolError
from trio_swarm.protocol.addresses import (
    Address,
    format_address,
    parse_host_port,
    unpack_addresses,
)

PORTS = st.integers(0, 65535)
IPV4 = st.tuples(st.ip_addresses(v=4).map(str), PORTS)
IPV6 = st.tuples(
    st.ip_addresses(v=6).map(str).filter(lambda text: not text.startswith("::ffff:")), PORTS
)


@given(st.lists(IPV4))
def test_packed_ipv4_addresses_come_back(addresses: list[Address]) -> None:
    data = packed(addresses)
    assert len(data) == 6 * len(addresses)
    assert unpack_addresses(data, ipv6=False) == addresses


@given(st.lists(IPV6))
def test_packed_ipv6_addresses_come_back(addresses: list[Address]) -> None:
    data = packed(addresses)
    assert len(data) == 18 * len(addresses)
    assert unpack_addresses(memoryview(data), ipv6=True) == addresses


@given(IPV4 | IPV6)
def test_formatted_addresses_are_parsed_back(address: Address) -> None:
    assert parse_host_port(format_address(address)) == address


@given(st.binary(), st.booleans())
def test_arbitrary_bytes_unpack_or_raise_a_protocol_error(data: bytes, ipv6: bool) -> None:  # noqa: FBT001 - Hypothesis passes arguments by position
    try:
        addresses = unpack_addresses(data, ipv6=ipv6)
    except RemoteProtocolError:
        assert len(data) % (18 if ipv6 else 6)
        return
    assert len(addresses) * (18 if ipv6 else 6) == len(data)


@given(st.text() | st.text(st.sampled_from("0123456789.:[]%aFhost /@")), st.none() | PORTS)
def test_arbitrary_text_is_an_address_or_a_config_error(text: str, default: int | None) -> None:
    try:
        host, port = parse_host_port(text, default_port=default)
    except ConfigError:
        return
    assert 0 <= port <= 65535
    assert parse_host_port(format_address((host, port))) == (host, port)


def test_compact_addresses_are_in_network_byte_order() -> None:
    ipv4, ipv6 = b"\x01\x02\x03\x04\x1a\xe1", bytes(15) + b"\x01\x00\x50"
    assert unpack_addresses(ipv4, ipv6=False) == [("1.2.3.4", 0x1AE1)]
    assert unpack_addresses(ipv6, ipv6=True) == [("::1", 80)]


def test_an_ipv4_address_inside_an_ipv6_one_is_the_same_peer() -> None:
    mapped = packed([("::ffff:1.2.3.4", 80)])
    assert len(mapped) == 18
    assert unpack_addresses(mapped, ipv6=True) == [("1.2.3.4", 80)]


@pytest.mark.parametrize(
    ("text", "default", "address"),
    [
        ("1.2.3.4:80", None, ("1.2.3.4", 80)),
        ("[::1]:80", None, ("::1", 80)),
        ("[0:0::0001]:80", None, ("::1", 80)),
        ("[fe80::1%eth0]:80", None, ("fe80::1%eth0", 80)),
        ("host.example:80", None, ("host.example", 80)),
        ("  host:080 ", None, ("host", 80)),
        (":0", None, ("", 0)),
        (":6969", 1, ("", 6969)),
        ("host", 6969, ("host", 6969)),
        ("::1", 6969, ("::1", 6969)),
        ("[::1]", 6969, ("::1", 6969)),
        ("bücher.example:1", None, ("bücher.example", 1)),
    ],
)
def test_what_a_person_writes_is_understood(
    text: str, default: int | None, address: Address
) -> None:
    assert parse_host_port(text, default_port=default) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        "host",
        "host:",
        "host:x",
        "host:-1",
        "host:65536",
        "host:" + "9" * 5000,
        "host:٣",
        "::1",
        "[::1]",
        "[::1",
        "[::1]80",
        "[]:80",
        "[1.2.3.4]:80",
        "[::g]:80",
        "1.2.3:80",
        "1.2.3.400:80",
        "127.0.0.01:80",
        "http://host:80",
        "a b:80",
        "user@host:80",
        "x" * 254 + ":80",
    ],
)
def test_what_is_no_address_is_a_config_error(text: str) -> None:
    with pytest.raises(ConfigError):
        parse_host_port(text)


def test_an_empty_host_needs_a_port_of_its_own() -> None:
    with pytest.raises(ConfigError):
        parse_host_port("", default_port=80)


def test_the_addresses_of_ipv6_sockets_are_formatted() -> None:
    assert format_address(("::1", 80, 0, 0)) == "[::1]:80"
    assert format_address((str(IPv6Address(1)), 1)) == "[::1]:1"
    assert format_address((str(IPv4Address(1)), 1)) == "0.0.0.1:1"
