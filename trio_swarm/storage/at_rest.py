"""The files of a download that nobody uses: what was verified of them can be read.

Nothing is written, locked or renamed. A piece counts that the journal has; one that the journal
does not vouch for any more (`vouching`) is hashed before a byte of it is read.
"""

import os
import threading
from pathlib import Path

from trio_swarm.errors import FileChangedError
from trio_swarm.identities import PieceIndex
from trio_swarm.piece_sets import PieceSet
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.storage.access import FileAccess
from trio_swarm.storage.disk_errors import disk_errors
from trio_swarm.storage.disk_names import choose_names
from trio_swarm.storage.layout import Layout
from trio_swarm.storage.placement import Placement
from trio_swarm.storage.rehashing import pieces_of, right_pieces
from trio_swarm.storage.resume import log as resume_log
from trio_swarm.storage.resume.vouching import judge
from trio_swarm.storage.state import StateFolder
from trio_swarm.storage.tree import Tree


class RestingFiles:
    """The files of one download at rest; made by `open_at_rest`. Methods block, from any thread.

    `info` has the names on this disk, and `have` are the pieces that can be read.
    """

    def __init__(self, info: Info, access: FileAccess, have: PieceSet, doubted: PieceSet) -> None:
        self.info = info
        self.have = have
        self._access = access
        self._doubted = doubted
        self._hashing = threading.Lock()

    def read(self, piece: PieceIndex, begin: int, length: int) -> bytes:
        """Return the bytes of a block of a piece of `have`.

        Raises FileChangedError if the file is not as it was verified, StorageError if it cannot be
        read.
        """
        with self._hashing:
            if self._doubted >> piece & 1:
                if not right_pieces(self._access, 1 << piece):
                    raise FileChangedError(
                        "was changed by another program", path=self._access.tree.root
                    )
                self._doubted &= ~(1 << piece)
        return self._access.read(piece, begin, length)

    def close(self) -> None:
        """Close the descriptors; no other thread may be reading."""
        self._access.close()


def open_at_rest(info: Info, folder: Path, state_folder: Path) -> RestingFiles | None:
    """Open what is known to be here of a download into `folder`; None if that is nothing.

    `info` may have the names of the torrent, or those on this disk. Blocking; raises StorageError.
    """
    folder = Path(os.path.realpath(folder))
    if not folder.is_dir():
        return None
    state = StateFolder(state_folder)
    names = choose_names(info, folder, state).info
    placement, layout = Placement(names, folder), Layout(names, border=True)
    remembered = resume_log.load(state.journal(placement.final, info.info_hash), layout)
    root = placement.final if os.path.lexists(placement.final) else placement.part
    if not remembered.have or not os.path.lexists(root):
        return None
    access = FileAccess(layout, Tree(root))
    with disk_errors(root):
        access.known = found = access.scan()
    if layout.border in found:
        layout.put_aside(frozenset(range(len(names.files))).difference(found))
    verdict = judge(remembered, layout, found)
    have = (verdict.vouched | verdict.to_hash) & remembered.have
    doubted = verdict.to_hash | pieces_of(access, verdict.doubted)
    return RestingFiles(names, access, have, doubted & have)
