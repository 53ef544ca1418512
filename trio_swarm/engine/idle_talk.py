"""Limits on useless messages from a peer, and the hosts whose peers exceeded them.

Each message of a peer takes time that other peers lack. A message that advances the transfer pays
for itself. A message that changes nothing, or that the next message takes back, is charged to an
allowance. Honest peers send such messages too (see `IDLE_BURST`), but never for long.
"""

from typing import Final, TypeVar

from trio_swarm.errors import IdleTalkError

_T = TypeVar("_T")

IDLE_BURST: Final = 4096
"""Useless messages that a peer may send at once. The most that honest peers send: 2,000 requests,
the longest queue of any client, that cross our choke and are rejected; and as many cancels for
blocks that were sent already. Handling so many takes about 10 ms."""

IDLE_RATE: Final = 64.0
"""Useless messages a second that a peer may send in the long run. Clients that repeat unchokes,
interest and keep-alives send a few in ten seconds."""

LEAST_BURST: Final = 1024
"""`IDLE_BURST` for a peer from a host whose earlier peers sent too many: the number of requests
that we let a peer queue, so that the requests of an honest peer at the same address can still be
rejected."""

STRIKE_SECONDS: Final = 60.0
"""Seconds after which one connection with too many messages is no longer held against its host."""

LONGEST_PAUSE: Final = 1.0
"""Longest wait in seconds before a peer of such a host is accepted. A peer that reconnects at once
then takes a few milliseconds of each second. Honest peers at the same address lose little, and the
handshake timeout of clients (10 s) is not reached."""

_FIRST_PAUSE: Final = 0.05

ARRIVALS: Final = 256
"""Connections of one host that are accepted at once: a flash crowd behind one address, as large as
the default number of connections of a node."""

ARRIVAL_RATE: Final = 32.0
"""Connections of one host accepted per second after that. Each takes half a millisecond, so a host
that only connects and disconnects takes a fiftieth of a core."""

MOST_HOSTS: Final = 1024
"""Most hosts that are remembered; beyond it, the host that was seen first is forgotten."""


class IdleTalk:
    """The allowance of one connection for useless messages; times are seconds."""

    __slots__ = ("_at", "_left", "_most", "earned")

    def __init__(self, now: float, burst: int = IDLE_BURST) -> None:
        self._most = float(max(IDLE_BURST, burst))
        self._left = float(burst)
        self._at = now
        self.earned = 0
        """Useless messages paid for by useful ones: the caller adds to it for each block
        transferred, and for each message that makes the peer answer."""

    def charge(self, weight: int, now: float) -> bool:
        """Charge `weight` useless messages; return whether the allowance covers them."""
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
    """Hosts whose connections were closed because of too many useless messages.

    One such connection bans no host. Later connections of the host have a smaller allowance, and
    wait before they are accepted: the more such connections lately, the longer. Connections of a
    host that only connects and disconnects wait, too.
    """

    __slots__ = ("_arrivals", "_strikes")

    def __init__(self) -> None:
        self._strikes: dict[str, tuple[int, float]] = {}  # number, at what time
        self._arrivals: dict[str, tuple[float, float]] = {}  # number allowed, at what time

    def strike(self, host: str, now: float) -> None:
        """Count a connection from `host` that sent too many useless messages."""
        _remember(self._strikes, host, (self._count(host, now) + 1, now))

    def arrive(self, host: str, now: float) -> float:
        """Count a connection from `host`; return the seconds it must wait."""
        left, since = self._arrivals.get(host, (float(ARRIVALS), now))
        left = max(-1.0, min(float(ARRIVALS), left + ARRIVAL_RATE * (now - since)) - 1.0)
        _remember(self._arrivals, host, (left, now))
        return LONGEST_PAUSE if left < 0.0 else self.pause(host, now)

    def burst(self, host: str, now: float) -> int:
        """Return how many useless messages a new connection from `host` may send at once."""
        return LEAST_BURST if self._count(host, now) else IDLE_BURST

    def pause(self, host: str, now: float) -> float:
        """Return the seconds that a new connection from `host` waits because of earlier ones."""
        count = self._count(host, now)
        return min(LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** min(count, 10)) if count else 0.0

    def _count(self, host: str, now: float) -> int:
        found = self._strikes.get(host)
        if found is None:
            return 0
        count, since = found
        return max(0, count - int((now - since) / STRIKE_SECONDS))


def _remember(hosts: dict[str, tuple[_T, float]], host: str, fact: tuple[_T, float]) -> None:
    """Store `fact` for a host; the host stored first is removed if there are too many."""
    hosts[host] = fact
    if len(hosts) > MOST_HOSTS:
        del hosts[next(iter(hosts))]
