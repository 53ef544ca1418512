"""The peers one could have: which to dial, and who makes room when places are short. Pure.

Reading order: `candidates` (addresses: which is dialled next, and when again), `crowding` (which
connection ends when all places are taken).
"""
