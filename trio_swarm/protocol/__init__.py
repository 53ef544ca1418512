"""Bytes in, values out: bencode, metainfo, magnet links, the peer wire, tracker packets. Pure."""
