"""A tracker of several processes on one machine, each of which owns the swarms of its info-hashes.

The system steers announces to the worker that owns their swarm (`tracker.udp.steering`), so the
workers share nothing. What cannot be steered is asked of a sibling.

Reading order: `division` (the bounds of each worker), `messages` (what processes say to each
other), `links` (how that comes over), `log_lines` (of workers, logged by the parent), `merging`
(one list of names from several), `siblings` (the store that asks the owner), `worker` (a process),
`deaths` (how long a dead one is replaced), `parent` (opens the sockets, starts the workers, and
sums up).
"""
