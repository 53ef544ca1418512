"""A scripted node on a port of this machine, in a thread of its own with its own Trio."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

import trio
from hypercorn.config import Config
from hypercorn.trio import serve

from scripted_swarm import ScriptedSwarm, scripted_app


class Served:
    """Where the node is, and how to take it away and bring it back at the same address."""

    def __init__(self, node: ScriptedSwarm) -> None:
        self.node = node
        self.port = 0
        self.start()

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def start(self) -> None:
        ready = threading.Event()
        self.node.is_down = False
        self._stop = trio.Event()
        self._thread = threading.Thread(target=trio.run, args=(self._run, ready), daemon=True)
        self._thread.start()
        assert ready.wait(30)

    def stop(self) -> None:
        self.node.is_down = True
        trio.from_thread.run_sync(self._stop.set, trio_token=self._token)
        self._thread.join(30)

    async def _run(self, ready: threading.Event) -> None:
        self._token = trio.lowlevel.current_trio_token()
        config = Config()
        config.bind = [f"127.0.0.1:{self.port}"]
        config.graceful_timeout = 0.2
        config.errorlog = None
        config.accesslog = None
        async with trio.open_nursery() as nursery:
            bound = await nursery.start(serve_app, self.node, config, self._stop)
            self.port = int(bound[0].rpartition(":")[2])
            ready.set()


async def serve_app(
    node: ScriptedSwarm, config: Config, stop: trio.Event, *, task_status: trio.TaskStatus
) -> None:
    app = scripted_app(node)
    await serve(app, config, shutdown_trigger=stop.wait, task_status=task_status)  # type: ignore[arg-type]


@contextmanager
def served(node: ScriptedSwarm) -> Iterator[Served]:
    """Serve the node while the block runs."""
    place = Served(node)
    try:
        yield place
    finally:
        if place._thread.is_alive():
            place.stop()
