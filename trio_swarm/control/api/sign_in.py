"""A cookie for a token: a page so need not keep the token, and can open streams and files."""

import time

import trio
from starlette.responses import Response

from trio_swarm.control.access import SIGNED_IN_SECONDS, cookie_name
from trio_swarm.control.api.table import Asked, Operation


async def sign_in(asked: Asked) -> Response:
    """Return a cookie that may do what the request may do."""
    await trio.lowlevel.checkpoint()
    value = asked.context.sign_ins.issue(asked.level, time.time())
    return _with_cookie(asked, value, SIGNED_IN_SECONDS)


async def sign_out(asked: Asked) -> Response:
    """Return a cookie that takes the place of the other, and ends at once."""
    await trio.lowlevel.checkpoint()
    return _with_cookie(asked, "", 0)


def _with_cookie(asked: Asked, value: str, seconds: int) -> Response:
    answer = Response(status_code=204)
    answer.set_cookie(
        cookie_name(asked.port), value, max_age=seconds, httponly=True, samesite="strict"
    )
    return answer


OPERATIONS = (
    Operation(
        method="POST",
        path="/login",
        words="A cookie for whoever shows a token in the Authorization header.",
        answer=sign_in,
        gives=None,
        status=204,
    ),
    Operation(
        method="POST",
        path="/logout",
        words="Ends the cookie.",
        answer=sign_out,
        gives=None,
        status=204,
    ),
)
