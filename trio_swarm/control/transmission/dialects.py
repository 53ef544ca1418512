"""Bytes to calls, and results to bytes, in both dialects.

JSON-RPC 2.0 is spoken in full: batches, notifications, error objects; only arguments by position
are refused, as Transmission 4.1 does. The old dialect answers as the daemon 3.00 does: HTTP 200,
with the reason of a failure as `result`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

import msgspec
from msgspec import Struct

from trio_swarm.control.transmission.calling import MESSAGES, CallError, Code, Dialect
from trio_swarm.control.transmission.naming import kebab, old_key, snake

MAX_BATCH: Final = 100
"""Most calls of one batch: each is a request of its own, and only requests are counted."""

NO_METHOD: Final = "no method name"
UNKNOWN_METHOD: Final = "method name not recognized"
SUCCESS: Final = "success"
"""Results of the daemon 3.00; clients compare the last one."""


class Call(Struct, frozen=True):
    """One call, by the snake-case name of its method and the snake-case names of its arguments."""

    method: str
    arguments: Mapping[str, Any]
    dialect: Dialect
    tag: object = None
    """What the answer repeats: `tag` or `id`; None if there is none."""
    wants_answer: bool = True
    """False for a notification."""


class Rejected(Struct, frozen=True):
    """Something that is not a call, and why."""

    error: CallError
    dialect: Dialect
    tag: object = None


class Request(Struct, frozen=True):
    """What one POST holds: a call, or a batch of them."""

    items: tuple[Call | Rejected, ...]
    is_batch: bool = False


def read_request(body: bytes) -> Request:
    """Return the calls in the body of a POST; never raises."""
    try:
        value = msgspec.json.decode(body)
    except (msgspec.MsgspecError, RecursionError, UnicodeDecodeError) as error:
        return Request((_not_json(body, error),))
    if not isinstance(value, list):
        return Request((_read_one(value, in_batch=False),))
    if not value:
        return Request((_invalid("an empty batch"),))
    if len(value) > MAX_BATCH:
        return Request((_invalid(f"a batch of more than {MAX_BATCH} calls"),))
    return Request(tuple(_read_one(each, in_batch=True) for each in value), is_batch=True)


def write_result(call: Call, result: Mapping[str, object]) -> bytes | None:
    """Return the answer to a call that succeeded; None to a notification.

    `result` has snake-case names at its top; what is inside has the names of the call's dialect.
    """
    if not call.wants_answer:
        return None
    if call.dialect is Dialect.JSON_RPC:
        return _encode({"jsonrpc": "2.0", "result": result, "id": call.tag})
    return _old_answer(SUCCESS, result, call.tag)


def write_error(item: Call | Rejected, error: CallError) -> bytes | None:
    """Return the answer to a call that failed; None to a notification."""
    if isinstance(item, Call) and not item.wants_answer:
        return None
    if item.dialect is Dialect.OLD:
        return _old_answer(error.reason, error.arguments, item.tag)
    details: dict[str, object] = {"error_string": error.reason}
    if error.arguments:
        details["result"] = error.arguments
    shape = {"code": int(error.code), "message": MESSAGES[error.code], "data": details}
    return _encode({"jsonrpc": "2.0", "error": shape, "id": item.tag})


def write_response(request: Request, answers: Sequence[bytes | None]) -> bytes | None:
    """Return the body that answers a request; None where there were notifications only."""
    told = [answer for answer in answers if answer is not None]
    if not told:
        return None
    return b"[" + b",".join(told) + b"]" if request.is_batch else told[0]


def _read_one(value: object, *, in_batch: bool) -> Call | Rejected:
    if not isinstance(value, dict):
        return _invalid("not an object") if in_batch else _old_rejected(NO_METHOD, None)
    if "jsonrpc" in value or in_batch:
        return _read_json_rpc(value)
    return _read_old(value)


def _read_json_rpc(value: Mapping[str, Any]) -> Call | Rejected:
    tag, method = value.get("id"), value.get("method")
    if value.get("jsonrpc") != "2.0":
        return _invalid("jsonrpc is not 2.0")
    if isinstance(tag, bool) or not (tag is None or isinstance(tag, str | int | float)):
        return _invalid("id is not a text, a number or null")
    if not isinstance(method, str):
        return _invalid("method is not a text")
    arguments = value.get("params", {})
    if not isinstance(arguments, dict):
        reason = "params must be an object: arguments have names here"
        return Rejected(CallError(reason), Dialect.JSON_RPC, tag)
    return Call(method, _renamed(arguments), Dialect.JSON_RPC, tag, wants_answer="id" in value)


def _read_old(value: Mapping[str, Any]) -> Call | Rejected:
    tag = value.get("tag")
    if isinstance(tag, bool) or not isinstance(tag, str | int):
        tag = None
    method, arguments = value.get("method"), value.get("arguments")
    if not isinstance(method, str):
        return _old_rejected(NO_METHOD, tag)
    name = snake(method)
    if kebab(name) != method:
        return _old_rejected(UNKNOWN_METHOD, tag)
    return Call(name, _renamed(arguments if isinstance(arguments, dict) else {}), Dialect.OLD, tag)


def _renamed(arguments: Mapping[str, Any]) -> dict[str, Any]:
    return {snake(name): value for name, value in arguments.items()}


def _not_json(body: bytes, error: Exception) -> Rejected:
    """Answer in JSON-RPC only whoever seems to speak it: the daemon 3.00 has an answer, too."""
    if b'"jsonrpc"' in body:
        return Rejected(CallError(str(error), Code.PARSE_ERROR), Dialect.JSON_RPC)
    return _old_rejected(NO_METHOD, None)


def _invalid(reason: str) -> Rejected:
    return Rejected(CallError(reason, Code.INVALID_REQUEST), Dialect.JSON_RPC)


def _old_rejected(reason: str, tag: object) -> Rejected:
    return Rejected(CallError(reason, Code.METHOD_NOT_FOUND), Dialect.OLD, tag)


def _old_answer(result: str, arguments: Mapping[str, object], tag: object) -> bytes:
    named = {old_key(name): value for name, value in arguments.items()}
    answer: dict[str, object] = {"arguments": named, "result": result}
    if tag is not None:
        answer["tag"] = tag
    return _encode(answer)


def _encode(value: object) -> bytes:
    return msgspec.json.encode(value)
