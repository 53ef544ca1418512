"""The fields of `torrent-get`, one table: how each is read from the facts.

Whole numbers are `int`: transmission-remote 3.00 shows no line with a float or null where it wants
one. What has no meaning here has the value that a client takes for "nothing special":

| field | value | why |
|---|---|---|
| bandwidthPriority, priorities, fileStats' priority | 0 | nothing here has a priority |
| wanted, fileStats' wanted | true | every file is fetched |
| haveUnchecked, corruptEver | 0 | only verified pieces are counted |
| honorsSessionLimits | true | limits of the node hold for every torrent |
| etaIdle, manualAnnounceTime | -1 | not known |
| seedIdleLimit, seedIdleMode, editDate, isStalled | 0, false | seeding does not end by idleness |
| group, torrentFile, scrape | "" | there is none |
| lastScrape…, hasScraped, scrapeState | 0, false, "" | counts come with announces |
| webseeds, webseedsEx, webseedsSendingToUs | [], 0 | web seeds are not used |
| sequential_download… | false, 0 | strategies decide |
| peersFrom | tracker, incoming | a peer that was dialled came from a tracker or a link |
"""

import base64
import math
import mimetypes
from collections.abc import Callable, Mapping, Sequence
from ipaddress import ip_address
from typing import Final
from urllib.parse import urlsplit

from msgspec import Struct

from trio_swarm.control.transmission.calling import MAX_INTEGER, Dialect
from trio_swarm.control.transmission.facts import (
    FileFacts,
    PeerFacts,
    State,
    TorrentFacts,
    TrackerFacts,
)
from trio_swarm.control.transmission.naming import camel, snake
from trio_swarm.control.transmission.remembered_limits import (
    RATE,
    RATIO,
    RememberedLimits,
    own_ratio,
)

STOPPED: Final = 0
CHECKING: Final = 2
QUEUED: Final = 3
DOWNLOADING: Final = 4
QUEUED_TO_SEED: Final = 5
SEEDING: Final = 6

_STATUS: Final[Mapping[State, int]] = {
    "hashing": CHECKING,
    "checking": CHECKING,
    "queued": QUEUED,
    "waiting": DOWNLOADING,
    "metadata": DOWNLOADING,
    "downloading": DOWNLOADING,
    "seeding": SEEDING,
    "paused": STOPPED,
    "done": STOPPED,
    "failed": STOPPED,
}

_ERROR_TRACKER: Final = 2
_ERROR_OWN: Final = 3

_EVENT_WAITING: Final = 1
_EVENT_ACTIVE: Final = 3
"""What a tracker is at (`announceState`): waits for its time; is asked now."""

Row = Mapping[str, object]
Reader = Callable[[TorrentFacts], object]


class Field(Struct, frozen=True):
    """A field, as each dialect has it."""

    old: Reader
    json_rpc: Reader


def text(value: str) -> str:
    """Return a text that JSON can hold: names of files may hold bytes that are not UTF-8."""
    return value if value.isascii() else value.encode(errors="replace").decode()


def whole(value: float | None, unknown: int = 0) -> int:
    """Return a whole number that every client can keep."""
    if value is None or not math.isfinite(value):
        return unknown
    return max(-MAX_INTEGER, min(MAX_INTEGER, int(value)))


def part(value: float) -> float:
    """Return a part of a whole, from 0 to 1."""
    return min(1.0, max(0.0, value)) if math.isfinite(value) else 0.0


def status_of(torrent: TorrentFacts) -> int:
    """Return Transmission's status, 0 to 6."""
    status = _STATUS[torrent.state]
    return QUEUED_TO_SEED if status == QUEUED and _is_whole(torrent) else status


