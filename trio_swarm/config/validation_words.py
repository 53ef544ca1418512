"""Values of a wrong type or size, in words: msgspec tells types, people write values."""

import re
import typing
from typing import Any

import msgspec

_NAMES = {
    "int": "a whole number",
    "float": "a number",
    "str": "text",
    "bool": "true or false",
    "array": "a list",
    "object": "a table",
    "null": "nothing",
}
_EMPTY = "text of length >= 1"


def explained(error: msgspec.ValidationError, key: str = "") -> tuple[str, str]:
    """Return the dotted key that is wrong, and why.

    `key` is that of the whole value: the path that msgspec tells is relative to it.
    """
    text, _, path = str(error).partition(" - at `")
    inner = path.removesuffix("`").removeprefix("$").replace("[...]", "")
    text = re.sub(r"`(\w+)(?: \| null)?`", lambda name: _NAMES.get(name[1], name[1]), text)
    text = text.replace(_EMPTY, "text that is not empty")
    return f"{key}{inner}".removeprefix("."), text[:1].lower() + text[1:]


def in_one_line(error: msgspec.ValidationError, key: str = "") -> str:
    """Return the same as one line for people."""
    where, message = explained(error, key)
    return f"{where}: {message}" if where else message


def one_of(literal: Any) -> str:
    """Return the words that a `Literal` stands for: `a, b or c`."""
    words = [str(each) for each in typing.get_args(literal)]
    return " or ".join(filter(None, [", ".join(words[:-1]), words[-1]]))
