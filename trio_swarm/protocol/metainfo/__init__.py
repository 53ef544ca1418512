"""What is shared: the info dictionary, .torrent files, magnet links. Pure.

How odd input is read is told in docs/reading-torrents.md. Reading order: `bencode` (the encoding),
`info` (the info dictionary: files, pieces, hashes), `file_tree` (the files of version 2), `merkle`
(their hashes), `torrent` (the .torrent file around it), `magnet` (links), `globs` (which paths
somebody means), `selection` (which files somebody wants), `file_names` (from a torrent's paths to
safe ones), `comparison` (of two torrents).
"""