def fields_asked(
    names: Sequence[object], dialect: Dialect, remembered: RememberedLimits
) -> dict[str, Reader]:
    """Return how to read each known field, by the name it was asked for with."""
    of_limits = {
        "download_limit": _same(
            lambda t: remembered.shown((t.id, "download"), t.download_limit, RATE)
        ),
        "upload_limit": _same(lambda t: remembered.shown((t.id, "upload"), t.upload_limit, RATE)),
        "seed_ratio_limit": _same(
            lambda t: remembered.shown((t.id, "ratio"), own_ratio(t.seed_ratio), RATIO)
        ),
    }
    asked: dict[str, Reader] = {}
    for name in names[:MAX_FIELDS]:
        if not isinstance(name, str):
            continue
        plain = snake(name)
        field = of_limits.get(plain) or FIELDS.get(plain)
        if field is not None:
            asked[name] = field.old if dialect is Dialect.OLD else field.json_rpc
    return asked


# --- numbers ------------------------------------------------------------------------------------


def _is_whole(torrent: TorrentFacts) -> bool:
    return torrent.has_metadata and torrent.have >= torrent.size


def _left(torrent: TorrentFacts) -> int:
    return max(0, torrent.size - torrent.have)


def _done(torrent: TorrentFacts) -> float:
    if not torrent.has_metadata:
        return 0.0
    return part(torrent.have / torrent.size) if torrent.size else 1.0


def _eta(torrent: TorrentFacts) -> int:
    return -1 if _is_whole(torrent) else whole(torrent.eta, -1)


def _ratio(torrent: TorrentFacts) -> float:
    base = torrent.downloaded_ever or torrent.have
    return torrent.uploaded_ever / base if base else -1.0


def _ratio_mode(torrent: TorrentFacts) -> int:
    """Return 0: the node's ratio holds; 1: the torrent's own; 2: none."""
    if torrent.seed_ratio is None:
        return 0
    return 2 if torrent.seed_ratio >= RATIO.most else 1


def _start_date(torrent: TorrentFacts) -> int:
    return 0 if status_of(torrent) == STOPPED else whole(torrent.added_at)


def _desired_available(torrent: TorrentFacts) -> int:
    """Return how much of what is missing the connected peers have."""
    left = _left(torrent)
    peers = torrent.peers() if left else ()
    if not peers:
        return 0
    if any(peer.progress >= 1 for peer in peers):
        return left
    have = torrent.bitfield()
    missing = sum(
        bool(count) and not _bit(have, piece) for piece, count in enumerate(torrent.availability())
    )
    return min(left, missing * torrent.piece_length)


def _availability(torrent: TorrentFacts) -> list[int]:
    """Return the holders of each piece; -1 for one that we have."""
    have = torrent.bitfield()
    counts = torrent.availability()
    return [-1 if _bit(have, piece) else count for piece, count in enumerate(counts)]


def _bit(bits: bytes, index: int) -> bool:
    return index >> 3 < len(bits) and bool(bits[index >> 3] & (0x80 >> (index & 7)))


def _error(torrent: TorrentFacts) -> int:
    if torrent.error:
        return _ERROR_OWN
    return _ERROR_TRACKER if _tracker_trouble(torrent) else 0


def _error_string(torrent: TorrentFacts) -> str:
    return text(torrent.error or _tracker_trouble(torrent))


def _tracker_trouble(torrent: TorrentFacts) -> str:
    """Return what the first tracker said, where no tracker could be asked; else nothing."""
    if status_of(torrent) == STOPPED:
        return ""
    trackers = torrent.trackers()
    if any(tracker.has_succeeded for tracker in trackers):
        return ""
    return next((tracker.result for tracker in trackers if tracker.result), "")


def _mime_type(torrent: TorrentFacts) -> str:
    largest = max(torrent.files(), key=lambda file: file.length, default=None)
    guessed = mimetypes.guess_type(largest.name)[0] if largest is not None else None
    return guessed or "application/octet-stream"


def _pieces(torrent: TorrentFacts) -> str:
    return base64.b64encode(torrent.bitfield()).decode("ascii")


# --- lists --------------------------------------------------------------------------------------

