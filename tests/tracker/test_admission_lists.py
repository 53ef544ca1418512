"""Lists of info-hashes, names and tokens: what is in them, and what is wrong with a file."""

import contextlib
import random
import re
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.errors import ConfigError
from trio_swarm.tracker.admission.hash_lists import HashList
from trio_swarm.tracker.admission.list_files import (
    MAX_LINE,
    read_hashes,
    read_names,
    read_tokens,
)
from trio_swarm.tracker.admission.patterns import MAX_PATTERNS, NamePatterns
from trio_swarm.tracker.admission.tokens import Tokens

# Few different bytes, so that hashes share prefixes and the end of one begins another.
hashes = st.lists(st.sampled_from([0, 1, 255]), min_size=20, max_size=20).map(bytes)


@given(listed=st.lists(hashes, max_size=40), asked=st.lists(hashes, max_size=40))
def test_a_list_holds_what_was_added_and_nothing_else(
    listed: list[bytes], asked: list[bytes]
) -> None:
    found = HashList()
    found.add_packed(b"".join(listed))
    assert all(each in found for each in listed)
    assert [each in found for each in asked] == [each in listed for each in asked]
    assert len(found) == len(listed)


def test_the_end_of_one_hash_and_the_beginning_of_the_next_are_none() -> None:
    first = b"\0\0" + b"a" * 9 + b"\0\0" + b"b" * 7
    second = b"\0\0" + b"c" * 18
    found = HashList()
    found.add_packed(first + second)
    between = (first + second)[11:31]
    assert between[:2] == first[:2]
    assert between not in found
    found.add_packed(between)
    assert between in found


def test_a_hundred_thousand_hashes_take_little_more_memory_than_themselves() -> None:
    """20 bytes each; a set of them takes 100."""
    packed = random.Random(1).randbytes(20 * 100_000)
    tracemalloc.start()
    found = HashList()
    found.add_packed(packed)
    size, _ = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    # The buckets, which a million share, take 2.5 MB of this.
    assert size < 60 * 100_000
    assert packed[-20:] in found


def test_a_file_of_hashes_has_comments_blanks_and_both_versions(tmp_path: Path) -> None:
    """One hash a line as opentracker's and aquatic's lists have them, with or without CR."""
    file = tmp_path / "deny.txt"
    one, two, three, four = (f"{number:040x}" for number in (1, 0xABCDEF, 3, 4))
    file.write_bytes(
        f"\ufeff{one}\n\n# a comment\n  {two.upper()}  Some Film (2026)\r\n"
        f"{three}{'f' * 24}\n{four}".encode()
    )
    found, _ = read_hashes(file)
    assert len(found) == 4
    assert all(bytes.fromhex(each) in found for each in (one, two, three, four))
    assert b"\xff" * 20 not in found


def test_files_are_read_in_parts_and_lines_may_lie_across_two_of_them(tmp_path: Path) -> None:
    file = tmp_path / "deny.txt"
    numbers = [b"%040x" % number for number in range(5_000)]
    file.write_bytes(b"# first\n" + b"\n".join(numbers))
    found, _ = read_hashes(file)
    assert len(found) == 5_000
    file.write_bytes(b"\n".join([*numbers, b"nothing", *numbers]))
    with pytest.raises(ConfigError, match=re.escape(f"{file}:5001: expected an info-hash")):
        read_hashes(file)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b"ab\n", ":1: expected an info-hash in 40 or 64 hex digits"),
        (b"a" * 39 + b"\n", ":1: expected"),
        (b"\n\n" + b"a" * 41, ":3: expected"),
        (b"#\n\x1b[2J\xff\n", r":2: expected .* got '\\x1b\[2J"),
        (b"x" * (MAX_LINE + 1), f":1: the line is longer than {MAX_LINE:,} bytes"),
        (b"x" * (MAX_LINE + 1) + b"\n", ":1: the line is longer"),
    ],
)
def test_a_wrong_line_of_hashes_is_named(tmp_path: Path, text: bytes, said: str) -> None:
    file = tmp_path / "deny.txt"
    file.write_bytes(text)
    with pytest.raises(ConfigError, match=said) as caught:
        read_hashes(file)
    assert str(caught.value).isprintable()
    assert len(str(caught.value)) < 500


