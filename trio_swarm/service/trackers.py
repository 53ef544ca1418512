"""Which trackers to ask about a fetch."""

from collections.abc import Sequence

from trio_swarm.settings import DEFAULT_TRACKER
from trio_swarm.wanted import WantedHash, WantedMagnet, WantedName, WantedTorrent, parse_wanted


def trackers_for(what: str, given: Sequence[str], *, has_peers: bool) -> tuple[str, ...]:
    """Return the trackers to ask beside the ones that `what` itself names. Blocking.

    These are the `given` ones. `DEFAULT_TRACKER` takes their place only where nothing else is known
    to begin with: no tracker, and no peer (`has_peers`: some were given). Raises MetainfoError.
    """
    if given:
        return tuple(given)
    # Who asks for a name needs neither links nor files, and may be asking while they are imported.
    match parse_wanted(what):
        case WantedName():
            is_known = False
        case WantedHash():
            is_known = has_peers
        case WantedMagnet(uri):
            from trio_swarm.protocol.metainfo.magnet import parse_magnet  # noqa: PLC0415 - see above

            magnet = parse_magnet(uri)
            is_known = has_peers or bool(magnet.trackers or magnet.peers)
        case WantedTorrent(path):
            from trio_swarm.metainfo_files import read_torrent  # noqa: PLC0415 - see above

            is_known = has_peers or bool(read_torrent(path).announce_tiers)
    return () if is_known else (DEFAULT_TRACKER,)
