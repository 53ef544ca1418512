"""What a tracker remembers. Pure: time comes as `now`, randomness as `rng`.

Reading order: `interface` (what a tracker asks of any store), `in_memory` (that, answered from a
registry), `registry` (swarms, peers and names, and who is refused). The registry is made of
`tracked_swarm` and `compact_peers` (the peers of a swarm, packed), `leases` (for how long a peer is
listed), `expiry_calendar` (when to look for ended leases), `host_counts` (how many peers a host
has), `names`, and `searches` among them.
"""
