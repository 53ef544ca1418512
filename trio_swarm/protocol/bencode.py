"""Bencode, decoding and encoding (BEP 3, "bencoding"); keeps exact bytes, for info-hashes.

Decoding is strict except for the order of a dictionary's keys, which real torrents do not always
keep. `decode_leniently` also accepts other faults of real torrents, as libtorrent does. No value is
ever decoded and encoded again to compute a hash: the exact bytes are cut out.

The caller limits the size of the input. The limits here are on the memory and time that few bytes
can take.
"""

from collections.abc import Mapping, Sequence
from typing import NamedTuple, TypeAlias

from msgspec import Struct, field

from trio_swarm.errors import BencodeError
from trio_swarm.foreign_text import shown

Value: TypeAlias = int | bytes | list["Value"] | dict[bytes, "Value"]
Encodable: TypeAlias = (
    int
    | bytes
    | str
    | Sequence["Encodable"]
    | Mapping[bytes, "Encodable"]
    | Mapping[str, "Encodable"]
)

MAX_DEPTH = 100
"""Most levels of nested lists and dictionaries, as in libtorrent; metainfo needs about 5."""
MAX_CONTAINERS = 1_000_000
"""Most lists and dictionaries in all: an empty one is 2 bytes of input and 80 bytes of memory."""
MAX_INTEGER_LENGTH = 20
"""Most characters of an integer, with its sign: enough for every 64-bit value, and no conversion
takes quadratic time."""
MAX_LENGTH_DIGITS = 10
"""Most digits of a string's length: 10 GB, more than any input."""

_TOO_LARGE = 10**20
"""The smallest absolute value of an integer that libtorrent 2.1.1 does not read."""
MAX_LENIENT_DIGITS = 40
"""Most characters of an integer or a string's length if leading zeros are allowed."""
MAX_REPEATS = 1000
"""Most keys given twice with different values: each is stored, and no honest tool writes many."""

_ZERO, _NINE, _COLON, _INTEGER, _LIST, _DICTIONARY, _END = b"09:ilde"
_SHORT_DIGITS = 19
"""Digits of an integer that is below every limit here, whatever they are."""


def encode(value: Encodable) -> bytes:
    """Return `value` as canonical bencode: dictionary keys sorted as raw bytes, text as UTF-8.

    Raises BencodeError for a value that `decode` would not read back: another type, text that
    cannot be encoded, two keys with the same bytes, an integer or nesting beyond the limits.
    """
    parts: list[bytes] = []
    _encode_into(parts, value, 0)
    return b"".join(parts)


def _encode_into(parts: list[bytes], value: object, depth: int) -> None:
    """Append the encoded parts of `value`, at nesting level `depth`, to `parts`."""
    if isinstance(value, bytes | str):
        data = _as_bytes(value)
        parts.append(b"%d:%b" % (len(data), data))
    elif isinstance(value, int):
        number = b"%d" % value
        if len(number) > MAX_INTEGER_LENGTH:
            raise BencodeError("integer beyond 64 bits")
        parts.append(b"i%be" % number)
    elif depth >= MAX_DEPTH:
        raise BencodeError(f"nested more than {MAX_DEPTH} deep")
    elif isinstance(value, Mapping):
        entries = {_as_bytes(key): inner for key, inner in value.items()}
        if len(entries) < len(value):
            raise BencodeError("two keys of a dictionary have the same bytes")
        parts.append(b"d")
        for key in sorted(entries):
            parts.append(b"%d:%b" % (len(key), key))
            _encode_into(parts, entries[key], depth + 1)
        parts.append(b"e")
    elif isinstance(value, list | tuple):
        parts.append(b"l")
        for inner in value:
            _encode_into(parts, inner, depth + 1)
        parts.append(b"e")
    else:
        raise BencodeError(f"cannot encode {type(value).__name__}")


