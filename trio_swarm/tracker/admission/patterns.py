"""Lists of names and of patterns of names; upper and lower case are the same in them."""

import re
import unicodedata
from collections.abc import Iterable
from fnmatch import translate
from typing import Final

from trio_swarm.protocol.trackers.share_names import simple_glob

MAX_PATTERNS: Final = 1_000
"""Patterns with wildcards in a list: each new name is compared with all of them, in some 100 µs."""

_WILDCARDS: Final = frozenset("*?[")


class NamePatterns:
    """Names, and glob patterns (`*`, `?`, `[abc]`, `[!abc]`) that match whole names."""

    def __init__(self, lines: Iterable[str]) -> None:
        texts = [folded(line) for line in lines]
        self._names = frozenset(text for text in texts if _WILDCARDS.isdisjoint(text))
        # translate() makes each "*" match as little as it can and never try again.
        self._matches = [
            re.compile(translate(simple_glob(text))).match
            for text in texts
            if not _WILDCARDS.isdisjoint(text)
        ]

    def __len__(self) -> int:
        return len(self._names) + len(self._matches)

    def __contains__(self, name: str) -> bool:
        text = folded(name)
        return text in self._names or any(match(text) for match in self._matches)


def is_pattern(text: str) -> bool:
    """Whether there are wildcards in a line of such a list."""
    return not _WILDCARDS.isdisjoint(text)


def folded(text: str) -> str:
    """Return a text without what makes equal names differ: case, and how accents are written."""
    return unicodedata.normalize("NFC", text.casefold())
