"""The composition root: one nursery that supervises every socket, torrent and thread of a node."""

import random
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager, nullcontext
from functools import partial
from pathlib import Path

import trio
from msgspec.structs import replace

from trio_swarm import events
from trio_swarm._version import __version__
from trio_swarm.announcing.clients import TrackerClients, open_tracker_clients
from trio_swarm.engine.token_bucket import TokenBucket
from trio_swarm.errors import ConfigError
from trio_swarm.fetch_plans import FetchTargets, known_target
from trio_swarm.identities import DEFAULT_VERSION, InfoHash, PeerId, TorrentVersion
from trio_swarm.logs import logger_of
from trio_swarm.peer.context import NodeContext
from trio_swarm.peer.disk import DiskThreads, open_disk_threads
from trio_swarm.peer.places import Places
from trio_swarm.peer.strategies import checked_options, load_configured
from trio_swarm.peer.tally import NodeTally
from trio_swarm.peer.torrent import Torrent, part_with
from trio_swarm.peer.torrent_plan import TorrentPlan
from trio_swarm.peer.transport.accepting import IncomingPeers
from trio_swarm.peer.transport.admission import Admission
from trio_swarm.peer.transport.handshaking import Established
from trio_swarm.peer.transport.listening import address_of, open_listeners
from trio_swarm.peer.uplink import Uplink
from trio_swarm.progress import require_limits
from trio_swarm.protocol.addresses import Address
from trio_swarm.protocol.metainfo.selection import EVERYTHING, Selection
from trio_swarm.protocol.metainfo.torrent import Metainfo
from trio_swarm.protocol.peer_ids import make_peer_id
from trio_swarm.schedulers.loading import Strategies
from trio_swarm.settings import NodeSettings, default_state_folder
from trio_swarm.share_plans import Opening, Shares
from trio_swarm.storage.descriptors import descriptor_shares
from trio_swarm.storage.own_names import Renamings

log = logger_of(__name__)

_CHANGEABLE = (
    "trackers",
    "scheduler",
    "scheduler_options",
    "uploader",
    "uploader_options",
    "choker",
    "choker_options",
    "plugins",
    "max_connections",
    "upload_slots",
    "labels",
)
"""Settings that a running node takes over."""


