"""A whole peer as one configuration describes it: a tracker, shares and fetches."""

from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import trio

from trio_swarm import events
from trio_swarm.amounts import count_text
from trio_swarm.config.changes import Change, changes_between, taken_over
from trio_swarm.config.model import PeerConfig, settings_in
from trio_swarm.config.reading import checked_config
from trio_swarm.errors import ConfigError
from trio_swarm.logs import logger_of
from trio_swarm.peer.torrent import Torrent
from trio_swarm.protocol.addresses import Address, format_address
from trio_swarm.service.described import hooks_in, node_settings, rates_in, schedule_in
from trio_swarm.service.hooks import Hooks
from trio_swarm.service.notify import SILENT, Supervisor
from trio_swarm.service.rates import RateLimits
from trio_swarm.service.reload import Described
from trio_swarm.service.run_time import RunTimeSettings
from trio_swarm.service.service import Service, open_service
from trio_swarm.settings import default_state_folder
from trio_swarm.tracker.collecting import collect_seldom
from trio_swarm.tracker.server import TrackerHandle, serve_tracker
from trio_swarm.tracker.settings import TrackerSettings

log = logger_of(__name__)

_ANY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound

HashingProgress = Callable[[int, int], None]
"""Is called with done and total bytes, from threads."""


class ConfiguredPeer:
    """Everything that one configuration file describes, running.

    `trackers` are used where the file names none and runs none. `on_hashing` returns, for the path
    of a share, a callable for (done, total) bytes while the share is hashed. `on_log_level` is
    told from which level on the file wants log lines (None: the usual). `supervisor` is told when
    the peer is ready, reloads and stops. `stays`: something may be added at any time, so it does
    not end by itself.
    """

    def __init__(
        self,
        config: PeerConfig,
        file: Path,
        *,
        trackers: Sequence[str] = (),
        on_event: Callable[[events.Event], None],
        on_hashing: Callable[[Path], HashingProgress | None] = lambda _path: None,
        on_log_level: Callable[[str | None], None] = lambda _level: None,
        supervisor: Supervisor = SILENT,
        stays: bool = False,
    ) -> None:
        self._config = config
        self._file = file
        self._default_trackers = tuple(trackers)
        self._tell = on_event
        self._on_hashing = on_hashing
        self._on_log_level = on_log_level
        self._supervisor = supervisor
        self._stays = stays
        self._hook_settings = hooks_in(config, file)
        self._hooks = Hooks(lambda: self._hook_settings)
        self.service: Service | None = None
        """Its shares and fetches, once the node is open."""
        self.rates: RateLimits | None = None
        """Which rates are in force, once the node is open."""
        self.run_time: RunTimeSettings | None = None
        """What may be set of the whole node at run time, once the node is open."""
        self.tracker: TrackerHandle | None = None
        """The tracker that runs here, once it does."""
        self._described: Described | None = None
        self._reloading = trio.Lock()
        self._opened = trio.Event()

    async def wait_open(self) -> Service:
        """Wait until the node is open and its list has all entries; return the service."""
        await self._opened.wait()
        assert self.service is not None
        return self.service

    @property
    def config(self) -> PeerConfig:
        """The configuration by which it runs: what needs a restart is as it was at the start."""
        return self._config

    @property
    def torrents(self) -> list[Torrent]:
        """The torrents that run now."""
        return [] if self.service is None else self.service.torrents

    @property
    def has_tracker(self) -> bool:
        """Whether a tracker runs here."""
        return self._config.tracker is not None

    @property
    def has_failed(self) -> bool:
        """Whether a share or fetch has failed."""
        return self.service is not None and self.service.has_failed

    @property
    def is_hashing(self) -> bool:
        """Whether a share is not offered yet, or was not when the peer ended."""
        shares = [] if self.service is None else self.service.shares
        return not all(each.is_complete or each.state == "failed" for each in shares)

    def status(self) -> str:
        """Return what it does now, in a few words."""
        states = Counter(each.state for each in self.torrents)
        told = [f"{count} {state}" for state, count in states.most_common()]
        return ", ".join(told) or "nothing to do yet"

    async def run(self) -> None:
        """Run until every share and fetch has ended, and each hook that this called for.

        It runs without end if there is a tracker or a watched folder, or something may be added at
        any time (`stays`). What was added at run time before comes back.

        Raises ConfigError for a tracker or node that cannot be opened. A share or fetch that fails
        is told by a `TorrentFailed` event and ends no other.
        """
        try:
            async with trio.open_nursery() as nursery:
                nursery.start_soon(self._hooks.run, name="run hooks")
                nursery.start_soon(self._supervisor.keep_told, self.status)
                self._on_log_level(self._config.log.level)
                if self._config.tracker is not None:
                    self.tracker = await nursery.start(self._serve_tracker)
                    self._default_trackers = (_local_url(self.tracker.addresses),)
                await self._run_service()
                await self._hooks.wait_idle()
                nursery.cancel_scope.cancel()
        finally:
            await self._supervisor.stopping()

    async def reload(self, *, dry_run: bool = False) -> list[Change]:
        """Read the file again and go on by it; return what differs, and how that comes about.

        Everything is read and checked first. Raises ConfigError (ConfigProblems), and changes
        nothing, for a file that is wrong. With `dry_run` nothing is changed in any case.
        """
        await self.wait_open()
        async with self._reloading:
            config = await trio.to_thread.run_sync(checked_config, self._file)
            changes = changes_between(self._config, config)
            if dry_run:
                return changes
            await self._supervisor.reloading()
            if self.tracker is not None:
                self.tracker.reload_lists()
            try:
                await self._go_on(config)
            finally:
                await self._supervisor.ready(self.status())
        count = sum(each.how == "restart" for each in changes)
        needed = f", {count} of them after a restart" if count else ""
        log.info("%s was read again: %s%s", self._file, count_text(len(changes), "change"), needed)
        return changes

    async def _go_on(self, config: PeerConfig) -> None:
        assert self._described is not None  # the service is open
        config = taken_over(self._config, config)
        hooks = hooks_in(config, self._file)
        await self._described.go_on(config, trackers=self._trackers_of(config))
        self._config, self._hook_settings = config, hooks
        self._on_log_level(config.log.level)

    def _trackers_of(self, config: PeerConfig) -> tuple[str, ...]:
        """Return the trackers of torrents that name none."""
        return config.trackers or self._default_trackers

    def _on_event(self, event: events.Event) -> None:
        self._hooks.tell(event)
        self._tell(event)

    async def _serve_tracker(
        self, *, task_status: trio.TaskStatus[TrackerHandle] = trio.TASK_STATUS_IGNORED
    ) -> None:
        assert self._config.tracker is not None
        settings = TrackerSettings(
            **settings_in(self._config.tracker),
            state_folder=self._config.node.state_folder or default_state_folder(),
        )
        collect_seldom()
        try:
            await serve_tracker(settings, on_event=self._on_event, task_status=task_status)
        except ConfigError as error:
            raise ConfigError(str(error), file=self._file, key="tracker") from error

    async def _run_service(self) -> None:
        config = self._config
        settings = node_settings(
            config, trackers=self._trackers_of(config), on_event=self._on_event
        )
        async with (
            open_service(settings, keeps_entries=True) as service,
            trio.open_nursery() as nursery,
        ):
            rates = RateLimits(
                rates_in(config),
                schedule_in(config),
                apply=lambda rates: service.node.set_rates(*rates),
            )
            run_time = RunTimeSettings(service.entries, rates)
            await run_time.begin(config)
            self.service, self.rates, self.run_time = service, rates, run_time
            nursery.start_soon(rates.run, name="keep to the schedule")
            self._described = Described(service, run_time, self._file, self._on_hashing, nursery)
            self._described.begin(config)
            service.entries.restore()
            self._opened.set()
            await self._supervisor.ready(self.status())
            await service.entries.wait_idle()
            if len(service.entries):
                log.info("every share and fetch of %s has ended", self._file)
            if self._stays or config.tracker is not None or self._config.watch:
                await trio.sleep_forever()
            nursery.cancel_scope.cancel()


def _local_url(addresses: Sequence[Address]) -> str:
    """Return the URL at which this machine reaches its own tracker."""
    host, port = addresses[0]
    return f"udp://{format_address((_ANY_ADDRESS.get(host, host), port))}"
