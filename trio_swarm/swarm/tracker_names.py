"""Which info-hash holds which name, and glob search over all names in bounded steps."""

import re
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable
from fnmatch import translate

from trio_swarm.errors import RemoteProtocolError
from trio_swarm.protocol.share_names import name_fault

MAX_WILDCARDS = 16
"""Of one glob pattern: each costs another pass over every name."""

MAX_NAMES_PER_SWARM = 16
"""Names one info-hash may hold: honest peers agree on one or two."""

MAX_HOLDERS_OF_NAME = 64
"""Info-hashes one name may stand for: they are sorted at once for an answer."""


class SharedName:
    """One info-hash holds one name, for as long as `announcers` live peers say so."""

    __slots__ = ("age", "announcers", "info_hash", "name", "size")

    def __init__(self, name: str, info_hash: bytes, size: int, age: int) -> None:
        self.name = name
        self.info_hash = info_hash
        self.size = size
        """Bytes; 0: nobody said."""
        self.age = age
        """Counts up: less is older."""
        self.announcers = 0


class NameTable:
    """All shared names; a name goes when the last peer that announces it goes.

    `seeders_of` tells how many seeders an info-hash has now.
    """

    def __init__(
        self, *, max_names: int, max_name_length: int, seeders_of: Callable[[bytes], int]
    ) -> None:
        self._seeders_of = seeders_of
        self._max_names = max_names
        self._max_name_length = max_name_length
        self._by_name: dict[str, dict[bytes, SharedName]] = {}
        self._by_hash: dict[bytes, dict[str, SharedName]] = {}
        self._sorted: list[str] = []
        self._count = 0
        self._next_age = 0

    def __len__(self) -> int:
        return self._count

    def refusal(self, name: str, info_hash: bytes) -> str | None:
        """Return why `hold` must not be called, None if it may."""
        if self._by_name.get(name, {}).get(info_hash) is not None:
            return None
        if fault := name_fault(name, max_bytes=self._max_name_length):
            return fault
        if self._count >= self._max_names:
            return "the tracker has no room for another name"
        if len(self._by_name.get(name, ())) >= MAX_HOLDERS_OF_NAME:
            return f"the name stands for {MAX_HOLDERS_OF_NAME} torrents already"
        if len(self._by_hash.get(info_hash, ())) >= MAX_NAMES_PER_SWARM:
            return f"the torrent has {MAX_NAMES_PER_SWARM} names already"
        return None

    def hold(self, name: str, info_hash: bytes, size: int) -> SharedName:
        """Count one more peer that announces `name` for `info_hash`; end it with `release`."""
        holders = self._by_name.get(name)
        if holders is None:
            holders = self._by_name[name] = {}
            insort(self._sorted, name)
        shared = holders.get(info_hash)
        if shared is None:
            shared = holders[info_hash] = SharedName(name, info_hash, size, self._next_age)
            self._by_hash.setdefault(info_hash, {})[name] = shared
            self._next_age += 1
            self._count += 1
        # Every info-hash has one size; the first to tell it is believed.
        shared.size = shared.size or size
        shared.announcers += 1
        return shared

    def release(self, shared: SharedName) -> None:
        """Count one peer less; the last one takes the name with it."""
        shared.announcers -= 1
        if shared.announcers:
            return
        self._count -= 1
        holders = self._by_name[shared.name]
        del holders[shared.info_hash]
        if not holders:
            del self._by_name[shared.name]
            del self._sorted[bisect_left(self._sorted, shared.name)]
        names = self._by_hash[shared.info_hash]
        del names[shared.name]
        if not names:
            del self._by_hash[shared.info_hash]

    def holders(self, name: str) -> list[SharedName]:
        """Return who holds exactly `name`: most seeders first, then oldest."""
        holders = self._by_name.get(name)
        if holders is None:
            return []
        return sorted(
            holders.values(), key=lambda held: (-self._seeders_of(held.info_hash), held.age)
        )

    def search(self, pattern: str) -> "NameSearch":
        """Begin a search for a glob pattern; RemoteProtocolError if the pattern is too much."""
        return NameSearch(self, pattern)

    def names_after(self, name: str | None, prefix: str, count: int) -> list[str]:
        """Return up to `count` names that begin with `prefix` and sort after `name`."""
        names = self._sorted
        start = bisect_left(names, prefix) if name is None else bisect_right(names, name)
        chosen = names[start : start + count]
        # Names with one prefix are neighbours, so halving finds the end.
        return chosen[: bisect_left(chosen, 1, key=lambda n: not n.startswith(prefix))]


class NameSearch:
    """A glob search in steps, so that a large table or a nasty pattern holds nobody else up.

    Case-sensitive; `*`, `?`, `[abc]` and `[!abc]` as in fnmatch. Names that come or go while it
    runs may or may not be found.
    """

    def __init__(self, names: NameTable, pattern: str) -> None:
        pattern = re.sub(r"\*{2,}", "*", pattern)
        if sum(map(pattern.count, "*?[")) > MAX_WILDCARDS:
            raise RemoteProtocolError(f"a pattern may hold {MAX_WILDCARDS} wildcards (* ? [)")
        self._names = names
        self._prefix = re.split(r"[*?\[]", pattern, maxsplit=1)[0]
        # translate() makes each "*" match as little as it can and never try again, so a match
        # costs at most (wildcards x length of the name).
        self._match = re.compile(translate(pattern)).match
        self._last: str | None = None
        self.matches: list[SharedName] = []
        """Found so far; by name, then most seeders first, then oldest."""

    def step(self, count: int) -> bool:
        """Look at the next `count` names; return whether that was all."""
        batch = self._names.names_after(self._last, self._prefix, count)
        match = self._match
        for name in batch:
            if match(name):
                self.matches += self._names.holders(name)
        if len(batch) < count:
            return True
        self._last = batch[-1]
        return False