_FILE_KEYS = ("begin_piece", "bytes_completed", "end_piece", "length", "name")
_FILE_STATS_KEYS = ("bytes_completed", "wanted", "priority")
_PEER_KEYS = (
    *("address", "bytes_to_client", "bytes_to_peer", "client_is_choked", "client_is_interested"),
    *("client_name", "flag_str", "is_downloading_from", "is_encrypted", "is_incoming"),
    *("is_uploading_to", "is_utp", "peer_id", "peer_is_choked", "peer_is_interested", "port"),
    *("progress", "rate_to_client", "rate_to_peer"),
)
_TRACKER_KEYS = ("announce", "id", "scrape", "sitename", "tier")
_TRACKER_STATS_KEYS = (
    *("announce", "announce_state", "download_count", "downloader_count", "has_announced"),
    *("has_scraped", "host", "id", "is_backup", "last_announce_peer_count"),
    *("last_announce_result", "last_announce_start_time", "last_announce_succeeded"),
    *("last_announce_time", "last_announce_timed_out", "last_scrape_result"),
    *("last_scrape_start_time", "last_scrape_succeeded", "last_scrape_time"),
    *("last_scrape_timed_out", "leecher_count", "next_announce_time", "next_scrape_time"),
    *("scrape", "scrape_state", "seeder_count", "sitename", "tier"),
)
_FROM_KEYS = (
    *("from_cache", "from_dht", "from_incoming", "from_lpd", "from_ltep", "from_pex"),
    "from_tracker",
)

_SAME_IN_BOTH = {
    *("begin_piece", "end_piece", "bytes_to_client", "bytes_to_peer", "peer_id"),
    "downloader_count",
}
"""Keys that are as young as 4.0 and 4.1, and in snake case in the old dialect, too."""


def _old_inner(key: str) -> str:
    if key in _SAME_IN_BOTH:
        return key
    return "isUTP" if key == "is_utp" else camel(key)


def _file_row(file: FileFacts) -> tuple[object, ...]:
    return file.first_piece, file.have, file.end_piece, file.length, text(file.name)


def _files(torrent: TorrentFacts) -> list[tuple[object, ...]]:
    return [_file_row(file) for file in torrent.files()]


def _file_stats(torrent: TorrentFacts) -> list[tuple[object, ...]]:
    return [(file.have, True, 0) for file in torrent.files()]


def flags_of(peer: PeerFacts) -> str:
    """Return a peer's flags, as Transmission writes them.

    D: gives to us; d: we want something of it and it does not give; U: takes from us; u: it wants
    something and we do not give; K: it would give, and we want nothing; ?: we would give, and it
    wants nothing; I: it came to us.
    """
    gives = peer.we_are_interested and not peer.chokes_us
    takes = peer.is_interested and not peer.is_choked
    told = (
        ("D", gives and peer.download_rate > 0),
        ("d", peer.we_are_interested and not (gives and peer.download_rate > 0)),
        ("U", takes and peer.upload_rate > 0),
        ("u", peer.is_interested and not (takes and peer.upload_rate > 0)),
        ("K", not peer.chokes_us and not peer.we_are_interested),
        ("?", not peer.is_choked and not peer.is_interested),
        ("I", peer.is_incoming),
    )
    return "".join(letter for letter, holds in told if holds)


def _peer_row(peer: PeerFacts) -> tuple[object, ...]:
    return (
        peer.address,
        peer.downloaded,
        peer.uploaded,
        peer.chokes_us,
        peer.we_are_interested,
        text(peer.client),
        flags_of(peer),
        peer.download_rate > 0,
        False,
        peer.is_incoming,
        peer.upload_rate > 0,
        False,
        "",
        peer.is_choked,
        peer.is_interested,
        peer.port,
        part(peer.progress),
        whole(peer.download_rate),
        whole(peer.upload_rate),
    )


def _peers(torrent: TorrentFacts) -> list[tuple[object, ...]]:
    return [_peer_row(peer) for peer in torrent.peers()]


def _peers_from(torrent: TorrentFacts) -> list[tuple[object, ...]]:
    peers = torrent.peers()
    incoming = sum(peer.is_incoming for peer in peers)
    return [(0, 0, incoming, 0, 0, 0, len(peers) - incoming)]


def _host(url: str) -> str:
    """Return a tracker's host with its port, without user and password."""
    return urlsplit(url).netloc.rpartition("@")[2]


