"""What the state folder keeps of an entry, as values and as bytes.

A *record* holds what somebody wants of an entry: it is written before a call that changes it
returns. The *totals* hold what comes of it by itself, for all entries together: names, times, bytes
ever moved. Neither holds what can be told from the configuration file. What was set of the whole
node is kept beside them.
"""

from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType, field

from trio_swarm.identities import TorrentVersion
from trio_swarm.service.entries.limits import Count, EntryLimits, Goal, Rate
from trio_swarm.settings import MAX_LABEL, MAX_LABELS, FetchSettings, ShareSettings

SHARE_KEY: Final = "share\t"
"""How the key of a share begins that the configuration file names."""

VERSION: Final = 1
"""Of both formats; files of a later one are put aside, not guessed at."""

_HEX: Final = "\0hex:"
"""Begins a text that UTF-8 cannot express (a path, say); no path and no name has a NUL."""

Origin = Literal["file", "added"]
Kind = Literal["share", "fetch"]
Label = Annotated[str, Meta(min_length=1, max_length=MAX_LABEL)]
Labels = Annotated[tuple[Label, ...], Meta(max_length=MAX_LABELS)]
Id = Annotated[int, Meta(ge=1, le=2**31 - 1)]


class KeptShare(Struct, frozen=True, kw_only=True, tag="share", tag_field="kind"):
    """The settings of a share."""

    path: str
    name: str | None = None
    trackers: tuple[str, ...] | None = None
    piece_length: int | None = None
    version: TorrentVersion = "v1"
    follow_links: bool = False
    links_root: str | None = None


class KeptFetch(Struct, frozen=True, kw_only=True, tag="fetch", tag_field="kind"):
    """The settings of a fetch; a recording is not begun again."""

    what: str
    folder: str
    trackers: tuple[str, ...] | None = None
    peers: tuple[tuple[str, int], ...] = ()
    info_hash: str | None = None
    scheduler: str | None = None
    scheduler_options: dict[str, Any] = field(default_factory=dict)
    wait: bool = False
    timeout: float | None = None
    seed: bool = True
    seed_for: float | None = None
    seed_ratio: float | None = None
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    file_numbers: tuple[tuple[int, int], ...] = ()


class Record(Struct, frozen=True, kw_only=True):
    """What somebody wants of an entry."""

    version: int = VERSION
    id: Id
    origin: Origin
    key: str = ""
    """Which entry of the configuration file it is; empty for one that was added."""
    settings: KeptShare | KeptFetch | None = None
    """None for an entry of the configuration file, which has them."""
    by_torrent: bool = False
    """It was added by a .torrent file, which is kept beside this record."""
    added_at: float = 0.0
    is_paused: bool | None = None
    """None: as its settings say; the same of `labels` and of each limit."""
    is_removed: bool = False
    """An entry of the file that was removed all the same: it stays away as long as this is kept."""
    deletes_data: bool = False
    """It is being removed with its data: what is left of both goes at the next start."""
    is_endless: bool = False
    """It was resumed after its goal: it is seeded until somebody says otherwise."""
    labels: Labels | None = None
    limits: EntryLimits = EntryLimits()
    rank: float = 0.0
    """Its place in the queue: ascending."""
    folder: str | None = None
    """Where its data was moved to."""
    incomplete_folder: str | None = None
    """Where its data is until it is complete; None: where it goes."""
    is_home: bool = False
    """Its data has left the folder for what is not complete, and does not begin there again."""
    moving_to: str | None = None
    """It is being moved there: what is left goes on at the next start."""
    hashes_again: bool = False
    """What is remembered of its data is being forgotten: that goes on at the next start."""
    round: int = 0
    """How often it was begun again after its end."""
    renamings: tuple[tuple[str, str], ...] = ()
    """Names that its files were given, see `storage.own_names`."""
    renaming: tuple[str, str] | None = None
    """One more, which is under way: what is left of it goes on at the next start."""
    scheduler: str | None = None
    scheduler_options: dict[str, Any] = field(default_factory=dict)
    """The strategy that it was given at run time, in place of the one in its settings."""

    @property
    def is_of_share(self) -> bool:
        """Whether the entry is a share."""
        return isinstance(self.settings, KeptShare) or self.key.startswith(SHARE_KEY)

    @property
    def is_half_done(self) -> bool:
        """Whether a change was begun that a restart has to go on with."""
        return (
            self.renaming is not None
            or self.moving_to is not None
            or self.deletes_data
            or self.hashes_again
        )

    @property
    def is_carried(self) -> bool:
        """Whether its data is on the way elsewhere: half gone, a share is another torrent."""
        return self.deletes_data or self.moving_to is not None


class Totals(Struct, kw_only=True):
    """What came of an entry so far; times are Unix seconds, amounts bytes."""

    id: Id
    key: str = ""
    name: str = ""
    info_hash: str = ""
    added_at: float = 0.0
    completed_at: float | None = None
    active_at: float = 0.0
    downloaded: int = 0
    uploaded: int = 0
    size: int = 0
    """Bytes of all its files; 0 while nobody knows."""
    have: int = 0
    """Verified bytes, as last known."""
    seconds_downloading: float = 0.0
    seconds_seeding: float = 0.0
    is_done: bool = False
    """It was seeded until its goal, in the round `round` of its record."""
    round: int = 0


class AllTotals(Struct, frozen=True, kw_only=True):
    """The file of all totals."""

    version: int = VERSION
    next_id: Id = 1
    entries: tuple[Totals, ...] = ()