def _as_bytes(text: object) -> bytes:
    """Return the bytes of a byte string or of text as UTF-8."""
    if isinstance(text, bytes):
        return text
    if not isinstance(text, str):
        raise BencodeError(f"dictionary key of type {type(text).__name__}")
    try:
        return text.encode()
    except UnicodeEncodeError as error:
        raise BencodeError(f"text that UTF-8 cannot hold: {shown(text)}") from error


def shown_value(value: Value | None) -> str:
    """Return a stranger's value as a short text for a message."""
    if isinstance(value, bytes):
        return repr(shown(value))
    if isinstance(value, int):
        return str(value)
    return "nothing" if value is None else "a list" if isinstance(value, list) else "a dictionary"


class Repeat(NamedTuple):
    """A key given again with another value.

    `offset` is its place; `depth` is the level of its dictionary (1: outermost).
    """

    key: bytes
    depth: int
    offset: int


class Reading(Struct):
    """The result of `decode_leniently`: the value, where it ends, and its doubtful parts.

    `spans` tells where each value of an outermost dictionary is. `repeats` are the keys given again
    with another value: the first value counts, as in libtorrent 2.1.1, but other programs take the
    last. `is_canonical`: there is no other way to write the value: keys are in order, each is given
    once, and no number has zeros before it; `not_canonical` are the keys of an outermost dictionary
    whose values are not so.
    """

    value: Value = 0
    end: int = 0
    spans: dict[bytes, slice] = field(default_factory=dict)
    repeats: list[Repeat] = field(default_factory=list)
    is_canonical: bool = True
    not_canonical: set[bytes] = field(default_factory=set)


def decode(data: bytes) -> Value:
    """Return the one value that `data` consists of; raises BencodeError for anything else."""
    value, end = decode_prefix(data)
    if end != len(data):
        raise BencodeError(f"{len(data) - end} bytes after the end of the value, at {end}")
    return value


def decode_prefix(data: bytes) -> tuple[Value, int]:
    """Return the value at the start of `data`, and the offset where it ends.

    For messages with raw bytes after a dictionary (BEP 9, "data"). Raises BencodeError.
    """
    value, end, _ = _decode(data, None)
    return value, end


def decode_leniently(data: bytes) -> Reading:
    """Return the value at the start of `data`, read as libtorrent 2.1.1 reads a torrent.

    Allowed are bytes after the value, leading zeros of an integer or a string's length, `-0`, and a
    key given twice in a dictionary. Raises BencodeError for all other faults.
    """
    reading = Reading()
    reading.value, reading.end, odd = _decode(data, reading)
    reading.is_canonical = odd < 0
    return reading


def _decode(data: bytes, reading: Reading | None) -> tuple[Value, int, int]:
    """Return what `_decode_at` does, and raise nothing but BencodeError."""
    try:
        return _decode_at(data, reading)
    except IndexError:
        # It looks at the next byte without asking whether there is one: a tenth faster.
        raise BencodeError(f"ends early, at {len(data)}") from None


