"""Real trackers and nodes on loopback, for tests; every one is closed with its context."""

import random
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

import trio_swarm
from trio_swarm import events
from trio_swarm.peer.torrent import Torrent
from trio_swarm.protocol.addresses import format_address
from trio_swarm.protocol.metainfo.torrent import Metainfo
from trio_swarm.tracker.server import serve_tracker
from trio_swarm.tracker.settings import TrackerSettings

HOST = "127.0.0.1"

LIMIT = 120.0
"""Seconds until a test that hangs has failed. Far more than any takes, on a busy machine as well,
and less than pytest's own limit, whose end tells less."""


def make_file(path: Path, size: int, seed: int = 1) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(random.Random(seed).randbytes(size))
    return path


def make_folder(root: Path, seed: int = 1) -> Path:
    """A folder with nested, empty, tiny and piece-spanning files."""
    make_file(root / "a.bin", 300_000, seed)
    make_file(root / "deep" / "er" / "b.bin", 1, seed + 1)
    make_file(root / "deep" / "c.bin", 2_000_000, seed + 2)
    make_file(root / "empty", 0, seed)
    return root


def contents(path: Path) -> dict[str, bytes]:
    if path.is_file():
        return {"": path.read_bytes()}
    return {str(p.relative_to(path)): p.read_bytes() for p in path.rglob("*") if p.is_file()}


def torrent_file(torrent: Torrent, folder: Path) -> Path:
    """Write what a torrent is into a file without trackers, for others to fetch it by."""
    assert torrent.info is not None
    path = folder / "x.torrent"
    path.write_bytes(Metainfo(info=torrent.info).to_bytes())
    return path


@asynccontextmanager
async def tracker(**settings: Any) -> AsyncIterator[str]:
    """A tracker; yields its URL."""
    async with trio.open_nursery() as nursery:
        handle = await nursery.start(
            lambda task_status: serve_tracker(
                TrackerSettings(host=HOST, port=0, **settings), task_status=task_status
            )
        )
        yield f"udp://{format_address(handle.addresses[0])}"
        nursery.cancel_scope.cancel()


async def until(condition: Callable[[], bool]) -> None:
    """Wait until something is so that no event tells of; the test's deadline bounds it."""
    while not condition():  # noqa: ASYNC110 - progress is read, not awaited, by design
        await trio.sleep(0.02)


class Recorder:
    """Keeps a node's events."""

    def __init__(self) -> None:
        self.events: list[events.Event] = []
        self._changed = trio.Event()

    def __call__(self, event: events.Event) -> None:
        self.events.append(event)
        self._changed.set()
        self._changed = trio.Event()

    async def wait_for(self, kind: type[events.Event]) -> Any:
        """Wait until an event of this kind was told; return the first."""
        while not self.of(kind):
            await self._changed.wait()
        return self.of(kind)[0]

    def of(self, kind: type[events.Event]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]


@asynccontextmanager
async def node(
    folder: Path, *trackers: str, recorder: Recorder | None = None, **settings: Any
) -> AsyncIterator[trio_swarm.Node]:
    """A node on loopback with its state under `folder`."""
    async with trio_swarm.open_node(
        trio_swarm.NodeSettings(
            listen_host=settings.pop("listen_host", HOST),
            trackers=trackers,
            state_folder=folder / ".state",
            on_event=recorder or Recorder(),
            **settings,
        )
    ) as opened:
        yield opened
