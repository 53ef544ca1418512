"""Transmission's RPC, so that the remotes, apps and media managers that speak it control a node.

Two dialects: the old one (3.00 and 4.0) and JSON-RPC 2.0 (4.1). Everything but `routes`,
`torrent_urls`, `entry_facts` and `node_target` is pure: bytes and values in, values and bytes out.

Reading order: `naming` (one name, three spellings), `calling` (a call's arguments and failures),
`dialects` (bytes to calls, results to bytes), `facts` (what is told of torrents and the session),
`target` (what the methods ask of a node), `remembered_limits` (limits that are switched off),
`torrent_fields` (each field, and how it is read from the facts), `choosing` (which torrents a
call means), `activity` (what changed of late), `rpc_session` (what is kept between calls),
`session_fields`, `adding` (what `torrent-add` was given), `torrent_settings`, `torrent_actions` and
`session_actions` (the methods), `methods` (their table), `answering` (a request's bytes to its
answer's), `torrent_urls` (fetches a .torrent), `routes` (HTTP), `entry_facts` and
`node_target` (a running node).
"""
