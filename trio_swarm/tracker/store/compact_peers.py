"""The peers of one swarm and address family, packed so that a tracker's answer is one slice.

Peers lie in one contiguous bytearray in the compact form of BEP 23 and 7, seeders first, then
leechers; the ends of their leases lie beside it in the same order. A peer is a position, and no
object. Every change moves at most two peers (swap with the last), so all of them are O(1).
"""

from array import array
from collections.abc import Sequence
from math import ceil, inf
from typing import Final, NamedTuple

from trio_swarm.tracker.store.leases import HELD

INDEX_ABOVE: Final = 64
"""Peers. Up to here `bytearray.find` takes at most 0.1 µs more than a dict, which takes 100 bytes a
peer. With many such swarms, waiting for the memory of dicts takes longer than `find`."""

INDEX_BELOW: Final = 32
"""Peers at which the dict goes again; less than INDEX_ABOVE, or one peer could make it flutter."""

SWEEP: Final = 256
"""Leases looked at in one step of a sweep: about 6 µs."""

TICKS: Final = 16
"""Per second: times of leases are rounded up to that, so that 4 bytes hold one of 8 years."""

_NEVER: Final = 2**32 - 1
"""In ticks: the lease does not end here."""

_LAST: Final = _NEVER - 1
"""What all times from here on are."""

_CLAIM_CODES: Final = "BHIQ"
"""Arrays with room for the bits of 8, 16, 32 and 64 trackers."""

LOOPBACK6: Final = b"\0" * 15 + b"\1"
"""The packed IPv6 address ::1."""


def is_loopback(host: bytes | bytearray) -> bool:
    """Whether a packed IP address is of this machine only (127.0.0.0/8, ::1)."""
    return host[0] == 0x7F if len(host) == 4 else host == LOOPBACK6


def ticks(when: float) -> int:
    """Return the number of the tick in which `when` (seconds from 0 on, or infinity) is over."""
    if when < _LAST / TICKS:
        return ceil(when * TICKS)
    return _NEVER if when == inf else _LAST


class EndedLease(NamedTuple):
    """A peer that was taken out: its compact address, and when its lease ended."""

    address: bytes
    ended: float
    habit: int
    is_held: bool = False
    """It was not taken out, as other trackers claim it."""


class Bucket(dict["CompactPeers", None]):
    """Peers of swarms that an ExpiryCalendar has at one tick."""

    __slots__ = ("tick",)

    def __init__(self, tick: int = 0) -> None:
        super().__init__()
        self.tick = tick


class PairCounts:
    """How many peers of a swarm are listed under an address of each family (BEP 7)."""

    __slots__ = ("leechers", "seeders")

    def __init__(self) -> None:
        self.seeders = 0
        self.leechers = 0


class PairMarks:
    """Which peers of a list are in the list of the other family as well, under another address.

    Of a pair that is taken out of one list, a mark in the other one stays. So there are as many
    pairs as there are marks in the list that has fewer of them.
    """

    __slots__ = ("both", "leechers", "marks", "other", "seeders")

    def __init__(self, size: int, both: PairCounts) -> None:
        self.marks = bytearray(size)
        """By position."""
        self.seeders = 0
        self.leechers = 0
        self.both = both
        self.other: PairMarks | None = None
        """Those of the other list."""

    def count(self, change: int, *, is_seeder: bool) -> None:
        """Count a marked peer more or less."""
        if is_seeder:
            self.seeders += change
        else:
            self.leechers += change
        other = self.other
        if other is not None:
            self.both.seeders = min(self.seeders, other.seeders)
            self.both.leechers = min(self.leechers, other.leechers)


