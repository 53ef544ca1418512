"""What a node has counted since its start, over all its torrents, for whoever watches it."""

from typing import Protocol

from trio_swarm.engine.decision_times import DecisionTimes
from trio_swarm.engine.faults import FaultTally
from trio_swarm.progress import Progress


class EndedTorrent(Protocol):
    """A torrent that leaves its node."""

    def progress(self) -> Progress:
        """Return what it has moved."""


class NodeTally:
    """Plain numbers that only grow; each is counted at one place.

    The bytes are those of torrents that are in the node no longer: of the others they are counted
    by the torrents themselves.
    """

    def __init__(self) -> None:
        self.downloaded = self.uploaded = self.duplicate = 0
        """Bytes of blocks that ended torrents received, sent, and received more than once."""
        self.pieces_verified = self.pieces_failed = 0
        self.accepted = self.dialled = 0
        """Peers that were let in after their handshake."""
        self.banned = 0
        """Peers that sent wrong bytes."""
        self.announces_answered = self.announces_failed = self.announces_silent = 0
        self.decisions = DecisionTimes()
        """Of all download strategies."""
        self.scheduler_faults = FaultTally()
        self.uploader_faults = FaultTally()
        self.choker_faults = FaultTally()

    def add(self, torrent: EndedTorrent) -> None:
        """Keep what a torrent has moved that leaves the node now."""
        progress = torrent.progress()
        self.downloaded += progress.downloaded
        self.uploaded += progress.uploaded
        self.duplicate += progress.duplicate
