"""Which info-hash holds which name, and glob search over all names in bounded steps."""

import random
import re
from bisect import bisect_left, bisect_right, insort
from collections import Counter
from collections.abc import Callable, Iterable
from fnmatch import translate
from hashlib import blake2b

from trio_swarm.protocol.trackers.share_names import name_fault, simple_glob
from trio_swarm.tracker.networks import is_private
from trio_swarm.tracker.settings import RegistrySettings

MAX_NAMES_PER_SWARM = 16
"""Names one info-hash may hold: honest peers agree on one or two."""

MAX_HOLDERS_OF_NAME = 64
"""Info-hashes one name may stand for: they are sorted at once for an answer."""

MAX_TWINS = 8
"""Other info-hashes that the announcers of a name are counted for. A hybrid torrent has one, and a
request for the name looks at all of them."""

SHARES_OF_PRIVATE = 10
"""Shares of a host that one with a private address has: many peers are behind it (a proxy, a bridge
of containers), and no stranger has such an address."""

MARKS = 2**63
"""Sums of announcers' numbers there are."""

_SAMPLE = 32
"""Names compared when one must make room: a host that holds a tenth of all is missed once in thirty
times."""


class SharedName:
    """One info-hash holds one name, for as long as `announcers` live peers say so."""

    __slots__ = ("age", "announcers", "host", "info_hash", "mark", "name", "size", "twins")

    def __init__(self, name: str, info_hash: bytes, size: int, age: int, host: bytes) -> None:
        self.name = name
        self.info_hash = info_hash
        self.size = size
        """Bytes; 0: unknown."""
        self.age = age
        """Less is older."""
        self.announcers = 0
        self.mark = 0
        """Sum of a number for each announcer: the same announcers make the same sum."""
        self.host = host
        """The host that announced it first: the name counts for its share of the table."""
        self.twins: dict[bytes, int] | None = None
        """By other info-hash: how many of its announcers announce the same name for that one."""

    def pair(self, info_hash: bytes, change: int) -> None:
        """Count announcers that also announce the name for `info_hash`."""
        twins = {} if self.twins is None else self.twins
        count = twins.get(info_hash, 0) + change
        if count <= 0:
            twins.pop(info_hash, None)
        elif info_hash in twins or len(twins) < MAX_TWINS:
            twins[info_hash] = count
        self.twins = twins or None

    def twin_hashes(self) -> list[bytes]:
        """Return the info-hashes for which all its announcers announce the same name, too."""
        counts = self.twins or {}
        return [info_hash for info_hash, count in counts.items() if count == self.announcers]


def announcer_mark(address: bytes, key: int, info_hash: bytes) -> int:
    """Return the number of a peer that announces a name, in each process the same.

    Its key is secret, so nobody can choose an address with another one's. Without a key it has
    another number for each info-hash, and so is nobody else's twin.
    """
    known_by = key.to_bytes(4, "big") if key else info_hash
    return int.from_bytes(blake2b(address + known_by, digest_size=8).digest(), "big")


