"""Clients of trackers and the heartbeat of a torrent, on Trio.

Reading order: `clients` (one question to one tracker), `udp_client` and `http_client` (how it is
put), `lookups`, `racing` and `http_environment` (what these need: addresses, several ways at once,
proxies and certificates), `announcer` (when a torrent's trackers are told), `politeness` (how
often).
"""
