"""The tables of transfers: what was measured, the ratios, and what they should be."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from bench_measuring import GIB, MIB, ratios, size_text, spread, table
from bench_peer import Transfer
from bench_targets import TARGET_HEADS, Target

LARGE = 4 * GIB
"""Bytes from which on rivals are slower than with 1 GiB, and more is aimed at."""


class Compared(NamedTuple):
    """Two contestants, and what their ratio should be."""

    name: str
    other: str
    rate: Target | None = None
    """Of their bytes/s."""
    large_rate: Target | None = None
    """The same with LARGE bytes or more, where that differs."""
    cpu: Target | None = None
    """Of their processor time."""


COMPARED = (
    Compared(
        "trio-swarm",
        "libtorrent",
        rate=Target(2.0, 1.5),
        large_rate=Target(2.5, 1.8),
        cpu=Target(0.5, 0.7),
    ),
    Compared("trio-swarm", "aria2", rate=Target(2.5, 2.0)),
    Compared("trio-swarm", "floor", rate=Target(0.8, 0.6)),
    Compared("trio-swarm from libtorrent", "libtorrent", rate=Target(1.2, 1.0)),
    Compared("libtorrent from trio-swarm", "libtorrent", rate=Target(1.2, 1.0)),
    Compared("trio-swarm, 256 KiB pieces", "trio-swarm", rate=Target(0.9, 0.75)),
    Compared("trio-swarm, 256 KiB pieces", "libtorrent, 256 KiB pieces"),
    Compared("trio-swarm from 4 seeders", "trio-swarm", rate=Target(1.0, 0.85)),
    Compared("8 trio-swarm from one", "trio-swarm", rate=Target(1.0, 0.85)),
)


def report(results: Mapping[str, Sequence[Transfer]], size: int) -> str:
    """Return the tables: what was measured, and the ratios."""
    rows = [_row(name, transfers) for name, transfers in results.items()]
    rounds = len(next(iter(results.values())))
    heads = ("", "MiB/s", "to the end", "CPU s/GiB", "seeding", "leeching", "peak MiB", "seeder's")
    lines = [
        f"{size_text(size)} over loopback, medians (least-most) of {rounds} rounds:",
        "",
        table(heads, rows),
    ]
    compared = [each for each in COMPARED if each.name in results and each.other in results]
    if compared:
        heads = ("ratios, of one round each", "MiB/s", "to the end", "CPU s/GiB")
        lines += ["", table(heads, (_ratio_row(each, results) for each in compared))]
        heads = ("medians and targets", "", *TARGET_HEADS)
        aims = [row for each in compared for row in _target_rows(each, results, size)]
        lines += ["", table(heads, aims)]
    return "\n".join(lines)


def _cpu(transfer: Transfer) -> float:
    return transfer.seeder_cpu + transfer.leecher_cpu


def _row(name: str, transfers: Sequence[Transfer]) -> tuple[str, ...]:
    return (
        name,
        spread(each.rate / MIB for each in transfers).text(),
        f"{spread(each.finished / MIB for each in transfers).median:.0f}",
        spread(map(_cpu, transfers)).text(2),
        f"{spread(each.seeder_cpu for each in transfers).median:.2f}",
        f"{spread(each.leecher_cpu for each in transfers).median:.2f}",
        f"{spread(each.leecher_peak / MIB for each in transfers).median:.0f}",
        f"{spread(each.seeder_peak / MIB for each in transfers).median:.0f}",
    )


def _rates(transfers: Sequence[Transfer]) -> list[float]:
    return [each.rate for each in transfers]


def _ratio_row(compared: Compared, results: Mapping[str, Sequence[Transfer]]) -> tuple[str, ...]:
    ones, others = results[compared.name], results[compared.other]
    return (
        f"{compared.name} / {compared.other}",
        ratios(_rates(ones), _rates(others)).text(2),
        ratios([one.finished for one in ones], [one.finished for one in others]).text(2),
        ratios(list(map(_cpu, ones)), list(map(_cpu, others))).text(2),
    )


def _target_rows(
    compared: Compared, results: Mapping[str, Sequence[Transfer]], size: int
) -> list[tuple[str, ...]]:
    ones, others = results[compared.name], results[compared.other]
    rate = compared.large_rate if size >= LARGE and compared.large_rate else compared.rate
    aims = (
        ("MiB/s", rate, ratios(_rates(ones), _rates(others)).median),
        ("CPU s/GiB", compared.cpu, ratios(list(map(_cpu, ones)), list(map(_cpu, others))).median),
    )
    return [
        (
            f"{compared.name} / {compared.other}, {what}",
            f"{value:.2f}",
            *target.cells(value, 2),
        )
        for what, target, value in aims
        if target is not None
    ]
