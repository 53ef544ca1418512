"""Which entry of the list is meant by what a person types."""

import re
from collections.abc import Callable, Iterable
from typing import Final, Protocol, TypeVar

from trio_swarm.errors import EntryAmbiguousError, EntryUnknownError

MAX_TYPED: Final = 1000
"""Most characters of what is looked for: the longest names have fewer."""


class Findable(Protocol):
    """As much of an entry as it is found by."""

    @property
    def id(self) -> int:
        """Its number in the list."""

    @property
    def name(self) -> str:
        """Its name."""

    @property
    def info_hash(self) -> bytes | None:
        """20 bytes; None while it is unknown."""


_One = TypeVar("_One", bound=Findable)

_INFO_HASH = re.compile(r"[0-9a-f]{40}")


def found(entries: Iterable[_One], text: str) -> _One:
    """Return the entry that `text` means: an id, info-hash or name, or how only one of them begins.

    The first of these that fits any entry decides: id, whole info-hash, whole name, beginning of an
    info-hash or a name. Raises EntryUnknownError and EntryAmbiguousError.
    """
    text = text[:MAX_TYPED].strip()
    listed = list(entries)
    hexed = text.lower()
    number = id_in(text)
    whole = bytes.fromhex(hexed) if _INFO_HASH.fullmatch(hexed) else None
    tests: tuple[Callable[[_One], bool], ...] = (
        lambda each: each.id == number,
        lambda each: whole is not None and each.info_hash == whole,
        lambda each: each.name == text,
        lambda each: bool(text) and _begins(each, text, hexed),
    )
    for fits in tests:
        matches = [each for each in listed if fits(each)]
        if len(matches) > 1:
            raise EntryAmbiguousError(text, [f"{each.id} {each.name}" for each in matches])
        if matches:
            return matches[0]
    raise EntryUnknownError(text)


def id_in(text: str) -> int:
    """Return the id that a text may mean; 0 if it is no number."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _begins(entry: Findable, text: str, hexed: str) -> bool:
    digest = entry.info_hash
    return entry.name.startswith(text) or (digest is not None and digest.hex().startswith(hexed))
