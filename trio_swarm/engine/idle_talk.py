"""How much a peer may say that is of no use to anybody, and which hosts said too much of it.

Each message of a peer costs us time that others lack. What moves the transfer on pays for itself;
what changes nothing, or what is taken back by the next message, is charged to an allowance. Honest
peers say such things too (see `IDLE_BURST`), but never for long.
"""

from typing import Final, TypeVar

from trio_swarm.errors import IdleTalkError

_T = TypeVar("_T")

IDLE_BURST: Final = 4096
"""Messages of no use that a peer may have said ahead of time. The most that honest peers say in one
go: 2,000 requests, the queue of the most eager clients, that cross our choke and are refused; as
many cancels for blocks that are out already. Handling so many takes some 10 ms."""

IDLE_RATE: Final = 64.0
"""Messages of no use a second, for as long as a connection lives. Clients that repeat themselves
(unchokes, interest, keep-alives) send a few in ten seconds."""

LEAST_BURST: Final = 1024
"""`IDLE_BURST` for a peer from a host whose peers said too much before: what we let a peer queue,
so that an honest peer behind the same address may still have its requests refused."""

STRIKE_SECONDS: Final = 60.0
"""Seconds after which a host is forgiven one connection that said too much."""

LONGEST_PAUSE: Final = 1.0
"""Seconds a peer of such a host waits at most before it is let in. Whoever comes again at once then
takes a few milliseconds of each second; honest peers that share the address lose little, and no
client's patience with a handshake (10 s) ends."""

_FIRST_PAUSE: Final = 0.05

ARRIVALS: Final = 256
"""Connections of one host that are let in at once: a flash crowd behind one address, as many as a
node has places for by default."""

ARRIVAL_RATE: Final = 32.0
"""Connections of one host a second after that. Each takes half a millisecond, so that who does
nothing but come and go takes a fiftieth of a core."""

MOST_HOSTS: Final = 1024
"""Hosts that are remembered; beyond it the one that was seen first is forgotten."""


class IdleTalk:
    """What one connection may still say without use; times are seconds."""

    __slots__ = ("_at", "_left", "_most", "earned")

    def __init__(self, now: float, burst: int = IDLE_BURST) -> None:
        self._most = float(max(IDLE_BURST, burst))
        self._left = float(burst)
        self._at = now
        self.earned = 0
        """To be counted up for each block that moves, and for what makes the peer answer."""

    def charge(self, weight: int, now: float) -> bool:
        """Charge `weight` messages of no use; returns whether the allowance covers them."""
        gained = IDLE_RATE * (now - self._at) + self.earned
        self._left = min(self._most, self._left + gained) - weight
        self._at = now
        self.earned = 0
        return self._left >= 0.0

    def spend(self, weight: int, now: float) -> None:
        """Charge `weight` messages of no use; raises IdleTalkError if that is too many."""
        if not self.charge(weight, now):
            raise IdleTalkError("it says too much that is of no use")


class TalkativeHosts:
    """Hosts from which connections were ended because they said too much.

    One such connection shuts nobody out: others of the host get a smaller allowance and wait a
    moment before they are let in, for longer the more there were of late. So do those of a host
    that only comes and goes.
    """

    __slots__ = ("_arrivals", "_strikes")

    def __init__(self) -> None:
        self._strikes: dict[str, tuple[int, float]] = {}  # how many, and when that was so
        self._arrivals: dict[str, tuple[float, float]] = {}  # how many may come, and when that was

    def strike(self, host: str, now: float) -> None:
        """Count a connection from `host` that said too much."""
        _remember(self._strikes, host, (self._count(host, now) + 1, now))

    def arrive(self, host: str, now: float) -> float:
        """Count a connection that came from `host`; return how many seconds it is to wait."""
        left, since = self._arrivals.get(host, (float(ARRIVALS), now))
        left = max(-1.0, min(float(ARRIVALS), left + ARRIVAL_RATE * (now - since)) - 1.0)
        _remember(self._arrivals, host, (left, now))
        return LONGEST_PAUSE if left < 0.0 else self.pause(host, now)

    def burst(self, host: str, now: float) -> int:
        """Return what a new connection from `host` may say at once without use."""
        return LEAST_BURST if self._count(host, now) else IDLE_BURST

    def pause(self, host: str, now: float) -> float:
        """Return how many seconds new connections from `host` wait for what others of it said."""
        count = self._count(host, now)
        return min(LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(count, 10)) if count else 0.0

    def _count(self, host: str, now: float) -> int:
        found = self._strikes.get(host)
        if found is None:
            return 0
        count, since = found
        return max(0, count - int((now - since) / STRIKE_SECONDS))


def _remember(hosts: dict[str, tuple[_T, float]], host: str, fact: tuple[_T, float]) -> None:
    """Keep a fact of a host; the one that was kept first gives way if there are too many."""
    hosts[host] = fact
    if len(hosts) > MOST_HOSTS:
        del hosts[next(iter(hosts))]
