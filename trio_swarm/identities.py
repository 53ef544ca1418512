"""What torrents, peers and pieces are known by: types apart, so that one is not taken for another.

At run time each is what it is made of. They are given where bytes are parsed or values made.
"""

from typing import Final, Literal, NewType

InfoHash = NewType("InfoHash", bytes)
"""20 bytes that a torrent is known by: the SHA-1 of its info dictionary (BEP 3), or the beginning
of the version 2 info-hash (BEP 52)."""

PeerId = NewType("PeerId", bytes)
"""20 bytes that a peer calls itself by, new each time it starts (BEP 3, BEP 20)."""

PieceIndex = NewType("PieceIndex", int)
"""The number of a piece within its torrent, from 0."""

TorrentVersion = Literal["v1", "hybrid", "v2"]
"""Of which version a torrent is (BEP 3, BEP 52); a hybrid is of both."""

DEFAULT_VERSION: Final[TorrentVersion] = "v1"
"""Of torrents that are made here without a word: every client reads it, while Transmission 3 reads
no hybrid. And the torrents that `create` and `seed` made of the same files stay the same."""
