"""What the methods ask of a node. A running one is `node_target.NodeTarget`; tests have another."""

from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from msgspec import UNSET, Struct, UnsetType

from trio_swarm.control.transmission.facts import SessionFacts, TorrentFacts


class Addition(Struct, frozen=True, kw_only=True):
    """What `torrent-add` is to add: either bytes of a .torrent, or what `get` takes."""

    what: str = ""
    """A magnet link, an info-hash or a name."""
    metainfo: bytes | None = None
    """The bytes of a .torrent file."""
    folder: Path | None = None
    """Where its content goes; None for the node's folder."""
    is_paused: bool = False
    labels: tuple[str, ...] = ()


class Added(Struct, frozen=True):
    """The torrent that was added, or was there already."""

    id: int
    info_hash: str
    name: str
    is_new: bool


class TorrentChanges(Struct, frozen=True, kw_only=True):
    """What of a torrent's settings is to change; UNSET is left as it is."""

    upload_limit: int | UnsetType | None = UNSET
    download_limit: int | UnsetType | None = UNSET
    seed_ratio: float | UnsetType | None = UNSET
    labels: tuple[str, ...] | UnsetType = UNSET
    queue_position: int | UnsetType = UNSET
    folder: Path | UnsetType = UNSET
    """Where its data is to be moved."""


class SessionChanges(Struct, frozen=True, kw_only=True):
    """What of the node's settings is to change; UNSET is left as it is."""

    upload_limit: int | UnsetType | None = UNSET
    download_limit: int | UnsetType | None = UNSET
    alternative_upload_limit: int | UnsetType | None = UNSET
    alternative_download_limit: int | UnsetType | None = UNSET
    is_alternative: bool | UnsetType = UNSET
    seed_ratio: float | UnsetType | None = UNSET
    max_active_downloads: int | UnsetType | None = UNSET
    max_active_seeds: int | UnsetType | None = UNSET
    download_folder: Path | UnsetType = UNSET
    incomplete_folder: Path | UnsetType | None = UNSET


class Target(Protocol):
    """A node. Every method raises TrioSwarmError with one line for a person."""

    def torrents(self) -> Sequence[TorrentFacts]:
        """Return all torrents of the list, by id."""

    def session(self) -> SessionFacts:
        """Return the node at this moment."""

    async def allowed_folder(self, text: str) -> Path:
        """Return the folder that a client named, if content may go there."""

    async def known_folder(self, text: str) -> Path:
        """Return the same, or the folder of the node's own file for what is not complete."""

    async def free_space(self, folder: Path) -> tuple[int, int]:
        """Return the free and all bytes of the file system of a folder."""

    async def read_torrent(self, text: str) -> bytes:
        """Return the bytes of a .torrent file on this machine, by its absolute path."""

    async def fetch_torrent(self, url: str, cookies: str) -> bytes | str:
        """Return the bytes of a .torrent at an http or https URL, or the magnet link there."""

    async def add(self, addition: Addition) -> Added:
        """Add a torrent; one that is there already stays as it is."""

    async def start(self, torrent: TorrentFacts, *, at_once: bool) -> None:
        """Go on with a paused torrent; `at_once`: whatever the queue says."""

    async def pause(self, torrent: TorrentFacts) -> None:
        """Leave the swarm, and stay in the list."""

    async def verify(self, torrent: TorrentFacts) -> None:
        """Begin to hash the torrent's files again."""

    async def reannounce(self, torrent: TorrentFacts) -> None:
        """Ask the trackers for peers now."""

    async def remove(self, torrent: TorrentFacts, *, delete_data: bool) -> None:
        """Take a torrent out of the list."""

    async def move(self, torrent: TorrentFacts, folder: Path, *, move_data: bool) -> None:
        """Go on in another folder; without `move_data` the files are there already."""

    async def rename(self, torrent: TorrentFacts, path: str, name: str) -> None:
        """Give a file or folder of a torrent another name."""

    async def set_queue_position(self, torrent: TorrentFacts, position: int) -> None:
        """Give a torrent another place in the queue, from 0."""

    async def change(self, torrent: TorrentFacts, changes: TorrentChanges) -> None:
        """Change a torrent's settings, all or none; a move is begun, not waited for."""

    async def change_session(self, changes: SessionChanges) -> None:
        """Change the node's settings, all or none."""

    def stop(self) -> None:
        """End the node."""