class Node:
    """A running node, made by `open_node`: it shares and fetches torrents until it is closed."""

    def __init__(
        self, context: NodeContext, nursery: trio.Nursery, listeners: Sequence[trio.SocketListener]
    ) -> None:
        self._context = context
        self._nursery = nursery
        self._torrents: dict[InfoHash, Torrent] = {}
        """By every info-hash they are reached by; a hybrid torrent may have two."""
        # One for all of them: each mention of a method makes another object.
        self._adopt, self._run_again = self._adopt_hash, self._run_soon
        self._shares = Shares(self.state_folder)
        self._targets = FetchTargets(context.clients, context.emit)
        self.addresses = [address_of(listener) for listener in listeners]
        incoming = IncomingPeers(
            peer_id=context.peer_id,
            info_hashes=self._torrents,
            upgrade_of=self._upgrade_of,
            admission=Admission(context.talkative, context.places.room_for),
            admit=self._admit,
            emit=context.emit,
        )
        nursery.start_soon(context.uplink.run, name="share out the uplink")
        nursery.start_soon(context.hearts.run, name="keep trackers told")
        nursery.start_soon(self._shares.run, name="open shares")
        nursery.start_soon(self._part_with_resting, name="part with resting torrents")
        for listener in listeners:
            nursery.start_soon(incoming.accept, listener, name="accept peers")

    @property
    def port(self) -> int:
        """The TCP port where peers can reach us."""
        return self._context.port

    @property
    def peer_id(self) -> PeerId:
        """Our own peer id, 20 bytes (BEP 20)."""
        return self._context.peer_id

    @property
    def torrents(self) -> list[Torrent]:
        """The torrents of this node, in the order they were added."""
        return list(dict.fromkeys(self._torrents.values()))

    @property
    def trackers(self) -> tuple[str, ...]:
        """URLs of the trackers that a share or fetch uses if it names none."""
        return self._context.settings.trackers

    @property
    def clients(self) -> TrackerClients:
        """The tracker clients, for requests that belong to no torrent."""
        return self._context.clients

    @property
    def tally(self) -> NodeTally:
        """What was counted since the start, over all torrents."""
        return self._context.tally

    @property
    def disk(self) -> DiskThreads:
        """The threads that verify and write pieces, with their counts; only to be read."""
        return self._context.disk

    @property
    def rates(self) -> tuple[float | None, float | None]:
        """The limits of upload and download over all torrents, bytes/s; None: no limit."""
        return self._context.uplink.limit, self._context.download_bucket.rate

    def set_rates(self, upload: float | None, download: float | None) -> None:
        """Change the limits over all torrents, at once; bytes/s, None: no limit.

        Raises ConfigError, and changes nothing, for a limit that is not above 0.
        """
        require_limits(upload_rate=upload, download_rate=download)
        now = trio.current_time()
        self._context.uplink.set_limit(upload, now)
        self._context.download_bucket.change_rate(download, now)
        for torrent in self.torrents:
            torrent.node_limits_changed()

    @property
    def settings(self) -> NodeSettings:
        """The settings that hold now; rates apart, see `rates`."""
        return self._context.settings

    async def change_settings(self, settings: NodeSettings) -> None:
        """Let the node and its torrents go on with other settings.

        Taken over are trackers (of torrents that begin from now on), strategies and plugins (the
        download strategy as well for torrents that begin), connections, slots and labels; the other
        settings stay as they are. Raises ConfigError, and changes nothing, for a wrong strategy.
        """
        context = self._context
        wanted = replace(
            context.settings, **{name: getattr(settings, name) for name in _CHANGEABLE}
        )
        strategies = await trio.to_thread.run_sync(load_configured, wanted)
        are_served_anew = _serving(wanted) != _serving(context.settings)
        context.settings, context.strategies = wanted, strategies
        context.places.set_limit(_most_peers(wanted))
        if are_served_anew:
            for torrent in self.torrents:
                torrent.settings_changed()

    @property
    def state_folder(self) -> Path:
        """The folder with the resume state and the stored hashes."""
        folder = self._context.settings.state_folder
        assert folder is not None  # `open_node` saw to it
        return folder

    async def share(
        self,
        path: Path | str,
        *,
        name: str | None = None,
        trackers: Sequence[str] | None = None,
        piece_length: int | None = None,
        version: TorrentVersion = DEFAULT_VERSION,
        follow_links: bool = False,
        links_root: Path | None = None,
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Torrent:
        """Share a file or folder; returns once it is hashed and announced.

        `name` is the name under which trackers list it; its last component is also the torrent's
        own name (default: the last part of `path`). Files that were hashed before and have not
        changed are not hashed again. `version` is that of the torrent. `on_progress(done, total)`
        is called from other threads, with bytes. With `follow_links`, or a `links_root`, what
        symbolic links lead to is shared as well (`storage.shares.links_root_of`).

        Raises StorageError (`path` is missing, unreadable or changing) and ConfigError (the torrent
        is in this node already).
        """
        opened = trio.Event()
        opening = self.open_share(
            Path(path),
            name=name,
            trackers=trackers,
            piece_length=piece_length,
            version=version,
            follow_links=follow_links,
            links_root=links_root,
            on_progress=on_progress,
            on_open=opened.set,
        )
        try:
            await opened.wait()
        except trio.Cancelled:
            opening.is_given_up = True
            raise
        return await self.offer(opening)

    def open_share(
        self,
        path: Path,
        *,
        name: str | None,
        trackers: Sequence[str] | None,
        piece_length: int | None,
        version: TorrentVersion,
        follow_links: bool = False,
        links_root: Path | None = None,
        on_progress: Callable[[int, int], None] | None,
        on_open: Callable[[], None],
    ) -> Opening:
        """Begin to share in two steps, of which the first needs no task; see `share`.

        `on_open` is called once, from a task of the node: then `offer_at_once`, or `offer`.
        """
        return self._shares.open(
            path,
            name=name,
            trackers=self.trackers if trackers is None else trackers,
            piece_length=piece_length,
            version=version,
            follow_links=follow_links,
            links_root=links_root,
            on_progress=on_progress,
            on_open=on_open,
        )

    def offer_at_once(self, opening: Opening) -> Torrent | None:
        """Offer a share that is open; None if that takes time, or fails: `offer` tells."""
        if opening.info_hash is None or opening.info_hash in self._torrents:
            return None
        plan = self._shares.plan(self._context, opening)
        assert plan is not None  # its files are open
        torrent = self._enter(plan)
        self._tell_sharing(torrent, opening)
        return torrent

    async def offer(self, opening: Opening) -> Torrent:
        """Offer a share that is open, once it is hashed; errors are those of `share`."""
        plan = self._shares.plan(self._context, opening)
        if plan is None:
            plan = await self._shares.hashed(self._context, opening)
        torrent = await self._start(plan)
        await _or_remove(torrent, torrent.wait_complete)
        self._tell_sharing(torrent, opening)
        return torrent

    def _tell_sharing(self, torrent: Torrent, opening: Opening) -> None:
        info = torrent.info
        assert info is not None
        self._context.emit(
            events.Sharing(
                info_hash=info.info_hash.hex(),
                share_name=torrent.name,
                path=str(opening.path),
                size=info.size,
                pieces=info.piece_count,
                magnet=torrent.magnet(),
            )
        )

    async def fetch(
        self,
        what: str,
        *,
        folder: Path | str = ".",
        incomplete_folder: Path | str | None = None,
        renamings: Renamings = (),
        trackers: Sequence[str] | None = None,
        peers: Sequence[Address] = (),
        info_hash: bytes | None = None,
        scheduler: str | None = None,
        scheduler_options: Mapping[str, object] | None = None,
        record: Path | str | None = None,
        metainfo: Metainfo | None = None,
        learned: Metainfo | None = None,
        selection: Selection = EVERYTHING,
        metadata_only: bool = False,
    ) -> Torrent:
        """Start a download of `what`: a name, a .torrent file, a magnet link, or a hex info-hash.

        Returns as soon as a name is resolved and the download has started; await `wait_complete()`
        of the result. It goes to `folder`; or to `incomplete_folder`, if there is one and `folder`
        has nothing of it, and stays there: see `storage.moving`. Its files have the names that
        `renamings` give them (`storage.own_names`). `info_hash` chooses among several torrents with
        one name. `record` is the path of a new file in which the download is recorded (see
        `trio_swarm.recording`). `selection` are the files that are wanted; of a link that chooses
        some itself (BEP 53), those are, where it names none. With `metadata_only` nothing is
        fetched but what the torrent says of itself: await its `wait_metadata()`.
        `metainfo` is what an earlier fetch of it learned: then no tracker is asked which torrent is
        meant, and no peer for its metadata. `learned` is the same, but a tracker is asked for the
        name; if it means the same torrent still, no peer is asked.

        Raises NameUnknownError, NameAmbiguousError, TrackerUnreachableError, MetainfoError, and
        ConfigError (the scheduler is unknown, or the torrent is in this node already).
        """
        if scheduler is not None:  # known, or an installed package is imported for it: in a thread
            await trio.to_thread.run_sync(self._context.strategies.entry, "scheduler", scheduler)
        urls = self.trackers if trackers is None else tuple(trackers)
        if metainfo is None:
            target = await self._targets.find(what, urls, info_hash=info_hash, learned=learned)
        else:
            target = await trio.to_thread.run_sync(known_target, what, metainfo, urls)
        return await self._start(
            target.plan(
                selection=selection,
                metadata_only=metadata_only,
                folder=Path(folder),
                incomplete_folder=None if incomplete_folder is None else Path(incomplete_folder),
                renamings=renamings,
                state_folder=self.state_folder,
                peers=peers,
                scheduler=scheduler,
                scheduler_options=scheduler_options,
                record=Path(record) if record is not None else None,
            )
        )

    async def scheduler_names(self) -> list[str]:
        """Return the names of all download strategies, built-in ones first."""
        find = self._context.strategies.entries
        return [each.name for each in await trio.to_thread.run_sync(find, "scheduler")]

    async def checked_scheduler(
        self, name: str, options: Mapping[str, object], *, text_values: bool = False
    ) -> Mapping[str, object]:
        """Return the options of a scheduler, checked; `text_values`: they are text as typed.

        Raises ConfigError for a name that is unknown, an option that is wrong, or one that the
        scheduler itself refuses.
        """
        check = partial(_checked_scheduler, text_values=text_values)
        return await trio.to_thread.run_sync(check, self._context.strategies, name, dict(options))

    async def _start(self, plan: TorrentPlan) -> Torrent:
        torrent = self._enter(plan)
        if not torrent.rests:
            self._run_soon(torrent)
            # Before that it would turn away peers who dial us at once.
            await _or_remove(torrent, torrent.wait_started)
        return torrent

    def _enter(self, plan: TorrentPlan) -> Torrent:
        present = self._torrents.get(plan.info_hash)
        if present is not None:
            raise ConfigError(f"{plan.name or plan.info_hash.hex()} is in this node already")
        torrent = Torrent(self._context, plan, adopt_hash=self._adopt, run_again=self._run_again)
        self._torrents[plan.info_hash] = torrent
        if torrent.twin_hash:
            self._adopt(torrent, InfoHash(torrent.twin_hash))
        if plan.files is not None:
            torrent.begin_whole(plan.files)
        return torrent

    def _run_soon(self, torrent: Torrent) -> None:
        self._nursery.start_soon(self._run_torrent, torrent, name=f"torrent {torrent.name}")

    async def _run_torrent(self, torrent: Torrent) -> None:
        rests = False
        try:
            rests = await torrent.run()
        finally:
            if not rests:
                self._forget(torrent)

    async def _part_with_resting(self) -> None:
        """At the node's end, part with the torrents that have no tasks."""
        try:
            await trio.sleep_forever()
        finally:
            await part_with(self.torrents)

    def _forget(self, torrent: Torrent) -> None:
        is_known = False
        for info_hash in (torrent.info_hash, torrent.twin_hash):
            if info_hash is not None and self._torrents.get(InfoHash(info_hash)) is torrent:
                del self._torrents[InfoHash(info_hash)]
                is_known = True
        if is_known:
            self._context.tally.add(torrent)

    def _upgrade_of(self, info_hash: InfoHash) -> InfoHash | None:
        """Return the version 2 info-hash of the hybrid that has the other; None: there is none."""
        torrent = self._torrents.get(info_hash)
        if torrent is None or torrent.info_hash != info_hash or not torrent.twin_hash:
            return None
        return InfoHash(torrent.twin_hash)

    def _adopt_hash(self, torrent: Torrent, info_hash: InfoHash) -> bool:
        """Let a torrent be reached by another info-hash, too; False if another torrent is."""
        return self._torrents.setdefault(info_hash, torrent) is torrent

    def _admit(self, peer: Established) -> None:
        """Let a peer in that dialled us and whose handshake is done."""
        torrent = self._torrents.get(peer.info_hash)
        if torrent is None:  # it was removed just now
            peer.stream.close()
        else:
            torrent.peer_set.admit(peer, is_outgoing=False)


@asynccontextmanager
async def open_node(
    settings: NodeSettings | None = None, *, clients: TrackerClients | None = None
) -> AsyncIterator[Node]:
    """Run a node for as long as the context is open.

    It asks trackers by `clients`, which stay open, where they are given, else by its own.

    Entering loads the strategies and opens the listening sockets; it raises ConfigError if a name
    or an option is wrong, or the port is taken. Leaving announces `stopped`, saves the resume state
    and closes everything, within 4 seconds. An exception of any task is raised out of the
    `async with`, wrapped in an exception group.
    """
    settings = settings or NodeSettings()
    if settings.state_folder is None:
        settings = replace(settings, state_folder=default_state_folder())
    strategies = await trio.to_thread.run_sync(load_configured, settings)
    listeners = await open_listeners(settings.listen_host, settings.listen_port)
    rng = random.Random(secrets.randbits(128))
    addresses = [address_of(listener) for listener in listeners]
    # A node that listens at one address (or family) is to be seen at it by trackers and peers.
    source = addresses[0][0] if settings.listen_host not in ("", "::") else ""
    opened = nullcontext(clients) if clients else open_tracker_clients(source_host=source)
    async with open_disk_threads() as disk, opened as asked_by:
        context = NodeContext(
            settings=settings,
            peer_id=make_peer_id(rng),
            client=f"trio-swarm {__version__}",
            port=addresses[0][1],
            source_host=source,
            rng=rng,
            places=Places(_most_peers(settings)),
            disk=disk,
            clients=asked_by,
            strategies=strategies,
            uplink=Uplink(settings.upload_rate),
            download_bucket=TokenBucket(settings.download_rate),
            emit=settings.on_event,
        )
        body_error: Exception | None = None
        try:
            async with trio.open_nursery() as nursery:
                node = Node(context, nursery, listeners)
                for host, port in node.addresses:
                    settings.on_event(events.Listening(host=host, port=port))
                try:
                    yield node
                except Exception as error:  # noqa: BLE001 - raised again below, outside the nursery
                    # A nursery would wrap it in a group, and the program's `except` would miss it.
                    body_error = error
                finally:
                    nursery.cancel_scope.cancel()
        finally:
            for listener in listeners:
                listener.socket.close()
    if body_error is not None:
        raise body_error


def _most_peers(settings: NodeSettings) -> int:
    """Return how many peers may be connected: each has a descriptor, and files need some."""
    possible = descriptor_shares().connections
    if possible < settings.max_connections:
        log.warning(
            "at most %d peers at once, not %d: too few files may be open (ulimit -n)",
            possible,
            settings.max_connections,
        )
    return min(possible, settings.max_connections)


def _checked_scheduler(
    strategies: Strategies, name: str, options: Mapping[str, object], *, text_values: bool
) -> Mapping[str, object]:
    """Return the options of a scheduler that can be made with them. Blocking."""
    checked = checked_options(strategies, name, options, text_values=text_values)
    strategies.scheduler(name, checked)
    return checked


def _serving(settings: NodeSettings) -> tuple[object, ...]:
    """Return the settings by which peers are served."""
    return (
        settings.uploader,
        settings.uploader_options,
        settings.choker,
        settings.choker_options,
        settings.upload_slots,
    )


async def _or_remove(torrent: Torrent, wait: Callable[[], Awaitable[object]]) -> None:
    """Await something of a new torrent; a caller that is cancelled meanwhile leaves none behind."""
    try:
        await wait()
    except trio.Cancelled:
        with trio.CancelScope(shield=True):  # the torrent has a deadline for its end
            await torrent.remove()
        raise
