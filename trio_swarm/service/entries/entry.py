"""One torrent in a node's list, whether it runs or not."""

import time
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import trio
from msgspec.structs import replace

from trio_swarm.errors import NotHereError
from trio_swarm.peer.torrent import Torrent
from trio_swarm.piece_sets import PieceSet, full_set
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.service.entries.limits import EntryLimits, limits_of
from trio_swarm.service.entries.records import Kind, Origin, Record, Totals, kept_text
from trio_swarm.service.supervised import Supervised
from trio_swarm.settings import FetchSettings, ShareSettings
from trio_swarm.storage.own_names import Renamings, own_name, with_own_names

EntryState = Literal[
    "hashing",
    "waiting",
    "queued",
    "metadata",
    "checking",
    "downloading",
    "seeding",
    "paused",
    "done",
    "failed",
]
"""A share goes from `hashing` to `seeding`; a fetch from `waiting` (for its name, or for room on
the disk) by `metadata`, `checking` and `downloading` to `seeding` and `done`. `queued`: it waits
for its turn. `paused`: somebody wants it so."""


class Entry:
    """One torrent in the list; `Entries` makes it and is the only one to change it."""

    __slots__ = (
        "_counted",
        "_doing",
        "_names",
        "_since",
        "_turn",
        "at_once",
        "base",
        "error",
        "is_chosen",
        "is_gone",
        "known",
        "metadata",
        "on_progress",
        "outcome",
        "pieces",
        "queue_position",
        "record",
        "run",
        "settings",
        "told_state",
        "totals",
        "waits_since",
    )

    def __init__(
        self, record: Record, totals: Totals, settings: ShareSettings | FetchSettings
    ) -> None:
        self.record = record
        self.totals = totals
        self.settings = settings
        """What it is told: by the file or whoever added it, and what was changed since."""
        self.run: Supervised | None = None
        """Its work, while it runs or just ended."""
        is_done = totals.is_done and totals.round == record.round
        self.outcome: Literal["", "done", "failed"] = "done" if is_done else ""
        self.error = ""
        """Why it failed or could not be moved, in a line; else empty."""
        self.is_chosen = True
        """Whether the queue lets it run."""
        self.at_once = False
        """Whether it runs whatever the queue says."""
        self.is_gone = False
        """Whether it was removed from the list."""
        self.queue_position = 0
        """Its place in the queue, from 0."""
        self._turn: trio.Lock | None = None
        self.on_progress: Callable[[int, int], None] | None = None
        self.told_state: EntryState | None = None
        self.known: tuple[Info, Path] | None = None
        """The names and the root of its data when it ran last."""
        self.metadata: Info | None = None
        """What is known of it although it has not run yet."""
        self.pieces: PieceSet = 0
        """The verified pieces, as last known."""
        self.waits_since = 0.0
        self._names: tuple[Info, Renamings, Info] | None = None
        """What it is, how its files were renamed, and so what it is with these names."""
        self.base = (totals.downloaded, totals.uploaded)
        self._counted: Torrent | None = None
        self._doing: Literal["", "downloading", "seeding"] = ""
        self._since = 0.0

    def __repr__(self) -> str:
        return f"<Entry {self.id} {self.name!r} {self.state}>"

    @property
    def turn(self) -> trio.Lock:
        """Held by whoever begins or ends its work."""
        if self._turn is None:  # it takes as much memory as the rest, and few need it
            self._turn = trio.Lock()
        return self._turn

    @property
    def is_turn_taken(self) -> bool:
        """Whether somebody begins or ends its work."""
        return self._turn is not None and self._turn.locked()

    @property
    def id(self) -> int:
        """Its number, from 1; the same after a restart."""
        return self.record.id

    @property
    def origin(self) -> Origin:
        """`file` if the configuration file names it, `added` if it was added at run time."""
        return self.record.origin

    @property
    def kind(self) -> Kind:
        """Whether it is a share or a fetch."""
        return "share" if isinstance(self.settings, ShareSettings) else "fetch"

    @property
    def is_paused(self) -> bool:
        """Whether somebody paused it."""
        paused = self.record.is_paused
        return self.settings.paused if paused is None else paused

    @property
    def labels(self) -> tuple[str, ...]:
        """What somebody sorts it by."""
        labels = self.record.labels
        return self.settings.labels if labels is None else labels

    @property
    def limits(self) -> EntryLimits:
        """Its own limits, given at run time or by its settings."""
        return limits_of(self.settings, self.record.limits)

    @property
    def torrent(self) -> Torrent | None:
        """The torrent, while it runs and once that is known."""
        return None if self.run is None or self.run.is_over else self.run.torrent

    @property
    def name(self) -> str:
        """Its name; what somebody typed while nothing better is known."""
        torrent = self.torrent
        given = own_name(self.renamings) if self.renamings else ""
        found = torrent.name if torrent is not None else ""
        return given or found or self.totals.name or self._typed

    @property
    def info_hash(self) -> bytes | None:
        """The info-hash, 20 bytes; None while it is unknown."""
        torrent = self.torrent
        if torrent is not None:
            return torrent.info_hash
        return bytes.fromhex(self.totals.info_hash) or None

    @property
    def state(self) -> EntryState:
        """What it does now."""
        if self.is_paused:
            return "paused"
        if self.outcome:
            return self.outcome
        if not self.is_chosen:
            return "queued"
        return self._state_of_run

    @property
    def waits_for(self) -> str:
        """Why nothing comes of a fetch that runs, in a line; empty while something does."""
        run, torrent, state = self.run, self.torrent, self.state
        if run is None or state not in _WAITS:
            return ""
        if state == "waiting":
            return run.waits_for
        standstill = None if torrent is None else torrent.standstill()
        return standstill.reason if standstill is not None and standstill.is_news else ""

    @property
    def is_complete(self) -> bool:
        """Whether all of it was here once; a share is complete from the beginning."""
        return self.kind == "share" or self.totals.completed_at is not None

    @property
    def added_at(self) -> float:
        """When it came into the list; Unix seconds."""
        return self.totals.added_at

    @property
    def completed_at(self) -> float | None:
        """When all of it was here for the first time; None before. Unix seconds."""
        return self.totals.completed_at

    @property
    def active_at(self) -> float:
        """When a byte of it was last seen to move, to a minute; 0 for never. Unix seconds."""
        totals = self.totals
        if (totals.downloaded, totals.uploaded) != (self.downloaded_ever, self.uploaded_ever):
            return time.time()  # since it was accounted
        return totals.active_at

    @property
    def downloaded_ever(self) -> int:
        """Bytes of blocks received, over all restarts."""
        return self.base[0] + (0 if self._counted is None else self._counted.downloaded)

    @property
    def uploaded_ever(self) -> int:
        """Bytes of blocks sent, over all restarts."""
        return self.base[1] + (0 if self._counted is None else self._counted.uploaded)

    @property
    def seconds_downloading(self) -> float:
        """Seconds in which it was downloaded, over all restarts."""
        running = trio.current_time() - self._since if self._doing == "downloading" else 0.0
        return self.totals.seconds_downloading + running

    @property
    def seconds_seeding(self) -> float:
        """Seconds in which it was offered as a whole, over all restarts."""
        running = trio.current_time() - self._since if self._doing == "seeding" else 0.0
        return self.totals.seconds_seeding + running

    @property
    def folder(self) -> Path:
        """The folder that its data is in, or will be once it is complete."""
        if isinstance(self.settings, ShareSettings):
            return self.settings.path.parent
        return self.settings.folder

    @property
    def incomplete_folder(self) -> Path | None:
        """The folder that its data is in until it is complete; None: `folder`."""
        place = self.record.incomplete_folder
        return None if place is None else Path(kept_text(place))

    @property
    def path(self) -> Path | None:
        """The path of its data; None until that is known."""
        torrent = self.torrent
        if torrent is not None and torrent.path is not None:
            return torrent.path
        if isinstance(self.settings, ShareSettings):
            return self.settings.path
        return None if self.known is None else self.known[1]

    @property
    def info(self) -> Info | None:
        """What it is, with the names that its files have here; None while nobody knows it."""
        torrent = self.torrent
        if torrent is not None and torrent.info is not None:
            return self.named(torrent.info)
        if self.metadata is not None:
            return self.named(self.metadata)
        return None if self.known is None else self.known[0]

    def known_info(self) -> Info:
        """Return its `info`; raises NotHereError while nobody knows it."""
        info = self.info
        if info is None:
            raise NotHereError(f"{self.name}: its files are not known yet")
        return info

    @property
    def listed_info(self) -> Info | None:
        """The same with the names that the torrent gives them; None while nobody knows them."""
        torrent = self.torrent
        return self.metadata if torrent is None or torrent.info is None else torrent.info

    @property
    def renamings(self) -> Renamings:
        """The names that its files were given at run time."""
        return () if isinstance(self.settings, ShareSettings) else self.settings.renamings

    def named(self, info: Info) -> Info:
        """Return what it is, which has the names of the torrent, with those that its files have."""
        if not self.renamings:
            return info
        if self._names is None or self._names[:2] != (info, self.renamings):
            self._names = info, self.renamings, with_own_names(info, self.renamings)
        return self._names[2]

    @property
    def size(self) -> int:
        """Bytes of all its files; 0 while nobody knows."""
        info = self.info
        return self.totals.size if info is None else info.size

    @property
    def have(self) -> int:
        """Verified bytes: of its torrent while that has its files open, else as last known."""
        torrent = self.torrent
        if torrent is not None and torrent.download is not None:
            return torrent.download.have_bytes()
        return self.size if self._is_whole(torrent) else self.totals.have

    @property
    def have_pieces(self) -> PieceSet:
        """The verified pieces, known in the same way."""
        torrent, info = self.torrent, self.info
        if torrent is not None and torrent.download is not None:
            return torrent.download.ledger.have
        if info is None:
            return 0
        return full_set(info.piece_count) if self._is_whole(torrent) else self.pieces

    @property
    def wants(self) -> Literal["download", "seed"] | None:
        """What it would do if there were no queue; None: nothing."""
        if self.is_paused or self.outcome or self.is_gone or self.record.deletes_data:
            return None
        return "seed" if self.is_complete else "download"

    def ratio(self, size: int) -> float:
        """Return how many times its `size` was given, over all restarts."""
        return self.uploaded_ever / max(1, size, self.downloaded_ever)

    def account(self, now: float) -> bool:
        """Bring the totals up to date; return whether a byte has moved since the last time."""
        totals = self.totals
        torrent = self.torrent
        if self._counted is not None and torrent is not self._counted:
            self._note(self._counted)
            self.base = (self.downloaded_ever, self.uploaded_ever)
        self._counted = torrent
        if torrent is not None:
            self._note(torrent)
        before = totals.downloaded, totals.uploaded
        totals.downloaded, totals.uploaded = self.downloaded_ever, self.uploaded_ever
        has_moved = before != (totals.downloaded, totals.uploaded)
        if has_moved:
            totals.active_at = time.time()
        totals.seconds_downloading = self.seconds_downloading
        totals.seconds_seeding = self.seconds_seeding
        state = self.state
        self._since = now
        self._doing = "" if torrent is None or state not in _COUNTED else _COUNTED[state]
        return has_moved

    def change(self, **changes: object) -> Record:
        """Return its record with some fields changed."""
        return replace(self.record, **changes)

    def _is_whole(self, torrent: Torrent | None) -> bool:
        """Whether nothing is missing of it, whose files are not open."""
        if torrent is not None and torrent.state == "seeding":
            return True
        return 0 < self.totals.size == self.totals.have

    def _note(self, torrent: Torrent) -> None:
        if torrent.info is not None:
            self.metadata = torrent.info
            self.totals.size = torrent.info.size
        if torrent.download is not None:
            self.totals.have = torrent.download.have_bytes()
            self.pieces = torrent.download.ledger.have
        elif torrent.state == "seeding":
            self.totals.have = self.totals.size
        self.totals.name = torrent.name or self.totals.name
        self.totals.info_hash = torrent.info_hash.hex()
        # Until they are checked, the files there may be of somebody else.
        if torrent.files is not None and torrent.is_open:
            self.known = (torrent.files.info, torrent.files.root)

    @property
    def _typed(self) -> str:
        if isinstance(self.settings, ShareSettings):
            return self.settings.name or self.settings.path.name
        return self.settings.what

    @property
    def _first_state(self) -> EntryState:
        return "hashing" if self.kind == "share" else "waiting"

    @property
    def _state_of_run(self) -> EntryState:
        run = self.run
        if run is None or run.is_over:
            return self._first_state
        match run.state:
            case "fetching":
                return self._state_of(run.torrent)
            case "hashing" | "waiting" | "seeding":
                return run.state
            case _:  # its end is under way
                return self._first_state

    def _state_of(self, torrent: Torrent | None) -> EntryState:
        match "" if torrent is None else torrent.state:
            case "metadata":
                return "metadata"
            case "checking":
                return "checking"
            case "downloading" | "finishing":
                return "downloading"
            case "seeding":
                return "seeding"
            case _:
                return "waiting"


_WAITS: frozenset[EntryState] = frozenset({"waiting", "metadata", "downloading"})
"""States in which it may be asked what it waits for."""

_COUNTED: dict[EntryState, Literal["downloading", "seeding"]] = {
    "metadata": "downloading",
    "downloading": "downloading",
    "seeding": "seeding",
}
