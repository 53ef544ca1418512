"""What requests are answered from: the running peer, and facts about it that do not change."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from trio_swarm.control.access import SignIns
from trio_swarm.control.shapes import EntryState
from trio_swarm.peer.torrent import Torrent
from trio_swarm.service.configured import ConfiguredPeer
from trio_swarm.service.service import Service
from trio_swarm.service.shares import Share
from trio_swarm.service.supervised import Supervised
from trio_swarm.settings import ControlSettings


@dataclass(frozen=True, slots=True)
class Listed:
    """A share or fetch, as one torrent in a list."""

    id: int
    supervised: Supervised

    @property
    def torrent(self) -> Torrent | None:
        """What runs of it."""
        return self.supervised.torrent

    @property
    def kind(self) -> Literal["share", "fetch"]:
        """Whether it was there, or is fetched."""
        return "share" if isinstance(self.supervised, Share) else "fetch"

    @property
    def name(self) -> str:
        """Its name; what a person typed until that is known."""
        return (self.torrent.name if self.torrent is not None else "") or self.supervised.name

    @property
    def hex_hash(self) -> str:
        """Its info-hash, 40 hex digits; empty until it is known."""
        return "" if self.torrent is None else self.torrent.info_hash.hex()

    @property
    def state(self) -> EntryState:
        """What it does."""
        state = self.supervised.state
        if state == "removed":
            return "done"
        if state != "fetching":
            return state
        inner = "" if self.torrent is None else self.torrent.state
        return inner if inner in {"metadata", "checking"} else "downloading"

    @property
    def error(self) -> str:
        """Why it failed."""
        return str(self.supervised.error) if self.supervised.state == "failed" else ""


@dataclass(kw_only=True)
class ControlContext:
    """A running peer as requests see it."""

    peer: ConfiguredPeer
    settings: ControlSettings
    config_file: Path
    state_folder: Path
    download_folder: Path
    started_at: float
    """Unix seconds."""
    stop: Callable[[], None]
    """Ends the node, as a signal does."""
    sign_ins: SignIns = field(default_factory=SignIns)

    @property
    def service(self) -> Service | None:
        """The shares and fetches; None while the node is being opened, or if it has none."""
        return self.peer.service

    @property
    def entries(self) -> list[Listed]:
        """All of them, by id."""
        service = self.service
        if service is None:
            return []
        return [Listed(*each) for each in enumerate([*service.shares, *service.fetches], 1)]

    @property
    def folders(self) -> tuple[Path, ...]:
        """Where torrents that are added may go."""
        return self.settings.folders or (self.download_folder,)
