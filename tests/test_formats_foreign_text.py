"""Text of strangers in messages: bounded, and with nothing in it that steers a terminal."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.foreign_text import SHOWN_LENGTH, shown


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
