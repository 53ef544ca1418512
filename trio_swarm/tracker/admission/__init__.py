"""Who and what a tracker takes: info-hashes, names, and those who may register names.

Reading order: `hash_lists`, `patterns` and `tokens` (what a list holds, and whether something is in
it), `list_files` (lines of a file to these), `rules` (all lists together: why an announce or a name
is refused), `store` (a TrackerStore that asks the rules first), `reloading` (the files, read again
when they change; on Trio). All but the last two are pure.

Without a list, and with names for anyone, a tracker has none of this: its store is asked directly.
"""
