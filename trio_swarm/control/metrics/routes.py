"""One answer: all metrics, in the format that the scraper asks for."""

import importlib

import trio
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from trio_swarm.control.context import ControlContext
from trio_swarm.control.metrics.loop_delay import LoopDelay

PATH = "/metrics"


def metrics_routes(context: ControlContext) -> list[Route]:
    """Return the route that is scraped, by whoever may look."""
    return [Route(PATH, Scraped(context).answer, methods=["GET"])]


class Scraped:
    """A node that is scraped: from the first time on its event loop is watched."""

    def __init__(self, context: ControlContext) -> None:
        self._context = context
        self._delay = LoopDelay()

    async def answer(self, request: Request) -> Response:
        """Return the metrics in Prometheus' text format, or in OpenMetrics if `Accept` says so."""
        # For the first it imports what takes a tenth of a second; transfers go on meanwhile.
        await trio.to_thread.run_sync(
            importlib.import_module, "trio_swarm.control.metrics.families"
        )
        from trio_swarm.control.metrics import families  # noqa: PLC0415  there now

        self._delay.look()
        content, kind = await families.rendered(
            self._context, self._delay, request.headers.get("accept", "")
        )
        return Response(content, headers={"content-type": kind, "cache-control": "no-store"})
