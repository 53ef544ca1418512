"""What a torrent tells its trackers, and what it makes of their answers."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import trio

from trio_swarm import events
from trio_swarm.announcing.announcer import Announcer
from trio_swarm.errors import TrackerError
from trio_swarm.protocol.announces import AnnounceAnswer, AnnounceEvent, AnnounceRequest

if TYPE_CHECKING:
    from trio_swarm.peer.torrent import Torrent

UNKNOWN_LEFT = 1 << 40
"""What `left` says while the size is unknown: we are a leecher, not a seeder."""


class Trackers:
    """The trackers of one torrent: `announcer` keeps them told, and their peers become candidates.

    `tiers` are URLs, as an announcer takes them.
    """

    def __init__(self, torrent: "Torrent", tiers: Sequence[Sequence[str]]) -> None:
        context = torrent.context
        self.announcer = Announcer(
            context.clients,
            tiers,
            make_request=self._request,
            on_answer=self._answered,
            on_failure=self._failed,
            rng=context.rng,
        )
        self._torrent = torrent
        self._key = context.rng.getrandbits(32)

    def _request(self, event: AnnounceEvent) -> AnnounceRequest:
        torrent = self._torrent
        download = torrent.download
        size = torrent.info.length if torrent.info is not None else torrent.expected_size
        # Unknown is not zero: that would make us a seeder.
        left = download.missing_bytes() if download is not None else size or UNKNOWN_LEFT
        return AnnounceRequest(
            info_hash=torrent.info_hash,
            peer_id=torrent.context.peer_id,
            port=torrent.context.port,
            uploaded=torrent.upload.uploaded,
            downloaded=download.ledger.received_bytes if download is not None else 0,
            left=left,
            event=event,
            key=self._key,
            share_name=torrent.name or None,
            size=size,
        )

    def _answered(self, tracker: str, answer: AnnounceAnswer) -> None:
        torrent = self._torrent
        now = trio.current_time()
        for address in answer.peers:
            torrent.peer_set.candidates.add(address, now)
        torrent.peer_set.dial_wakeup.set()
        torrent.context.emit(
            events.Announced(
                info_hash=torrent.info_hash.hex(),
                tracker=tracker,
                seeders=answer.seeders,
                leechers=answer.leechers,
                peers=len(answer.peers),
                interval=answer.interval,
            )
        )

    def _failed(self, tracker: str, error: TrackerError, retry_in: float) -> None:
        torrent = self._torrent
        torrent.context.emit(
            events.TrackerFailed(
                info_hash=torrent.info_hash.hex(),
                tracker=tracker,
                reason=str(error),
                retry_in=retry_in if math.isfinite(retry_in) else None,
            )
        )
