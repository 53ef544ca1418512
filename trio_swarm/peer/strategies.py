"""The strategies a torrent uses, made from the settings and wrapped in the guard."""

import time
from collections.abc import Callable, Mapping

from trio_swarm import events
from trio_swarm.engine.guard import FaultSink, GuardedChoker, GuardedScheduler, GuardedUploader
from trio_swarm.foreign_text import quoted
from trio_swarm.peer.context import NodeContext
from trio_swarm.schedulers.loading import Strategies, load_strategies
from trio_swarm.schedulers.options import convert_options
from trio_swarm.schedulers.rarest_first import RarestFirst
from trio_swarm.settings import NodeSettings


def load_configured(settings: NodeSettings) -> Strategies:
    """Load the strategies, and make each configured one: a wrong one is known at once. Blocking.

    Raises ConfigError.
    """
    strategies = load_strategies(settings.plugins)
    strategies.scheduler(settings.scheduler, settings.scheduler_options)
    strategies.uploader(settings.uploader, settings.uploader_options)
    strategies.choker(settings.choker, settings.choker_options)
    return strategies


def _report(context: NodeContext, fallback: str) -> FaultSink:
    def on_fault(name: str, reason: str, faults: int, replaced: bool) -> None:  # noqa: FBT001 - the guard's signature
        context.emit(
            events.StrategyFault(
                plugin=name,
                reason=reason,
                faults=faults,
                replaced_by=fallback if replaced else None,
            )
        )

    return on_fault


def chosen_scheduler(
    context: NodeContext, name: str | None, options: Mapping[str, object] | None
) -> tuple[str, Mapping[str, object]]:
    """Return the name and options of one torrent's download strategy: its own, else the node's."""
    settings = context.settings
    if name is None:
        return settings.scheduler, options or settings.scheduler_options
    return name, options or {}


def checked_options(
    strategies: Strategies, name: str, options: Mapping[str, object], *, text_values: bool
) -> dict[str, object]:
    """Return the options of a download strategy with their types. Blocking; raises ConfigError."""
    entry = strategies.entry("scheduler", name)  # an installed package may be imported for it
    where = f"scheduler {quoted(name)}"
    return convert_options(entry.options, options, text_values=text_values, where=where)


def scheduler_for(
    context: NodeContext,
    name: str,
    options: Mapping[str, object],
    make_guard: Callable[..., GuardedScheduler] = GuardedScheduler,
) -> GuardedScheduler:
    """Return a download strategy; raises ConfigError."""
    strategy = context.strategies.scheduler(name, options)
    guard = make_guard(
        strategy,
        name,
        fallback=RarestFirst,
        timer=time.perf_counter,
        on_fault=_report(context, "rarest-first"),
    )
    guard.count_in(context.tally.decisions, context.tally.scheduler_faults)
    return guard


def uploader_for(context: NodeContext) -> GuardedUploader:
    """Return the seeding-order strategy of one torrent."""
    settings = context.settings
    strategy = context.strategies.uploader(settings.uploader, settings.uploader_options)
    guard = GuardedUploader(
        strategy,
        settings.uploader,
        timer=time.perf_counter,
        on_fault=_report(context, "requests in the order they came"),
    )
    guard.count_in(context.tally.uploader_faults)
    return guard


def choker_for(context: NodeContext) -> GuardedChoker:
    """Return the unchoking strategy of one torrent."""
    settings = context.settings
    strategy = context.strategies.choker(settings.choker, settings.choker_options)
    guard = GuardedChoker(
        strategy,
        settings.choker,
        timer=time.perf_counter,
        on_fault=_report(context, "tit-for-tat"),
    )
    guard.count_in(context.tally.choker_faults)
    return guard
