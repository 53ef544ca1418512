"""The node's own API, `/api/v1`: typed, and described by an OpenAPI document.

Reading order: `table` (what an operation is: one entry tells its path, its words, what it takes and
gives), `telling` (what is told of a torrent), `torrents`, `adding`, `actions`, `parts` (the
operations on torrents), `byte_ranges` and `content` (their files), `session`, `names`, `sign_in`
(those of the node), `changes` (which torrents have changed), `streams` (answers that go on),
`document` (all of them, as OpenAPI has it), `routes` (the same, as the application serves them).
"""
