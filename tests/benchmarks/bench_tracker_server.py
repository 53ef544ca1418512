"""trio-swarm's tracker with room for a million peers from few addresses, which no flag gives.

bench_tracker_server.py ADDRESS [WORKERS]

Prints a line when it serves.
"""

import sys

import trio

from trio_swarm import TrackerSettings, serve_tracker

MOST = 10_000_000
PORT = 6969
settings = TrackerSettings(
    host=sys.argv[1],
    port=PORT,
    lease=3600,  # nobody leaves while it is measured
    max_swarms=MOST,
    max_peers=MOST,
    max_peers_per_swarm=MOST,
    max_peers_per_host=MOST,
    workers=int(sys.argv[2]) if len(sys.argv) > 2 else 1,
)


async def serve() -> None:
    async with trio.open_nursery() as nursery:
        await nursery.start(serve_tracker, settings)
        print("serves", flush=True)


trio.run(serve)
