"""Strategies: their interfaces, how plugins are found, and the built-in ones. Pure.

The guide for authors is docs/strategies.md. Reading order: `api` (what a strategy is given and
returns: all there is to know for an author), `hookspecs` (how a plugin offers one), `draft` (keeps
count while a scheduler assigns), then the schedulers `round_robin`, `rarest_first` and
`bandwidth_weighted`, from the simplest to the longest; `uploading` and `choking` have the other two
kinds. For the host: `builtin` (what trio-swarm itself offers), `loading` (finds plugins, makes
strategies), `options` (reads a factory's options), `rarity` (how many peers hold each piece),
`decision_count` (how many decisions were made, and how long they took).
"""
