"""Which names may be registered with a tracker, and which patterns it searches for."""

import re
import unicodedata

from trio_swarm.errors import RemoteProtocolError

MAX_WILDCARDS = 16
"""Of one glob pattern: each costs another pass over every name."""

MAX_NAME_BYTES = 255
"""UTF-8 bytes: as long as a file name may be on common file systems."""

_BIDI_CONTROLS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
# Line and paragraph separators, control characters, and halves of surrogate pairs.
_UNPRINTABLE = frozenset({"Cc", "Cs", "Zl", "Zp"})


def name_fault(name: str, *, max_bytes: int = MAX_NAME_BYTES) -> str | None:
    """Return why `name` cannot be registered, or None if it can.

    Names are shown on other people's terminals, so nothing that moves the cursor, breaks the line
    or reverses the text ("gpj.exe") is accepted. Anything else is: a name is only a hint.
    """
    if not name:
        return "the name is empty"
    # Most names are ASCII, and this is asked for every name of every answer.
    if not (name.isascii() and name.isprintable()):
        for character in name:
            if unicodedata.category(character) in _UNPRINTABLE or character in _BIDI_CONTROLS:
                return f"the name holds the control character U+{ord(character):04X}"
    if len(name.encode()) > max_bytes:
        return f"the name is longer than {max_bytes} bytes"
    return None


def registrable_name(name: str) -> str:
    """Return `name` as it can be registered: each character not allowed becomes "_".

    A file may be called anything, and must not be lost to a tracker that refuses its name.
    """
    if name_fault(name) is None:
        return name
    safe = "".join(each if name_fault(each) is None else "_" for each in name)
    return safe.encode()[:MAX_NAME_BYTES].decode(errors="ignore")


def simple_glob(pattern: str) -> str:
    """Return a glob pattern that matches the same, without one `*` after another."""
    return re.sub(r"\*{2,}", "*", pattern)


def check_glob(pattern: str) -> None:
    """Raise RemoteProtocolError if to search for a glob pattern is too much work."""
    if sum(map(simple_glob(pattern).count, "*?[")) > MAX_WILDCARDS:
        raise RemoteProtocolError(f"a pattern may hold {MAX_WILDCARDS} wildcards (* ? [)")
