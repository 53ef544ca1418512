"""The composition root: one nursery that supervises every socket, torrent and thread of a node."""

import random
import secrets
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import trio
from msgspec import Struct

from trio_swarm import events
from trio_swarm._version import __version__
from trio_swarm.announcing.clients import TrackerClients, open_tracker_clients
from trio_swarm.announcing.names import find_name
from trio_swarm.engine.known_peers.crowding import JOINING, host_of
from trio_swarm.engine.token_bucket import TokenBucket
from trio_swarm.errors import ConfigError, RemoteProtocolError, StorageError
from trio_swarm.metainfo_files import read_torrent
from trio_swarm.peer.blocking import run_stoppable
from trio_swarm.peer.context import NodeContext
from trio_swarm.peer.disk import open_disk_threads
from trio_swarm.peer.places import Places
from trio_swarm.peer.strategies import load_configured
from trio_swarm.peer.torrent import Torrent, TorrentPlan
from trio_swarm.peer.transport.dialing import HANDSHAKE_TIMEOUT, receive_handshake, send_pending
from trio_swarm.peer.transport.listening import address_of, open_listeners
from trio_swarm.peer.transport.streams import SocketStream
from trio_swarm.protocol.addresses import Address
from trio_swarm.protocol.metainfo.magnet import Magnet, parse_magnet
from trio_swarm.protocol.metainfo.torrent import Info, Metainfo
from trio_swarm.protocol.peer_ids import make_peer_id
from trio_swarm.protocol.wire.machine import PeerWire
from trio_swarm.settings import NodeSettings, default_state_folder
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.hashing import no_progress
from trio_swarm.storage.shares import LeftOut, hash_share
from trio_swarm.wanted import (
    Wanted,
    WantedHash,
    WantedMagnet,
    WantedName,
    WantedTorrent,
    parse_wanted,
)

PENDING_HANDSHAKES = 128
"""Incoming connections that may be in their handshake at once."""

ADMISSIONS_PER_HOST = 16
"""Peers of one host that may wait for admission at once; more are sent away. So one host cannot
take all of `PENDING_HANDSHAKES`."""

PLACE_PATIENCE = JOINING
"""Seconds a peer waits for a place that another has to give up; its next dial would be later."""

HURRIED_HANDSHAKE = 0.3
"""Seconds a handshake may take while others wait to begin theirs; then the oldest gives way. Silent
strangers must not keep peers out, and peers of a flash crowd must not push each other out."""


