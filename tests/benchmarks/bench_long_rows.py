"""The links of `make bench-long`: far, fat, lossy, several at once, thin, and asymmetric.

What limits a row is a queue in front of a rate, as in a router or a modem: never the sender's own
interface, from which TCP takes back-pressure instead of losses.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from bench_measuring import MIB
from bench_swarm_columns import Column
from bench_swarm_switch import Way

from shaped_links import MBIT, Link


@dataclass(frozen=True)
class Row(Column):
    """One leecher, some sources, and the way between them."""

    size: int = 128 * MIB
    delays: Sequence[float] = ()
    """Seconds that what a host sends takes: seeders, leecher, others; the tracker's last."""
    loss: float = 0.0
    """Share of the seeders' packets that are lost on the way, besides those that find no room."""
    modems: Sequence[float | None] = ()
    """Mbit/s of each host's modem, where its uplink ends; None: as fast as it likes."""
    is_loaded: bool = False
    """The first seeder downloads something else all the time, as fast as it comes."""

    @property
    def is_switched(self) -> bool:
        """Always: packets are late, lost or queued."""
        return True

    @property
    def links(self) -> Sequence[Link]:
        """The downlinks; a modem limits the uplinks."""
        return [link._replace(up=None) for link in super().links]

    def ways(self, ports: Sequence[str]) -> Sequence[Way]:
        """Return what the switch does to packets from each port."""
        lossy = len(self.seeders)
        return [
            Way(
                port,
                self.delays[index],
                self.loss if index < lossy else 0.0,
                None if modem is None else modem * MBIT,
                0.0 if modem is None else modem * MBIT * self.buffer,
            )
            for index, (port, modem) in enumerate(
                zip(ports, [*self.modems, *[None] * len(ports)], strict=False)
            )
        ]


def _far(
    name: str, round_trip: float, mbit: float, *, loss: float = 0.0, size: int = 128 * MIB
) -> Row:
    lost = f", {100 * loss:g} % loss" if loss else ""
    return Row(
        name,
        f"{1000 * round_trip:g} ms, {mbit:g}{lost}",
        (Link(mbit),),
        (Link(None, mbit),),
        buffer=round_trip,
        segments=1 if loss else None,
        size=size,
        delays=(round_trip / 2,) * 3,
        loss=loss,
    )


THIN_SEEDERS = 20

ROWS = {
    row.name: row
    for row in (
        _far("far", 0.100, 200),
        _far("farther", 0.200, 100),
        _far("fat", 0.100, 1000, size=512 * MIB),
        _far("loss", 0.050, 100, loss=0.001, size=16 * MIB),
        Row(
            "near-far",
            "sources at 5 and 150 ms, 50 each",
            (Link(50), Link(50)),
            (Link(None, None),),
            buffer=0.100,
            segments=8,
            delays=(0.005, 0.150, 0.0, 0.005),
            modems=(50, 50),
        ),
        Row(
            "thin",
            f"{THIN_SEEDERS} seeders of 100, a leecher of 8 down",
            (Link(100),) * THIN_SEEDERS,
            (Link(None, 8),),
            buffer=0.100,
            segments=2,
            size=12 * MIB,
            delays=(0.020,) * (THIN_SEEDERS + 2),
        ),
        Row(
            "asymmetric",
            "a seeder of 10 up and 100 down, which downloads something else at the same time",
            (Link(10, 100),),
            (Link(None, 100),),
            others=(Link(None, None),),
            buffer=0.100,
            segments=4,
            size=12 * MIB,
            delays=(0.020,) * 4,
            modems=(10,),
            is_loaded=True,
        ),
    )
}
DEFAULT_ROWS = tuple(ROWS)
