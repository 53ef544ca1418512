"""The tracker, on Trio.

Reading order: `settings` (what can be set, and the bounds on what strangers make it remember),
`store` (who is in which swarm and under which names: no socket, no clock), `udp` (datagrams in,
datagrams out), `http` (requests in, answers out), `admission` (who and what is taken), `seen` (what
an operator sees of it), `shared` (the same peers as other trackers, by way of a Redis server),
`process` (what one process does with sockets and a store), `workers` (several of them), `server`
(puts all together), `handle` (what others see of it), `journal` (what it tells of what happens).
They need `own_addresses` (peers on the tracker's own machine), `host_places` (of which no one host
has all), `networks` (which hosts belong together), `binding` (the sockets), `secret` (of
connection ids) and `collecting` (of garbage).

An announce goes from `udp.server` to `udp.requests` (bytes to values, checked), `store.in_memory`,
`store.registry` and `store.compact_peers` (who else is there), then to `udp.answering` (values to
bytes). Its packets are those of `trio_swarm.protocol.trackers.udp`.
"""
