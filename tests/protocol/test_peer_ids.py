"""Peer ids: ours follow BEP 20, and a stranger's are named without harm."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.protocol.peer_ids import PEER_ID_PREFIX, client_name, make_peer_id, printable

# The `-XX…-` letters of BEP 20, "Known clients", and those "seen in the wild" below it.
TAKEN = """
AG A~ AR AV AX AZ BB BC BF BG BR BS BX CD CT DE DP EB ES FT FW FX GS HL HN KG KT LH LP LT lt LW MO
MP MR MT NX PD qB QD QT RT S~ SB SS ST st SZ TN TR TS TT UL UT UW VG WD WT WW WY XL XT XX ZT
BD NP wF
"""


def test_our_peer_id_is_ours_alone_and_has_twenty_bytes() -> None:
    peer_id = make_peer_id(random.Random(1))
    assert peer_id.startswith(b"-tS0100-")
    assert len(peer_id) == 20
    assert PEER_ID_PREFIX[1:3].decode() not in TAKEN.split()
    assert peer_id[8:].isalnum()
    assert peer_id != make_peer_id(random.Random(2))
    assert peer_id == make_peer_id(random.Random(1))


@pytest.mark.parametrize(
    ("start", "name"),
    [
        (b"-tS0100-", "trio-swarm 0.1.0"),
        (b"-LT20B0-", "libtorrent 2.0.11"),
        (b"-lt0D80-", "libTorrent (rTorrent) 0.13.8"),
        (b"-qB4650-", "qBittorrent 4.6.5"),
        (b"-TR4060-", "Transmission 4.0.6"),
        (b"-TR406Z-", "Transmission 4.0.6"),
        (b"-DE13F0-", "Deluge 1.3.15"),
        (b"-UT3521-", "µTorrent 3.5.2.1"),
        (b"-rQ0001-", "rqbit 0.0.0.1"),
        (b"-WW\0\0\0\0-", "WebTorrent"),
        (b"A2-1-36-0-", "aria2 1.36.0"),
        (b"A2-x", "unknown (A2-x)"),
        (b"M4-3-6--", "BitTorrent 4.3.6"),
        (b"Moonshine", "unknown (Moonshin)"),
        (b"-XX1234-", "unknown (XX1234)"),
        (b"-TR", "unknown (TR)"),
        (b"\x1b[2J\r\n\x07\xff", "unknown (.[2J....)"),
        (bytes(20), "unknown"),
        (b"", "unknown"),
    ],
)
def test_a_client_is_named_by_its_peer_id(start: bytes, name: str) -> None:
    assert client_name(start) == name


@given(st.binary(max_size=40) | st.builds(lambda b: b"-TR" + b, st.binary(max_size=17)))
def test_any_bytes_give_a_short_name_fit_to_print(peer_id: bytes) -> None:
    name = client_name(peer_id)
    assert name.isprintable()
    assert 0 < len(name) <= 64


@given(st.text())
def test_a_strangers_text_cannot_move_the_cursor_or_fill_the_screen(text: str) -> None:
    shown = printable(text)
    assert shown.isprintable()
    assert len(shown) <= 64