class NameTable:
    """All shared names; a name goes when the last peer that announces it goes.

    A host is a packed IPv4 address or IPv6 /64. None has more than its share, and where there is no
    room, a newcomer takes the place of a name whose host has more than it: of the table, of the
    holders of the name, or of the names of the torrent. `seeders_of` tells how many seeders an
    info-hash has now, `rng` chooses which names are compared, `new_age` gives a new name its age.
    """

    def __init__(
        self,
        settings: RegistrySettings,
        *,
        rng: random.Random,
        seeders_of: Callable[[bytes], int],
        new_age: Callable[[], int],
    ) -> None:
        self._seeders_of = seeders_of
        self._new_age = new_age
        self._rng = rng
        self._settings = settings
        self._by_name: dict[str, dict[bytes, SharedName]] = {}
        self._by_hash: dict[bytes, dict[str, SharedName]] = {}
        self._by_host: Counter[bytes] = Counter()
        self._sorted: list[str] = []
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def fault(self, name: str) -> str | None:
        """Return why nobody may hold `name`, None if it may be held."""
        return name_fault(name, max_bytes=self._settings.max_name_length)

    def place(
        self, name: str, info_hash: bytes, host: bytes
    ) -> tuple[str | None, "SharedName | None"]:
        """Return why `hold` must not be called, or None and the name to `drop` before, if any."""
        holders = self._by_name.get(name, {})
        if info_hash in holders:
            return None, None
        if fault := self.fault(name):
            return fault, None
        per_host = self._settings.max_names_per_host
        if is_private(host):
            per_host *= SHARES_OF_PRIVATE
        if self._by_host[host] >= per_host:
            return f"this address has {per_host:,} names already (max_names_per_host)", None
        names = self._by_hash.get(info_hash, {})
        among: Iterable[SharedName]
        if len(holders) >= MAX_HOLDERS_OF_NAME:
            full, among = (
                f"the name stands for {MAX_HOLDERS_OF_NAME} torrents already",
                holders.values(),
            )
        elif len(names) >= MAX_NAMES_PER_SWARM:
            full, among = f"the torrent has {MAX_NAMES_PER_SWARM} names already", names.values()
        elif self._count >= self._settings.max_names:
            full, among = (
                f"the tracker has no room for another name: it has {self._count:,} (max_names)",
                self._sample(),
            )
        else:
            return None, None
        loser = self._crowder(among, host)
        return (full, None) if loser is None else (None, loser)

    def _sample(self) -> list[SharedName]:
        """Return some names, one holder of each."""
        names, number = self._sorted, self._rng.random
        chosen = (names[int(number() * len(names))] for _ in range(min(_SAMPLE, len(names))))
        return [self._any_holder(name) for name in chosen]

    def _any_holder(self, name: str) -> SharedName:
        holders = list(self._by_name[name].values())
        return holders[int(self._rng.random() * len(holders))]

    def _crowder(self, among: Iterable[SharedName], host: bytes) -> SharedName | None:
        """Return the youngest name of the host that has most, if that is more than `host` has."""
        counts = self._by_host
        best = max(among, key=lambda held: (counts[held.host], held.age), default=None)
        # If it had one more only, they would take each other's place for ever.
        return best if best is not None and counts[best.host] > counts[host] + 1 else None

    def hold(self, name: str, info_hash: bytes, size: int, host: bytes) -> SharedName:
        """Count one more peer that announces `name` for `info_hash`; end it with `release`."""
        holders = self._by_name.get(name)
        if holders is None:
            holders = self._by_name[name] = {}
            insort(self._sorted, name)
        shared = holders.get(info_hash)
        if shared is None:
            shared = SharedName(name, info_hash, size, self._new_age(), host)
            holders[info_hash] = shared
            self._by_hash.setdefault(info_hash, {})[name] = shared
            self._by_host[host] += 1
            self._count += 1
        # Every info-hash has one size; the first to tell it is believed.
        shared.size = shared.size or size
        shared.announcers += 1
        return shared

    def make_room(self, name: str, info_hash: bytes, age: int) -> None:
        """Drop the youngest holder of a name, or name of a torrent, if there are too many.

        Only one younger than `age` goes: so trackers that exchange names, and hear of too many of
        them in different orders, keep the same ones.
        """
        for held, most in (
            (self._by_name.get(name, {}).values(), MAX_HOLDERS_OF_NAME),
            (self._by_hash.get(info_hash, {}).values(), MAX_NAMES_PER_SWARM),
        ):
            if len(held) >= most:
                youngest = max(held, key=lambda each: (each.age, each.info_hash, each.name))
                if youngest.age > age:
                    self.drop(youngest)

    def release(self, shared: SharedName) -> None:
        """Count one peer less; the last one takes the name with it."""
        shared.announcers -= 1
        if not shared.announcers and shared.name:
            self.drop(shared)

    def drop(self, shared: SharedName) -> None:
        """Take a name from all its announcers; each of them is still to be released.

        Its text becomes "", so the next announce of each finds that the name is lost.
        """
        name, shared.name = shared.name, ""
        self._count -= 1
        self._by_host[shared.host] -= 1
        if not self._by_host[shared.host]:
            del self._by_host[shared.host]
        holders = self._by_name[name]
        del holders[shared.info_hash]
        if not holders:
            del self._by_name[name]
            del self._sorted[bisect_left(self._sorted, name)]
        for info_hash in shared.twins or ():
            twins = holders[info_hash].twins if info_hash in holders else None
            if twins is not None:
                twins.pop(shared.info_hash, None)
        shared.twins = None
        names = self._by_hash[shared.info_hash]
        del names[name]
        if not names:
            del self._by_hash[shared.info_hash]

    def holders(self, name: str) -> list[SharedName]:
        """Return the holders of exactly `name`: most seeders first, then oldest.

        libtorrent announces both info-hashes of a hybrid torrent (BEP 52). If all announcers of the
        name for one info-hash announce it for an earlier one, too, both are one torrent, and the
        earlier one stands for it. A stranger cannot hide a torrent so: the announces of its other
        peers count, and a peer is known by its address and its secret key.
        """
        holders = self._by_name.get(name)
        if holders is None:
            return []
        ranked = sorted(
            holders.values(),
            key=lambda held: (-self._seeders_of(held.info_hash), held.age, held.info_hash),
        )
        found: dict[bytes, SharedName] = {}
        for held in ranked:
            if held.twins is None or found.keys().isdisjoint(held.twin_hashes()):
                found[held.info_hash] = held
        return list(found.values())

    def others(self, shared: SharedName) -> list[SharedName]:
        """Return the other holders of the same name."""
        holders = self._by_name.get(shared.name, {})
        return [held for held in holders.values() if held is not shared]

    def search(self, pattern: str) -> "NameSearch":
        """Begin a search for a glob pattern; `check_glob` tells whether one is too much."""
        return NameSearch(self, pattern)

    def names_after(self, name: str | None, prefix: str, count: int) -> list[str]:
        """Return up to `count` names that begin with `prefix` and sort after `name`."""
        names = self._sorted
        start = bisect_left(names, prefix) if name is None else bisect_right(names, name)
        chosen = names[start : start + count]
        # Names with one prefix are neighbours, so halving finds the end.
        return chosen[: bisect_left(chosen, 1, key=lambda n: not n.startswith(prefix))]


class NameSearch:
    """A glob search in steps: a large table or a slow pattern must not hold up announces.

    Case-sensitive; `*`, `?`, `[abc]` and `[!abc]` as in fnmatch. Names that come or go while it
    runs may or may not be found.
    """

    def __init__(self, names: NameTable, pattern: str) -> None:
        pattern = simple_glob(pattern)
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
