"""Byte streams to peers: dialling, listening, the handshake, and sending."""
