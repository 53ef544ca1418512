"""Connections to peers and the torrent they share, on Trio."""
