"""What is told of an entry of a node's list."""

from collections.abc import Sequence
from functools import cached_property

from trio_swarm.control.transmission.facts import FileFacts, PeerFacts, State, TrackerFacts
from trio_swarm.errors import ConfigError
from trio_swarm.peer.torrent import Torrent
from trio_swarm.peer.torrent_parts import file_states_of
from trio_swarm.piece_sets import to_bitfield
from trio_swarm.progress import PeerProgress, Progress, TrackerState
from trio_swarm.protocol.addresses import Address, parse_host_port
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.service.entries.entry import Entry
from trio_swarm.service.entries.limits import EntryLimits
from trio_swarm.service.entries.links import link_of
from trio_swarm.settings import FetchSettings, NodeSettings


class EntryFacts:
    """An entry at this moment, made anew for each call; what costs more is looked up once."""

    def __init__(self, entry: Entry, node: NodeSettings) -> None:
        # Each call makes thousands of these, and of most it asks little.
        self.entry = entry
        self.max_peers = node.max_connections
        self._node = node
        self.id = entry.id

    @cached_property
    def name(self) -> str:
        """What people call it."""
        return self.entry.name

    @cached_property
    def info_hash(self) -> str:
        """In hex; empty while it is not known."""
        return (self.entry.info_hash or b"").hex()

    @property
    def labels(self) -> Sequence[str]:
        """What it is sorted by."""
        return self.entry.labels

    @property
    def upload_limit(self) -> int | None:
        """Its own."""
        return self._limits.upload_rate

    @property
    def download_limit(self) -> int | None:
        """Its own."""
        return self._limits.download_rate

    @property
    def queue_position(self) -> int:
        """From 0."""
        return self.entry.queue_position

    @property
    def added_at(self) -> float:
        """When it came into the list."""
        return self.entry.added_at

    @property
    def completed_at(self) -> float | None:
        """When it was complete for the first time."""
        return self.entry.completed_at

    @property
    def active_at(self) -> float:
        """When a byte of it moved last."""
        return self.entry.active_at

    @cached_property
    def state(self) -> State:
        """What it does."""
        return self.entry.state

    @property
    def error(self) -> str:
        """Why it failed."""
        return self.entry.error

    @property
    def seed_ratio(self) -> float | None:
        """Its own, or that of the configuration file."""
        own = self._limits.seed_ratio
        settings = self.entry.settings
        if own is not None or not isinstance(settings, FetchSettings):
            return own
        return settings.seed_ratio

    @property
    def downloaded_ever(self) -> int:
        """Bytes, over restarts."""
        return self.entry.downloaded_ever

    @property
    def uploaded_ever(self) -> int:
        """Bytes, over restarts."""
        return self.entry.uploaded_ever

    @property
    def downloaded_now(self) -> int:
        """Bytes since it runs."""
        return 0 if self._progress is None else self._progress.downloaded

    @property
    def uploaded_now(self) -> int:
        """Bytes since it runs."""
        return 0 if self._progress is None else self._progress.uploaded

    @property
    def seconds_downloading(self) -> float:
        """Over restarts."""
        return self.entry.seconds_downloading

    @property
    def seconds_seeding(self) -> float:
        """Over restarts."""
        return self.entry.seconds_seeding

    @property
    def folder(self) -> str:
        """Where its file or folder lies."""
        return str(self.entry.folder.absolute())

    @property
    def has_metadata(self) -> bool:
        """Whether its files are known."""
        return self._info is not None

    @property
    def size(self) -> int:
        """All of its content."""
        size = self.entry.size
        return self._progress.size if not size and self._progress is not None else size

    @property
    def have(self) -> int:
        """Verified content."""
        return self.entry.have

    @property
    def checked(self) -> float:
        """The part that was looked at."""
        progress = self._progress
        if progress is None or progress.state != "checking" or not progress.size:
            return 0.0
        return progress.have / progress.size

    @property
    def piece_count(self) -> int:
        """0 without the metadata."""
        return 0 if self._info is None else self._info.piece_count

    @property
    def piece_length(self) -> int:
        """0 without the metadata."""
        return 0 if self._info is None else self._info.piece_length

    @property
    def is_private(self) -> bool:
        """As BEP 27 has it."""
        return self._info is not None and self._info.private

    @property
    def comment(self) -> str:
        """Of the .torrent."""
        metainfo = None if self._torrent is None else self._torrent.metainfo
        return "" if metainfo is None else metainfo.comment

    @property
    def creator(self) -> str:
        """Of the .torrent."""
        metainfo = None if self._torrent is None else self._torrent.metainfo
        return "" if metainfo is None else metainfo.created_by

    @property
    def created_at(self) -> int | None:
        """Of the .torrent."""
        metainfo = None if self._torrent is None else self._torrent.metainfo
        return None if metainfo is None else metainfo.creation_date

    @property
    def magnet(self) -> str:
        """The link."""
        return link_of(self.entry, self._node) or ""

    @property
    def download_rate(self) -> float:
        """Now."""
        return 0.0 if self._progress is None else self._progress.download_rate

    @property
    def upload_rate(self) -> float:
        """Now."""
        return 0.0 if self._progress is None else self._progress.upload_rate

    @property
    def eta(self) -> float | None:
        """Until it is complete."""
        return None if self._progress is None else self._progress.eta

    def files(self) -> Sequence[FileFacts]:
        """Return its files, without padding."""
        return self._files

    def peers(self) -> Sequence[PeerFacts]:
        """Return its connected peers."""
        return self._peers

    def trackers(self) -> Sequence[TrackerFacts]:
        """Return its trackers."""
        return self._trackers

    def bitfield(self) -> bytes:
        """Return which pieces are verified."""
        return to_bitfield(self._have_set, self.piece_count)

    def availability(self) -> Sequence[int]:
        """Return how many peers have each piece."""
        pieces = None if self._torrent is None else self._torrent.piece_map()
        return [0] * self.piece_count if pieces is None else list(pieces.holders)

    @cached_property
    def _limits(self) -> EntryLimits:
        return self.entry.limits

    @cached_property
    def _torrent(self) -> Torrent | None:
        return self.entry.torrent

    @cached_property
    def _progress(self) -> Progress | None:
        return None if self._torrent is None else self._torrent.progress()

    @cached_property
    def _info(self) -> Info | None:
        return self.entry.info

    @cached_property
    def _have_set(self) -> int:
        return self.entry.have_pieces

    @cached_property
    def _files(self) -> list[FileFacts]:
        info = self._info
        if info is None:
            return []
        top = "" if info.is_single_file else f"{info.name}/"
        return [
            FileFacts(top + each.path, each.length, each.have, each.first_piece, each.end_piece)
            for each in file_states_of(info, self._have_set, 0, None)
        ]

    @cached_property
    def _peers(self) -> list[PeerFacts]:
        if self._torrent is None:
            return []
        is_complete = self.entry.is_complete
        return [_peer(each, is_complete=is_complete) for each in self._torrent.peers()]

    @cached_property
    def _trackers(self) -> list[TrackerFacts]:
        return [] if self._torrent is None else [*map(_tracker, self._torrent.tracker_states())]


def _peer(peer: PeerProgress, *, is_complete: bool) -> PeerFacts:
    host, port = _address(peer.address)
    wants = peer.in_flight > 0 or peer.download_rate > 0 or peer.is_seeder
    return PeerFacts(
        address=host,
        port=port,
        client=peer.client,
        progress=peer.share,
        download_rate=peer.download_rate,
        upload_rate=peer.upload_rate,
        downloaded=peer.downloaded,
        uploaded=peer.uploaded,
        is_incoming=not peer.outgoing,
        chokes_us=peer.choking_us,
        is_choked=not peer.unchoked,
        is_interested=peer.interested,
        we_are_interested=wants and not is_complete,
    )


def _address(text: str) -> Address:
    try:
        return parse_host_port(text)
    except ConfigError:
        return text, 0


def _tracker(state: TrackerState) -> TrackerFacts:
    return TrackerFacts(
        url=state.url,
        tier=state.tier,
        announced_at=state.last_announce,
        has_succeeded=state.is_working,
        result="" if state.is_working else state.result,
        peers=state.peers,
        next_announce_at=state.next_announce,
        seeders=-1 if state.seeders is None else state.seeders,
        leechers=-1 if state.leechers is None else state.leechers,
    )
