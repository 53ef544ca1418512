"""The peer wire: bytes to messages and back, every length and index checked. Pure.

Reading order: `messages` (what there is to say), `machine` (one connection: all that its owner
calls), its halves `reader` and `incoming` (what arrives), `limits` (what may pass), `handshake`
(the first 68 bytes), `allowed_fast` (pieces for choked peers, BEP 6), `buffers` and `block_place`
(memory for what arrives).
"""
