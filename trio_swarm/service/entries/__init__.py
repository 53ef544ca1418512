"""A node's list of torrents: kept over restarts, and changed while the node runs.

Reading order: `limits` (what a torrent and the node may use), `records` (what is kept of an entry,
as values), `store` (as files), `adding` (what is to come into the list), `data` (its files, while
it does not run), `entry` (one of them), `keeping` (when what is written), `whereabouts` (where data
is), `incomplete` (where it is until it is complete), `links` (magnet links), `goals` (until when it
is seeded), `queue` (whether it is its turn), `changing` (what somebody changes of it), `running`
(its work begun and ended), `moving`, `renaming` and `checking` (of its data), `finding` (which is
meant), `reading` (its files read), `subscription` (who listens), `entries` (the list, and all that
may be done with it).
"""