class Node:
    """A running node; made by `open_node`."""

    def __init__(
        self, context: NodeContext, nursery: trio.Nursery, addresses: list[Address]
    ) -> None:
        self._context = context
        self._nursery = nursery
        self._torrents: dict[bytes, Torrent] = {}
        self._handshakes: dict[trio.CancelScope, float] = {}
        """When each began, oldest first."""
        self._handshake_over = trio.Event()
        self._waiting: Counter[str] = Counter()
        """Peers that wait for admission, by host."""
        self._told_troubles: set[tuple[type[events.Event], str]] = set()
        self.addresses = addresses

    @property
    def port(self) -> int:
        """TCP port peers reach us at."""
        return self._context.port

    @property
    def peer_id(self) -> bytes:
        """Our 20 bytes of identity (BEP 20)."""
        return self._context.peer_id

    @property
    def torrents(self) -> list[Torrent]:
        """The torrents of this node, in the order they were added."""
        return list(dict.fromkeys(self._torrents.values()))

    @property
    def trackers(self) -> tuple[str, ...]:
        """The trackers a share or fetch uses when it names none."""
        return self._context.settings.trackers

    @property
    def clients(self) -> TrackerClients:
        """The tracker clients, for questions beside the torrents'."""
        return self._context.clients

    @property
    def state_folder(self) -> Path:
        """Where resume state and hash caches are."""
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
        on_progress: Callable[[int, int], None] | None = None,
    ) -> Torrent:
        """Share a file or folder; return once it is hashed and offered.

        `name` is what it is registered and found by; its last component is also the torrent's own
        name (default: the path's). What was hashed before and has not changed is not hashed again.
        `on_progress(done, total)` is called from threads, in bytes.

        Raises StorageError (path missing, unreadable, changing), ConfigError (already shared).
        """
        root = Path(path)
        state = self.state_folder
        left_out: list[LeftOut] = []
        state_problems: list[StorageError] = []
        info = await run_stoppable(
            lambda should_stop: hash_share(
                root,
                name=name.rsplit("/", 1)[-1] if name else None,
                piece_length=piece_length,
                state_folder=state,
                on_progress=on_progress or no_progress,
                on_left_out=left_out.append,
                should_stop=should_stop,
                on_state_problem=state_problems.append,
            )
        )
        for each in left_out:
            self._context.emit(files_left_out(root, each))
        if state_problems:
            self._context.tell_state_problem(state_problems[0], info.info_hash, info.name)
        urls = self.trackers if trackers is None else tuple(trackers)
        tiers = tuple((url,) for url in urls)
        torrent = await self._start(
            TorrentPlan(
                info_hash=info.info_hash,
                name=name or info.name,
                size=info.length,
                metainfo=Metainfo(info=info, announce_tiers=tiers),
                open_files=lambda known: TorrentFiles.for_share(known, root, state),
                tiers=tiers,
                is_share=True,
            )
        )
        await _or_remove(torrent, torrent.wait_complete)
        self._context.emit(
            events.Sharing(
                info_hash=info.info_hash.hex(),
                share_name=torrent.name,
                path=str(root),
                size=info.length,
                pieces=info.piece_count,
                magnet=torrent.magnet(),
            )
        )
        return torrent

    async def fetch(
        self,
        what: str,
        *,
        folder: Path | str = ".",
        trackers: Sequence[str] | None = None,
        peers: Sequence[Address] = (),
        info_hash: bytes | None = None,
        scheduler: str | None = None,
        scheduler_options: Mapping[str, object] | None = None,
        record: Path | str | None = None,
    ) -> Torrent:
        """Start to fetch `what`: a name, a .torrent file, a magnet link, or an info-hash in hex.

        Returns at once (a name is resolved first); await `wait_complete()` of the result.
        `info_hash` chooses among several torrents of one name. `record` names a new file, to which
        is written what happens (see `trio_swarm.recording`).

        Raises NameUnknownError, NameAmbiguousError, TrackerUnreachableError, MetainfoError,
        ConfigError (unknown scheduler, already in this node).
        """
        if scheduler is not None:  # known, or an installed package is imported for it: in a thread
            await trio.to_thread.run_sync(self._context.strategies.offer, "scheduler", scheduler)
        wanted = await trio.to_thread.run_sync(parse_wanted, what)
        urls = self.trackers if trackers is None else tuple(trackers)
        plan = await self._plan_fetch(wanted, urls, info_hash)
        target = Path(folder)
        state = self.state_folder

        def open_files(info: Info) -> TorrentFiles:
            return TorrentFiles.for_download(info, target, state)

        return await self._start(
            TorrentPlan(
                info_hash=plan.info_hash,
                name=plan.name,
                size=plan.size,
                metainfo=plan.metainfo,
                open_files=open_files,
                tiers=plan.tiers,
                own_tiers=plan.own_tiers,
                peers=peers,
                linked_peers=plan.peers,
                v2_hash=plan.v2_hash,
                scheduler=scheduler,
                scheduler_options=dict(scheduler_options) if scheduler_options else None,
                record=Path(record) if record is not None else None,
            )
        )

    async def _plan_fetch(
        self, wanted: Wanted, urls: Sequence[str], info_hash: bytes | None
    ) -> "_Target":
        own = tuple((url,) for url in urls)
        match wanted:
            case WantedTorrent(path):
                metainfo = await trio.to_thread.run_sync(read_torrent, path)
                return _Target(
                    info_hash=metainfo.info.info_hash,
                    name=metainfo.info.name,
                    size=metainfo.info.length,
                    metainfo=metainfo,
                    tiers=_merge_tiers(metainfo.announce_tiers, own),
                    own_tiers=metainfo.announce_tiers,
                )
            case WantedMagnet(uri):
                magnet: Magnet = parse_magnet(uri, takes_v2=True)
                return _Target(
                    info_hash=magnet.info_hash,
                    name=magnet.name or "",
                    size=magnet.length,
                    tiers=_merge_tiers(tuple((url,) for url in magnet.trackers), own),
                    own_tiers=tuple((url,) for url in magnet.trackers) or None,
                    peers=magnet.peers,
                    v2_hash=magnet.v2_hash,
                )
            case WantedHash(digest, v2_hash):
                return _Target(info_hash=digest, name="", size=None, tiers=own, v2_hash=v2_hash)
            case WantedName(name):
                match_ = await find_name(
                    self.clients, urls, name, info_hash=info_hash, emit=self._emit_once
                )
                return _Target(
                    info_hash=match_.info_hash,
                    name=match_.name,
                    size=match_.size or None,
                    tiers=own,
                )

    def _emit_once(self, event: events.Event) -> None:
        """Tell of a tracker's trouble once: who waits for a name asks again and again."""
        if isinstance(event, events.TrackerSilent | events.TrackerFailed):
            trouble = (type(event), event.tracker)
            if trouble in self._told_troubles:
                return
            self._told_troubles.add(trouble)
        self._context.emit(event)

    async def _start(self, plan: TorrentPlan) -> Torrent:
        present = self._torrents.get(plan.info_hash)
        if present is not None:
            raise ConfigError(f"{plan.name or plan.info_hash.hex()} is in this node already")
        torrent = Torrent(self._context, plan, adopt_hash=self._adopt_hash)
        self._torrents[plan.info_hash] = torrent
        self._nursery.start_soon(self._run_torrent, torrent, name=f"torrent {plan.name}")
        # Before that it would turn away peers who dial us at once.
        await _or_remove(torrent, torrent.wait_started)
        return torrent

    async def _run_torrent(self, torrent: Torrent) -> None:
        try:
            await torrent.run()
        finally:
            self._torrents = {
                info_hash: each for info_hash, each in self._torrents.items() if each is not torrent
            }

    def _adopt_hash(self, torrent: Torrent, info_hash: bytes) -> bool:
        """Let a torrent be reached by another info-hash, too; False if another torrent is."""
        return self._torrents.setdefault(info_hash, torrent) is torrent

    # --- incoming peers ---------------------------------------------------------------------------

    async def _accept(self, listener: trio.SocketListener) -> None:
        """Accept peers at one socket, for ever; a peer's failure is that peer's."""
        is_refused = False
        async with trio.open_nursery() as nursery:
            while True:
                await self._wait_for_room()
                try:
                    stream = await listener.accept()
                except OSError as error:
                    # Out of descriptors (EMFILE) passes when a peer leaves; anything else too.
                    if not is_refused:
                        self._context.emit(
                            events.Waiting(info_hash="", share_name="", reason=f"accept: {error}")
                        )
                    is_refused = True
                    await trio.sleep(0.1)
                    continue
                is_refused = False
                nursery.start_soon(self._welcome, stream)

    async def _wait_for_room(self) -> None:
        """Return when another handshake may begin; end one for that which takes long."""
        while len(self._handshakes) >= PENDING_HANDSHAKES:
            oldest, began = next(iter(self._handshakes.items()))
            with trio.move_on_at(began + HURRIED_HANDSHAKE) as patience:
                await self._handshake_over.wait()
            if patience.cancelled_caught:
                self._handshakes.pop(oldest, None)
                oldest.cancel()

    async def _welcome(self, accepted: trio.SocketStream) -> None:
        try:
            stream = SocketStream.from_trio(accepted.socket)
        except OSError:
            accepted.socket.close()
            return
        try:
            with trio.move_on_after(HANDSHAKE_TIMEOUT) as scope:
                self._handshakes[scope] = trio.current_time()
                await self._shake_hands(stream)
            if scope.cancelled_caught:
                stream.close()
        except (RemoteProtocolError, OSError, trio.BrokenResourceError):
            stream.close()
        except BaseException:
            stream.close()
            raise
        finally:
            self._handshakes.pop(scope, None)
            self._handshake_over.set()
            self._handshake_over = trio.Event()

    async def _shake_hands(self, stream: SocketStream) -> None:
        context = self._context
        if not await self._wait_for_admission(stream.remote[0]):
            stream.close()
            return
        wire = PeerWire(peer_id=context.peer_id, info_hash=None, is_initiator=False)
        handshake, wire_events = await receive_handshake(stream, wire)
        torrent = self._torrents.get(handshake.info_hash)
        if torrent is None:
            stream.close()
            return
        wire.send_handshake(handshake.info_hash)
        await send_pending(stream, wire)
        torrent.peer_set.admit(stream, wire, wire_events, is_outgoing=False)

    async def _wait_for_admission(self, address: str) -> bool:
        """Let a peer wait until it may shake hands; returns whether it may."""
        now = trio.current_time()
        host = host_of(address)
        pause = self._context.talkative.arrive(host, now)
        until = max(now + pause, self._context.places.room_for(address))
        if until <= now:
            return True
        if until - now > PLACE_PATIENCE or self._waiting[host] >= ADMISSIONS_PER_HOST:
            return False
        self._waiting[host] += 1
        try:
            await trio.sleep_until(until)
        finally:
            self._waiting[host] -= 1
            if not self._waiting[host]:
                del self._waiting[host]
        return True