class NodeValues(Struct, frozen=True, kw_only=True, omit_defaults=True):
    """Settings of the whole node; None: unlimited, or none; UNSET: not said."""

    upload_rate: Rate | UnsetType | None = UNSET
    download_rate: Rate | UnsetType | None = UNSET
    alternative_upload_rate: Rate | UnsetType | None = UNSET
    alternative_download_rate: Rate | UnsetType | None = UNSET
    max_active_downloads: Count | UnsetType | None = UNSET
    max_active_seeds: Count | UnsetType | None = UNSET
    seed_ratio: Goal | UnsetType | None = UNSET
    incomplete_folder: str | UnsetType | None = UNSET
    download_folder: str | UnsetType = UNSET


class KeptNode(Struct, frozen=True, kw_only=True):
    """What was set of the whole node at run time."""

    version: int = VERSION
    changed: NodeValues = NodeValues()
    file: NodeValues = NodeValues()
    """What the configuration file said of the same then."""
    is_alternative: bool | None = None
    """Whether the alternative rates were switched on or off by hand; None: neither."""
    until: float | None = None
    """Unix seconds: the switch holds until then; None: for ever."""


def encode(value: Record | AllTotals | KeptNode) -> bytes:
    """Return what is kept as one line of JSON."""
    return msgspec.json.encode(value) + b"\n"


def decode_record(data: bytes) -> Record:
    """Return the record in `data`; raises ValueError for anything else, a later version too."""
    record = _decoded(data, Record)
    if record.version != VERSION:
        raise ValueError(_other_version(record.version))
    if record.origin == "added" and record.settings is None:
        raise ValueError("it does not say what was added")
    return record


def decode_totals(data: bytes) -> AllTotals:
    """Return the totals in `data`; raises ValueError for anything else."""
    totals = _decoded(data, AllTotals)
    if totals.version != VERSION:
        raise ValueError(_other_version(totals.version))
    return totals


def decode_node(data: bytes) -> KeptNode:
    """Return what was set of the node; raises ValueError for anything else."""
    kept = _decoded(data, KeptNode)
    if kept.version != VERSION:
        raise ValueError(_other_version(kept.version))
    for folder in (kept.changed.incomplete_folder, kept.changed.download_folder):
        if isinstance(folder, str):
            kept_text(folder)
    return kept


_One = TypeVar("_One", Record, AllTotals, KeptNode)


def _decoded(data: bytes, kind: type[_One]) -> _One:
    try:
        return msgspec.json.decode(data, type=kind)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise ValueError(str(error)) from None


def _other_version(version: int) -> str:
    return f"it has version {version}, and this program reads version {VERSION}"


def keep(settings: ShareSettings | FetchSettings) -> KeptShare | KeptFetch:
    """Return settings in the form in which they are kept."""
    if isinstance(settings, ShareSettings):
        return KeptShare(
            path=keep_text(str(settings.path)),
            name=None if settings.name is None else keep_text(settings.name),
            trackers=settings.trackers,
            piece_length=settings.piece_length,
            version=settings.version,
            follow_links=settings.follow_links,
            links_root=None if settings.links_root is None else keep_text(str(settings.links_root)),
        )
    chosen = settings.info_hash
    return KeptFetch(
        what=keep_text(settings.what),
        folder=keep_text(str(settings.folder)),
        trackers=settings.trackers,
        peers=settings.peers,
        info_hash=chosen.hex() if isinstance(chosen, bytes) else chosen,
        scheduler=settings.scheduler,
        scheduler_options=dict(settings.scheduler_options),
        wait=settings.wait,
        timeout=settings.timeout,
        seed=settings.seed,
        seed_for=settings.seed_for,
        seed_ratio=settings.seed_ratio,
        only=tuple(map(keep_text, settings.only)),
        skip=tuple(map(keep_text, settings.skip)),
        file_numbers=settings.file_numbers,
    )


def kept_settings(kept: KeptShare | KeptFetch) -> ShareSettings | FetchSettings:
    """Return the settings that `keep` was given, apart from a recording."""
    if isinstance(kept, KeptShare):
        return ShareSettings(
            path=Path(kept_text(kept.path)),
            name=None if kept.name is None else kept_text(kept.name),
            trackers=kept.trackers,
            piece_length=kept.piece_length,
            version=kept.version,
            follow_links=kept.follow_links,
            links_root=None if kept.links_root is None else Path(kept_text(kept.links_root)),
        )
    return FetchSettings(
        what=kept_text(kept.what),
        folder=Path(kept_text(kept.folder)),
        trackers=kept.trackers,
        peers=kept.peers,
        info_hash=_chosen(kept.info_hash),
        scheduler=kept.scheduler,
        scheduler_options=kept.scheduler_options,
        wait=kept.wait,
        timeout=kept.timeout,
        seed=kept.seed,
        seed_for=kept.seed_for,
        seed_ratio=kept.seed_ratio,
        only=tuple(map(kept_text, kept.only)),
        skip=tuple(map(kept_text, kept.skip)),
        file_numbers=kept.file_numbers,
    )


def _chosen(text: str | None) -> bytes | str | None:
    if text is None or len(text) != 40:
        return text
    return bytes.fromhex(text)


def keep_texts(texts: tuple[str, str]) -> tuple[str, str]:
    """Return two texts as `keep_text` does."""
    first, second = texts
    return keep_text(first), keep_text(second)


def kept_texts(kept: tuple[str, str]) -> tuple[str, str]:
    """Return the texts that `keep_texts` was given."""
    first, second = kept
    return kept_text(first), kept_text(second)


def keep_text(text: str) -> str:
    """Return a text that JSON can hold; `kept_text` is the way back."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return _HEX + text.encode(errors="surrogateescape").hex()
    return text


def kept_text(kept: str) -> str:
    """Return the text that `keep_text` was given; raises ValueError for a damaged one."""
    if not kept.startswith(_HEX):
        return kept
    return bytes.fromhex(kept.removeprefix(_HEX)).decode(errors="surrogateescape")
