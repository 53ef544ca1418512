"""The built-in uploaders: what to offer to whom. Pure.

Reading order: `least_sent` (a whole uploader in a few lines), `spread` (the default) with its parts
`first_copies` (who gets the first copy of which piece), `first_copies_tempo` (how fast the uplink
and the leechers are) and `waiting_time` (how long a peer has had nothing to ask for).
"""