def _decode_at(  # noqa: PLR0912, PLR0915 - one flat loop takes half the time of calls per value
    data: bytes, reading: Reading | None
) -> tuple[Value, int, int]:
    """Return the value at the start of `data`, where it ends, and where it is not canonical.

    The last is the offset of the last such place, -1 if there is none. Raises BencodeError, or
    IndexError if `data` ends before the value does. It does not recurse, so nesting takes no stack.
    `reading`, if given, makes the decoding lenient; all of it but `value` and `end` is filled.
    """
    size = len(data)
    lenient = reading is not None
    odd = -1
    length_digits = MAX_LENIENT_DIGITS if lenient else MAX_LENGTH_DIGITS
    integer_digits = MAX_LENIENT_DIGITS if lenient else MAX_INTEGER_LENGTH
    at = containers = 0
    # The innermost open container is `entries` or `items`; `key` awaits its value in `entries`;
    # `start` is where that container, or the value just read, begins.
    entries: dict[bytes, Value] | None = None
    items: list[Value] | None = None
    key: bytes | None = None
    before: bytes | None = None
    """The key before `key`."""
    outer: list[tuple[dict[bytes, Value] | None, list[Value] | None, bytes | None, int]] = []
    value: Value
    while True:
        lead = data[at]
        start = at
        if _ZERO <= lead <= _NINE:
            # Nearly all texts are shorter than 100 bytes: their length is read without a call.
            second = data[at + 1]
            if second == _COLON:
                begin = at + 2
                at = begin + lead - _ZERO
            elif _ZERO <= second <= _NINE and lead != _ZERO and data[at + 2] == _COLON:
                begin = at + 3
                at = begin + 10 * (lead - _ZERO) + second - _ZERO
            else:
                colon = data.find(b":", at, at + length_digits + 1)
                digits = data[at:colon]
                has_zeros = lead == _ZERO and colon != at + 1
                if colon < 0 or not digits.isdigit() or (has_zeros and not lenient):
                    raise BencodeError(f"bad string length at {at}")
                if has_zeros:
                    odd = at
                begin = colon + 1
                at = begin + int(digits)
            if at > size:
                raise BencodeError(f"string reaches beyond the end, at {start}")
            value = data[begin:at]
            if entries is not None and key is None:
                if not lenient and value in entries:
                    raise BencodeError(
                        f"key {shown(value, 40)!r} twice in one dictionary, at {start}"
                    )
                if before is not None and value <= before:
                    odd = start
                key = before = value
                continue
        elif lead == _END:
            if not outer or key is not None:
                raise BencodeError(f"unexpected end of a list or dictionary at {at}")
            value = entries if entries is not None else items or []
            entries, items, key, start = outer.pop()
            before = key
            at += 1
        elif entries is not None and key is None:
            raise BencodeError(f"dictionary key that is not a string, at {at}")
        elif lead == _INTEGER:
            end = data.find(b"e", at, at + integer_digits + 2)
            digits = data[at + 1 : end]
            if end < 0 or not digits.isdigit() or digits[0] == _ZERO or len(digits) > _SHORT_DIGITS:
                magnitude = digits.removeprefix(b"-")
                if (
                    end < 0
                    or not magnitude.isdigit()
                    or (magnitude[0] == _ZERO and digits != b"0" and not lenient)
                ):
                    raise BencodeError(f"bad integer at {at}")
                if magnitude[0] == _ZERO and digits != b"0":
                    odd = at
                if lenient and abs(int(digits)) >= _TOO_LARGE:
                    raise BencodeError(f"integer of more than 20 digits at {at}")
            value = int(digits)
            at = end + 1
        elif lead in (_LIST, _DICTIONARY):
            containers += 1
            if len(outer) >= MAX_DEPTH:
                raise BencodeError(f"nested more than {MAX_DEPTH} deep, at {at}")
            if containers > MAX_CONTAINERS:
                raise BencodeError(f"more than {MAX_CONTAINERS} lists and dictionaries, at {at}")
            outer.append((entries, items, key, start))
            entries, items = ({}, None) if lead == _DICTIONARY else (None, [])
            key = before = None
            at += 1
            continue
        else:
            raise BencodeError(f"no value starts with {data[at : at + 1]!r}, at {at}")

        if entries is not None:
            assert key is not None
            if lenient and key in entries:
                if entries[key] != value:
                    _note_repeat(reading, Repeat(key, len(outer), start))
            else:
                entries[key] = value
                if reading is not None and len(outer) == 1:
                    reading.spans[key] = slice(start, at)
                    if odd >= start:
                        reading.not_canonical.add(key)
            key = None
        elif items is not None:
            items.append(value)
        else:
            return value, at, odd


def _note_repeat(reading: Reading | None, repeat: Repeat) -> None:
    assert reading is not None
    if len(reading.repeats) >= MAX_REPEATS:
        raise BencodeError(f"more than {MAX_REPEATS} keys given twice")
    reading.repeats.append(repeat)
