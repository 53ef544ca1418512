"""Settings of a node, a share and a fetch. The default of each setting is written here only."""

import os
from collections.abc import Callable, Mapping
from contextlib import suppress
from datetime import time
from pathlib import Path
from typing import Final, Literal

from msgspec import Struct, field

from trio_swarm.events import Event
from trio_swarm.identities import DEFAULT_VERSION, TorrentVersion
from trio_swarm.protocol.addresses import Address

DEFAULT_TRACKER = "udp://127.0.0.1:6969"
"""The tracker to ask when none is named: one on this machine, at the usual port."""

MAX_LABELS: Final = 50
MAX_LABEL: Final = 200
"""Labels of one torrent, and characters of one: everything that lists torrents repeats them."""


def label_fault(label: str) -> str | None:
    """Return what is wrong with a label, in words that go on after `a label`; None: nothing.

    Lists of labels are separated by commas: for hooks, and by transmission-remote.
    """
    if not 1 <= len(label) <= MAX_LABEL:
        return f"has 1 to {MAX_LABEL} characters"
    if "," in label or not label.isprintable() or label != label.strip():
        return "is printable, and has no comma and no space around it"
    return None


def default_state_folder() -> Path:
    """Return the folder for resume state: `$XDG_STATE_HOME/trio-swarm`, or below `~/.local`.

    As the XDG Base Directory Specification asks, a relative `$XDG_STATE_HOME` is ignored. Where the
    user has no home folder (a bare user id in a container, say) the path begins with `~`: nothing
    can be kept there, which is told when it is tried.
    """
    base = os.environ.get("XDG_STATE_HOME", "")
    if base.startswith("/"):
        return Path(base, "trio-swarm")
    home = Path("~")
    with suppress(RuntimeError):
        home = Path.home()
    return home / ".local" / "state" / "trio-swarm"


def ignore_event(_event: Event) -> None:
    """Do nothing: the default of `on_event`."""


class NodeSettings(Struct, frozen=True, kw_only=True):
    """Settings of one node; rates are bytes/s, memory is bytes, None means unlimited."""

    listen_host: str = ""
    """Address to accept peers at; empty for every IPv4 and IPv6 address of this machine."""
    listen_port: int = 0
    """TCP port; 0 for any free one."""
    trackers: tuple[str, ...] = ()
    """Trackers every share and fetch uses unless it names its own (udp, http, https)."""
    trackers_for_private: bool = False
    """Use them for private torrents (BEP 27) as well, which should be told to their own only."""
    state_folder: Path | None = None
    """Where resume state and hash caches are kept; None for `default_state_folder()`."""
    scheduler: str = "rarest-first"
    scheduler_options: Mapping[str, object] = field(default_factory=dict)
    uploader: str = "spread"
    uploader_options: Mapping[str, object] = field(default_factory=dict)
    choker: str = "tit-for-tat"
    choker_options: Mapping[str, object] = field(default_factory=dict)
    plugins: tuple[Path, ...] = ()
    """Python files or folders with strategies, besides the installed packages."""
    max_connections: int = 250
    """Most peers connected at once, over all torrents."""
    upload_rate: int | None = None
    download_rate: int | None = None
    upload_slots: int = 16
    """Most peers of one torrent that are served at once."""
    piece_memory: int = 32 * 1024 * 1024
    """Bytes of pieces in flight, per download."""
    labels: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """Facts about peers for strategies: address prefix (`10.0.` or `host:port`) → label → value."""
    on_event: Callable[[Event], None] = ignore_event
    """Called for everything that happens; must return quickly and must not raise."""


class ShareSettings(Struct, frozen=True, kw_only=True):
    """One file or folder that a service offers."""

    path: Path
    name: str | None = None
    """The name to be found by; None: the name of the file or folder."""
    trackers: tuple[str, ...] | None = None
    """None: the trackers of the node."""
    piece_length: int | None = None
    """Bytes, a power of two; None: chosen by size."""
    version: TorrentVersion = DEFAULT_VERSION
    """Of the torrent that is made of it."""
    follow_links: bool = False
    """Share what symbolic links below the path lead to, under their names."""
    links_root: Path | None = None
    """The folder that links may lead into; None: see `storage.shares.links_root_of`."""
    labels: tuple[str, ...] = ()
    """In the list it is sorted by these."""
    paused: bool = False
    """In the list it waits until somebody resumes it."""
    upload_rate: int | None = None
    """Bytes/s of it in the list; None: those of the node."""
    upload_slots: int | None = None
    """Peers served at once; None: as many as the node says."""


