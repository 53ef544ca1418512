"""Clients of trackers and the heartbeat of a torrent, on Trio.

Reading order: `clients` (one question to one tracker), `udp_client` and `http_client` (how it is
put), `announcer` (when a torrent's trackers are told).
"""
