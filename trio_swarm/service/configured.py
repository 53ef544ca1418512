"""A whole peer as one configuration describes it: a tracker, shares and fetches."""

from collections.abc import Callable, Sequence
from pathlib import Path

import trio

from trio_swarm import events
from trio_swarm.config.model import FetchConfig, PeerConfig, settings_in
from trio_swarm.errors import ConfigError
from trio_swarm.logs import logger_of
from trio_swarm.named_paths import is_file
from trio_swarm.peer.torrent import Torrent
from trio_swarm.protocol.addresses import Address, format_address
from trio_swarm.service.service import Service, open_service
from trio_swarm.settings import FetchSettings, NodeSettings, ShareSettings
from trio_swarm.tracker.server import TrackerHandle, serve_tracker
from trio_swarm.tracker.settings import TrackerSettings

log = logger_of(__name__)

_ANY_ADDRESS = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - not bound

HashingProgress = Callable[[int, int], None]
"""Is called with done and total bytes, from threads."""


class ConfiguredPeer:
    """Everything that one configuration file describes, running.

    `trackers` are used where the file names none and runs none. `on_hashing` returns, for the path
    of a share, a callable for (done, total) bytes while the share is hashed. `stays`: something may
    be added at any time, so it does not end by itself.
    """

    def __init__(
        self,
        config: PeerConfig,
        file: Path,
        *,
        trackers: Sequence[str] = (),
        on_event: Callable[[events.Event], None],
        on_hashing: Callable[[Path], HashingProgress | None] = lambda _path: None,
        stays: bool = False,
    ) -> None:
        self._config = config
        self._file = file
        self._trackers = config.trackers or tuple(trackers)
        self._on_event = on_event
        self._on_hashing = on_hashing
        self._stays = stays
        self.service: Service | None = None
        """Its shares and fetches, once the node is open."""
        self._opened = trio.Event()

    async def wait_open(self) -> Service:
        """Wait until the node is open and its list has all entries; return the service."""
        await self._opened.wait()
        assert self.service is not None
        return self.service

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

    async def run(self) -> None:
        """Run until every share and fetch has ended.

        It runs without end if there is a tracker, or something may be added (`stays`). What was
        added at run time before comes back.

        Raises ConfigError for a tracker or node that cannot be opened. A share or fetch that fails
        is told by a `TorrentFailed` event and ends no other.
        """
        config = self._config
        async with trio.open_nursery() as nursery:
            if config.tracker is not None:
                handle = await nursery.start(self._serve_tracker)
                self._trackers = config.trackers or (_local_url(handle.addresses),)
            await self._run_service()
            if config.tracker is not None:
                await trio.sleep_forever()
            nursery.cancel_scope.cancel()

    async def _serve_tracker(
        self, *, task_status: trio.TaskStatus[TrackerHandle] = trio.TASK_STATUS_IGNORED
    ) -> None:
        assert self._config.tracker is not None
        settings = TrackerSettings(**settings_in(self._config.tracker))
        try:
            await serve_tracker(settings, on_event=self._on_event, task_status=task_status)
        except ConfigError as error:
            raise ConfigError(str(error), file=self._file, key="tracker") from error

    async def _run_service(self) -> None:
        config = self._config
        named = {"trackers": self._trackers, "on_event": self._on_event}
        settings = NodeSettings(**settings_in(config) | named)
        async with open_service(settings, keeps_entries=True) as service:
            self.service = service
            entries = service.entries
            for share in config.share:
                entries.enlist(
                    ShareSettings(**settings_in(share)), on_progress=self._on_hashing(share.path)
                )
            for fetch in config.fetch:
                entries.enlist(self._fetch_settings(fetch))
            entries.restore()
            self._opened.set()
            await entries.wait_idle()
            log.info("every share and fetch of %s has ended", self._file)
            if self._stays:
                await trio.sleep_forever()

    def _fetch_settings(self, fetch: FetchConfig) -> FetchSettings:
        named = {
            "what": _beside(self._file, fetch.what),
            "folder": fetch.folder or self._config.node.download_folder,
            "trackers": fetch.trackers or None,
            "wait": True,
        }
        return FetchSettings(**settings_in(fetch) | named)


def _beside(file: Path, what: str) -> str:
    """Return what to fetch; a relative path of a .torrent file starts at the folder of `file`."""
    beside = file.parent / what
    return str(beside) if what.endswith(".torrent") and is_file(beside) else what


def _local_url(addresses: Sequence[Address]) -> str:
    """Return the URL at which this machine reaches its own tracker."""
    host, port = addresses[0]
    return f"udp://{format_address((_ANY_ADDRESS.get(host, host), port))}"
