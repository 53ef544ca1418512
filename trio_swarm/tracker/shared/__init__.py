"""Several trackers with one list of peers, by way of a Redis or Valkey server: the engine.

Each tracker answers from its own memory and tells the others what changed. It *claims* the peers
that announce to it; a peer is listed everywhere while any tracker claims it. Only the tracker that
makes a claim ends it, so what others know of its claims is a copy of one log.

Reading order: `locations` (the engine's URL), `claims` (the registry that knows whose claims are
whose), `changed_peers` (which peers others must be told of), `changes` (a batch of changes as
bytes), `snapshot` (all claims as bytes, in shards), `publishing` (what a tracker writes),
`following` (what it makes of what others wrote). These are pure. Then, on Trio: `engine` (the
client and the keys), `writing`, `reading`, `exchange` (the loops together) and `store`.
"""
