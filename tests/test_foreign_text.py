"""Text of strangers in messages: bounded, and with nothing in it that steers a terminal."""

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.errors import (
    ERROR_LENGTH,
    BencodeError,
    MetainfoError,
    RemoteProtocolError,
    TrioSwarmError,
)
from trio_swarm.foreign_text import SHOWN_LENGTH, shown
from trio_swarm.protocol import bencode
from trio_swarm.protocol.addresses import parse_host_port
from trio_swarm.protocol.extensions.handshake import parse_extension_handshake
from trio_swarm.protocol.extensions.metadata import parse_metadata_message
from trio_swarm.protocol.metainfo.magnet import parse_magnet
from trio_swarm.protocol.metainfo.torrent import parse_info
from trio_swarm.protocol.peer_ids import MAX_CLIENT_NAME
from trio_swarm.protocol.trackers.urls import parse_tracker_url


@pytest.mark.parametrize("text", ["ubuntu.iso", "Größe 漢字 🦊", "ناباورانه\u200cترین", ""])
def test_what_people_write_is_shown_as_it_is(text: str) -> None:
    assert shown(text) == text
    assert shown(text.encode()) == text


def test_what_steers_a_terminal_is_shown_as_an_escape() -> None:
    assert shown("a\x1b[2Jb\r\nc\u202egpj.exe\udcff") == ("a\\x1b[2Jb\\r\\nc\\u202egpj.exe\\udcff")
    assert shown(b"\xffa\x9b") == "\\xffa\\x9b"
    assert shown("\u2028\u2029\x85\u200f\ufeff") == "\\u2028\\u2029\\x85\\u200f\\ufeff"


def test_a_long_text_is_cut_and_says_so() -> None:
    assert shown("x" * SHOWN_LENGTH) == "x" * SHOWN_LENGTH
    assert shown("x" * 10**6) == "x" * (SHOWN_LENGTH - 1) + "…"
    assert shown("\n" * 100, 10) == "\\n\\n\\n\\n…"


@given(st.text(st.characters()) | st.binary(), st.integers(1, 40))
def test_anything_is_shown_on_one_line_within_the_limit(text: str | bytes, limit: int) -> None:
    line = shown(text, limit)
    assert len(line) <= limit
    assert line.replace("\u200c", "").replace("\u200d", "").isprintable()
    line.encode()


# --- messages about what strangers made -----------------------------------------------------------


def _info(**changes: object) -> bytes:
    fields: dict[str, object] = {
        "length": 1,
        "name": "x",
        "piece length": 16384,
        "pieces": bytes(20),
    }
    return bencode.encode({**fields, **changes})  # type: ignore[arg-type]


HOSTILE = ("\x1b[2J\r\n\u202e" * 100_000).encode()


@pytest.mark.parametrize(
    "read",
    [
        lambda: parse_info(_info(**{"meta version": HOSTILE})),
        lambda: parse_info(_info(**{"meta version": [HOSTILE] * 9})),
        lambda: parse_info(_info(**{"meta version": {"x": HOSTILE}})),
        lambda: parse_info(_info(name="../" + HOSTILE.decode())),
        lambda: parse_info(bencode.encode([HOSTILE])),
        lambda: parse_info(b"d%d:%bi1e%d:%bi1ee" % ((len(HOSTILE), HOSTILE) * 2)),
        lambda: parse_metadata_message(
            bencode.encode({"msg_type": 0, "piece": HOSTILE.decode()[:400]})
        ),
        lambda: parse_metadata_message(bencode.encode({"msg_type": 0, "piece": ["x" * 999] * 3})),
        lambda: parse_magnet("magnet:?xt=urn:btih:" + HOSTILE.decode()[:4000]),
        lambda: parse_magnet(HOSTILE.decode()),
        lambda: parse_tracker_url("udp://\u2100" + HOSTILE.decode()[:500] + "x" * 900 + ":1/"),
        lambda: parse_host_port(HOSTILE.decode()),
    ],
)
def test_a_message_about_hostile_bytes_is_one_short_line(read: Callable[[], object]) -> None:
    """What could be quoted here has up to 62 MB."""
    with pytest.raises(TrioSwarmError) as caught:
        read()
    message = str(caught.value)
    assert len(message) < 1000
    assert message.isprintable()


def test_whatever_is_forgotten_a_fault_of_a_stranger_is_told_on_one_line_of_bounded_length() -> (
    None
):
    for kind in (RemoteProtocolError, MetainfoError, BencodeError):
        message = str(kind(HOSTILE.decode()))
        assert len(message) <= ERROR_LENGTH
        assert message.isprintable()


def test_a_client_name_of_a_stranger_is_short_and_steers_nothing() -> None:
    told = parse_extension_handshake(bencode.encode({"v": HOSTILE[:10_000]}))
    assert len(told.client) <= MAX_CLIENT_NAME
    assert told.client.isprintable()
