"""What is printed on one machine works on another: trackers in links and commands."""

import pytest

from trio_swarm import parse_magnet
from trio_swarm.cli.output.elsewhere import is_here_only, magnet_elsewhere, url_elsewhere, warning
from trio_swarm.protocol.metainfo.magnet import Magnet

HERE = [
    "udp://127.0.0.1:6969",
    "udp://127.1.2.3:6969/announce?name=a",
    "http://localhost/announce",
    "https://tracker.localhost:443/announce",
    "udp://LOCALHOST.:1",
    "udp://[::1]:6969",
    "udp://0.0.0.0:6969",
    "udp://[::]:6969",
    "udp://[::ffff:127.0.0.1]:1",
    "udp://[fe80::1%25eth0]:6969",
    "udp://[fe80::1%eth0]:6969",
]
ANYWHERE = [
    "udp://192.168.1.5:6969",
    "udp://169.254.3.4:6969",
    "http://tracker.example.org/announce",
    "udp://[2001:db8::1]:6969",
    "udp://localhost.example.org:1",
]


@pytest.mark.parametrize("url", HERE)
def test_trackers_that_are_another_machine_on_each_machine_are_told(url: str) -> None:
    assert is_here_only(url)
    assert "only this machine reaches" in str(warning([url], "192.168.1.7"))


@pytest.mark.parametrize("url", ANYWHERE)
def test_other_trackers_are_left_alone(url: str) -> None:
    assert not is_here_only(url)
    assert url_elsewhere(url, "192.168.1.7") == url
    assert warning([url], "192.168.1.7") is None


def test_a_link_names_this_machines_tracker_by_its_address_on_the_network() -> None:
    urls = ("udp://127.0.0.1:6969/announce?x=1", "http://localhost/a", "udp://a.example:1")
    link = Magnet(info_hash=bytes(20), name="film.mkv", trackers=urls, length=3).to_uri()
    magnet = parse_magnet(magnet_elsewhere(link, "192.168.1.7"))
    assert magnet.trackers == (
        "udp://192.168.1.7:6969/announce?x=1",
        "http://192.168.1.7/a",
        "udp://a.example:1",
    )
    assert (magnet.name, magnet.length) == ("film.mkv", 3)
    assert parse_magnet(magnet_elsewhere(link, None)).trackers == ("udp://a.example:1",)
    assert "leaves that out" in str(warning(urls, None))


def test_an_address_of_one_link_of_this_machine_is_no_address_elsewhere() -> None:
    """RFC 4007, section 6: zone identifiers mean something within one machine only."""
    assert url_elsewhere("udp://[fe80::1%eth0]:6969", "192.168.1.7") is None
