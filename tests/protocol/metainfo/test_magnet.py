"""Magnet links: round trips, what clients write, and only MetainfoError for anything else."""

import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.errors import MetainfoError
from trio_swarm.protocol.metainfo import magnet
from trio_swarm.protocol.metainfo.magnet import Magnet, parse_info_hash, parse_magnet

HASH = bytes(range(20))
LINK = f"magnet:?xt=urn:btih:{HASH.hex()}"

NAMES = st.text(st.characters(exclude_categories=["C", "Z"]), min_size=1, max_size=255)
TRACKERS = st.sampled_from(["udp", "http", "https"]).flatmap(
    lambda scheme: st.tuples(
        st.from_regex(r"[a-z]{1,10}", fullmatch=True),
        st.integers(1, 65535),
        st.text(st.characters(exclude_categories=["C", "Z"]), max_size=20),
    ).map(lambda parts: f"{scheme}://{parts[0]}:{parts[1]}/announce?name={parts[2]}")
)
PEERS = st.tuples(
    st.ip_addresses().map(str) | st.from_regex(r"[a-z]{1,20}(\.[a-z]{1,5})?", fullmatch=True),
    st.integers(1, 65535),
)
MAGNETS = st.builds(
    Magnet,
    info_hash=st.binary(min_size=20, max_size=20),
    name=st.none() | NAMES,
    trackers=st.lists(TRACKERS, unique=True, max_size=10).map(tuple),
    peers=st.lists(PEERS, unique=True, max_size=10).map(tuple),
    length=st.none() | st.integers(0, 2**63 - 1),
    files=st.lists(
        st.tuples(st.integers(0, 1000), st.integers(0, 1000)).map(
            lambda pair: (min(pair), max(pair))
        ),
        max_size=5,
    ).map(tuple),
)


@given(MAGNETS)
def test_a_link_gives_back_its_magnet(link: Magnet) -> None:
    assert parse_magnet(link.to_uri()) == link


@given(
    st.text()
    | st.text().map(LINK.__add__)
    | st.lists(
        st.sampled_from(
            ["magnet:?", LINK, "&", "=", "xt=urn:btmh:1220", "tr=udp://", "x.pe=", "xl=", "dn=%ff"]
        )
        | st.text(max_size=5)
    ).map("".join)
)
def test_arbitrary_text_is_a_link_or_a_metainfo_error(text: str) -> None:
    try:
        link = parse_magnet(text)
    except MetainfoError:
        return
    assert parse_magnet(link.to_uri()) == link


@given(st.text(max_size=50))
def test_arbitrary_text_is_an_info_hash_or_a_metainfo_error(text: str) -> None:
    try:
        assert len(parse_info_hash(text)) == 20
    except MetainfoError:
        return


@pytest.mark.parametrize(
    "text",
    [
        HASH.hex(),
        HASH.hex().upper(),
        f" {HASH.hex()}\n",
        base64.b32encode(HASH).decode(),
        base64.b32encode(HASH).decode().lower(),
    ],
)
def test_an_info_hash_is_hex_or_base32(text: str) -> None:
    assert parse_info_hash(text) == HASH
    assert parse_magnet(f"magnet:?xt=urn:btih:{text}").info_hash == HASH


def test_every_field_is_read() -> None:
    assert parse_magnet(
        f"MAGNET:?dn=some+n%C3%A4me&xl=12&xt=URN:BTIH:{HASH.hex()}&so=0,2&ws=http%3A%2F%2Fx%2F"
        "&tr=udp%3A%2F%2Fh%3A1%2Fannounce%3Fname%3Da%252Bb&tr.1=http://t/&x.pe=1.2.3.4:5"
        "&x.pe=%5B%3A%3A1%5D%3A6"
    ) == Magnet(
        HASH,
        "some näme",
        ("udp://h:1/announce?name=a%2Bb", "http://t/"),
        (("1.2.3.4", 5), ("::1", 6)),
        12,
        files=((0, 0), (2, 2)),
    )


