"""All operations of the API, as the application serves them."""

from collections.abc import Iterator, Sequence
from contextlib import aclosing
from functools import partial
from itertools import groupby
from typing import Any, Literal, get_origin

import msgspec
import trio
from starlette.convertors import Convertor, register_url_convertor
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from trio_swarm.config.validation_words import in_one_line, one_of
from trio_swarm.control.api import (
    actions,
    adding,
    content,
    names,
    parts,
    session,
    sign_in,
    streams,
    torrents,
)
from trio_swarm.control.api.document import document
from trio_swarm.control.api.table import Asked, Operation
from trio_swarm.control.context import ControlContext
from trio_swarm.control.problems import JSON, RequestError, problem, refusal_of
from trio_swarm.control.shapes import API_VERSION
from trio_swarm.errors import TrioSwarmError


class _PathOfFile(Convertor[str]):
    """The rest of a path; Starlette's own takes no line breaks, which names of files may have."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        return value

    def to_string(self, value: str) -> str:
        return value


register_url_convertor("file", _PathOfFile())

PREFIX = f"/api/v{API_VERSION}"

OPERATIONS: Sequence[Operation] = (
    *session.OPERATIONS,
    *sign_in.OPERATIONS,
    *torrents.OPERATIONS,
    *adding.OPERATIONS,
    *actions.OPERATIONS,
    *parts.OPERATIONS,
    *content.OPERATIONS,
    *names.OPERATIONS,
    *streams.OPERATIONS,
)

_JSON = "application/json"


def routes(context: ControlContext) -> list[Route]:
    """Return a route for each path of the API."""
    by_path = sorted(OPERATIONS, key=lambda each: each.path)
    return [
        *(
            _route(context, path, list(group))
            for path, group in groupby(by_path, key=lambda each: each.path)
        ),
        Route(f"{PREFIX}/openapi.json", _document, methods=["GET"]),
    ]


async def _document(_request: Request) -> Response:
    await trio.lowlevel.checkpoint()
    return JSON(document(OPERATIONS))


def _route(context: ControlContext, path: str, operations: list[Operation]) -> Route:
    by_method = {each.method: each for each in operations}
    if "GET" in by_method:
        by_method["HEAD"] = by_method["GET"]

    async def endpoint(request: Request) -> Response:
        operation = by_method[request.method]
        asked = Asked(
            context=context,
            level=request.scope["state"]["level"],
            port=0 if request.scope["state"]["is_local"] else request.scope["server"][1],
            path=request.path_params,
            query=dict(_query(operation, request)),
            headers=request.headers,
            body=await _body(operation, request),
        )
        try:
            if operation.method == "GET":
                given = await operation.answer(asked)
            else:
                given = await context.finish(partial(operation.answer, asked))
        except TrioSwarmError as error:
            return problem(refusal_of(error))
        if isinstance(given, Response):
            return given
        if given is None:
            return Response(status_code=operation.status)
        return JSON(given, operation.status)

    pattern = PREFIX + path.replace("{path}", "{path:file}")
    return Route(pattern, endpoint, methods=list(by_method))


def _query(operation: Operation, request: Request) -> Iterator[tuple[str, Any]]:
    known = {each.name for each in operation.query}
    for name in request.query_params:
        if name not in known:
            raise RequestError(400, "unknown-parameter", f"there is no parameter {name!r:.100}")
    for parameter in operation.query:
        text = request.query_params.get(parameter.name)
        if text is None:
            yield parameter.name, parameter.default
            continue
        try:
            yield parameter.name, msgspec.convert(text, parameter.kind, strict=False)
        except msgspec.ValidationError as error:
            reason = in_one_line(error, parameter.name)
            if get_origin(parameter.kind) is Literal:
                reason = f"{parameter.name}: expected {one_of(parameter.kind)}, got {text!r:.100}"
            raise RequestError(400, "wrong-parameter", reason) from error


async def _body(operation: Operation, request: Request) -> Any:
    if operation.takes is None:
        return None
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != _JSON:  # with it a browser asks before it sends what a foreign page wants
        raise RequestError(415, "wrong-type", f"the body must be {_JSON}")
    data = bytearray()
    async with aclosing(request.stream()) as chunks:
        async for chunk in chunks:
            data += chunk
            if len(data) > operation.most:
                raise RequestError(413, "too-large", f"more than {operation.most:,} bytes")
    try:
        return msgspec.json.decode(data, type=operation.takes)
    except msgspec.ValidationError as error:
        raise RequestError(400, "wrong-body", in_one_line(error)) from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise RequestError(400, "wrong-body", str(error)) from error
