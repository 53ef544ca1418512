"""A running tracker as others see it, whether one process answers or several."""

from typing import Protocol

import trio

from trio_swarm.events import TrackerListening
from trio_swarm.protocol.addresses import Address
from trio_swarm.tracker.binding import BoundSockets
from trio_swarm.tracker.seen.figures import TrackerFigures
from trio_swarm.tracker.settings import TrackerSettings
from trio_swarm.tracker.store.interface import MatchPage, NameQuestion, StoreCounts


class Answering(Protocol):
    """What answers at a tracker's sockets: one process, or all of them together."""

    @property
    def announces(self) -> int:
        """Announces answered since the start, over UDP and HTTP, refused ones among them."""

    @property
    def http_announces(self) -> int:
        """Those among them that came over HTTP."""

    def counts(self) -> StoreCounts:
        """Return how many swarms, peers and names are registered now."""

    def figures(self) -> list[TrackerFigures]:
        """Return what each process did, and what it holds."""

    def reload_lists(self) -> None:
        """Have the files of `allow`, `deny` and the like read again, in a moment."""

    async def search(self, question: NameQuestion, now: float) -> MatchPage:
        """Return some of the names that fit a pattern; `now` in monotonic seconds."""


class TrackerHandle:
    """A running tracker: where it listens, and what it holds."""

    def __init__(self, sockets: BoundSockets, answering: Answering) -> None:
        self.addresses: list[Address] = list(
            dict.fromkeys(bound.getsockname()[:2] for bound in sockets.datagram)
        )
        """(IP, UDP port) of each address."""
        self.http_addresses: list[Address] = [
            bound.getsockname()[:2] for bound in sockets.listeners
        ]
        """(IP, TCP port) of each listener: the same ones, or none without HTTP."""
        self._answering = answering

    @property
    def announces(self) -> int:
        """Announces answered since the start, over UDP and HTTP, refused ones among them."""
        return self._answering.announces

    @property
    def http_announces(self) -> int:
        """Those among them that came over HTTP."""
        return self._answering.http_announces

    def listening(self, settings: TrackerSettings) -> list[TrackerListening]:
        """Return an event for each address."""
        return [
            TrackerListening(
                host=host,
                port=port,
                interval=settings.interval,
                lease=settings.lease_seconds,
                http=settings.http,
            )
            for host, port in self.addresses
        ]

    @property
    def port(self) -> int:
        """The port, the same at all addresses, for UDP and TCP."""
        return self.addresses[0][1]

    def counts(self) -> StoreCounts:
        """Return how many swarms, peers and names are registered now."""
        return self._answering.counts()

    def figures(self) -> list[TrackerFigures]:
        """Return what each process did since it started, and what it holds."""
        return self._answering.figures()

    def reload_lists(self) -> None:
        """Have the files of `allow`, `deny` and the like read again, in a moment.

        A wrong one is logged, and changes nothing.
        """
        self._answering.reload_lists()

    async def search(self, question: NameQuestion) -> MatchPage:
        """Return some of the names that fit a pattern."""
        return await self._answering.search(question, trio.current_time())
