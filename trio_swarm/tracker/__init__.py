"""The UDP tracker, on Trio.

Reading order: `datagrams` (what is answered), `udp_server` (the loop), `connection_ids`,
`name_searches`, `own_addresses`. Its state is `trio_swarm.tracker.store.registry`.
"""
