"""What people type for sizes, rates, addresses and URLs."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.config import values
from trio_swarm.errors import ConfigError


@pytest.mark.parametrize(
    ("typed", "size"),
    [
        (1048576, 1048576),
        ("1048576", 1048576),
        ("512 B", 512),
        ("500k", 500 * 1024),
        ("5M", 5 * 1024**2),
        ("10MiB", 10 * 1024**2),
        ("10 mib", 10 * 1024**2),
        ("1.5GiB", 3 * 1024**3 // 2),
        ("10MB", 10_000_000),
        (0, 0),
    ],
)
def test_sizes_are_bytes_or_have_a_unit(typed: object, size: int) -> None:
    assert values.parse_size(typed) == size


@pytest.mark.parametrize(
    "typed",
    ["", "M", "10Q", "-1", -1, "1e9", True, 1.5, None, [], 10**30, "9" * 18 + "T", "\uff11\uff10"],
)
def test_other_sizes_are_refused_with_examples(typed: object) -> None:
    with pytest.raises(ConfigError, match="10MiB"):
        values.parse_size(typed)


@pytest.mark.parametrize(
    ("typed", "rate"),
    [
        ("10MiB", 10 * 1024**2),
        ("10MiB/s", 10 * 1024**2),
        ("500k/s", 500 * 1024),
        ("80Mbit", 10_000_000),
        ("8kbit/s", 1000),
        (2048, 2048),
        ("unlimited", None),
        ("Unlimited", None),
        (0, None),
        ("0", None),
    ],
)
def test_rates_may_be_per_second_in_bits_or_unlimited(typed: object, rate: int | None) -> None:
    assert values.parse_rate(typed) == rate


def test_an_info_hash_of_version_2_is_cut_to_what_peers_know_it_by() -> None:
    """BEP 52, "infohashes": trackers and handshakes have its first 20 bytes."""
    digest = bytes(range(32))
    assert values.parse_hash_or_prefix(f" {digest.hex().upper()} ") == digest[:20]
    for text in (digest.hex()[:-1], f"{digest.hex()}0", "g" * 64):
        with pytest.raises(ConfigError, match="40 or 64 hex digits"):
            values.parse_hash_or_prefix(text)


@pytest.mark.parametrize("label", ["", "a,b", "a\nb", "a\x1b[2J", " a", "a" * 201, 1])
def test_a_label_can_stand_in_a_list_with_commas(label: object) -> None:
    with pytest.raises(ConfigError, match="label"):
        values.parse_label(label)
    assert values.parse_label("a film: \u65e5") == "a film: \u65e5"


@given(st.one_of(st.text(), st.integers(), st.floats(), st.binary(), st.none(), st.booleans()))
def test_any_value_is_read_or_refused(value: object) -> None:
    parsers = [
        values.parse_size,
        values.parse_rate,
        values.parse_listen,
        values.parse_peer,
        values.parse_tracker,
        values.parse_label,
        values.parse_info_hash,
        values.parse_piece_length,
    ]
    for parse in parsers:
        try:
            parse(value)
        except ConfigError as error:
            assert "\n" not in str(error)  # noqa: PT017 - one line, whatever was typed


@given(st.integers(min_value=0, max_value=2**40))
def test_whole_numbers_of_bytes_are_themselves(size: int) -> None:
    assert values.parse_size(size) == values.parse_size(str(size)) == size


@pytest.mark.parametrize(
    ("typed", "address"),
    [
        ("127.0.0.1:80", ("127.0.0.1", 80)),
        (":6969", ("", 6969)),
        ("6969", ("", 6969)),
        (6969, ("", 6969)),
        ("*:0", ("", 0)),
        ("[::1]:80", ("::1", 80)),
        ("localhost:80", ("localhost", 80)),
    ],
)
def test_listen_takes_a_host_and_port_or_a_port(typed: object, address: tuple[str, int]) -> None:
    assert values.parse_listen(typed) == address


@pytest.mark.parametrize("typed", ["", "localhost", "1.2.3.4", ":70000", "a:b", 70000, True, None])
def test_other_listen_addresses_are_refused_with_the_forms(typed: object) -> None:
    with pytest.raises(ConfigError, match="HOST:PORT, :PORT or PORT"):
        values.parse_listen(typed)


@pytest.mark.parametrize("typed", [":80", "host:0", "host"])
def test_a_peer_needs_host_and_port(typed: object) -> None:
    with pytest.raises(ConfigError, match="of a peer"):
        values.parse_peer(typed)


def test_tracker_lists_are_separated_by_commas_or_blanks() -> None:
    text = " udp://a:1,udp://b:2  http://c/announce "
    assert values.parse_tracker_list(text) == ("udp://a:1", "udp://b:2", "http://c/announce")
    assert values.parse_tracker_list("") == ()


@pytest.mark.parametrize("typed", ["ftp://a:1", "udp://a", "a:1", "udp://:1", "udp://a:99999", 5])
def test_other_tracker_urls_are_refused(typed: object) -> None:
    with pytest.raises(ConfigError, match="tracker"):
        values.parse_tracker(typed)


@pytest.mark.parametrize("typed", ["12k", "20k", "128MiB"])
def test_piece_lengths_are_powers_of_two_within_limits(typed: object) -> None:
    assert values.parse_piece_length("16KiB") == 16384
    with pytest.raises(ConfigError, match="power of two"):
        values.parse_piece_length(typed)


def test_options_are_split_at_the_first_equals_sign() -> None:
    assert values.parse_option("key=a=b") == ("key", "a=b")
    for wrong in ("key", "=value", ""):
        with pytest.raises(ConfigError, match="KEY=VALUE"):
            values.parse_option(wrong)
