"""The swarms to measure: whose links are how fast, what happens on the way, and the bound.

No scheme can finish before the bound of Kumar and Ross: the seeders must send each byte once, the
slowest downlink must take all of them, and all uplinks together must carry every copy.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bench_swarm_switch import Way

from shaped_links import MBIT, PARALLEL, SEEDER_LIMITED, SHAPED, SWARM_LIMITED, UNEQUAL, Link

BUFFER_SECONDS = 0.050
EFFICIENCY = 0.955
"""Bytes of payload for a byte on the wire: 1448 of 1514, and a little protocol."""


@dataclass(frozen=True)
class Column:
    """One swarm. Leechers start together, once the tracker lists all seeders."""

    name: str
    title: str
    seeders: Sequence[Link]
    leechers: Sequence[Link]
    riders: int = 0
    """So many of the leechers, the last ones, upload nothing."""
    delay: float = 0.0
    """Seconds each way between any two peers."""
    killed_when_held: bool = False
    """The seeders are killed as soon as the leechers hold every piece between them."""
    killed_after: float | None = None
    """The seeders are killed after so many copies sent."""
    mixed: bool = False
    """The leechers are of two clients."""
    buffer: float = BUFFER_SECONDS
    """Seconds that a full queue in front of a link takes at the link's rate."""
    segments: int | None = None
    """Segments that are sent as one packet at most; None: as many as the system likes."""
    others: Sequence[Link] = ()
    """Of hosts that are no peers."""

    @property
    def givers(self) -> Sequence[Link]:
        """The leechers that upload."""
        return self.leechers[: len(self.leechers) - self.riders]

    @property
    def links(self) -> Sequence[Link]:
        """What every host's interface is limited to: seeders, leechers, others."""
        return [*self.seeders, *self.leechers, *self.others]

    @property
    def is_switched(self) -> bool:
        """A switch in user space joins the hosts, for packets are to be late; else a bridge."""
        return self.delay > 0

    def ways(self, ports: Sequence[str]) -> Sequence[Way]:
        """Return what the switch does to packets from each port, the tracker's last."""
        return [Way(port, self.delay) for port in ports]

    def capacity(self, links: Sequence[Link]) -> float:
        """Return bytes of payload a second that the uplinks of `links` carry together."""
        return EFFICIENCY * MBIT * sum(link.up for link in links if link.up is not None)

    def bound(self, size: int) -> float:
        """Return the seconds that no scheme can beat for `size` bytes of payload."""
        from_seeders, from_all = self.capacity(self.seeders), self.capacity(self.givers)
        copies = len(self.leechers)
        terms = [size / from_seeders, copies * size / (from_seeders + from_all)]
        downs = [link.down for link in self.leechers if link.down is not None]
        if downs:
            terms.append(size / (EFFICIENCY * MBIT * min(downs)))
        sent = 1.0 if self.killed_when_held else self.killed_after
        if sent is not None:
            # What the seeders do not send the leechers must.
            terms.append((copies - sent) * size / from_all)
        return max(terms)


_A = SHAPED[SEEDER_LIMITED]

COLUMNS = {
    column.name: column
    for column in (
        Column("a", "seeder 50 up, 7 leechers 50 up/100 down", *_A),
        Column(
            "b",
            "seeder 40 up, leechers 20, 20, 30, 40, 50, 80, 100 up/100 down",
            *SHAPED[UNEQUAL],
        ),
        Column("c", "seeder 100 up, 7 leechers 20 up/100 down", *SHAPED[SWARM_LIMITED]),
        Column("d", "sources 5, 10, 20, 60 up, one leecher", *SHAPED[PARALLEL]),
        Column("delay", "as a, 20 ms each way", *_A, delay=0.020),
        Column(
            "killed",
            "as a, the seeder killed when the leechers hold every piece between them",
            *_A,
            killed_when_held=True,
        ),
        Column("leaves", "as a, the seeder killed after 1.05 copies", *_A, killed_after=1.05),
        Column("riders", "as a, 2 of the 7 leechers upload nothing", *_A, riders=2),
        Column("mixed", "as a, leechers of two clients in turn", *_A, mixed=True),
    )
}
DEFAULT_COLUMNS = ("a", "b", "c", "d")
