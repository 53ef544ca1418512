"""What is told of a node, as metric families with names by Prometheus' conventions."""

import platform
import typing
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import accumulate
from typing import Self

from prometheus_client import CollectorRegistry, GCCollector, Metric, ProcessCollector
from prometheus_client.core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    SummaryMetricFamily,
)
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from trio_swarm import __version__
from trio_swarm.control.context import ControlContext
from trio_swarm.control.metrics.loop_delay import BOUNDS as PASS_BOUNDS
from trio_swarm.control.metrics.loop_delay import LoopDelay
from trio_swarm.engine.decision_times import BOUNDS as DECISION_BOUNDS
from trio_swarm.loop_turn import LoopTurn
from trio_swarm.node import Node
from trio_swarm.peer.tally import NodeTally
from trio_swarm.peer.torrent import Torrent
from trio_swarm.service.entries.entry import EntryState
from trio_swarm.service.service import Service
from trio_swarm.tracker.seen.metrics import tracker_families

HOLDERS = ((0, "0"), (1, "1"), (2, "2"), (3, "3"), (4, "4"), (5, "5-9"), (10, "10-49"), (50, "50+"))
"""Classes of pieces by the number of connected peers that have them: the least number of each, and
its label. What matters is whether a piece hangs on one or two peers."""

_CLASSES = bytes(
    max(at for at, (least, _) in enumerate(HOLDERS) if least <= number) for number in range(256)
)
"""The class of each number of peers."""


async def rendered(context: ControlContext, delay: LoopDelay, accept: str) -> tuple[bytes, str]:
    """Return all metrics as text, and its content type, as a request's `Accept` asks for it.

    Others have their turns while the torrents are looked at.
    """
    encode, kind = choose_encoder(accept)
    service = context.service
    sums = None if service is None else await Sums.of(service)
    # The registry is the node's own, and lives as long as the scrape: nothing is kept in it.
    registry = CollectorRegistry()
    registry.register(NodeCollector(context, delay, sums))
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
    return encode(registry), kind


class Sums:
    """What the torrents of a node come to together."""

    def __init__(self) -> None:
        self.states: Counter[EntryState] = Counter()
        """How many entries of the list are in each."""
        self.downloaded = self.uploaded = self.duplicate = 0
        """Bytes that torrents moved which are in the node now, as all that follows."""
        self.size = self.here = 0
        self.download_rate = self.upload_rate = 0.0
        self.holders = [0] * len(HOLDERS)
        """Pieces in each class of HOLDERS."""
        self.peers = {
            (way, role): 0 for way in ("incoming", "outgoing") for role in ("seeder", "leecher")
        }

    @classmethod
    async def of(cls, service: Service) -> Self:
        """Return them as of now."""
        sums = cls()
        turn = LoopTurn()
        for entry in service.entries:
            await turn.step()
            if not entry.is_gone:
                sums.states[entry.state] += 1
        for torrent in service.torrents:
            await turn.step()
            if not torrent.is_over:  # else the tally has it by now
                sums._add(torrent)
        return sums

    def _add(self, torrent: Torrent) -> None:
        progress = torrent.progress()
        self.downloaded += progress.downloaded
        self.uploaded += progress.uploaded
        self.duplicate += progress.duplicate
        self.size += progress.size
        if progress.state != "checking":  # then `have` is what was looked at
            self.here += progress.have
        self.download_rate += progress.download_rate
        self.upload_rate += progress.upload_rate
        if torrent.download is not None and torrent.state == "downloading":
            for at, count in enumerate(by_holders(torrent.download.ledger.rarity.counts())):
                self.holders[at] += count
        for each in torrent.peer_set.connections.values():
            way = "outgoing" if each.is_outgoing else "incoming"
            self.peers[way, "seeder" if each.wants_nothing else "leecher"] += 1


class NodeCollector(Collector):
    """Reads all values at the scrape; `sums` is None while the node is being opened."""

    def __init__(self, context: ControlContext, delay: LoopDelay, sums: Sums | None) -> None:
        self._context = context
        self._delay = delay
        self._sums = sums

    def describe(self) -> Iterable[Metric]:
        """Return nothing: the registry need not ask for values when it is made."""
        return ()

    def collect(self) -> Iterator[Metric]:
        """Yield all families of the node."""
        context = self._context
        yield _gauge("build_info", "1, with the versions as labels", 1, **_versions())
        yield _gauge("start_time_seconds", "When the node was started", context.started_at)
        service, sums = context.service, self._sums
        if service is not None and sums is not None:
            yield _torrents(sums.states)
            yield from _node(service.node, sums)
        if context.peer.tracker is not None:
            yield from tracker_families(context.peer.tracker.figures())
        yield _histogram(
            "event_loop_pass_seconds",
            "What becomes ready waits for the event loop as long as this, since the first scrape",
            PASS_BOUNDS,
            self._delay.counts,
            self._delay.seconds,
        )


def _versions() -> dict[str, str]:
    return {"version": __version__, "python": platform.python_version()}


def _torrents(states: Counter[EntryState]) -> Metric:
    family = GaugeMetricFamily(
        "trio_swarm_torrents", "Torrents in the node's list, by what they do", labels=["state"]
    )
    for state in typing.get_args(EntryState):
        family.add_metric([state], states[state])
    return family


