"""One download: what it has, what is in flight from whom, and what to ask next. Pure.

Reading order: `ledger` first, the one owner of every block's state, and its parts: `piece_states`
and `open_piece` (states without peers), `block_source` (what a download asks of a source), `source`
(one peer: what was asked of it, and how much may be), `in_flight` (what goes back when it does not
come), `outcomes` (what the ledger answers), `availability` (how rare each piece is). Then `planner`
(the strategy's choice, and what the host does without one), `busy_peers` (what a strategy sees of
peers without room), `endgame` (who is asked twice), `parole` (who sent the bad block),
`buffer_shares` (whose pieces get memory), `readers` (which pieces somebody waits for).
"""
