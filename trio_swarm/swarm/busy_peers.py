"""What a strategy may see of peers that have no room, at no cost unless it looks."""

from collections.abc import Container, Mapping, Sequence
from typing import overload

from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import PeerView
from trio_swarm.swarm.source import Source


class BusyPeers(Sequence[PeerView]):
    """The peers that would serve us but have no room now; made when a strategy looks at them.

    Few strategies do, and a view of each of many busy peers would cost more than the plan.
    """

    __slots__ = ("_every", "_now", "_sources", "_views")

    def __init__(
        self,
        sources: Mapping[int, Source],
        with_room: Container[int],
        every: PieceSet,
        now: float,
    ) -> None:
        self._sources = [
            source
            for key, source in sources.items()
            if source.in_flight and source.serves and key not in with_room
        ]
        self._every = every
        self._now = now
        self._views: list[PeerView] | None = None

    def __len__(self) -> int:
        return len(self._sources)

    @overload
    def __getitem__(self, index: int) -> PeerView: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PeerView]: ...
    def __getitem__(self, index: int | slice) -> PeerView | Sequence[PeerView]:
        if self._views is None:
            self._views = [
                PeerView(
                    key=source.key,
                    pieces=source.pieces,
                    room=0,
                    in_flight=source.in_flight,
                    rate=source.measure(self._now),
                    rtt=source.rtt,
                    is_seeder=source.pieces == self._every,
                    labels=source.labels,
                )
                for source in self._sources
            ]
        return self._views[index]
