"""trio-swarm: peer-to-peer file sharing over the BitTorrent protocol, on Trio."""

__version__ = "0.1.0"
