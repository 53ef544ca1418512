"""How a request is told that it cannot be done: one shape for all of them."""

from collections.abc import Mapping

import msgspec
from starlette.responses import Response

from trio_swarm.control.access import Refusal
from trio_swarm.control.shapes import Problem, ProblemAnswer


class RequestError(Exception):
    """A request that cannot be done; becomes the answer."""

    def __init__(self, status: int, code: str, message: str) -> None:
        super().__init__(message)
        self.refusal = Refusal(status, code, message)


class JSON(Response):
    """An answer that is JSON."""

    def __init__(
        self, content: object, status: int = 200, headers: Mapping[str, str] | None = None
    ) -> None:
        named = {"cache-control": "no-store", **(headers or {})}
        body = msgspec.json.encode(content)
        super().__init__(body, status, named, media_type="application/json")


def problem(refusal: Refusal) -> Response:
    """Return the answer that tells why not."""
    told = Problem(code=refusal.code, message=refusal.message)
    return JSON(ProblemAnswer(error=told), refusal.status, refusal.headers)
