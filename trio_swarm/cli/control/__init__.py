"""Commands that ask a running node, or tell it to do something.

Reading order: `node_choice` (which node is asked), `asking` (asks it), `choosing` (which of its
torrents are meant); `tables` (columns that give way to a narrow terminal), `torrent_lines`
(torrents in words), `status` with `watched`, `watching` and `drawing` (live), `contents` (files,
peers and trackers of a torrent), `side_by_side` (several torrents), `telling` (pause,
resume and others), `verifying`, `limit` with `limit_values`, `scheduler`, `add`, `remove`,
`explain` with `decisions` (live), `log`, `node` (reload and stop).
"""
