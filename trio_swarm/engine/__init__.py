"""Decisions about a swarm: what to ask of whom, what to reveal and serve, whom to dial. Pure.

Time is told, chance comes from an `rng`, and nothing here waits. Real and simulated peers drive the
same objects.

Reading order: `lengths` (arithmetic on pieces and blocks), `rates` and `token_bucket` (how fast
bytes flow, and may flow), `download` (what is missing, in flight and asked of whom), `upload` (what
is revealed, served and to whom), `messages` and `conversation` (all that is said and heard on one
connection), `exchange` (our side of one torrent: what its connections have in common),
`known_peers` (whom to dial, and who makes room), `guard`, `faults` and `decision_times` (what a
strategy may do, and takes),
`lazy_haves` (when peers hear of new pieces), `idle_talk` and `read_turn` (how much a peer may say).
"""
