"""What is to come into the list: read, named, and compared with what is there. Blocking."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

from msgspec import Struct
from msgspec.structs import replace

from trio_swarm.amounts import size_text
from trio_swarm.errors import ConfigError, MetainfoError
from trio_swarm.foreign_text import shown
from trio_swarm.identities import InfoHash
from trio_swarm.metainfo_files import MAX_TORRENT_FILE, read_torrent
from trio_swarm.named_paths import read_whole
from trio_swarm.protocol.metainfo.magnet import Magnet, parse_magnet
from trio_swarm.protocol.metainfo.torrent import Metainfo, parse_metainfo
from trio_swarm.protocol.trackers.share_names import name_fault
from trio_swarm.service.entries.records import (
    KeptFetch,
    Record,
    Totals,
    keep_texts,
    kept_settings,
    kept_text,
    kept_texts,
)
from trio_swarm.settings import FetchSettings, ShareSettings
from trio_swarm.wanted import (
    WantedHash,
    WantedMagnet,
    WantedName,
    WantedTorrent,
    parse_wanted,
)

MAX_NAME: Final = 1000
"""Characters of a name that nobody but a link or a person vouches for."""

Settings = ShareSettings | FetchSettings


class Wished(Struct, frozen=True):
    """Something to add: its settings, and what is known of it before it runs."""

    settings: Settings
    name: str
    info_hash: InfoHash | None = None
    torrent: bytes | None = None
    """The .torrent file to fetch by."""

    def is_of(self, settings: Settings, *info_hashes: bytes | None) -> bool:
        """Whether it is the entry with these settings and info-hashes."""
        if self.info_hash is not None and self.info_hash in info_hashes:
            return True
        mine = self.settings
        if isinstance(mine, ShareSettings):
            return isinstance(settings, ShareSettings) and (mine.path, mine.name) == (
                settings.path,
                settings.name,
            )
        return (
            self.torrent is None
            and isinstance(settings, FetchSettings)
            and (mine.what, mine.info_hash) == (settings.what, settings.info_hash)
        )


def wished(settings: Settings, metainfo: bytes | None) -> Wished:
    """Return what to add; `metainfo` is a .torrent file to fetch by, whatever `what` says.

    Raises MetainfoError for a file or link that is not valid, ConfigError for a name that no
    tracker takes.
    """
    settings = absolute(settings)
    if isinstance(settings, ShareSettings):
        return Wished(settings, typed(settings))
    if metainfo is not None:
        return _by_torrent(settings, metainfo)
    match parse_wanted(settings.what):
        case WantedTorrent(path):
            read_torrent(path)  # its errors name the file
            return _by_torrent(settings, _bytes_of(path))
        case WantedMagnet(uri):
            magnet = parse_magnet(uri)
            return Wished(settings, _name_in(magnet), magnet.info_hash)
        case WantedHash(info_hash):
            return Wished(settings, info_hash.hex(), info_hash)
        case WantedName(name):
            fault = name_fault(name)
            if fault is not None:  # no tracker would register it, so it would wait for ever
                raise ConfigError(f"no torrent is called {shown(name)!r}: {fault}")
            chosen = settings.info_hash
            known = InfoHash(chosen) if isinstance(chosen, bytes) else None
            return Wished(settings, name[:MAX_NAME], known)


def _bytes_of(path: Path) -> bytes:
    try:
        return read_whole(path, MAX_TORRENT_FILE)
    except OSError as error:
        raise MetainfoError(f"{path}: {error.strerror or error}") from None


def _by_torrent(settings: FetchSettings, data: bytes) -> Wished:
    if len(data) > MAX_TORRENT_FILE:
        raise MetainfoError(f"a .torrent file has {size_text(MAX_TORRENT_FILE)} at most")
    info = parse_metainfo(data).info
    return Wished(settings, info.name, info.info_hash, data)


def first_totals(record: Record, torrent: Metainfo | None) -> Totals:
    """Return what is known of an entry of which no totals were written before a kill.

    `torrent` is the .torrent file that is kept of it.
    """
    totals = Totals(id=record.id, key=record.key, added_at=record.added_at)
    kept = record.settings
    if isinstance(kept, KeptFetch) and torrent is not None:
        totals.name, totals.info_hash = torrent.info.name, torrent.info.info_hash.hex()
    elif kept is not None and not record.by_torrent:
        with suppress(ConfigError, MetainfoError):
            wish = wished(kept_settings(kept), None)
            totals.name, totals.info_hash = wish.name, (wish.info_hash or b"").hex()
    return totals


def absolute(settings: Settings) -> Settings:
    """Return settings that mean the same after a restart from another folder."""
    if isinstance(settings, ShareSettings):
        path = absolute_path(settings.path)
        return settings if path is settings.path else replace(settings, path=path)
    folder = absolute_path(settings.folder)
    return settings if folder is settings.folder else replace(settings, folder=folder)


def absolute_path(path: Path) -> Path:
    """Return a path that means the same from any folder; links stay links.

    One that does already is returned itself: of thousands, a copy of each takes memory.
    """
    text = os.path.abspath(path)  # noqa: PTH100 - `resolve` would follow links
    return path if text == str(path) else Path(text)


def typed(settings: Settings) -> str:
    """Return what a person would call it who knows no more than these settings."""
    if isinstance(settings, FetchSettings):
        return _named_by(settings.what)
    return settings.name or settings.path.name


def _named_by(what: str) -> str:
    """Return what a person calls it; of a link, which may hold keys, the name in it."""
    if what.strip()[:7].lower() != "magnet:":
        return what
    try:
        magnet = parse_magnet(what)
    except MetainfoError:
        return "a magnet link"
    return _name_in(magnet)


def _name_in(magnet: Magnet) -> str:
    return (magnet.name or "")[:MAX_NAME] or magnet.info_hash.hex()


def key_of(settings: Settings) -> str:
    """Return what an entry of the configuration file is known by, whatever else it says there."""
    parts: tuple[str, ...]
    if isinstance(settings, ShareSettings):
        parts = ("share", str(settings.path), settings.name or "")
    else:
        chosen = settings.info_hash
        digits = chosen.hex() if isinstance(chosen, bytes) else chosen or ""
        parts = ("fetch", settings.what, str(settings.folder), digits)
    return "\t".join(part.encode(errors="backslashreplace").decode() for part in parts)


def own_renamings(settings: Settings) -> tuple[tuple[str, str], ...]:
    """Return the renamings that an entry begins with, as a record keeps them."""
    if isinstance(settings, ShareSettings):
        return ()
    return tuple(map(keep_texts, settings.renamings))


def with_changes(settings: Settings, record: Record) -> Settings:
    """Return settings with what was changed of them at run time."""
    folder = None if record.folder is None else Path(kept_text(record.folder))
    if isinstance(settings, ShareSettings):
        return settings if folder is None else replace(settings, path=folder / settings.path.name)
    if folder is not None:
        settings = replace(settings, folder=folder)
    # Also if none is left: a name that was given back is the name again.
    renamings = tuple(map(kept_texts, record.renamings))
    if renamings != settings.renamings:
        settings = replace(settings, renamings=renamings)
    if record.scheduler is None:
        return settings
    return replace(settings, scheduler=record.scheduler, scheduler_options=record.scheduler_options)


def is_certain(settings: Settings, learned: Metainfo) -> bool:
    """Whether settings of the configuration file mean what was learned by them, whatever happens.

    A name means whatever is shared by that name now, unless its info-hash stands beside it.
    """
    if isinstance(settings, ShareSettings):
        return False
    match settings.info_hash:
        case bytes() as chosen:
            return chosen == learned.info.info_hash
        case str() as beginning:
            return learned.info.info_hash.hex().startswith(beginning.lower())
    with suppress(OSError):
        return isinstance(parse_wanted(settings.what), WantedMagnet | WantedHash)
    return False
