"""The pages of a tracker for its operator: `/`, `/status`, `/status.json` and `/metrics`."""

import importlib
import time
from collections.abc import Awaitable, Callable, Sequence
from typing import Final

import trio

from trio_swarm._version import __version__
from trio_swarm.tracker.http.pages import AnswerPage, ForbiddenError, NotNowError, Page, PageRequest
from trio_swarm.tracker.networks import Networks
from trio_swarm.tracker.seen.figures import Seen
from trio_swarm.tracker.seen.status import TrackerStatus, status_json, status_of, status_page
from trio_swarm.tracker.settings import TrackerSettings

LOOPBACK: Final = ("127.0.0.0/8", "::1")
"""Who may look always: users of the same machine."""

KEPT_SECONDS: Final = 1.0
"""For so long an answer is good: whoever asks more often costs nothing."""

HTML: Final = b"text/html; charset=utf-8"
JSON: Final = b"application/json"


class SeenPages:
    """What operators see; `look` returns what is seen of each process."""

    def __init__(
        self, settings: TrackerSettings, look: Callable[[], Awaitable[Sequence[Seen]]]
    ) -> None:
        self._settings = settings
        self._look = look
        self._allowed = Networks((*LOOPBACK, *settings.status_from))
        self._kept: Sequence[Seen] = ()
        self._kept_at = float("-inf")
        self._looking = trio.Lock()

    def pages(self) -> dict[bytes, AnswerPage]:
        """Return the pages by path."""
        return {
            b"/": self._page,
            b"/status": self._page,
            b"/status.json": self._json,
            b"/metrics": self._metrics,
        }

    async def _page(self, request: PageRequest) -> Page:
        return Page(status_page(await self._status(request)), HTML)

    async def _json(self, request: PageRequest) -> Page:
        return Page(status_json(await self._status(request)), JSON)

    async def _metrics(self, request: PageRequest) -> Page:
        seen = await self._seen(request)
        try:
            # Announces are answered meanwhile.
            await trio.to_thread.run_sync(
                importlib.import_module, "trio_swarm.tracker.seen.metrics"
            )
        except ModuleNotFoundError:
            raise NotNowError(
                "metrics need prometheus-client: pip install 'trio-swarm[control]'"
            ) from None
        from trio_swarm.tracker.seen import metrics  # noqa: PLC0415 - it is there now

        return Page(*metrics.rendered([each.figures for each in seen], ""))

    async def _status(self, request: PageRequest) -> TrackerStatus:
        seen = await self._seen(request)
        return status_of(seen, self._settings, version=__version__, now=time.time())

    async def _seen(self, request: PageRequest) -> Sequence[Seen]:
        if request.host not in self._allowed:
            raise ForbiddenError(
                "only users of this machine may look; others if [tracker] status_from names them"
            )
        async with self._looking:
            if trio.current_time() - self._kept_at >= KEPT_SECONDS:
                self._kept = await self._look()
                self._kept_at = trio.current_time()
            return self._kept