def test_a_link_may_have_both_info_hashes_of_a_hybrid() -> None:
    link = parse_magnet(f"magnet:?xt=urn:btmh:1220{'07' * 32}&xt.2=urn:btih:{HASH.hex()}")
    assert (link.info_hash, link.v2_hash) == (HASH, b"\7" * 32)
    assert parse_magnet(link.to_uri()) == link


def test_a_link_may_have_a_version_2_hash_alone() -> None:
    digest = bytes(range(32))
    uri = f"magnet:?xt=urn:btmh:1220{digest.hex()}&dn=x"
    link = parse_magnet(uri)
    assert (link.info_hash, link.v2_hash, link.name) == (digest[:20], digest, "x")
    assert parse_magnet(link.to_uri()) == link
    for wrong in ("1220" + "0" * 63, "1120" + "0" * 64, "1220" + "g" * 64):
        with pytest.raises(MetainfoError, match="without an info-hash"):
            parse_magnet(f"magnet:?xt=urn:btmh:{wrong}")


def test_the_same_hash_twice_is_no_contradiction() -> None:
    base32 = base64.b32encode(HASH).decode()
    assert parse_magnet(f"{LINK}&xt=urn:btih:{base32}").info_hash == HASH


@pytest.mark.parametrize(
    ("uri", "reason"),
    [
        ("", "not a magnet"),
        ("http://x/", "not a magnet"),
        ("magnet:?", "without an info-hash"),
        ("magnet:?xt=urn:sha1:ABC", "without an info-hash"),
        (f"magnet:?xt=urn:btmh:1220{'00' * 32}&xt=urn:btmh:1220{'01' * 32}", "2 different"),
        ("magnet:?xt=urn:btih:", "not an info-hash"),
        (f"magnet:?xt=urn:btih:{'0' * 39}", "not an info-hash"),
        (f"magnet:?xt=urn:btih:{'1' * 32}", "not an info-hash"),
        (f"{LINK}&xt=urn:btih:{'00' * 20}", "2 different"),
        (LINK + "&a=1" * magnet.MAX_PARAMETERS, "parameters"),
        (LINK + "&dn=" + "x" * magnet.MAX_URI_LENGTH, "characters"),
    ],
)
def test_a_link_that_names_no_torrent_is_refused(uri: str, reason: str) -> None:
    with pytest.raises(MetainfoError, match=reason):
        parse_magnet(uri)


@pytest.mark.parametrize(
    "hint",
    [
        "x.pe=nonsense",
        "x.pe=1.2.3.4:0",
        "x.pe=:80",
        "x.pe=1.2.3.4:99999",
        "xl=-1",
        "xl=x",
        "xl=٣",
        "xl=9" + "9" * 5000,
        "xl=9223372036854775808",
        "tr=wss://x:1/",
        "tr=udp://noport/",
        "tr=",
        "dn=",
        "dn=%00%1b",
        "=",
        "%ff=%ff",
    ],
)
def test_hints_that_make_no_sense_are_left_out(hint: str) -> None:
    assert parse_magnet(f"{LINK}&{hint}") == Magnet(HASH)


def test_a_name_cannot_deceive_a_terminal() -> None:
    assert parse_magnet(f"{LINK}&dn=a%1b%5b2Jb%E2%80%AEgpj").name == "a[2Jbgpj"
    name = parse_magnet(f"{LINK}&dn={'x' * 1000}").name
    assert name == "x" * magnet.MAX_NAME_LENGTH


def test_trackers_and_peers_are_limited() -> None:
    link = parse_magnet(LINK + "".join(f"&tr=udp://h:{port}/" for port in range(1, 150)))
    assert len(link.trackers) == 100
    link = parse_magnet(LINK + "".join(f"&x.pe=h:{port}" for port in range(1, 150)))
    assert len(link.peers) == magnet.MAX_PEERS
