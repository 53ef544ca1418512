"""The built-in uploaders: what to offer to whom. Pure.

Reading order: `least_sent` (a whole uploader in a few lines), `spread` (the default) with its parts
`first_copies` (who gets the first copy of which piece), `first_copies_leecher` (what became of the
pieces that a leecher was given), `first_copies_rates` (how fast that goes), `first_copies_parts`
(which piece is next) and `waiting_time` (how long a peer has had nothing to ask for).
"""