class _Target(Struct, frozen=True, kw_only=True):
    """What a fetch comes down to."""

    info_hash: bytes
    name: str
    size: int | None
    tiers: Sequence[Sequence[str]]
    own_tiers: Sequence[Sequence[str]] | None = None
    """Those that the torrent or link itself names; None if it names none but might."""
    metainfo: Metainfo | None = None
    peers: Sequence[Address] = ()
    v2_hash: bytes | None = None


@asynccontextmanager
async def open_node(settings: NodeSettings | None = None) -> AsyncIterator[Node]:
    """Run a node for as long as the context is open.

    On the way in: loads the strategies and listens (ConfigError if a name or option is wrong, or
    the port is taken). On the way out: announces `stopped`, saves resume state, closes everything,
    within 4 seconds. A bug in any task comes out of the `async with`, wrapped in a group.
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
    async with open_disk_threads() as disk, open_tracker_clients(source_host=source) as clients:
        context = NodeContext(
            settings=settings,
            peer_id=make_peer_id(rng),
            client=f"trio-swarm {__version__}",
            port=addresses[0][1],
            source_host=source,
            rng=rng,
            places=Places(settings.max_connections),
            disk=disk,
            clients=clients,
            strategies=strategies,
            upload_bucket=TokenBucket(settings.upload_rate),
            download_bucket=TokenBucket(settings.download_rate),
            emit=settings.on_event,
        )
        body_error: Exception | None = None
        try:
            async with trio.open_nursery() as nursery:
                node = Node(context, nursery, addresses)
                for listener in listeners:
                    nursery.start_soon(node._accept, listener, name="accept peers")  # noqa: SLF001 - its own module
                for host, port in addresses:
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


async def _or_remove(torrent: Torrent, wait: Callable[[], Awaitable[object]]) -> None:
    """Await something of a new torrent; a caller that is cancelled meanwhile leaves none behind."""
    try:
        await wait()
    except trio.Cancelled:
        with trio.CancelScope(shield=True):  # the torrent has a deadline for its end
            await torrent.remove()
        raise


def files_left_out(path: Path, left_out: LeftOut) -> events.FilesLeftOut:
    """Return the event that tells what of a folder is not shared."""
    return events.FilesLeftOut(
        path=str(path), links=left_out.links, special=left_out.special, padding=left_out.padding
    )


def _merge_tiers(
    first: Sequence[Sequence[str]], second: Sequence[Sequence[str]]
) -> tuple[tuple[str, ...], ...]:
    """Return the tiers of both without repeating a tracker."""
    seen: set[str] = set()
    result: list[tuple[str, ...]] = []
    for tier in (*first, *second):
        fresh = tuple(url for url in tier if url not in seen)
        seen.update(fresh)
        if fresh:
            result.append(fresh)
    return tuple(result)
