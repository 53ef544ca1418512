"""Which hosts are private, and which belong to networks."""

from ipaddress import ip_address, ip_network

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.tracker.networks import Networks, is_private

PRIVATE = [
    "10.0.0.0/8", "127.0.0.0/8", "192.168.0.0/16", "172.16.0.0/12", "100.64.0.0/10",
    "169.254.0.0/16", "fc00::/7", "fe80::/10", "::/64",
]  # fmt: skip
addresses = st.ip_addresses() | st.sampled_from(PRIVATE).flatmap(
    lambda network: st.ip_addresses(network=network)
)


@given(addresses)
def test_private_are_the_networks_of_rfc_1918_3927_4193_4291_and_6598(address: object) -> None:
    asked = ip_address(str(address))
    listed = any(
        asked in ip_network(network)
        for network in PRIVATE
        if ip_network(network).version == asked.version
    )
    assert is_private(asked.packed) is listed
    if asked.version == 6:
        assert is_private(asked.packed[:8]) is listed


@pytest.mark.parametrize(
    ("text", "is_private_one"),
    [
        ("172.15.255.255", False), ("172.32.0.0", False), ("100.63.255.255", False),
        ("100.128.0.0", False), ("192.167.0.1", False), ("2001:db8::1", False),
        ("fec0::1", False), ("::1", True), ("172.31.255.255", True), ("100.127.0.1", True),
    ],
)  # fmt: skip
def test_the_bounds_of_private_networks(text: str, is_private_one: bool) -> None:  # noqa: FBT001
    assert is_private(ip_address(text).packed) is is_private_one


def test_hosts_of_networks_of_both_families() -> None:
    networks = Networks(["192.0.2.0/25", "2001:db8::/33", "198.51.100.7"])
    found = [
        ip_address(text).packed in networks
        for text in (
            "192.0.2.127",
            "192.0.2.128",
            "2001:db8:1::",
            "2001:db8:8000::",
            "198.51.100.7",
        )
    ]
    assert found == [True, False, True, False, True]
    assert ip_address("::c000:201").packed not in networks
    assert not Networks([])
