"""Byte streams to peers: listening, handshakes of both directions, and sending.

Reading order: `streams` (what a stream must do, and the one over TCP), `handshaking` (of both
directions), `errors` (what may end one peer: the one list), `listening` (the sockets for incoming
peers), `accepting` (from a socket to the torrent that is asked for), `admission` (who may shake
hands now), `sending` (messages and parts of files, in few system calls), `tcp_info` (the
state of a link, and pacing), `send_buffers` (larger ones for long fat links).
"""
