"""trio-swarm's tracker with room for a million peers from few addresses, which no flag gives.

bench_tracker_server.py ADDRESS
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
)
trio.run(serve_tracker, settings)