class CompactPeers:
    """All peers of a swarm in one family; `stride` is 6 (IPv4) or 18 (IPv6) bytes."""

    __slots__ = (
        "_cursor",
        "_earliest",
        "_stride",
        "bucket",
        "claims",
        "ends",
        "habits",
        "index",
        "info_hash",
        "packed",
        "pairs",
        "seeders",
    )

    def __init__(self, stride: int, info_hash: bytes = b"") -> None:
        self._stride = stride
        self.info_hash = info_hash
        """Of the swarm."""
        self.packed = bytearray()
        """Compact addresses, by position; changed here only."""
        self.ends = array("I")
        """The tick in which the lease of each peer ends, by position (`ticks`)."""
        self.habits: bytearray | None = None
        """Of each peer (see `leases`), by position; None: all are prompt."""
        self.claims: array[int] | None = None
        """Which other trackers claim each peer, one bit a tracker, by position; None: none does."""
        self.index: dict[bytes, int] | None = None
        """Positions by compact address; None in a small swarm, see `find`."""
        self.seeders = 0
        """Peers at positions below this one have everything."""
        self.pairs: PairMarks | None = None
        """Which peers the other family's list of the swarm has, too; None: none that is known."""
        self.bucket = Bucket()
        """Where an ExpiryCalendar has put these peers."""
        self._cursor = 0
        """A sweep is under way and has seen the positions from here on; 0: none is."""
        self._earliest = _NEVER
        """The earliest end of a lease that it has seen, in ticks."""

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def leechers(self) -> int:
        """Peers that miss something."""
        return len(self.ends) - self.seeders

    def find(self, address: bytes) -> int:
        """Return the position of a compact address, -1 if it is not listed."""
        if self.index is not None:
            return self.index.get(address, -1)
        stride, packed = self._stride, self.packed
        at = packed.find(address)
        # The end of one address and the beginning of the next may look like a third.
        while at > 0 and at % stride:
            at = packed.find(address, at + 1)
        return at // stride

    def address(self, position: int) -> bytes:
        """Return the compact address of a peer."""
        stride = self._stride
        return bytes(self.packed[position * stride : (position + 1) * stride])

    def add(self, address: bytes, expires: float) -> int:
        """List a peer that misses something and is not listed yet; return its position."""
        position = len(self.ends)
        self.packed += address
        ends = ticks(expires)
        self.ends.append(ends)
        self._earliest = min(self._earliest, ends)
        if self.habits is not None:
            self.habits.append(0)
        if self.claims is not None:
            self.claims.append(0)
        if self.pairs is not None:
            self.pairs.marks.append(0)
        if self.index is not None:
            self.index[address] = position
        elif position >= INDEX_ABOVE:
            self.index = {self.address(at): at for at in range(position + 1)}
        return position

    def renew(self, position: int, expires: float, habit: int) -> None:
        """Give a listed peer a lease that may end sooner than the one before, and a habit."""
        ends = self.ends[position] = ticks(expires)
        # A sweep under way may have seen it already.
        self._earliest = min(self._earliest, ends)
        if self.habits is None:
            if not habit:
                return
            self.habits = bytearray(len(self.ends))
        self.habits[position] = habit

    def end(self, position: int) -> float:
        """Return when the lease of a listed peer ends, in seconds."""
        ends = self.ends[position]
        return inf if ends == _NEVER else ends / TICKS

    def habit(self, position: int) -> int:
        """Return the habit of a listed peer."""
        return 0 if self.habits is None else self.habits[position]

    def claim(self, position: int, bit: int) -> bool:
        """Note that another tracker (its `bit`) claims a listed peer; return whether it is new."""
        claims = self.claims
        if claims is None or bit >> 8 * claims.itemsize:
            code = next(code for code in _CLAIM_CODES if not bit >> 8 * array(code).itemsize)
            kept = [0] * len(self.ends) if claims is None else claims
            claims = self.claims = array(code, kept)
        if claims[position] & bit:
            return False
        claims[position] |= bit
        return True

    def unclaim(self, position: int, bit: int) -> bool:
        """Note that another tracker claims a listed peer no more; return whether it did."""
        claims = self.claims
        if claims is None or not claims[position] & bit:
            return False
        claims[position] &= ~bit
        return True

    def fill(self, addresses: Sequence[bytes], *, seeders: int, bit: int) -> None:
        """Let an empty list have all these peers, claimed by another tracker; seeders first."""
        count = len(addresses)
        self.packed += b"".join(addresses)
        self.ends = array("I", [_NEVER]) * count
        self.habits = bytearray([HELD]) * count
        self.seeders = seeders
        code = next(code for code in _CLAIM_CODES if not bit >> 8 * array(code).itemsize)
        self.claims = array(code, [bit]) * count
        if count > INDEX_ABOVE:
            self.index = {address: at for at, address in enumerate(addresses)}

    def set_seeder(self, position: int, *, is_seeder: bool) -> int:
        """Say whether a listed peer has everything; return its position after that."""
        if is_seeder == (position < self.seeders):
            return position
        pairs = self.pairs
        if pairs is not None and pairs.marks[position]:
            pairs.count(-1, is_seeder=not is_seeder)
            pairs.count(1, is_seeder=is_seeder)
        if is_seeder:
            other = self.seeders
            self.seeders += 1
        else:
            self.seeders -= 1
            other = self.seeders
        # One of them moves up, perhaps past the cursor of a sweep that has not seen it.
        self._earliest = min(self._earliest, self.ends[position], self.ends[other])
        self._swap(position, other)
        return other

    def remove(self, position: int) -> bytes:
        """Take a listed peer out; return its address."""
        self.unpair(position)
        if position < self.seeders:
            self.seeders -= 1
            self._swap(position, self.seeders)
            position = self.seeders
        last = len(self.ends) - 1
        self._swap(position, last)
        address = self.address(last)
        del self.packed[-self._stride :]
        self.ends.pop()
        if self.habits is not None:
            self.habits.pop()
        if self.claims is not None:
            self.claims.pop()
        if self.pairs is not None:
            self.pairs.marks.pop()
        if self.index is not None:
            del self.index[address]
            if last < INDEX_BELOW:
                self.index = None
        return address

    def pair(self, position: int) -> None:
        """Mark a peer that the other family's list has, too; `pairs` must be there."""
        pairs = self.pairs
        if pairs is not None and not pairs.marks[position]:
            pairs.marks[position] = 1
            pairs.count(1, is_seeder=position < self.seeders)

    def unpair(self, position: int) -> None:
        """Take the mark from a peer, if it has one."""
        pairs = self.pairs
        if pairs is not None and pairs.marks[position]:
            pairs.marks[position] = 0
            pairs.count(-1, is_seeder=position < self.seeders)

    def choose(self, count: int, draw: int, asker: int = -1, first: int = 0) -> bytearray:
        """Return up to `count` peers, packed, from position `first` on, without the one at `asker`.

        They are neighbours in a ring, from a start that `draw` decides: any random number from 0
        to 2**32. Everyone is as likely as anyone else to be among them, and the cost does not
        depend on the size of the swarm.
        """
        stride, packed = self._stride, self.packed
        size = len(self.ends) - first
        is_among = asker >= first
        if size <= 2 * count + 1:
            # Of few, all but some are left when those are cut out: two thirds of the time that it
            # takes to join the parts of a run that wraps around.
            run = packed[first * stride :]
            if is_among:
                at = (asker - first) * stride
                del run[at : at + stride]
            length = len(run)
            spare = length - count * stride
            if spare > 0:
                start = draw % (length // stride) * stride
                stop = start + spare
                del run[start:stop]
                if stop > length:
                    del run[: stop - length]
            return run
        # The others are a ring that begins after the asker.
        others = size - is_among
        skipped = draw % others
        comes_past_asker = is_among and skipped + count > others
        start = skipped + (asker + 1 if is_among else first)
        last = first + size
        if start >= last:
            start -= size
        end = start + count + comes_past_asker
        if end <= last:
            run = packed[start * stride : end * stride]
        else:
            run = packed[start * stride :]
            run += packed[first * stride : (end - size) * stride]
        if comes_past_asker:
            at = (others - skipped) * stride
            del run[at : at + stride]
        return run

    def sweep(self, now: float, limit: int) -> tuple[list["EndedLease"], float | None]:
        """Take out up to `limit` of SWEEP peers whose lease has ended: (them, next end).

        The next end of a lease is None while there is more to look at: call it again then, whatever
        else has happened in between.
        """
        ends, over = self.ends, min(now * TICKS, _LAST)
        if self._cursor == 0:
            self._cursor = len(ends)
            self._earliest = _NEVER
        # From the end on, because it is the last peer that fills a gap.
        at = min(self._cursor, len(ends))
        stop = max(0, at - SWEEP)
        removed: list[EndedLease] = []
        least = min(ends[stop:at], default=_NEVER)
        if least > over:
            at = stop
            self._earliest = min(self._earliest, least)
        while at > stop and len(removed) < limit:
            at -= 1
            end = ends[at]
            if end <= over:
                habit = self.habit(at)
                if self.claims is not None and self.claims[at]:
                    self.renew(at, inf, HELD)
                    removed.append(EndedLease(self.address(at), end / TICKS, habit, is_held=True))
                else:
                    removed.append(EndedLease(self.remove(at), end / TICKS, habit))
            elif end < self._earliest:
                self._earliest = end
        self._cursor = at
        if at:
            return removed, None
        return removed, inf if self._earliest == _NEVER else self._earliest / TICKS

    def _swap(self, position: int, other: int) -> None:
        """Exchange two peers."""
        if position == other:
            return
        stride, packed, ends = self._stride, self.packed, self.ends
        here, there = self.address(position), self.address(other)
        packed[position * stride : (position + 1) * stride] = there
        packed[other * stride : (other + 1) * stride] = here
        ends[position], ends[other] = ends[other], ends[position]
        habits = self.habits
        if habits is not None:
            habits[position], habits[other] = habits[other], habits[position]
        claims = self.claims
        if claims is not None:
            claims[position], claims[other] = claims[other], claims[position]
        if self.pairs is not None:
            marks = self.pairs.marks
            marks[position], marks[other] = marks[other], marks[position]
        if self.index is not None:
            self.index[here] = other
            self.index[there] = position