def site_name(url: str) -> str:
    """Return the word of a tracker's host that people know it by: `example`, of any subdomain."""
    host = urlsplit(url).hostname or ""
    try:
        ip_address(host)
    except ValueError:
        labels = host.split(".")
        return labels[-2] if len(labels) > 1 else host
    return host


def _tracker_row(number: int, tracker: TrackerFacts) -> tuple[object, ...]:
    return text(tracker.url), number, "", text(site_name(tracker.url)), tracker.tier


def _trackers(torrent: TorrentFacts) -> list[tuple[object, ...]]:
    return [_tracker_row(number, each) for number, each in enumerate(torrent.trackers())]


def _announce_state(tracker: TrackerFacts) -> int:
    if tracker.is_announcing:
        return _EVENT_ACTIVE
    return 0 if tracker.next_announce_at is None else _EVENT_WAITING


def _tracker_stats_row(number: int, tracker: TrackerFacts) -> tuple[object, ...]:
    announced = whole(tracker.announced_at)
    result = "Success" if tracker.has_succeeded else text(tracker.result)
    return (
        text(tracker.url),
        _announce_state(tracker),
        -1,
        -1,
        tracker.announced_at is not None,
        False,
        text(_host(tracker.url)),
        number,
        False,
        tracker.peers,
        result,
        announced,
        tracker.has_succeeded,
        announced,
        False,
        "",
        0,
        False,
        0,
        False,
        tracker.leechers,
        whole(tracker.next_announce_at),
        0,
        "",
        0,
        tracker.seeders,
        text(site_name(tracker.url)),
        tracker.tier,
    )


def _tracker_stats(torrent: TorrentFacts) -> list[tuple[object, ...]]:
    return [_tracker_stats_row(number, each) for number, each in enumerate(torrent.trackers())]


def _tracker_list(torrent: TorrentFacts) -> str:
    """Return the URLs, one on a line, with an empty line between tiers."""
    tiers: dict[int, list[str]] = {}
    for tracker in torrent.trackers():
        tiers.setdefault(tracker.tier, []).append(text(tracker.url))
    return "\n\n".join("\n".join(tier) for tier in tiers.values())


# --- the table ----------------------------------------------------------------------------------


def _same(read: Reader) -> Field:
    return Field(read, read)


def _always(value: object) -> Field:
    return _same(lambda _torrent: value)


def _of_files(old: object, json_rpc: object) -> Field:
    """Return a field with one value for each file, always the same."""
    return Field(
        lambda torrent: [old] * len(torrent.files()),
        lambda torrent: [json_rpc] * len(torrent.files()),
    )


def _objects(
    rows: Callable[[TorrentFacts], list[tuple[object, ...]]], keys: tuple[str, ...]
) -> Field:
    """Return a field that is a list of objects."""
    old_keys = tuple(map(_old_inner, keys))

    def read_old(torrent: TorrentFacts) -> list[Row]:
        return [dict(zip(old_keys, row, strict=True)) for row in rows(torrent)]

    def read_json_rpc(torrent: TorrentFacts) -> list[Row]:
        return [dict(zip(keys, row, strict=True)) for row in rows(torrent)]

    return Field(read_old, read_json_rpc)


def _object(
    rows: Callable[[TorrentFacts], list[tuple[object, ...]]], keys: tuple[str, ...]
) -> Field:
    """Return a field that is one object."""
    several = _objects(rows, keys)
    return Field(
        lambda torrent: several.old(torrent)[0],  # type: ignore[index]
        lambda torrent: several.json_rpc(torrent)[0],  # type: ignore[index]
    )


