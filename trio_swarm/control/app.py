"""The one application that all doors serve."""

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from trio_swarm.control.access import Credentials, Refusal
from trio_swarm.control.api.routes import routes as api_routes
from trio_swarm.control.asgi import App
from trio_swarm.control.context import ControlContext
from trio_swarm.control.guarding import Guard
from trio_swarm.control.metrics.routes import metrics_routes
from trio_swarm.control.page.serving import routes as page_routes
from trio_swarm.control.problems import RequestError, problem
from trio_swarm.control.transmission.node_target import rpc_routes

_CODES = {404: "unknown-path", 405: "wrong-method"}


def make_app(context: ControlContext, credentials: Credentials) -> App:
    """Return the application, with the rules of access around it."""
    inner = Starlette(
        routes=[
            *api_routes(context),
            *rpc_routes(context),
            *metrics_routes(context),
            *page_routes(),
        ],
        exception_handlers={
            RequestError: _cannot,
            HTTPException: _cannot,
            ClientDisconnect: _gone,
            Exception: _failed,
        },
    )
    inner.router.redirect_slashes = False
    return Guard(inner, context, credentials)


async def _cannot(_request: Request, error: Exception) -> Response:
    if isinstance(error, RequestError):
        return problem(error.refusal)
    assert isinstance(error, HTTPException)
    code = _CODES.get(error.status_code, "wrong-request")
    return problem(Refusal(error.status_code, code, error.detail, error.headers or {}))


async def _gone(_request: Request, _error: Exception) -> Response:
    return problem(Refusal(408, "too-slow", "the body did not come in time"))


async def _failed(_request: Request, _error: Exception) -> Response:
    return problem(Refusal(500, "fault", "this is a fault of the node; its log has more"))
