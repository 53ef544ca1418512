"""Figures of a tracker for Prometheus, by its own client library; imported at the first scrape."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from trio_swarm.tracker.seen.figures import CHANGES, REFUSALS, TrackerFigures

_GAUGES: Final = (
    ("swarms", "Swarms that are listed"),
    ("peers", "Peers that are listed"),
    ("names", "Names that are listed"),
)
_SHARED_GAUGES: Final = (
    ("trackers", "Other trackers whose peers are listed"),
    ("held", "Peers listed for other trackers only"),
    ("waiting", "Changes that other trackers cannot have heard of yet"),
    ("lag", "Seconds since news of other trackers came"),
    ("is_connected", "1 while the server by which trackers share answers"),
)
_SHARED_NAMES: Final = {
    "trackers": "shared_trackers",
    "held": "shared_peers",
    "waiting": "shared_waiting_changes",
    "lag": "shared_lag_seconds",
    "is_connected": "shared_connected",
}


def tracker_families(workers: Sequence[TrackerFigures]) -> Iterator[Metric]:
    """Yield all families of a tracker; each series has its worker, counted from 0, as a label."""
    yield _family(
        CounterMetricFamily,
        "announces",
        "Announces that were answered, refused ones among them",
        ("transport",),
        workers,
        lambda each: {("udp",): each.announces_udp, ("http",): each.announces_http},
    )
    yield _family(
        CounterMetricFamily,
        "scrapes",
        "Scrape requests that were answered",
        ("transport",),
        workers,
        lambda each: {("udp",): each.scrapes_udp, ("http",): each.scrapes_http},
    )
    yield _family(
        CounterMetricFamily,
        "name_questions",
        "Questions for names",
        (),
        workers,
        lambda each: {(): each.questions},
    )
    yield _family(
        CounterMetricFamily,
        "changes",
        "What announces and time changed, by kind",
        ("change",),
        workers,
        lambda each: {(kind,): each.changes.get(kind, 0) for kind in CHANGES},
    )
    yield _family(
        CounterMetricFamily,
        "refusals",
        "Announces and names that were refused, by the setting that says so",
        ("setting",),
        workers,
        lambda each: {(kind,): each.refusals.get(kind, 0) for kind in REFUSALS},
    )
    yield _family(
        GaugeMetricFamily,
        "start_time_seconds",
        "When the worker started",
        (),
        workers,
        lambda each: {(): each.started_at},
    )
    for name, words in _GAUGES:
        yield _gauge(name, name, words, workers)
    shared = [each for each in workers if each.is_shared]
    if shared:
        for name, words in _SHARED_GAUGES:
            yield _gauge(_SHARED_NAMES[name], name, words, shared)


def rendered(workers: Sequence[TrackerFigures], accept: str) -> tuple[bytes, bytes]:
    """Return all metrics and their Content-Type, in the format that `Accept` asks for."""
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(workers))
    encode, kind = choose_encoder(accept)
    return encode(registry), kind.encode()


class _Collector(Collector):
    def __init__(self, workers: Sequence[TrackerFigures]) -> None:
        self._workers = workers

    def describe(self) -> Iterable[Metric]:
        return ()

    def collect(self) -> Iterator[Metric]:
        return tracker_families(self._workers)


def _gauge(name: str, attribute: str, words: str, workers: Sequence[TrackerFigures]) -> Metric:
    return _family(
        GaugeMetricFamily, name, words, (), workers, lambda each: {(): getattr(each, attribute)}
    )


def _family(  # noqa: PLR0917 - in the order of what Prometheus shows
    kind: type[CounterMetricFamily | GaugeMetricFamily],
    name: str,
    words: str,
    labels: tuple[str, ...],
    workers: Sequence[TrackerFigures],
    values: Callable[[TrackerFigures], dict[tuple[str, ...], float]],
) -> Metric:
    family = kind(f"trio_swarm_tracker_{name}", words, labels=[*labels, "worker"])
    for each in workers:
        for told, value in values(each).items():
            family.add_metric([*told, str(each.worker)], value)
    return family
