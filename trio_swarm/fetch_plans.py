"""From what a person wants to fetch to the plan of a torrent: its info-hash, trackers and peers."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import trio
from msgspec import Struct
from msgspec.structs import replace

from trio_swarm import events
from trio_swarm.announcing.clients import TrackerClients
from trio_swarm.announcing.names import find_name
from trio_swarm.identities import InfoHash
from trio_swarm.metainfo_files import read_torrent
from trio_swarm.peer.torrent_plan import Tiers, TorrentPlan, merge_tiers
from trio_swarm.protocol.addresses import Address
from trio_swarm.protocol.metainfo.magnet import parse_magnet
from trio_swarm.protocol.metainfo.selection import FileRange, Selection
from trio_swarm.protocol.metainfo.torrent import Info, Metainfo
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.incomplete import folder_of_data
from trio_swarm.storage.own_names import Renamings, with_own_names
from trio_swarm.wanted import WantedHash, WantedMagnet, WantedName, WantedTorrent, parse_wanted


class FetchTarget(Struct, frozen=True, kw_only=True):
    """What a torrent file, a magnet link, an info-hash or a name comes down to."""

    info_hash: InfoHash
    name: str
    size: int | None
    tiers: Tiers
    own_tiers: Tiers | None = None
    """Those that the torrent or link itself names; None if it names none but might."""
    metainfo: Metainfo | None = None
    linked_peers: Sequence[Address] = ()
    v2_hash: bytes | None = None
    files: tuple[FileRange, ...] = ()
    """Numbers of the files that a link chooses (BEP 53); none: all."""

    def plan(
        self,
        *,
        selection: Selection,
        metadata_only: bool,
        folder: Path,
        incomplete_folder: Path | None,
        renamings: Renamings,
        state_folder: Path,
        peers: Sequence[Address],
        scheduler: str | None,
        scheduler_options: Mapping[str, object] | None,
        record: Path | None,
    ) -> TorrentPlan:
        """Return the plan of a torrent that fetches this into one of two folders.

        See `storage.incomplete` for which, and `storage.own_names` for `renamings`. A link's own
        choice of files counts where `selection` names none by globs or numbers.
        """

        def open_files(info: Info) -> TorrentFiles:
            named = with_own_names(info, renamings)
            chosen = folder_of_data(named, folder, incomplete_folder, state_folder)
            return TorrentFiles.for_download(info, chosen, state_folder, renamings)

        return TorrentPlan(
            info_hash=self.info_hash,
            name=self.name,
            size=self.size,
            metainfo=self.metainfo,
            open_files=open_files,
            tiers=self.tiers,
            own_tiers=self.own_tiers,
            peers=peers,
            linked_peers=self.linked_peers,
            v2_hash=self.v2_hash,
            selection=replace(selection, numbers=selection.numbers or self.files),
            metadata_only=metadata_only,
            scheduler=scheduler,
            scheduler_options=dict(scheduler_options) if scheduler_options else None,
            record=record,
        )


class FetchTargets:
    """Finds out what is to be fetched; asks trackers for names."""

    def __init__(self, clients: TrackerClients, emit: Callable[[events.Event], None]) -> None:
        self._clients = clients
        self._emit = emit
        self._told_troubles: set[tuple[type[events.Event], str]] = set()

    async def find(
        self,
        what: str,
        trackers: Sequence[str],
        *,
        info_hash: bytes | None,
        learned: Metainfo | None = None,
    ) -> FetchTarget:
        """Return what is to be fetched; `info_hash` chooses among several torrents of one name.

        `trackers` are announced to as well. `learned` may be the torrent that is found. Raises
        NameUnknownError, NameAmbiguousError, TrackerUnreachableError, MetainfoError.
        """
        named = tuple((url,) for url in trackers)
        match await trio.to_thread.run_sync(parse_wanted, what):
            case WantedTorrent(path):
                return _in_file(await trio.to_thread.run_sync(read_torrent, path), named)
            case WantedMagnet(uri):
                return _in_link(uri, named)
            case WantedHash(digest, v2_hash):
                return FetchTarget(
                    info_hash=digest, name="", size=None, tiers=named, v2_hash=v2_hash
                )
            case WantedName(name):
                found = await find_name(
                    self._clients, trackers, name, info_hash=info_hash, emit=self._emit_once
                )
                if learned is not None and learned.info.info_hash == found.info_hash:
                    return known_target(what, learned, trackers)
                return FetchTarget(
                    info_hash=InfoHash(found.info_hash),
                    name=found.name,
                    size=found.size or None,
                    tiers=named,
                )

    def _emit_once(self, event: events.Event) -> None:
        """Tell of a tracker's trouble once: who waits for a name asks again and again."""
        if isinstance(event, events.TrackerSilent | events.TrackerFailed):
            trouble = (type(event), event.tracker)
            if trouble in self._told_troubles:
                return
            self._told_troubles.add(trouble)
        self._emit(event)


def _in_file(metainfo: Metainfo, named: Tiers) -> FetchTarget:
    return FetchTarget(
        info_hash=metainfo.info.info_hash,
        name=metainfo.info.name,
        size=metainfo.info.size,
        metainfo=metainfo,
        tiers=merge_tiers(metainfo.announce_tiers, named),
        own_tiers=metainfo.announce_tiers,
    )


def known_target(what: str, metainfo: Metainfo, trackers: Sequence[str]) -> FetchTarget:
    """Return what is to be fetched by a link, hash or name whose metadata was learned before.

    Its trackers and peers are those of the link; `metainfo` adds none. Raises MetainfoError for a
    link that is not valid.
    """
    named = tuple((url,) for url in trackers)
    known = replace(_in_file(metainfo, named), tiers=named, own_tiers=None)
    wanted = parse_wanted(what)
    if not isinstance(wanted, WantedMagnet):
        return known
    linked = _in_link(wanted.uri, named)
    return replace(
        known,
        name=linked.name or known.name,
        tiers=linked.tiers,
        own_tiers=linked.own_tiers,
        linked_peers=linked.linked_peers,
        files=linked.files,
    )


def _in_link(uri: str, named: Tiers) -> FetchTarget:
    magnet = parse_magnet(uri)
    own = tuple((url,) for url in magnet.trackers)
    return FetchTarget(
        info_hash=magnet.info_hash,
        name=magnet.name or "",
        size=magnet.length,
        tiers=merge_tiers(own, named),
        own_tiers=own or None,
        linked_peers=magnet.peers,
        v2_hash=magnet.v2_hash,
        files=magnet.files,
    )
