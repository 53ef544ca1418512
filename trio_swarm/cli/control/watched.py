"""What `status --watch` knows of the torrents it shows."""

from collections.abc import Sequence

from msgspec.structs import replace

from trio_swarm.cli.control.torrent_lines import node_line
from trio_swarm.control.answers import Session, Torrent, TorrentChanges


class Watched:
    """The torrents that are watched, as far as the node told of them."""

    def __init__(self, session: Session, torrents: Sequence[Torrent], *, is_all: bool) -> None:
        self.session = session
        self.torrents = {each.id: each for each in torrents}
        self._changed = dict(self.torrents)
        """Those that nobody was told of yet."""
        self._gone: list[Torrent] = []
        self._is_all = is_all

    def take(self, changes: TorrentChanges) -> None:
        """Take note of what changed in a second."""
        for torrent in changes.torrents:
            if self._is_all or torrent.id in self.torrents:
                self.torrents[torrent.id] = torrent
                self._changed[torrent.id] = torrent
        for number in changes.removed:
            self._changed.pop(number, None)
            if number in self.torrents:
                self._gone.append(self.torrents.pop(number))

    def news(self) -> tuple[list[Torrent], list[Torrent]]:
        """Return the torrents that changed (at first all of them) and that went since last time."""
        changed, self._changed = self._changed, {}
        gone, self._gone = self._gone, []
        return list(changed.values()), gone

    def line(self) -> str:
        """Return what all of them do, in one line."""
        counts: dict[str, int] = {}
        for each in self.torrents.values():
            counts[each.state] = counts.get(each.state, 0) + 1
        now = replace(
            self.session,
            torrents=counts,
            download_rate=sum(each.download_rate for each in self.torrents.values()),
            upload_rate=sum(each.upload_rate for each in self.torrents.values()),
        )
        return node_line(now, len(self.torrents))
