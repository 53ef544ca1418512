"""Which torrents have changed since the last look, for a page that shows thousands."""

from typing import Self

from trio_swarm.control.api.telling import torrent_of
from trio_swarm.control.shapes import Torrent, TorrentChanges
from trio_swarm.loop_turn import LoopTurn
from trio_swarm.service.entries.entry import Entry
from trio_swarm.service.service import Service


class Changes:
    """Compares the list with what it was at the last look; made by `since_now`.

    Others have their turns while it looks.
    """

    def __init__(self, service: Service) -> None:
        self._service = service
        self._marks: dict[int, tuple[object, ...]] = {}
        self._moving: dict[int, Torrent | None] = {}
        """Those with rates: they fall by themselves, until nothing is left to tell."""

    @classmethod
    async def since_now(cls, service: Service) -> Self:
        """Return it after its first look, at the list as it is now."""
        changes = cls(service)
        turn = LoopTurn()
        for entry in service.entries:
            await turn.step()
            if not entry.is_gone:
                changes._marks[entry.id] = _mark(entry)
                if _has_peers(entry):
                    changes._moving[entry.id] = None
        return changes

    async def look(self) -> TorrentChanges | None:
        """Return what has changed; None: nothing."""
        found = await self._changed()
        gone = self._gone()
        if not found and not gone:
            return None
        moving = [each for each in self._moving.values() if each is not None]
        return TorrentChanges(
            torrents=found,
            removed=gone,
            download_rate=sum(each.download_rate for each in moving),
            upload_rate=sum(each.upload_rate for each in moving),
        )

    async def _changed(self) -> list[Torrent]:
        found: list[Torrent] = []
        settings = self._service.node.settings
        turn = LoopTurn()
        for entry in self._service.entries:
            await turn.step()
            if entry.is_gone or not self._is_suspect(entry):
                continue
            torrent = torrent_of(entry, settings)
            if torrent != self._moving.get(entry.id):
                found.append(torrent)
            if torrent.download_rate or torrent.upload_rate:
                self._moving[entry.id] = torrent
            else:
                self._moving.pop(entry.id, None)
        return found

    def _is_suspect(self, entry: Entry) -> bool:
        """Whether something has happened to an entry, or its rates may fall."""
        mark = _mark(entry)
        if entry.id not in self._moving and self._marks.get(entry.id) == mark:
            return False
        self._marks[entry.id] = mark
        return True

    def _gone(self) -> list[int]:
        there = {entry.id for entry in self._service.entries}
        gone = [number for number in self._marks if number not in there]
        for number in gone:
            del self._marks[number]
            self._moving.pop(number, None)
        return gone


def _has_peers(entry: Entry) -> bool:
    torrent = entry.torrent
    return torrent is not None and bool(torrent.peer_set.connections)


def _mark(entry: Entry) -> tuple[object, ...]:
    """Return as much of an entry as cannot stay the same while something about it changes."""
    torrent = entry.torrent
    common = entry.record, entry.state, entry.queue_position, entry.outcome, entry.settings
    if torrent is None:
        return *common, entry.waits_for
    return (
        *common,
        torrent.state,
        torrent.times_waiting_was_told,
        torrent.bytes_checked,
        torrent.downloaded,
        torrent.uploaded,
        len(torrent.peer_set.connections),
        None if torrent.download is None else torrent.download.ledger.have,
    )
