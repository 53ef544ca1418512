"""trio-swarm: peer-to-peer file sharing over the BitTorrent protocol, on Trio.

The names in `__all__` are the public interface. Each is imported at its first use, so that
`import trio_swarm` stays fast.
"""

from trio_swarm._version import __version__

# Type checkers take it for `typing.TYPE_CHECKING`, whose import takes most of the time until the
# command can heed signals: 16 of 18 ms.
TYPE_CHECKING = False
if TYPE_CHECKING:
    from trio_swarm.announcing.names import search_names
    from trio_swarm.errors import (
        BencodeError,
        ConfigError,
        DiskFullError,
        MetainfoError,
        NameAmbiguousError,
        NameUnknownError,
        SchedulerError,
        StorageError,
        TrackerError,
        TrackerRefusedError,
        TrackerUnreachableError,
        TrioSwarmError,
    )
    from trio_swarm.events import (
        Event,
    )
    from trio_swarm.identities import InfoHash, PeerId, PieceIndex
    from trio_swarm.metainfo_files import create_torrent, read_torrent
    from trio_swarm.node import (
        Node,
        open_node,
    )
    from trio_swarm.peer.blocking import (
        run_stoppable,
    )
    from trio_swarm.peer.torrent import (
        Torrent,
    )
    from trio_swarm.progress import (
        PeerProgress,
        Progress,
    )
    from trio_swarm.protocol.metainfo.magnet import Magnet, parse_magnet
    from trio_swarm.protocol.metainfo.torrent import Info, Metainfo
    from trio_swarm.protocol.trackers.announces import AnnounceAnswer, NameMatch
    from trio_swarm.service.service import Service, open_service
    from trio_swarm.settings import (
        DEFAULT_TRACKER,
        FetchSettings,
        NodeSettings,
        ShareSettings,
        default_state_folder,
    )
    from trio_swarm.tracker.server import TrackerHandle, serve_tracker
    from trio_swarm.tracker.settings import TrackerSettings
    from trio_swarm.wanted import (
        parse_wanted,
    )

_HOME = {
    "AnnounceAnswer": "trio_swarm.protocol.trackers.announces",
    "BencodeError": "trio_swarm.errors",
    "ConfigError": "trio_swarm.errors",
    "DEFAULT_TRACKER": "trio_swarm.settings",
    "DiskFullError": "trio_swarm.errors",
    "Event": "trio_swarm.events",
    "FetchSettings": "trio_swarm.settings",
    "Info": "trio_swarm.protocol.metainfo.torrent",
    "InfoHash": "trio_swarm.identities",
    "Magnet": "trio_swarm.protocol.metainfo.magnet",
    "Metainfo": "trio_swarm.protocol.metainfo.torrent",
    "MetainfoError": "trio_swarm.errors",
    "NameAmbiguousError": "trio_swarm.errors",
    "NameMatch": "trio_swarm.protocol.trackers.announces",
    "NameUnknownError": "trio_swarm.errors",
    "Node": "trio_swarm.node",
    "NodeSettings": "trio_swarm.settings",
    "PeerId": "trio_swarm.identities",
    "PeerProgress": "trio_swarm.progress",
    "PieceIndex": "trio_swarm.identities",
    "Progress": "trio_swarm.progress",
    "SchedulerError": "trio_swarm.errors",
    "Service": "trio_swarm.service.service",
    "ShareSettings": "trio_swarm.settings",
    "StorageError": "trio_swarm.errors",
    "Torrent": "trio_swarm.peer.torrent",
    "TrackerError": "trio_swarm.errors",
    "TrackerHandle": "trio_swarm.tracker.server",
    "TrackerRefusedError": "trio_swarm.errors",
    "TrackerSettings": "trio_swarm.tracker.settings",
    "TrackerUnreachableError": "trio_swarm.errors",
    "TrioSwarmError": "trio_swarm.errors",
    "create_torrent": "trio_swarm.metainfo_files",
    "default_state_folder": "trio_swarm.settings",
    "open_node": "trio_swarm.node",
    "open_service": "trio_swarm.service.service",
    "parse_magnet": "trio_swarm.protocol.metainfo.magnet",
    "parse_wanted": "trio_swarm.wanted",
    "read_torrent": "trio_swarm.metainfo_files",
    "run_stoppable": "trio_swarm.peer.blocking",
    "search_names": "trio_swarm.announcing.names",
    "serve_tracker": "trio_swarm.tracker.server",
}


__all__ = [
    "DEFAULT_TRACKER",
    "AnnounceAnswer",
    "BencodeError",
    "ConfigError",
    "DiskFullError",
    "Event",
    "FetchSettings",
    "Info",
    "InfoHash",
    "Magnet",
    "Metainfo",
    "MetainfoError",
    "NameAmbiguousError",
    "NameMatch",
    "NameUnknownError",
    "Node",
    "NodeSettings",
    "PeerId",
    "PeerProgress",
    "PieceIndex",
    "Progress",
    "SchedulerError",
    "Service",
    "ShareSettings",
    "StorageError",
    "Torrent",
    "TrackerError",
    "TrackerHandle",
    "TrackerRefusedError",
    "TrackerSettings",
    "TrackerUnreachableError",
    "TrioSwarmError",
    "__version__",
    "create_torrent",
    "default_state_folder",
    "open_node",
    "open_service",
    "parse_magnet",
    "parse_wanted",
    "read_torrent",
    "run_stoppable",
    "search_names",
    "serve_tracker",
]


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562)."""
    home = _HOME.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module  # noqa: PLC0415 - see TYPE_CHECKING

    value = getattr(import_module(home), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return __all__
