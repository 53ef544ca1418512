"""A request's bytes to its answer's."""

from trio_swarm.control.transmission.calling import Arguments, CallError, Code, Dialect, one_line
from trio_swarm.control.transmission.dialects import (
    UNKNOWN_METHOD,
    Call,
    Rejected,
    read_request,
    write_error,
    write_response,
    write_result,
)
from trio_swarm.control.transmission.methods import METHODS
from trio_swarm.control.transmission.rpc_session import MethodCall, RpcSession
from trio_swarm.errors import TrioSwarmError, is_explained


async def answer(body: bytes, session: RpcSession, *, may_change: bool) -> bytes | None:
    """Do what a request asks, call by call, and return its answer; None if it wants none.

    Without `may_change` only methods that change nothing are done.
    """
    request = read_request(body)
    answers = [await _answer(item, session, may_change=may_change) for item in request.items]
    return write_response(request, answers)


async def _answer(item: Call | Rejected, session: RpcSession, *, may_change: bool) -> bytes | None:
    if isinstance(item, Rejected):
        return write_error(item, item.error)
    try:
        return await _do(item, session, may_change=may_change)
    except CallError as error:
        return write_error(item, error)
    except TrioSwarmError as error:
        if not is_explained(error):
            raise
        return write_error(item, CallError(one_line(error), Code.SYSTEM_ERROR))


async def _do(call: Call, session: RpcSession, *, may_change: bool) -> bytes | None:
    method = METHODS.get(call.method)
    if method is None:
        reason = UNKNOWN_METHOD if call.dialect is Dialect.OLD else f"no method {call.method[:64]}"
        raise CallError(reason, Code.METHOD_NOT_FOUND)
    if method.changes and not may_change:
        raise CallError("this token may look, and change nothing", Code.SYSTEM_ERROR)
    arguments = Arguments(call.arguments)
    result = await method.run(MethodCall(session, arguments, call.dialect))
    return write_result(call, result)
