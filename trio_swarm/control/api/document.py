"""The OpenAPI document (3.1), made from the table of operations and the structs of bodies."""

import re
from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from trio_swarm import __version__
from trio_swarm.control.api.table import Operation, Parameter
from trio_swarm.control.shapes import API_VERSION, PresentAnswer, ProblemAnswer

_REFERENCE = "#/components/schemas/{name}"

ANY_ERRORS = {
    400: "The request is wrong: a parameter, the body, or a value in it.",
    401: "A token or password is needed.",
    403: "This token may only look; or the page, or the folder, is not allowed.",
    408: "The body did not come in time.",
    413: "The body is too large.",
    415: "The body is not JSON, or does not say so.",
    421: "The Host is none of this node's.",
    429: "Too many requests, or wrong tokens.",
    500: "A fault of the node; its log has more.",
    503: "The node is being opened, or too much is asked of it at once.",
}
"""What every request may be told."""

_JSON = "application/json"


def document(operations: Sequence[Operation]) -> dict[str, Any]:
    """Return the document as JSON's types."""
    bodies: list[Any] = [PresentAnswer, ProblemAnswer]
    for each in operations:
        bodies += [body for body in (each.takes, each.gives) if body is not None]
    schemas, components = msgspec.json.schema_components(bodies, ref_template=_REFERENCE)
    references = dict(zip(map(repr, bodies), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for each in operations:
        paths.setdefault(each.path, {})[each.method.lower()] = _operation(each, references)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "trio-swarm",
            "version": __version__,
            "description": "Control of a running node. Sizes are bytes, rates bytes/s, times "
            "Unix seconds, durations seconds; fields may be added and are never renamed.",
        },
        "servers": [{"url": f"/api/v{API_VERSION}"}],
        "security": [{"token": []}, {"password": []}, {"cookie": []}, {}],
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "password": {"type": "http", "scheme": "basic"},
                "cookie": {"type": "apiKey", "in": "cookie", "name": "trio-swarm-PORT"},
            },
        },
    }


def _operation(operation: Operation, references: dict[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": _name_of(operation),
        "summary": operation.words,
        "parameters": [*_path_parameters(operation.path), *map(_parameter, operation.query)],
        "responses": _responses(operation, references),
    }
    if operation.takes is not None:
        schema = references[repr(operation.takes)]
        told["requestBody"] = {"required": True, "content": {_JSON: {"schema": schema}}}
    return told


def _name_of(operation: Operation) -> str:
    words = re.findall(r"[a-z]+", f"{operation.method.lower()} {operation.path}")
    return "_".join(words)


def _path_parameters(path: str) -> Iterable[dict[str, Any]]:
    for name in re.findall(r"{(\w+)}", path):
        schema = {"type": "string", "minLength": 1}
        yield {"name": name, "in": "path", "required": True, "schema": schema}


def _parameter(parameter: Parameter) -> dict[str, Any]:
    schema = msgspec.json.schema(parameter.kind)
    if parameter.default is not None:
        schema["default"] = parameter.default
    return {
        "name": parameter.name,
        "in": "query",
        "description": parameter.words,
        "schema": schema,
    }


def _responses(operation: Operation, references: dict[str, Any]) -> dict[str, Any]:
    good: dict[str, Any] = {"description": operation.words}
    if operation.gives is not None:
        good["content"] = {_JSON: {"schema": references[repr(operation.gives)]}}
    elif operation.status != 204:
        good["content"] = {operation.kind: {}}
    found = {str(operation.status): good}
    for status, words in sorted({**ANY_ERRORS, **operation.errors}.items()):
        found[str(status)] = _error(operation, status, words, references)
    return found


def _error(
    operation: Operation, status: int, words: str, references: dict[str, Any]
) -> dict[str, Any]:
    if status == 304:
        return {"description": words}
    if status == 206:
        return {"description": words, "content": {operation.kind: {}}}
    is_present = operation.method == "POST" and status == 409
    shape = PresentAnswer if is_present else ProblemAnswer
    return {"description": words, "content": {_JSON: {"schema": references[repr(shape)]}}}
