"""Clients of trackers and the heartbeat of a torrent, on Trio.

Reading order: `clients` (one question to one tracker, whatever it speaks), `udp_client` and
`http_client` (how a question is put), `announcer` (when the trackers of a torrent are told),
`heartbeats` (the task that does it for all torrents of a node), `politeness` (how often), `names`
(one question to several trackers). The clients need `lookups` (addresses of hosts), `udp_socket`
(one for all questions to one address), `racing` (several ways at once) and `http_environment`
(proxies and certificates).
"""
