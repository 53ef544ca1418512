"""Torrents of a node as a person names them: name, info-hash, id, or a beginning of either."""

from collections.abc import Iterable, Sequence

from trio_swarm.control.answers import Torrent
from trio_swarm.control.client import Client, ControlRefusedError
from trio_swarm.errors import ConfigError, TrioSwarmError
from trio_swarm.foreign_text import shown

MOST_LISTED = 10
"""Torrents in one message; `status` lists all of them."""
_MOST_NEAR = 3
_SHORT_HASH = 12


class TorrentUnknownError(TrioSwarmError):
    """The node has no such torrent; notes tell of names that are nearly the one typed."""


class TorrentAmbiguousError(TrioSwarmError):
    """Several torrents of the node are named so."""


async def find_torrents(client: Client, names: Iterable[str]) -> list[Torrent]:
    """Return the torrents that are named, each once, before anything is done to the first.

    Raises TorrentUnknownError or TorrentAmbiguousError, which tell what may have been meant.
    """
    found = {}
    for name in names:
        torrent = await find_torrent(client, name)
        found[torrent.id] = torrent
    return list(found.values())


async def find_torrent(client: Client, name: str) -> Torrent:
    """Return the one torrent that is named; errors as `find_torrents`."""
    if not name.strip():
        raise ConfigError("a torrent is named by its name, info-hash or the beginning of either")
    if "/" in name or name in {".", ".."}:  # such a name has no place in the path of a URL
        return _chosen(name, await client.torrents())
    try:
        return await client.torrent(name)
    except ControlRefusedError as error:
        if error.code not in {"unknown-torrent", "ambiguous-torrent"}:
            raise
    return _chosen(name, await client.torrents())


def reference(torrent: Torrent) -> str:
    """Return what names a torrent to the node and nothing else: ids are never given twice."""
    return str(torrent.id)


def _chosen(name: str, known: Sequence[Torrent]) -> Torrent:
    """Return the torrent that `name` names of those that are `known`; raise where that is not one.

    As the node chooses: an id, a whole name or info-hash comes before the beginning of others.
    """
    whole = [each for each in known if name in {each.name, each.info_hash, str(each.id)}]
    begun = [
        each
        for each in known
        if each.name.startswith(name) or (each.info_hash or "").startswith(name.lower())
    ]
    matches = whole or begun
    if not matches:
        raise _unknown(name, known)
    if len(matches) > 1:
        raise TorrentAmbiguousError(
            f"{shown(name)!r} stands for {len(matches)} torrents, name one by its info-hash: "
            f"{'; '.join(_listed(matches))}"
        )
    return matches[0]


def _listed(torrents: Sequence[Torrent]) -> list[str]:
    named = [
        f"{(each.info_hash or f'id {each.id}')[:_SHORT_HASH]} ({shown(each.name)}, {each.state})"
        for each in torrents[:MOST_LISTED]
    ]
    more = len(torrents) - len(named)
    return [*named, f"and {more} more"] if more else named


def _unknown(name: str, known: Sequence[Torrent]) -> TorrentUnknownError:
    error = TorrentUnknownError(f"the node has no torrent {shown(name)!r}")
    near = _near(name, known)
    if near:
        error.add_note(f"did you mean {' or '.join(near)}?")
    elif known:
        error.add_note("`trio-swarm status` lists its torrents")
    else:
        error.add_note("it has none yet: `trio-swarm add` adds one")
    return error


def _near(name: str, known: Sequence[Torrent]) -> list[str]:
    import difflib  # noqa: PLC0415 - only for those who mistyped

    folded = {each.name.casefold(): each.name for each in reversed(known)}
    wanted = name.casefold()
    close = difflib.get_close_matches(wanted, folded, n=_MOST_NEAR, cutoff=0.6)
    # A word of a long name is enough to have meant it.
    close += [each for each in folded if len(wanted) > 2 and wanted in each and each not in close]
    return [repr(shown(folded[each])) for each in close[:_MOST_NEAR]]
