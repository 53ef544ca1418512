"""Who can share in a swarm of the benchmark: trio-swarm in several ways, and its rivals."""

import shutil
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol

from bench_loopback import Marks, Metered

from foreign_clients import ARIA2, LIBTORRENT, TRANSMISSION, trio_swarm
from foreign_content import Content
from foreign_programs import Program

RIDER_PLUGIN = Path(__file__).with_name("free_rider.py")

Running = AbstractAsyncContextManager[Program]


class Seed(Protocol):
    """Starts a seeder of `content`."""

    def __call__(
        self, network: Metered, content: Content, torrent: Path, scratch: Path, /
    ) -> Running: ...


class Fetch(Protocol):
    """Starts a leecher that goes on as a seeder when it has everything."""

    def __call__(
        self, network: Metered, torrent: Path, folder: Path, scratch: Path, /
    ) -> Running: ...


@dataclass(frozen=True)
class Leecher:
    """A client that fetches."""

    name: str
    fetch: Fetch
    ride: Fetch | None = None
    """The same, uploading nothing."""


@dataclass(frozen=True)
class Contestant:
    """Who seeds to whom."""

    name: str
    seed: Seed
    leechers: Sequence[Leecher]
    """In turns, if there are several."""
    announces: bool = True
    """Its seeders are known to the tracker when they are ready."""


def _seed_trio(
    network: Metered,
    content: Content,
    torrent: Path,
    scratch: Path,
    *,
    options: Sequence[str | Path],
    checkout: Path | None,
) -> Running:
    # `get` with the data there already: unlike `seed` it takes the piece length of a torrent.
    folder = content.path.parent
    command: list[str | Path] = ["get", torrent, "--dir", folder, *options]
    return trio_swarm(network, scratch, *map(str, command), checkout=checkout)


def _fetch_trio(
    network: Metered,
    torrent: Path,
    folder: Path,
    scratch: Path,
    *,
    options: Sequence[str | Path],
    checkout: Path | None,
) -> Running:
    network.marks = Marks('"piece_verified"', '"completed"')
    command: list[str | Path] = ["get", torrent, "--dir", folder, *options]
    return trio_swarm(network, scratch, *map(str, command), checkout=checkout)


def ours(
    name: str,
    *,
    options: Sequence[str] = (),
    fetching: Sequence[str] = (),
    checkout: Path | None = None,
) -> Contestant:
    """Return trio-swarm as a contestant.

    options: of its command line, for all peers; fetching: for leechers only.
    """
    all_of_them = [*options, *fetching]
    riding = [*all_of_them, "--plugin", RIDER_PLUGIN, "--choker", "nobody"]
    return Contestant(
        name,
        partial(_seed_trio, options=options, checkout=checkout),
        [
            Leecher(
                "trio-swarm",
                partial(_fetch_trio, options=all_of_them, checkout=checkout),
                partial(_fetch_trio, options=riding, checkout=checkout),
            )
        ],
    )


def _fetch_libtorrent(
    network: Metered, torrent: Path, folder: Path, scratch: Path, *options: str
) -> Running:
    network.marks = Marks("torrent_finished_alert", "\ncomplete\n")
    return LIBTORRENT.fetch(network, torrent, folder, scratch, *options)


def _ride_libtorrent(network: Metered, torrent: Path, folder: Path, scratch: Path) -> Running:
    return _fetch_libtorrent(network, torrent, folder, scratch, "--gives-nothing")


def _super_seed_libtorrent(
    network: Metered, content: Content, torrent: Path, scratch: Path
) -> Running:
    return LIBTORRENT.seed(network, content, torrent, scratch, "--super-seeding")


def _seed_aria2(network: Metered, content: Content, torrent: Path, scratch: Path) -> Running:
    # Its seeder need not hash what it is given, and neither side logs every message.
    trusting = ("--check-integrity=false", "--bt-seed-unverified=true")
    return ARIA2.seed(network, content, torrent, scratch, *trusting, "--console-log-level=notice")


def _fetch_aria2(network: Metered, torrent: Path, folder: Path, scratch: Path) -> Running:
    # When it is done only a command of one's own says so, if it is to go on as a seeder: this one
    # prints a number, "1" (file) and the file's path.
    mark = f" 1 {folder}/"
    network.marks = Marks(mark, mark)
    saying = ("--on-bt-download-complete=/bin/echo", "--console-log-level=notice")
    going_on = ("--seed-time=1000", "--seed-ratio=0")
    return ARIA2.fetch(network, torrent, folder, scratch, *going_on, *saying)


def _fetch_transmission(network: Metered, torrent: Path, folder: Path, scratch: Path) -> Running:
    mark = 'State changed from "Incomplete" to "Complete"'
    network.marks = Marks(mark, mark)
    return TRANSMISSION.fetch(network, torrent, folder, scratch)


_LIBTORRENT = Leecher("libtorrent", _fetch_libtorrent, _ride_libtorrent)


def rivals() -> list[Contestant]:
    """Return those that are installed."""
    found = [
        Contestant("libtorrent", LIBTORRENT.seed, [_LIBTORRENT]),
        Contestant("libtorrent, super-seeding", _super_seed_libtorrent, [_LIBTORRENT]),
    ]
    if all(map(shutil.which, ARIA2.programs)):
        found.append(Contestant("aria2", _seed_aria2, [Leecher("aria2", _fetch_aria2)]))
    if all(map(shutil.which, TRANSMISSION.programs)):
        leecher = Leecher("transmission", _fetch_transmission)
        found.append(Contestant("transmission", TRANSMISSION.seed, [leecher]))
    return found


def mixed(contestant: Contestant) -> Contestant:
    """Return one whose leechers are in turn the contestant's and libtorrent."""
    name = f"{contestant.name} with libtorrent"
    return Contestant(name, contestant.seed, [*contestant.leechers, _LIBTORRENT])
