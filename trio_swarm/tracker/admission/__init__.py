"""Who and what a tracker takes: info-hashes, names, and those who may register names.

Reading order: `hash_lists`, `patterns` and `tokens` (what a list holds, and whether something is in
it), `list_files` (lines of a file to these), `rules` (all lists together: why an announce or a name
is refused), `refusals` (the same, remembered), `checking` (a TrackerStore that looks at all that
goes in and out), `store` (one whose registry takes nothing refused, so that it need not look),
`reloading` (the files, read again when they change; on Trio). All but `list_files` and `reloading`
are pure.

Without a list, and with names for anyone, a tracker has none of this: its store is asked directly.
"""
