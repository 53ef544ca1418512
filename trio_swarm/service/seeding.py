"""How long a torrent is seeded once it is complete."""

import trio

from trio_swarm.peer.torrent import Torrent

RATIO_LOOK = 1.0
"""Seconds between looks at a seeder's ratio."""


async def seed_until(torrent: Torrent, *, seconds: float | None, ratio: float | None) -> str:
    """Wait until it was seeded for `seconds` or to `ratio`; return in words which limit it was.

    None is no limit. Returns "" if the torrent was removed before; raises its error if it failed.
    """
    reached = ""
    async with trio.open_nursery() as nursery:

        async def watch_time() -> None:
            nonlocal reached
            if seconds is not None:
                await trio.sleep(seconds)
                reached = f"it was seeded for {seconds:g} s"
                nursery.cancel_scope.cancel()

        async def watch_ratio() -> None:
            nonlocal reached
            while ratio is not None and torrent.progress().ratio < ratio:  # noqa: ASYNC110 - it grows with every block
                await trio.sleep(RATIO_LOOK)
            if ratio is not None:
                reached = f"it was given {ratio:g} times"
                nursery.cancel_scope.cancel()

        nursery.start_soon(watch_time)
        nursery.start_soon(watch_ratio)
        await torrent.wait_over()
        nursery.cancel_scope.cancel()
    await torrent.wait_complete()
    return reached