FIELDS: Final[dict[str, Field]] = {
    "activity_date": _same(lambda t: whole(t.active_at)),
    "added_date": _same(lambda t: whole(t.added_at)),
    "availability": _same(_availability),
    "bandwidth_priority": _always(0),
    "bytes_completed": _same(lambda t: [file.have for file in t.files()]),
    "comment": _same(lambda t: text(t.comment)),
    "corrupt_ever": _always(0),
    "creator": _same(lambda t: text(t.creator)),
    "date_created": _same(lambda t: whole(t.created_at)),
    "desired_available": _same(_desired_available),
    "done_date": _same(lambda t: whole(t.completed_at)),
    "download_dir": _same(lambda t: text(t.folder)),
    "download_limited": _same(lambda t: t.download_limit is not None),
    "downloaded_ever": _same(lambda t: t.downloaded_ever),
    "edit_date": _always(0),
    "error": _same(_error),
    "error_string": _same(_error_string),
    "eta": _same(_eta),
    "eta_idle": _always(-1),
    "file_count": _same(lambda t: len(t.files())),
    "file_stats": _objects(_file_stats, _FILE_STATS_KEYS),
    "files": _objects(_files, _FILE_KEYS),
    "group": _always(""),
    "hash_string": _same(lambda t: t.info_hash),
    "have_unchecked": _always(0),
    "have_valid": _same(lambda t: t.have),
    "honors_session_limits": _always(True),  # noqa: FBT003 - the value of a field
    "id": _same(lambda t: t.id),
    "is_finished": _same(lambda t: t.state == "done"),
    "is_private": _same(lambda t: t.is_private),
    "is_stalled": _always(False),  # noqa: FBT003 - the same
    "labels": _same(lambda t: [text(label) for label in t.labels]),
    "left_until_done": _same(_left),
    "magnet_link": _same(lambda t: text(t.magnet)),
    "manual_announce_time": _always(-1),
    "max_connected_peers": _same(lambda t: t.max_peers),
    "metadata_percent_complete": _same(lambda t: 1 if t.has_metadata else 0),
    "name": _same(lambda t: text(t.name)),
    "peer_limit": _same(lambda t: t.max_peers),
    "peers": _objects(_peers, _PEER_KEYS),
    "peers_connected": _same(lambda t: len(t.peers())),
    "peers_from": _object(_peers_from, _FROM_KEYS),
    "peers_getting_from_us": _same(lambda t: sum(peer.upload_rate > 0 for peer in t.peers())),
    "peers_sending_to_us": _same(lambda t: sum(peer.download_rate > 0 for peer in t.peers())),
    "percent_complete": _same(_done),
    "percent_done": _same(_done),
    "piece_count": _same(lambda t: t.piece_count),
    "piece_size": _same(lambda t: t.piece_length),
    "pieces": _same(_pieces),
    "primary_mime_type": _same(_mime_type),
    "priorities": _of_files(0, 0),
    "queue_position": _same(lambda t: t.queue_position),
    "rate_download": _same(lambda t: whole(t.download_rate)),
    "rate_upload": _same(lambda t: whole(t.upload_rate)),
    "recheck_progress": _same(lambda t: part(t.checked)),
    "seconds_downloading": _same(lambda t: whole(t.seconds_downloading)),
    "seconds_seeding": _same(lambda t: whole(t.seconds_seeding)),
    "seed_idle_limit": _always(0),
    "seed_idle_mode": _always(0),
    "seed_ratio_mode": _same(_ratio_mode),
    "sequential_download": _always(False),  # noqa: FBT003 - the same
    "sequential_download_from_piece": _always(0),
    "size_when_done": _same(lambda t: t.size),
    "start_date": _same(_start_date),
    "status": _same(status_of),
    "torrent_file": _always(""),
    "total_size": _same(lambda t: t.size),
    "tracker_list": _same(_tracker_list),
    "tracker_stats": _objects(_tracker_stats, _TRACKER_STATS_KEYS),
    "trackers": _objects(_trackers, _TRACKER_KEYS),
    "upload_limited": _same(lambda t: t.upload_limit is not None),
    "upload_ratio": _same(_ratio),
    "uploaded_ever": _same(lambda t: t.uploaded_ever),
    "wanted": _of_files(1, True),  # noqa: FBT003 - the value of a field
    "webseeds": _always([]),
    "webseeds_ex": _always([]),
    "webseeds_sending_to_us": _always(0),
}
"""Every field but the two limits of rates, by its snake-case name."""

MAX_FIELDS: Final = 4 * len(FIELDS)
"""Most names of fields of a call: all of them, and as many in other spellings."""
