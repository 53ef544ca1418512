"""Files on disk: layout, verification, resume. Blocking; threads call it.

Reading order: `layout` (byte ranges as ranges of files), `content` (one torrent's files: checked,
written, served, finished) with its parts `access` (reads and writes), `placement` (NAME.part, then
NAME), `unfinished` and `foreign_writers` (files that others may write to as well), `write_batch`,
`write_out` and `reservation` (how pieces reach the disk), `at_rest` (files read that nobody uses),
`removal` (how data is deleted), `moving` (how it gets to another folder), `incomplete` (in which of
two it is), `own_names` and `renaming` (names that a person gives), `verification` (whether data is
a torrent's), `rehashing` and `hashing`,
`resume` (what is remembered between runs), `state` (the folder for that). `shares` makes torrents
of files, `share_hashes` is what is known of them, `share_opening` offers what is known or small at
once, and `tree` walks folders without following links. `disk_names` (what this disk can hold),
`disk_memory` (pieces too large for memory), `disk_errors` (errors as one line), `descriptors` (few
open files), `folder_events` (inotify for a folder) and `c_library` stand below.
"""
