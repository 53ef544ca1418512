"""Clients of trackers and the heartbeat of a torrent, on Trio."""
