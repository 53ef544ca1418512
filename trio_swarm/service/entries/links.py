"""Magnet links of entries, also of those that do not run."""

from trio_swarm.errors import MetainfoError
from trio_swarm.identities import InfoHash
from trio_swarm.protocol.metainfo.magnet import Magnet, parse_magnet
from trio_swarm.protocol.trackers.url_secrets import to_give_away
from trio_swarm.service.entries.entry import Entry
from trio_swarm.settings import FetchSettings, NodeSettings


def link_of(entry: Entry, node: NodeSettings) -> str | None:
    """Return the magnet link of an entry; None while its info-hash is not known.

    That of one that runs has the trackers that it is told to. Of another they are those that it
    would be told to, as far as its list entry says so: a .torrent file is not read for this.
    """
    if entry.torrent is not None:
        return entry.torrent.magnet()
    if entry.info_hash is None:
        return None
    info, link = entry.listed_info or entry.info, _typed_link(entry)
    names_some = entry.settings.trackers is not None
    others = (entry.settings.trackers or ()) if names_some else node.trackers
    if info is not None and info.private and not node.trackers_for_private:
        others = ()
    return Magnet(
        info_hash=InfoHash(entry.info_hash),
        name=link.name or entry.name if info is None else info.name,
        trackers=tuple(map(to_give_away, dict.fromkeys((*link.trackers, *others)))),
        peers=(),
        length=link.length if info is None else info.size,
        v2_hash=link.v2_hash if info is None else info.v2_hash,
    ).to_uri()


def _typed_link(entry: Entry) -> Magnet:
    """Return the link by which an entry was added; an empty one if it was not by a link."""
    settings = entry.settings
    if isinstance(settings, FetchSettings) and settings.what[:7].lower() == "magnet:":
        try:
            return parse_magnet(settings.what)
        except MetainfoError:
            pass  # it failed, and says so
    return Magnet(InfoHash(bytes(20)))
