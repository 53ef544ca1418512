"""The known addresses of a swarm's peers: which one to dial next, and when to dial again."""

import math
from collections.abc import Collection
from typing import Final

from trio_swarm.protocol.addresses import Address

MAX_CANDIDATES: Final = 2_000
"""Most addresses remembered for a torrent: a tracker sends 200 at a time, other sources could send
more. Beyond it, a new address replaces the one that failed most often, if any failed."""

FIRST_RETRY: Final = 1.0
"""Seconds until a lost or unreachable peer is dialled again; doubled each time up to
`LAST_RETRY`."""

LAST_RETRY: Final = 300.0
"""Longest time in seconds between two dials."""

USELESS_RETRY: Final = 600.0
"""Seconds until a peer is dialled again if neither side has a piece that the other wants."""

HOST_BAN_THRESHOLD: Final = 3
"""Banned peers of one host after which the whole host is banned: another port would be no
better."""

NO_ADDRESSES: Final[frozenset[Address]] = frozenset()
"""One empty set for all torrents: few ban anybody."""


class _Candidate:
    __slots__ = ("due", "failures", "is_busy")

    def __init__(self, due: float) -> None:
        self.due = due
        self.failures = 0
        self.is_busy = False


class Candidates:
    """The one owner of all facts about the addresses of a torrent; `now` is in seconds."""

    __slots__ = ("_banned", "_banned_hosts", "_known")

    def __init__(self) -> None:
        self._known: dict[Address, _Candidate] = {}
        self._banned: frozenset[Address] = NO_ADDRESSES
        self._banned_hosts: dict[str, int] = {}

    def __len__(self) -> int:
        return len(self._known)

    def add(self, address: Address, now: float) -> bool:
        """Remember an address, unless its port is 0 or it is banned; return whether it is new."""
        if (
            address in self._known
            or not 0 < address[1] < 65536
            or self.is_banned(address)
            or (len(self._known) >= MAX_CANDIDATES and not self._forget_worst())
        ):
            return False
        self._known[address] = _Candidate(now)
        return True

    def _forget_worst(self) -> bool:
        """Forget the idle address that failed most often; return False if none failed."""
        worst, most = None, 0
        for address, candidate in self._known.items():
            if candidate.failures > most and not candidate.is_busy:
                worst, most = address, candidate.failures
        if worst is None:
            return False
        del self._known[worst]
        return True

    def take_due(self, now: float) -> Address | None:
        """Return an address to dial now and mark it busy; None if there is none.

        Addresses that failed least come first: thousands of dead ones must not delay a new one.
        """
        best: Address | None = None
        best_claim = (math.inf, math.inf)
        for address, candidate in self._known.items():
            if not candidate.is_busy and candidate.due <= now:
                claim = (candidate.failures, candidate.due)
                if claim < best_claim:
                    best, best_claim = address, claim
        if best is not None:
            self._known[best].is_busy = True
        return best

    def next_due(self) -> float:
        """Return when `take_due` will next return an address; inf if never."""
        return min((c.due for c in self._known.values() if not c.is_busy), default=float("inf"))

    def untried(self) -> int:
        """Return the number of addresses that were never dialled and are not being dialled."""
        return sum(not c.failures and not c.is_busy for c in self._known.values())

    def busy(self) -> list[Address]:
        """Return the addresses that are being dialled or are connected."""
        return [address for address, candidate in self._known.items() if candidate.is_busy]

    def due(self, address: Address) -> float | None:
        """Return when an address is dialled again; None if it is busy or unknown."""
        candidate = self._known.get(address)
        return None if candidate is None or candidate.is_busy else candidate.due

    def failures(self, address: Address) -> int:
        """Return how many times in a row the peer at `address` failed or was lost."""
        candidate = self._known.get(address)
        return 0 if candidate is None else candidate.failures

    def connected(self, address: Address) -> None:
        """Note a connection to the peer that listens at `address`, whichever side dialled."""
        candidate = self._known.get(address)
        if candidate is not None:
            candidate.is_busy = True

    def succeeded(self, address: Address) -> None:
        """Note that the peer at `address` was useful: its next failure counts as the first."""
        candidate = self._known.get(address)
        if candidate is not None:
            candidate.failures = 0

    def lost(self, address: Address, now: float, *, useless: bool = False) -> None:
        """Note a failed dial or a lost connection; it is dialled again after a growing pause."""
        candidate = self._known.get(address)
        if candidate is None:
            return
        candidate.is_busy = False
        pause = min(LAST_RETRY, FIRST_RETRY * 2.0 ** min(candidate.failures, 20))
        candidate.failures += 1
        candidate.due = now + (USELESS_RETRY if useless else pause)

    def try_again(self, now: float) -> None:
        """Let all that are not dialled be dialled now: what they have is wanted again."""
        for candidate in self._known.values():
            if not candidate.is_busy:
                candidate.due = min(candidate.due, now)

    def parted(self, address: Address, now: float) -> None:
        """Note that a peer stayed for a while and left: not a failure, and dialled again soon."""
        candidate = self._known.get(address)
        if candidate is not None:
            candidate.is_busy = False
            candidate.failures = 0
            candidate.due = now + FIRST_RETRY

    def ban(self, address: Address, *aliases: Address) -> bool:
        """Never dial or accept a peer's addresses again; after several peers, the whole host.

        Returns whether the peer was not banned before.
        """
        if address in self._banned:
            return False
        self._banned |= {address, *aliases}
        for banned in (address, *aliases):
            self._known.pop(banned, None)
        host = address[0]
        self._banned_hosts[host] = self._banned_hosts.get(host, 0) + 1
        return True

    def forget(self, address: Address) -> None:
        """Forget an address that turned out to be our own."""
        self._known.pop(address, None)
        self._banned |= {address}

    def keep_only(self, addresses: Collection[Address]) -> None:
        """Forget all other addresses; they may be added again."""
        self._known = {each: known for each, known in self._known.items() if each in addresses}

    def is_banned(self, address: Address) -> bool:
        """Whether this address or its whole host is banned."""
        return (
            address in self._banned or self._banned_hosts.get(address[0], 0) >= HOST_BAN_THRESHOLD
        )
