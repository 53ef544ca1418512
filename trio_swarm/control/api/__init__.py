"""The node's own API, `/api/v1`: typed, and described by an OpenAPI document.

Reading order: `table` (what an operation is: one entry tells its path, its words, what it takes and
gives), `session`, `sign_in` and `torrents` (the operations), `routes` (all of them, as the
application serves them).
"""