def _node(node: Node, sums: Sums) -> Iterator[Metric]:
    tally = node.tally
    yield from _bytes(sums, tally)
    yield from _rates(sums, node)
    yield from _pieces(sums, tally)
    yield from _peers(sums, tally, node.settings.max_connections)
    yield from _disk(node)
    yield _results(
        "announces",
        "Announces to trackers, by what came of them",
        "result",
        answered=tally.announces_answered,
        failed=tally.announces_failed,
        silent=tally.announces_silent,
    )
    yield from _strategies(tally)


def _bytes(sums: Sums, tally: NodeTally) -> Iterator[Metric]:
    yield _counter(
        "received_bytes",
        "Bytes of blocks received from peers, since the start",
        tally.downloaded + sums.downloaded,
    )
    yield _counter(
        "sent_bytes",
        "Bytes of blocks sent to peers, since the start",
        tally.uploaded + sums.uploaded,
    )
    yield _counter(
        "duplicate_bytes",
        "Bytes of blocks that came although they were here",
        tally.duplicate + sums.duplicate,
    )
    yield _gauge("size_bytes", "Bytes of all torrents that run", sums.size)
    yield _gauge("verified_bytes", "Bytes of them that are here and verified", sums.here)


def _rates(sums: Sums, node: Node) -> Iterator[Metric]:
    words = "Rate over the last seconds"
    yield _gauge("receive_bytes_per_second", words, sums.download_rate)
    yield _gauge("send_bytes_per_second", words, sums.upload_rate)
    upload_limit, download_limit = node.rates
    if download_limit is not None:
        yield _gauge(
            "receive_limit_bytes_per_second", "Limit of the node that is in force", download_limit
        )
    if upload_limit is not None:
        yield _gauge(
            "send_limit_bytes_per_second", "Limit of the node that is in force", upload_limit
        )


def _pieces(sums: Sums, tally: NodeTally) -> Iterator[Metric]:
    yield _counter("pieces_verified", "Pieces that matched their hash", tally.pieces_verified)
    yield _counter("pieces_failed", "Pieces that did not match it", tally.pieces_failed)
    family = GaugeMetricFamily(
        "trio_swarm_pieces",
        "Pieces of the running downloads, by how many connected peers have them",
        labels=["holders"],
    )
    for (_, label), count in zip(HOLDERS, sums.holders, strict=True):
        family.add_metric([label], count)
    yield family


def by_holders(counts: bytes) -> list[int]:
    """Return how many pieces are in each class of HOLDERS; see `Rarity.counts`.

    It takes a millisecond for the most pieces that a torrent may have.
    """
    classes = counts.translate(_CLASSES)
    return [classes.count(at) for at in range(len(HOLDERS))]


def _peers(sums: Sums, tally: NodeTally, limit: int) -> Iterator[Metric]:
    family = GaugeMetricFamily(
        "trio_swarm_peers",
        "Connected peers, by who dialled and by what they want",
        labels=["direction", "role"],
    )
    for kind, count in sums.peers.items():
        family.add_metric(kind, count)
    yield family
    yield _gauge("peers_limit", "Most peers at once", limit)
    yield _results(
        "peer_connections",
        "Peers that were connected, by who dialled",
        "direction",
        incoming=tally.accepted,
        outgoing=tally.dialled,
    )
    yield _counter("peers_banned", "Peers that sent wrong bytes", tally.banned)


def _disk(node: Node) -> Iterator[Metric]:
    disk = node.disk
    yield _gauge("disk_waiting_pieces", "Pieces received and not yet on the disk", disk.waiting)
    yield SummaryMetricFamily(
        "trio_swarm_disk_wait_seconds",
        "From the last byte of a piece until it is verified and written",
        count_value=disk.done,
        sum_value=disk.seconds,
    )


def _strategies(tally: NodeTally) -> Iterator[Metric]:
    times = tally.decisions
    yield _histogram(
        "scheduler_decision_seconds",
        "What decisions of download strategies take",
        DECISION_BOUNDS,
        times.counts,
        times.seconds,
    )
    kinds = {
        "scheduler": tally.scheduler_faults,
        "uploader": tally.uploader_faults,
        "choker": tally.choker_faults,
    }
    faults = {kind: each.faults for kind, each in kinds.items()}
    replaced = {kind: each.replaced for kind, each in kinds.items()}
    yield _results("strategy_faults", "Answers that broke their contract", "kind", **faults)
    yield _results(
        "strategies_replaced", "Strategies with too many of these faults", "kind", **replaced
    )


def _gauge(name: str, words: str, value: float, **labels: str) -> Metric:
    family = GaugeMetricFamily(f"trio_swarm_{name}", words, labels=list(labels))
    family.add_metric(list(labels.values()), value)
    return family


def _counter(name: str, words: str, value: float) -> Metric:
    return CounterMetricFamily(f"trio_swarm_{name}", words, value=value)


def _results(name: str, words: str, label: str, **values: float) -> Metric:
    family = CounterMetricFamily(f"trio_swarm_{name}", words, labels=[label])
    for which, value in values.items():
        family.add_metric([which], value)
    return family


def _histogram(
    name: str, words: str, bounds: Sequence[float], counts: Sequence[int], seconds: float
) -> Metric:
    limits = [*(str(bound) for bound in bounds), "+Inf"]
    buckets = list(zip(limits, accumulate(counts), strict=True))
    return HistogramMetricFamily(f"trio_swarm_{name}", words, buckets=buckets, sum_value=seconds)
