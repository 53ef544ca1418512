"""Bencode: round trips, limits, and nothing but BencodeError for arbitrary bytes."""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.errors import BencodeError
from trio_swarm.protocol import bencode

INTEGERS = st.integers(-(2**63), 2**64 - 1)
VALUES = st.recursive(
    INTEGERS | st.binary(max_size=20),
    lambda inner: (
        st.lists(inner, max_size=5) | st.dictionaries(st.binary(max_size=5), inner, max_size=5)
    ),
    max_leaves=10,
)
# Bytes that look like bencode get further into the decoder than random ones.
BENCODE_LIKE = st.lists(
    st.sampled_from([b"d", b"l", b"i", b"e", b"0:", b"1:", b"1:a", b"3:abc", b"-", b"0", b"i7e"])
    | st.binary(max_size=3)
).map(b"".join)


@given(VALUES)
def test_decoding_gives_back_what_was_encoded(value: bencode.Value) -> None:
    assert bencode.decode(bencode.encode(value)) == value


@given(VALUES, st.binary())
def test_a_prefix_ends_where_its_value_ends(value: bencode.Value, rest: bytes) -> None:
    data = bencode.encode(value)
    assert bencode.decode_prefix(data + rest) == (value, len(data))


@given(VALUES)
def test_every_cut_of_a_value_is_refused(value: bencode.Value) -> None:
    data = bencode.encode(value)
    for end in range(len(data)):
        with pytest.raises(BencodeError):
            bencode.decode(data[:end])


@given(st.binary() | BENCODE_LIKE)
def test_arbitrary_bytes_raise_only_bencode_errors_or_are_read_exactly(data: bytes) -> None:
    try:
        value = bencode.decode(data)
    except BencodeError:
        return
    # What was accepted differs from the canonical form in the order of keys at most.
    assert sorted(bencode.encode(value)) == sorted(data)


@given(st.dictionaries(st.binary(max_size=5), VALUES, min_size=1, max_size=6), st.data())
def test_spans_are_the_exact_bytes_of_values_also_of_unsorted_dictionaries(
    entries: dict[bytes, bencode.Value], data: st.DataObject
) -> None:
    order = data.draw(st.permutations(sorted(entries)))
    encoded = [bencode.encode(key) + bencode.encode(entries[key]) for key in order]
    unsorted = b"d" + b"".join(encoded) + b"e"
    spans = bencode.decode_leniently(unsorted).spans
    for key in order:
        assert unsorted[spans[key]] == bencode.encode(entries[key])


def test_the_raw_info_of_an_odd_torrent_hashes_to_its_own_info_hash() -> None:
    info = b"d4:name1:x6:lengthi1ee"
    assert info != bencode.encode(bencode.decode(info))
    torrent = b"d8:announce0:4:info" + info + b"e"
    assert torrent[bencode.decode_leniently(torrent).spans[b"info"]] == info
    assert (
        hashlib.sha1(info).digest() != hashlib.sha1(bencode.encode(bencode.decode(info))).digest()
    )


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"i-0e",
        b"i00e",
        b"i03e",
        b"i-03e",
        b"ie",
        b"i-e",
        b"i+1e",
        b"i 1e",
        b"i1_0e",
        b"i1",
        b"i" + b"9" * 21 + b"e",
        b"i" + b"9" * 5000 + b"e",
        b"01:a",
        b"00:",
        b"-1:a",
        b"2:a",
        b"9999999999:a",
        b"99999999999:a",
        b"1",
        b"e",
        b"l",
        b"d",
        b"d1:ae",
        b"di1ei1ee",
        b"dlei1ee",
        b"d1:ai1e1:ai2ee",
        b"d1:ad1:bi1e1:bi1eee",
        b"i1ei2e",
        b"i1e\n",
        b"x",
    ],
)
def test_malformed_input_is_refused(data: bytes) -> None:
    with pytest.raises(BencodeError):
        bencode.decode(data)


def test_a_string_that_reaches_beyond_the_end_is_no_prefix_either() -> None:
    with pytest.raises(BencodeError):
        bencode.decode_prefix(b"5:ab")


def test_unsorted_keys_are_read() -> None:
    assert bencode.decode(b"d1:bi1e1:ai2ee") == {b"b": 1, b"a": 2}


def test_nesting_ends_at_its_limit() -> None:
    deepest = b"l" * bencode.MAX_DEPTH + b"e" * bencode.MAX_DEPTH
    assert bencode.encode(bencode.decode(deepest)) == deepest
    with pytest.raises(BencodeError, match="deep"):
        bencode.decode(b"l" + deepest + b"e")


@pytest.mark.parametrize("bomb", [b"l" * 1_000_000, b"d1:a" * 1_000_000])
def test_a_depth_bomb_costs_nothing(bomb: bytes) -> None:
    with pytest.raises(BencodeError):
        bencode.decode(bomb)


def test_encoding_ends_at_the_same_depth() -> None:
    value: list[bencode.Value] = []
    for _ in range(bencode.MAX_DEPTH):
        value = [value]
    with pytest.raises(BencodeError):
        bencode.encode(value)


def test_the_number_of_containers_is_limited(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bencode, "MAX_CONTAINERS", 10)
    assert bencode.decode(b"l" + b"le" * 9 + b"e") == [[]] * 9
    with pytest.raises(BencodeError):
        bencode.decode(b"l" + b"de" * 10 + b"e")


def test_text_is_encoded_as_utf8_and_keys_are_sorted_as_bytes() -> None:
    assert bencode.encode({"é": "ü", "z": [True, "a"]}) == "d1:zli1e1:ae2:é2:üe".encode()


@pytest.mark.parametrize(
    "value",
    [None, 1.5, {1: 2}, {"a": 1, b"a": 2}, "\udcff", {"\udcff": 1}, 10**20, -(10**19), {1, 2}],
)
def test_what_could_not_be_read_back_is_not_encoded(value: object) -> None:
    with pytest.raises(BencodeError):
        bencode.encode(value)  # type: ignore[arg-type]


@given(st.dictionaries(st.binary(max_size=3), VALUES, max_size=4), BENCODE_LIKE)
def test_what_is_canonical_is_what_would_be_written_again(
    value: dict[bytes, bencode.Value], odd: bytes
) -> None:
    for data in (bencode.encode(value), odd):
        try:
            reading = bencode.decode_leniently(data)
        except BencodeError:
            continue
        assert reading.is_canonical == (bencode.encode(reading.value) == data[: reading.end])
        if isinstance(reading.value, dict) and reading.spans:
            for key, span in reading.spans.items():
                again = bencode.encode(reading.value[key]) == data[span]
                assert (key not in reading.not_canonical) == again