class FetchSettings(Struct, frozen=True, kw_only=True):
    """One thing that a service fetches, how long it waits for it, and how long it seeds it."""

    what: str
    """A name, the path of a .torrent file, a magnet link, or an info-hash or its first digits."""
    folder: Path = Path()
    """Where to put it; made if it does not exist."""
    trackers: tuple[str, ...] | None = None
    """None: the trackers of the service, or `DEFAULT_TRACKER` where nothing else is known."""
    peers: tuple[Address, ...] = ()
    """Peers to connect to at once."""
    info_hash: bytes | str | None = None
    """The torrent that is meant where a name stands for several: 20 bytes, or its first digits."""
    scheduler: str | None = None
    """None: the scheduler of the node."""
    scheduler_options: Mapping[str, object] = field(default_factory=dict)
    wait: bool = False
    """Wait for the name, for peers and for room on the disk instead of failing."""
    timeout: float | None = None
    """Seconds without a byte after which it fails, even if it waits."""
    record: Path | None = None
    """A new file to record the download to."""
    seed: bool = True
    """Go on as a seeder when everything is there."""
    seed_for: float | None = None
    """Seconds of seeding, then it ends."""
    seed_ratio: float | None = None
    """It ends when so many times its size was given to others."""
    renamings: tuple[tuple[str, str], ...] = ()
    """Names that somebody gave to its files: paths, and the names for the last part of each."""
    only: tuple[str, ...] = ()
    """Globs of the files that are wanted, see `protocol.metainfo.selection`; none: all."""
    skip: tuple[str, ...] = ()
    """Globs of files that are not wanted, though they were."""
    metadata_only: bool = False
    """Nothing is fetched but what the torrent says of itself; see `Torrent.wait_metadata`."""
    file_numbers: tuple[tuple[int, int], ...] = ()
    """Files that are wanted, as ranges of numbers, both ends included; `only` counts before it."""
    labels: tuple[str, ...] = ()
    """In the list it is sorted by these."""
    paused: bool = False
    """In the list it waits until somebody resumes it."""
    upload_rate: int | None = None
    """Bytes/s of it in the list; None: those of the node."""
    download_rate: int | None = None
    upload_slots: int | None = None
    """Peers served at once; None: as many as the node says."""


Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]

DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
"""As `datetime.weekday` counts them."""


class ScheduleSettings(Struct, frozen=True, kw_only=True):
    """Alternative limits of a node by time of day and weekday, in the machine's local time."""

    begin: time | None = None
    """When they begin to hold; None: at midnight."""
    end: time | None = None
    """When they end: the next day if that is not after `begin`; None: at midnight."""
    days: tuple[Day, ...] = ()
    """The days on which they begin; empty: every day."""
    upload_rate: int | None = None
    download_rate: int | None = None


class WatchSettings(Struct, frozen=True, kw_only=True):
    """One folder into which .torrent files and magnet links are dropped."""

    folder: Path
    to: Path | None = None
    """Where to put what is fetched; None: where the process runs."""
    labels: tuple[str, ...] = ()
    """What is fetched is sorted by these."""
    paused: bool = False
    """Wait until somebody resumes it."""


class HookSettings(Struct, frozen=True, kw_only=True):
    """Programs that are run when something happened; each is a program and its arguments."""

    on_complete: tuple[str, ...] = ()
    """A fetch is complete."""
    on_failed: tuple[str, ...] = ()
    """A share or fetch has failed."""
    timeout: float = 60.0
    """Seconds until a program is ended."""


class ControlSettings(Struct, frozen=True, kw_only=True):
    """How a running node is controlled by HTTP, besides the Unix socket in its state folder."""

    listen: Address | None = None
    """TCP address; None: only the Unix socket."""
    token_file: Path | None = None
    """A file with the token of people who may do everything; None: no such token."""
    read_token_file: Path | None = None
    """A file with the token of people who may look."""
    password_file: Path | None = None
    """A file with `user:password`, for programs that know HTTP's Basic authentication only."""
    hosts: tuple[str, ...] = ()
    """Names of this machine that browsers may use, besides its addresses and `localhost`."""
    folders: tuple[Path, ...] = ()
    """Where torrents that are added may go, besides the download folder."""

    @property
    def has_credentials(self) -> bool:
        """Whether somebody who comes by TCP must show a token or password."""
        return any((self.token_file, self.read_token_file, self.password_file))
