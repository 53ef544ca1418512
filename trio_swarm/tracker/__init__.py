"""The tracker, on Trio.

Reading order: `settings` (what can be set, and the bounds on what strangers make it remember),
`store` (who is in which swarm and under which names: no socket, no clock), `udp` (datagrams in,
datagrams out), `server` (puts these together), `journal` (what it tells of what happens).

An announce goes from `udp.server` to `udp.requests` (bytes to values, checked), `store.in_memory`,
`store.registry` and `store.compact_peers` (who else is there), then to `udp.answering` (values to
bytes). Its packets are those of `trio_swarm.protocol.trackers.udp`.
"""