@given(data=st.binary(max_size=200))
def test_whatever_is_in_a_file_only_a_config_error_comes_of_it(
    tmp_path_factory: pytest.TempPathFactory, data: bytes
) -> None:
    file = tmp_path_factory.getbasetemp() / "anything.txt"
    file.write_bytes(data)
    file.chmod(0o600)
    for read in (read_hashes, read_names, read_tokens):
        with contextlib.suppress(ConfigError):
            read(file)


def test_a_file_that_is_not_there_or_too_large_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(ConfigError, match=r"deny.txt cannot be read: No such file"):
        read_hashes(tmp_path / "deny.txt")
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        read_hashes(tmp_path)
    (tmp_path / "deny.txt").write_text(f"{1:040x}\n" * 9)
    monkeypatch.setattr("trio_swarm.tracker.admission.list_files.MAX_HASHES_FILE", 41 * 8)
    with pytest.raises(ConfigError, match="the file is larger than 328 bytes"):
        read_hashes(tmp_path / "deny.txt")


def test_names_match_as_a_whole_whatever_their_case_and_however_accents_are_written() -> None:
    found = NamePatterns(["Film.mkv", "*.EXE", "caf\u00e9", "season [12]*"])
    listed = ["film.MKV", "setup.exe", "cafe\u0301", "Season 2, part 1", "CAF\u00c9"]
    assert [name for name in listed if name not in found] == []
    others = ["film.mkv.txt", "exe", "setup.exe.txt", "cafe", "season 3"]
    assert [name for name in others if name in found] == []


def test_a_file_of_names_is_bounded_and_a_wrong_line_is_named(tmp_path: Path) -> None:
    file = tmp_path / "names.txt"
    file.write_text("# no programs\n*.exe\nc# in depth\n", encoding="utf-8")
    found, _ = read_names(file)
    assert "C# in depth" in found
    for text, said in [
        (b"a\n\xff", ":2: not UTF-8"),
        ("ok\nx\u202egpj.exe".encode(), ":2: no tracker has such a name: .*U\\+202E"),
        (b"?" * 17, ":1: a pattern may hold 16 wildcards"),
        (b"a*\n" * (MAX_PATTERNS + 1), f":{MAX_PATTERNS + 1}: more than {MAX_PATTERNS:,} patterns"),
    ]:
        file.write_bytes(text)
        with pytest.raises(ConfigError, match=said):
            read_names(file)


def test_tokens_are_kept_as_digests_and_never_shown(tmp_path: Path) -> None:
    file = tmp_path / "tokens"
    file.write_text("# for Ann\nann-0123456789abcdef\nbob_0123456789abcdef  Bob\n")
    file.chmod(0o600)
    found, _ = read_tokens(file)
    assert [token in found for token in (b"ann-0123456789abcdef", b"bob_0123456789abcdef")] == [
        True,
        True,
    ]
    assert [token in found for token in (b"", b"Bob", b"ann-0123456789abcdeg")] == [False] * 3
    kept = [getattr(found, name) for name in Tokens.__slots__]
    assert "0123456789abcdef" not in repr(kept)
    file.chmod(0o640)
    with pytest.raises(ConfigError, match=f"others can read {file}: chmod 600 {file}"):
        read_tokens(file)
    file.chmod(0o600)
    for wrong in ("short", "ann/0123456789abcdef", "x" * 65):
        file.write_text(f"\n{wrong}\n")
        with pytest.raises(
            ConfigError, match="tokens:2: expected a token of at least 16"
        ) as caught:
            read_tokens(file)
        assert wrong not in str(caught.value)
