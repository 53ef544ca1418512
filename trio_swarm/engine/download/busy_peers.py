"""The views of peers that a strategy gets; views of busy peers are made only when it reads them."""

from collections.abc import Container, Iterable, Mapping, Sequence
from typing import overload

from trio_swarm.engine.download.source import Source
from trio_swarm.piece_sets import PieceSet
from trio_swarm.schedulers.api import PeerView


def view_of(source: Source, askable: PieceSet, room: int, every: PieceSet, now: float) -> PeerView:
    """Return the view of a peer for a strategy; `every` is the set of all pieces."""
    return PeerView(
        key=source.key,
        pieces=askable,
        room=room,
        in_flight=source.in_flight,
        rate=source.measure(now),
        rtt=source.rtt,
        is_seeder=source.pieces == every,
        labels=source.labels,
        suggested=source.suggested,
    )


class BusyPeers(Sequence[PeerView]):
    """The peers that would serve us but are assigned nothing now, as a sequence of views.

    They have no room, or other peers come first. The views are made when a strategy reads them: few
    strategies do, and views of many busy peers would cost more than the plan.
    """

    __slots__ = ("_all", "_asked", "_every", "_now", "_ready", "_sources", "_views")

    def __init__(
        self,
        sources: Mapping[int, Source],
        asked: Iterable[PeerView],
        ready: Container[int],
        every: PieceSet,
        now: float,
    ) -> None:
        self._all = sources
        self._asked = asked
        self._ready = ready
        self._sources: list[Source] | None = None
        self._every = every
        self._now = now
        self._views: list[PeerView] | None = None

    def _busy(self) -> list[Source]:
        busy = self._sources
        if busy is None:
            keys = {peer.key for peer in self._asked}
            self._sources = busy = [
                source
                for key, source in self._all.items()
                if source.serves and key not in keys and (source.in_flight or key in self._ready)
            ]
        return busy

    def __len__(self) -> int:
        return len(self._busy())

    @overload
    def __getitem__(self, index: int) -> PeerView: ...
    @overload
    def __getitem__(self, index: slice) -> Sequence[PeerView]: ...
    def __getitem__(self, index: int | slice) -> PeerView | Sequence[PeerView]:
        if self._views is None:
            self._views = [
                view_of(source, source.pieces, 0, self._every, self._now) for source in self._busy()
            ]
        return self._views[index]
