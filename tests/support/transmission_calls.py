"""Calls of Transmission's RPC to a plain target, in both dialects."""

import json
from typing import Any

from transmission_target import PlainTarget, PlainTorrent
from trio_swarm.control.transmission.answering import answer
from trio_swarm.control.transmission.rpc_session import RpcSession

SESSION_ID = "session-id-of-a-test"


class Remote:
    """A client without HTTP; `old` and `new` make one call each."""

    def __init__(self, *torrents: PlainTorrent, may_change: bool = True) -> None:
        for place, torrent in enumerate(torrents):
            torrent.queue_position = place
        self.target = PlainTarget(list(torrents))
        self.now = 2_000_000.0
        self.session = RpcSession(self.target, now=lambda: self.now, session_id=SESSION_ID)
        self._may_change = may_change

    async def send(self, body: bytes) -> Any:
        """The answer to a body, decoded; None if there is none."""
        content = await answer(body, self.session, may_change=self._may_change)
        return None if content is None else json.loads(content, parse_constant=_no_constant)

    async def old(self, method: str, **arguments: Any) -> Any:
        """The whole answer in the dialect of 3.00; `_` in names of arguments is `-`."""
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        return await self.send(json.dumps({"method": method, "arguments": named}).encode())

    async def old_arguments(self, method: str, **arguments: Any) -> Any:
        """The arguments of an answer that is a success."""
        answered = await self.old(method, **arguments)
        assert answered["result"] == "success", answered
        return answered["arguments"]

    async def new(self, method: str, **params: Any) -> Any:
        """The whole answer in the dialect of 4.1."""
        call = {"jsonrpc": "2.0", "id": 1, "method": method, "params": params}
        return await self.send(json.dumps(call).encode())

    async def new_result(self, method: str, **params: Any) -> Any:
        """The result of an answer that is a success."""
        answered = await self.new(method, **params)
        assert "error" not in answered, answered
        return answered["result"]


def _no_constant(text: str) -> None:
    raise AssertionError(f"{text} is not JSON")


def words(text: str) -> list[str]:
    """The words of a text: long lists of names are easier to read so."""
    return text.split()
