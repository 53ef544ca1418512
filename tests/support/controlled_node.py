"""A configured peer with its doors open, and clients that knock at them; loopback only."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import trio

from local_swarm import HOST, Recorder
from trio_swarm.config.reading import parse_config
from trio_swarm.control import app as _app  # noqa: F401 - see below
from trio_swarm.control.context import ControlContext
from trio_swarm.control.serving import serve_control
from trio_swarm.service.configured import ConfiguredPeer
from trio_swarm.service.entries import entries as _entries  # noqa: F401 - the same
from trio_swarm.settings import ControlSettings

# A node imports both while it runs, one in the main thread, one in another. pytest parses what it
# imports, and two threads that parse at once trip over each other (CPython 3.11).

TOKEN = "a-token-of-28-characters-or-so"
READER = "a-reader-of-28-characters-or-so"
PASSWORD = "somebody:with a password"

API = "/api/v1"


def secret_file(path: Path, text: str) -> Path:
    path.write_text(text)
    path.chmod(0o600)
    return path


@dataclass
class Controlled:
    """A node and its doors."""

    context: ControlContext
    recorder: Recorder
    address: tuple[str, int]
    """Of the TCP door."""
    socket: Path
    stopped: trio.Event = field(default_factory=trio.Event)

    def client(self, *, is_local: bool = False, **options: Any) -> httpx.AsyncClient:
        """A client of a door; redirects and proxies are not for it."""
        host, port = self.address
        transport = httpx.AsyncHTTPTransport(uds=str(self.socket)) if is_local else None
        options.setdefault("base_url", f"http://{host}:{port}")
        return httpx.AsyncClient(transport=transport, trust_env=False, **options)

    async def connect(self) -> trio.SocketStream:
        """A bare connection to the TCP door."""
        return await trio.open_tcp_stream(*self.address)


@asynccontextmanager
async def controlled(
    folder: Path, text: str = "[tracker]\n", *, top: str = "", **settings: Any
) -> AsyncIterator[Controlled]:
    """Run what a configuration says, with its doors; `top` are its keys of no table."""
    file = folder / "peer.toml"
    text = text.replace("[tracker]\n", f'[tracker]\nlisten = "{HOST}:0"\n')
    head = f'{top}[node]\nlisten = "{HOST}:0"\nstate_folder = "state"\ndownload_folder = "down"\n'
    config = parse_config(f"{head}{text}".encode(), file=file)
    recorder = Recorder()
    peer = ConfiguredPeer(config, file, on_event=recorder, stays=True)
    stopped = trio.Event()
    context = ControlContext(
        peer=peer,
        settings=ControlSettings(listen=(HOST, 0), **settings),
        config_file=file,
        state_folder=folder / "state",
        started_at=0.0,
        stop=stopped.set,
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.run)
        doors = await nursery.start(serve_control, context)
        address = doors[-1].listener.socket.getsockname()
        yield Controlled(context, recorder, address, folder / "state" / "control.sock", stopped)
        nursery.cancel_scope.cancel()
