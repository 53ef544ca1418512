"""Byte streams to peers: dialling, listening, the handshake, and sending.

Reading order: `streams` (what a stream must do, and the one over TCP), `dialing` (from an address
to a peer), `listening` (the sockets for incoming peers), `sending` (messages and parts of files, in
few system calls).
"""
