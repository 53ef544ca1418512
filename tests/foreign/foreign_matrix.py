"""Exchanges between a foreign client and ours: which there are, and how one is run."""

import contextlib
import itertools
import traceback
from collections.abc import Collection
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import trio

from foreign_clients import CLIENTS, TRACKERS, Client, Tracker, events, trio_swarm
from foreign_content import KIB, Content, make_content, make_torrent, read_torrent
from foreign_network import Network
from foreign_programs import EndedEarlyError, last_output
from trio_swarm import create_torrent

AT_ONCE = 14
"""Exchanges run at a time. Transmission's go first: they take longest, and mostly wait."""
EXCHANGE_SECONDS = 75
"""Longest time for one. Transmission needs up to 25 s, and two cores are shared by many."""
IDENTICAL = "identical"


@dataclass(frozen=True)
class Exchange:
    """Who fetches what from whom, and how they find each other."""

    client: str
    kind: str
    direction: str
    tracker: str

    def __str__(self) -> str:
        return f"{self.client}-{self.kind}-{self.direction}-{self.tracker}"

    @property
    def size(self) -> int:
        """Bytes to share, about; Transmission is slow."""
        return (1 if self.client == "transmission" else 4) * 1024 * KIB

    @property
    def programs(self) -> tuple[str, ...]:
        """The commands that must be installed for it."""
        trackers = ("opentracker",) if self.tracker == "opentracker" else ()
        return CLIENTS[self.client].programs + trackers


EXCHANGES = tuple(
    itertools.starmap(
        Exchange,
        itertools.product(
            CLIENTS,
            ("single-file", "multi-file", "magnet"),
            ("from-us", "from-them"),
            TRACKERS,
        ),
    )
)


async def run_exchanges(
    network: Network, exchanges: Collection[Exchange], scratch: Path
) -> dict[Exchange, str]:
    """Run all, many at a time; of each, IDENTICAL or what went wrong."""
    outcomes: dict[Exchange, str] = {}
    waiting = iter(sorted(exchanges, key=lambda each: each.client != "transmission"))

    async def run_until_none_waits(trackers: dict[str, Tracker]) -> None:
        for exchange in waiting:
            folder = scratch / str(exchange)
            try:
                with trio.fail_after(EXCHANGE_SECONDS):
                    await _exchange(network, exchange, trackers[exchange.tracker], folder)
            except Exception:  # noqa: BLE001 - its failure is its outcome; the others go on
                outcomes[exchange] = f"{traceback.format_exc()}\n{last_output(folder)}"
            else:
                outcomes[exchange] = IDENTICAL

    async with contextlib.AsyncExitStack() as stack:
        trackers = {
            name: await stack.enter_async_context(TRACKERS[name](network, scratch / name))
            for name in sorted({each.tracker for each in exchanges})
        }
        async with trio.open_nursery() as nursery:
            for _ in range(AT_ONCE):
                nursery.start_soon(run_until_none_waits, trackers)
    return outcomes


async def _exchange(network: Network, exchange: Exchange, tracker: Tracker, scratch: Path) -> None:
    multi_file = exchange.kind == "multi-file"
    content = make_content(scratch / "share", str(exchange), exchange.size, multi_file=multi_file)
    client = CLIENTS[exchange.client]
    copies = scratch / "copies"
    if exchange.direction == "from-us":
        # A tracker with a list must know the info-hash before our seeder announces it.
        info_hash = create_torrent(content.path).info.info_hash
        tracker.admit(info_hash)
        torrent_path = scratch / "ours.torrent"
        seeding = ("seed", content.path, "--tracker", tracker.url, "--torrent-out", torrent_path)
        async with trio_swarm(network, scratch, *seeding) as seeder:
            await tracker.until_seeded(seeder, info_hash)
            assert read_torrent(torrent_path).info_hash == info_hash
            (sharing,) = events(seeder, "sharing")
            what = sharing["magnet"] if exchange.kind == "magnet" else torrent_path
            await _fetch(network, client, what, content, copies=copies, scratch=scratch)
    else:
        torrent = make_torrent(content, scratch / "theirs.torrent", tracker.url)
        tracker.admit(torrent.info_hash)
        async with client.seed(network, content, torrent.path, scratch) as seeder:
            await tracker.until_seeded(seeder, torrent.info_hash)
            what = torrent.magnet if exchange.kind == "magnet" else torrent.path
            fetching = ("get", what, "--dir", copies, "--no-seed")
            async with trio_swarm(network, scratch, *fetching) as leecher:
                await leecher.until(lambda: leecher.process.poll() == 0)
                content.assert_equals_copy_in(copies)


async def _fetch(
    network: Network,
    client: Client,
    what: str | Path,
    content: Content,
    *,
    copies: Path,
    scratch: Path,
) -> None:
    """Let a foreign client fetch, and compare what it got."""
    for attempt in range(1, client.attempts + 1):
        async with client.fetch(network, what, copies, scratch / f"attempt-{attempt}") as leecher:
            try:
                await leecher.until(partial(client.fetched, leecher))
            except EndedEarlyError:
                if attempt == client.attempts:
                    raise
            else:
                content.assert_equals_copy_in(copies, empty_files=client.writes_empty_files)
                return
