"""The peer wire: bytes to messages and back, every length and index checked. Pure."""
