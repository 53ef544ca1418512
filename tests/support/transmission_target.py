"""A node of plain values, as a target of Transmission's RPC."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec import UNSET, UnsetType
from msgspec.structs import replace

from trio_swarm.control.transmission.calling import CallError, Code
from trio_swarm.control.transmission.facts import (
    FileFacts,
    PeerFacts,
    SessionFacts,
    SpeedSchedule,
    State,
    TorrentFacts,
    TrackerFacts,
)
from trio_swarm.control.transmission.target import (
    Added,
    Addition,
    SessionChanges,
    TorrentChanges,
)
from trio_swarm.errors import TrioSwarmError

HOUR = 3600.0


def a_peer(**values: Any) -> PeerFacts:
    """A peer that gives and takes nothing, apart from `values`."""
    plain = PeerFacts(
        address="10.0.0.7",
        port=51413,
        client="aria2 1.36.0",
        progress=0.25,
        download_rate=0.0,
        upload_rate=0.0,
        downloaded=0,
        uploaded=0,
        is_incoming=False,
        chokes_us=True,
        is_choked=True,
        is_interested=False,
        we_are_interested=False,
    )
    return plain._replace(**values)


@dataclass
class PlainTorrent:
    """A torrent whose facts are attributes; sizes bytes, times seconds."""

    id: int
    name: str = "film"
    info_hash: str = ""
    state: State = "downloading"
    error: str = ""
    labels: Sequence[str] = ()
    upload_limit: int | None = None
    download_limit: int | None = None
    seed_ratio: float | None = None
    max_peers: int = 250
    queue_position: int = 0
    added_at: float = 1_000_000.5
    completed_at: float | None = None
    active_at: float = 1_000_100.7
    downloaded_ever: int = 300_000
    uploaded_ever: int = 150_000
    downloaded_now: int = 200_000
    uploaded_now: int = 50_000
    seconds_downloading: float = 12.9
    seconds_seeding: float = 0.0
    folder: str = "/downloads"
    has_metadata: bool = True
    size: int = 1_000_000
    have: int = 262_144
    checked: float = 0.0
    piece_count: int = 16
    piece_length: int = 65_536
    is_private: bool = False
    comment: str = "a comment"
    creator: str = "mktorrent"
    created_at: int | None = 999_999
    magnet: str = "magnet:?xt=urn:btih:" + "0" * 40
    download_rate: float = 1234.5
    upload_rate: float = 10.25
    eta: float | None = 59.7
    file_list: Sequence[FileFacts] = (
        FileFacts("film/a.mkv", 900_000, 262_144, 0, 14),
        FileFacts("film/b.srt", 100_000, 0, 13, 16),
    )
    peer_list: Sequence[PeerFacts] = (
        a_peer(
            progress=1.0,
            download_rate=1234.5,
            downloaded=200_000,
            chokes_us=False,
            we_are_interested=True,
        ),
        a_peer(
            address="10.0.0.8",
            upload_rate=10.25,
            uploaded=50_000,
            is_incoming=True,
            is_choked=False,
            is_interested=True,
        ),
    )
    tracker_list: Sequence[TrackerFacts] = (
        TrackerFacts(
            "udp://tracker.example.org:6969",
            0,
            announced_at=1_000_090.4,
            has_succeeded=True,
            peers=2,
            next_announce_at=1_001_890.4,
            seeders=1,
            leechers=1,
        ),
        TrackerFacts("http://10.0.0.1:8000/announce", 1),
    )
    piece_bits: bytes = b"\xf0\x00"
    piece_holders: Sequence[int] = (1,) * 16

    def __post_init__(self) -> None:
        self.info_hash = self.info_hash or f"{self.id:040x}"

    def files(self) -> Sequence[FileFacts]:
        return self.file_list

    def peers(self) -> Sequence[PeerFacts]:
        return self.peer_list

    def trackers(self) -> Sequence[TrackerFacts]:
        return self.tracker_list

    def bitfield(self) -> bytes:
        return self.piece_bits

    def availability(self) -> Sequence[int]:
        return self.piece_holders


def unknown_torrent(number: int) -> PlainTorrent:
    """A torrent of a magnet link, of which nothing is known yet."""
    return PlainTorrent(
        number,
        state="metadata",
        has_metadata=False,
        size=0,
        have=0,
        piece_count=0,
        piece_length=0,
        eta=None,
        downloaded_ever=0,
        uploaded_ever=0,
        download_rate=0.0,
        upload_rate=0.0,
        created_at=None,
        file_list=(),
        peer_list=(),
        tracker_list=(),
        piece_bits=b"",
        piece_holders=(),
    )


@dataclass
class PlainTarget:
    """A node that notes what it was told to do in `done`."""

    listed: list[PlainTorrent] = field(default_factory=list)
    done: list[tuple[object, ...]] = field(default_factory=list)
    allowed: Path = Path("/downloads")
    facts: SessionFacts = field(
        default_factory=lambda: SessionFacts(
            version="0.1.0",
            state_folder="/state",
            download_folder="/downloads",
            incomplete_folder=None,
            peer_port=51413,
            max_peers=250,
            upload_limit=None,
            download_limit=500_000,
            alternative_upload_limit=None,
            alternative_download_limit=None,
            is_alternative=False,
            speed_schedule=SpeedSchedule(begin=540, end=1020, days=62),
            seed_ratio=None,
            max_active_downloads=None,
            max_active_seeds=None,
            trackers=("udp://127.0.0.1:6969",),
            seconds_active=HOUR,
        )
    )
    failing: set[int] = field(default_factory=set)
    """Torrents with which nothing can be done."""
    changed: list[SessionChanges] = field(default_factory=list)
    is_stopped: bool = False

    def torrents(self) -> Sequence[TorrentFacts]:
        return list(self.listed)

    def session(self) -> SessionFacts:
        return self.facts

    async def allowed_folder(self, text: str) -> Path:
        path = Path(text)
        if not path.is_absolute():
            raise CallError(f"{text}: not an absolute path", Code.PATH_NOT_ABSOLUTE)
        if not path.is_relative_to(self.allowed):
            raise TrioSwarmError(f"{text} is outside of {self.allowed}")
        return path

    async def known_folder(self, text: str) -> Path:
        return await self.allowed_folder(text)

    async def free_space(self, folder: Path) -> tuple[int, int]:
        return 1_000_000_000, 4_000_000_000

    async def read_torrent(self, text: str) -> bytes:
        return b"file:" + text.encode()

    async def fetch_torrent(self, url: str, cookies: str) -> bytes | str:
        if url.endswith("/magnet"):
            return "magnet:?xt=urn:btih:" + "c" * 40
        return f"fetched:{url}:{cookies}".encode()

    async def add(self, addition: Addition) -> Added:
        self.done.append(("add", addition))
        return Added(9, "9" * 40, "new", is_new="present" not in addition.what)

    async def start(self, torrent: TorrentFacts, *, at_once: bool) -> None:
        self._note("start at once" if at_once else "start", torrent)

    async def pause(self, torrent: TorrentFacts) -> None:
        self._note("pause", torrent)

    async def verify(self, torrent: TorrentFacts) -> None:
        self._note("verify", torrent)

    async def reannounce(self, torrent: TorrentFacts) -> None:
        self._note("reannounce", torrent)

    async def remove(self, torrent: TorrentFacts, *, delete_data: bool) -> None:
        self._note("remove with data" if delete_data else "remove", torrent)
        self.listed = [each for each in self.listed if each.id != torrent.id]

    async def move(self, torrent: TorrentFacts, folder: Path, *, move_data: bool) -> None:
        self._note("move" if move_data else "find", torrent, str(folder))

    async def rename(self, torrent: TorrentFacts, path: str, name: str) -> None:
        self._note("rename", torrent, path, name)

    async def set_queue_position(self, torrent: TorrentFacts, position: int) -> None:
        self._note("queue", torrent, position)
        order = sorted(self.listed, key=lambda each: each.queue_position)
        moved = next(each for each in order if each.id == torrent.id)
        order.remove(moved)
        order.insert(position, moved)
        for place, each in enumerate(order):
            each.queue_position = place

    async def change(self, torrent: TorrentFacts, changes: TorrentChanges) -> None:
        if replace(changes, folder=UNSET) != TorrentChanges():
            self._note("change", torrent)
        if not isinstance(changes.folder, UnsetType):
            self._note("move", torrent, str(changes.folder))
        plain = next(each for each in self.listed if each.id == torrent.id)
        for name in ("upload_limit", "download_limit", "seed_ratio", "labels"):
            if (value := getattr(changes, name)) is not UNSET:
                setattr(plain, name, value)

    async def change_session(self, changes: SessionChanges) -> None:
        self.changed.append(changes)

    def stop(self) -> None:
        self.is_stopped = True

    def _note(self, what: str, torrent: TorrentFacts, *more: object) -> None:
        if torrent.id in self.failing:
            raise TrioSwarmError(f"{torrent.name}: cannot be done")
        self.done.append((what, torrent.id, *more))
