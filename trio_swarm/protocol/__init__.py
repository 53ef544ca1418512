"""Bytes in, values out: torrents, the peer wire, its extensions, trackers. Pure.

No socket, no clock, no thread. A fault of the other end raises RemoteProtocolError; any other
exception is a bug. Reading order: `bencode` (the encoding of nearly all), `metainfo` (what is
shared), `wire` (what peers say), `extensions` (what is said beyond BEP 3), `trackers` (what
trackers are told), `addresses` and `peer_ids` (values of all of them).
"""
