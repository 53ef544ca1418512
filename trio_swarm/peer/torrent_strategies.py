"""The strategies of one torrent: which were chosen, and those that decide, in their guards."""

from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import trio

from trio_swarm.engine.guard import GuardedChoker, GuardedScheduler, GuardedUploader
from trio_swarm.peer.context import NodeContext
from trio_swarm.peer.strategies import (
    checked_options,
    choker_for,
    chosen_scheduler,
    scheduler_for,
    uploader_for,
)
from trio_swarm.progress import SchedulerState

MakeScheduler = Callable[..., GuardedScheduler]


class Strategies(NamedTuple):
    """The strategies of one torrent, in their guards."""

    scheduler: GuardedScheduler
    uploader: GuardedUploader
    choker: GuardedChoker


class OwnStrategies:
    """The strategies of one torrent, made when they are first needed.

    `name` and `options` are those of its download strategy; None: the node's.
    """

    __slots__ = ("_context", "_made", "chosen")

    def __init__(
        self, context: NodeContext, name: str | None, options: Mapping[str, object] | None
    ) -> None:
        self._context = context
        self._made: Strategies | None = None
        self.chosen = chosen_scheduler(context, name, options)
        """The name and the options of its download strategy."""

    def made(self, make_scheduler: MakeScheduler = GuardedScheduler) -> Strategies:
        """Return them; raises ConfigError for a wrong name or option."""
        if self._made is None:
            self._made = Strategies(
                scheduler_for(self._context, *self.chosen, make_scheduler),
                uploader_for(self._context),
                choker_for(self._context),
            )
        return self._made

    def forget(self) -> None:
        """Give them back; they are made anew when they are needed again."""
        self._made = None

    @property
    def scheduler_state(self) -> SchedulerState:
        """The download strategy, and what its decisions cost."""
        name, options = self.chosen
        guard = None if self._made is None else self._made.scheduler
        return SchedulerState(
            name=name,
            options=dict(options),
            decisions=0 if guard is None else guard.decisions,
            seconds=0.0 if guard is None else guard.seconds,
            faults=0 if guard is None else guard.faults,
            is_replaced=guard is not None and guard.is_replaced,
        )

    async def choose_scheduler(
        self, name: str, options: Mapping[str, object] | None, *, text_values: bool
    ) -> GuardedScheduler:
        """Take another download strategy, and return it; see `Torrent.set_scheduler`."""
        find = partial(checked_options, text_values=text_values)
        checked = await trio.to_thread.run_sync(
            find, self._context.strategies, name, dict(options or {})
        )
        scheduler = scheduler_for(self._context, name, checked)
        self.chosen = (name, checked)
        if self._made is not None:
            self._made = self._made._replace(scheduler=scheduler)
        return scheduler

    def renew(self) -> tuple[GuardedUploader, GuardedChoker]:
        """Make those that the node's settings name now; raises ConfigError, and changes nothing."""
        uploader, choker = uploader_for(self._context), choker_for(self._context)
        if self._made is not None:
            self._made = self._made._replace(uploader=uploader, choker=choker)
        return uploader, choker
