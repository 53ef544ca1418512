"""How many bytes a peer takes in a tracker's registry where each has a host of its own.

    bench_tracker_memory.py SWARMS PEERS_PER_SWARM

Prints the growth of this process's resident memory for each peer. Over a socket it would take a
million source addresses.
"""

import os
import random
import sys
from hashlib import sha1
from pathlib import Path

from trio_swarm.tracker.settings import RegistrySettings
from trio_swarm.tracker.store.registry import TrackerRegistry


def resident() -> int:
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def main() -> None:
    swarms, peers = map(int, sys.argv[1:])
    total = swarms * peers
    settings = RegistrySettings(max_swarms=swarms, max_peers=total, max_peers_per_swarm=peers)
    registry = TrackerRegistry(settings, rng=random.Random(1))
    before = resident()
    # An odd factor, so that all differ and none follows from the one before.
    hosts = (number * 2654435761 % 2**32 for number in range(total))
    for swarm in range(swarms):
        info_hash = sha1(b"swarm %d" % swarm).digest()
        for _ in range(peers):
            address = next(hosts).to_bytes(4, "big") + b"\x1a\xe1"
            registry.announce(info_hash, address, 0.0, 1 << 20, 2, 0)
    print((resident() - before) / total)


if __name__ == "__main__":
    main()
