"""`trio-swarm run`: a whole peer from one TOML file."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import trio

import trio_swarm
from trio_swarm import events
from trio_swarm.cli.failures import FAILED
from trio_swarm.cli.fetching import (
    complete_when_room,
    fetch_when_known,
    make_folder,
    seed_until,
    trackers_for,
)
from trio_swarm.cli.options import OutputOptions, trackers_given
from trio_swarm.cli.output.default_tracker import DefaultTracker
from trio_swarm.cli.output.reporting import Reporter, make_reporter
from trio_swarm.cli.resolving import chosen_hash
from trio_swarm.cli.running import run_until_interrupted
from trio_swarm.config.model import FetchConfig, PeerConfig, ShareConfig, as_strategy
from trio_swarm.config.reading import (
    check_strategies,
    read_config,
    require_own_words,
    require_task,
)
from trio_swarm.errors import ConfigError, is_explained, leaves_of
from trio_swarm.named_paths import is_file
from trio_swarm.protocol.addresses import Address, format_address
from trio_swarm.settings import DEFAULT_TRACKER
from trio_swarm.tracker.udp.server import TrackerHandle

INTERRUPTED = 0
"""Being told to stop is the normal end of a peer, once its shares are hashed and offered, and
unless something failed. A fetch waits for ever and goes on at the next start: it is no failure."""
_ANY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound


async def run(config: Path, /, *, output: OutputOptions | None = None) -> int:
    """Run what a configuration file describes: a tracker, shares and fetches, all at once.

    One that fails does not end the others. Runs until stopped, or until everything has ended; the
    exit code is 1 if anything failed, or was still being hashed. A fetch that was not complete goes
    on at the next start. The file is never written to.

    Parameters
    ----------
    config
        The TOML file.
    output
        How it talks.

    """
    reporter = make_reporter(output or OutputOptions())
    described = read_config(config)
    check_strategies(described, file=config)
    require_task(described, file=config)
    require_own_words(described, file=config)
    peer = _Peer(described, config, reporter)
    return await run_until_interrupted(
        peer.run,
        reporter,
        interrupted=lambda: FAILED if peer.hashing or peer.has_failed else INTERRUPTED,
    )


@dataclass
class _Peer:
    """Everything one file describes, running."""

    config: PeerConfig
    file: Path
    reporter: Reporter
    has_failed: bool = False
    hashing: int = 0
    """Shares that are not offered yet."""

    async def run(self) -> int:
        async with trio.open_nursery() as nursery:
            trackers = self.config.trackers or trackers_given(())
            if self.config.tracker is not None:
                handle = await nursery.start(self._serve_tracker)
                trackers = self.config.trackers or (_local_url(handle.addresses),)
            if self.config.share or self.config.fetch:
                await self._run_node(trackers)
            if self.config.tracker is not None:
                await trio.sleep_forever()
            nursery.cancel_scope.cancel()
        return FAILED if self.has_failed else 0

    async def _serve_tracker(
        self, *, task_status: trio.TaskStatus[TrackerHandle] = trio.TASK_STATUS_IGNORED
    ) -> None:
        config = self.config.tracker
        assert config is not None
        settings = trio_swarm.TrackerSettings(
            host=config.listen[0],
            port=config.listen[1],
            interval=config.interval,
            lease=config.lease,
            max_swarms=config.max_swarms,
            max_peers=config.max_peers,
            max_peers_per_swarm=config.max_peers_per_swarm,
            max_peers_per_host=config.max_peers_per_host,
            max_names=config.max_names,
            max_names_per_host=config.max_names_per_host,
            max_name_length=config.max_name_length,
        )
        try:
            await trio_swarm.serve_tracker(
                settings, on_event=self.reporter.event, task_status=task_status
            )
        except ConfigError as error:
            raise ConfigError(str(error), file=self.file, key="tracker") from error

    async def _run_node(self, trackers: Sequence[str]) -> None:
        settings = node_settings_of(
            self.config,
            trackers=trackers or (DEFAULT_TRACKER,),
            on_event=DefaultTracker(is_used=not trackers).after(self._on_event),
        )
        async with trio_swarm.open_node(settings) as node, trio.open_nursery() as nursery:
            nursery.start_soon(self.reporter.follow, lambda: node.torrents)
            async with trio.open_nursery() as tasks:
                for share in self.config.share:
                    tasks.start_soon(
                        self._supervise, share.name or str(share.path), self._share(node, share)
                    )
                for fetch in self.config.fetch:
                    tasks.start_soon(
                        self._supervise, fetch.what, self._fetch(node, fetch, trackers)
                    )
            nursery.cancel_scope.cancel()

    def _on_event(self, event: events.Event) -> None:
        # Said once, by `_supervise`, which also knows of failures that no torrent has had.
        if not isinstance(event, events.TorrentFailed):
            self.reporter.event(event)

    async def _supervise(self, name: str, task: Callable[[], Awaitable[None]]) -> None:
        """Run one share or fetch; its failure is told and ends nothing else."""
        try:
            await task()
        except Exception as error:
            if not is_explained(error):
                raise  # a bug of ours
            self.has_failed = True
            reason = "; ".join(dict.fromkeys(map(str, leaves_of(error))))
            failed = events.TorrentFailed(info_hash="", share_name=name, reason=reason)
            self.reporter.event(failed)

    def _share(self, node: trio_swarm.Node, share: ShareConfig) -> Callable[[], Awaitable[None]]:
        async def run() -> None:
            self.hashing += 1
            torrent = await node.share(
                share.path,
                name=share.name,
                trackers=share.trackers,
                piece_length=share.piece_length,
                on_progress=self.reporter.hashing(share.path),
            )
            self.hashing -= 1
            await torrent.wait_over()
            await torrent.wait_complete()  # raises what ended it

        return run

    def _fetch(
        self, node: trio_swarm.Node, fetch: FetchConfig, trackers: Sequence[str]
    ) -> Callable[[], Awaitable[None]]:
        folder = fetch.folder or self.config.node.download_folder
        what = fetch.what
        beside = self.file.parent / what
        urls: tuple[str, ...] = ()
        strategy = None if fetch.scheduler is None else as_strategy(fetch.scheduler)

        async def start() -> trio_swarm.Torrent:
            return await node.fetch(
                what,
                folder=folder,
                trackers=urls,
                peers=fetch.peers,
                info_hash=await chosen_hash(fetch.info_hash, what, urls or trackers),
                scheduler=strategy.name if strategy else None,
                scheduler_options=strategy.options if strategy else None,
            )

        async def start_when_known() -> trio_swarm.Torrent:
            return await fetch_when_known(start, what, on_event=self.reporter.event)

        async def run() -> None:
            nonlocal what, urls
            if what.endswith(".torrent") and is_file(beside):
                what = str(beside)
            urls = trackers_for(what, fetch.trackers or trackers, has_peers=bool(fetch.peers))
            make_folder(folder)
            torrent = await complete_when_room(
                await start_when_known(), start_when_known, folder, on_event=self.reporter.event
            )
            if fetch.seed:
                await seed_until(torrent, seconds=fetch.seed_for, ratio=fetch.seed_ratio)
            await torrent.remove()

        return run


def node_settings_of(
    config: PeerConfig, *, trackers: Sequence[str], on_event: Callable[[events.Event], None]
) -> trio_swarm.NodeSettings:
    """Return the node's settings of a configuration."""
    scheduler = as_strategy(config.scheduler)
    uploader = as_strategy(config.uploader)
    choker = as_strategy(config.choker)
    return trio_swarm.NodeSettings(
        listen_host=config.node.listen[0],
        listen_port=config.node.listen[1],
        trackers=tuple(trackers),
        trackers_for_private=config.node.trackers_for_private,
        state_folder=config.node.state_folder,
        scheduler=scheduler.name,
        scheduler_options=scheduler.options,
        uploader=uploader.name,
        uploader_options=uploader.options,
        choker=choker.name,
        choker_options=choker.options,
        plugins=config.plugins.paths,
        max_connections=config.limits.connections,
        upload_rate=config.limits.upload,
        download_rate=config.limits.download,
        upload_slots=config.limits.upload_slots,
        piece_memory=config.limits.piece_memory,
        labels=config.labels,
        on_event=on_event,
    )


def _local_url(addresses: Sequence[Address]) -> str:
    """Return the URL at which this machine reaches its own tracker."""
    host, port = addresses[0]
    return f"udp://{format_address((_ANY_ADDRESS.get(host, host), port))}"
