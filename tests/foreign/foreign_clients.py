"""Real clients and trackers, each as an async context manager that yields a running program.

The options are those that `shared/foreign-clients.md` found to work, kept here so that the tests
stand alone: no DHT, no peer exchange, no local discovery, TCP only. A peer can then only be found
through the tracker under test.
"""

import contextlib
import json
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path

import trio

import tracker_probe
from foreign_content import Content
from foreign_network import Network
from foreign_programs import POLL_SECONDS, Program, make_folder, running

LIBTORRENT_SCRIPT = Path(__file__).with_name("libtorrent_peer.py")
PEER_PORT = 6881
TRACKER_PORT = 6969


@dataclass(frozen=True)
class Client:
    """A foreign client: how to let it seed and how to let it fetch."""

    name: str
    seed: Callable[..., AbstractAsyncContextManager[Program]]
    """`seed(network, content, torrent, scratch)`; the data is at `content.path`.

    What follows, here and in `fetch`, goes to the program as options.
    """
    fetch: Callable[..., AbstractAsyncContextManager[Program]]
    """`fetch(network, what, folder, scratch)`; `what` is a .torrent file or a magnet link."""
    fetched: Callable[[Program], bool]
    """Whether the client says that it has every byte."""
    programs: tuple[str, ...] = ()
    """The commands it needs."""
    writes_empty_files: bool = True
    attempts: int = 1
    """How often it may be started anew, by whoever knows that it sometimes gives up."""


# --- libtorrent ---


@contextlib.asynccontextmanager
async def _libtorrent(
    network: Network, what: str | Path, folder: Path, scratch: Path, *options: str
) -> AsyncIterator[Program]:
    address = network.new_address()
    argv = [sys.executable, LIBTORRENT_SCRIPT, what, "--address", address]
    argv += ["--folder", make_folder(folder)]
    async with running(
        network, "libtorrent", address, [*argv, *options], folder=scratch
    ) as program:
        yield program


def _libtorrent_seed(
    network: Network, content: Content, torrent: Path, scratch: Path, *options: str
) -> AbstractAsyncContextManager[Program]:
    return _libtorrent(network, torrent, content.path.parent, scratch, "--seed", *options)


def _libtorrent_fetched(program: Program) -> bool:
    return "complete" in program.output.splitlines()


# --- aria2 ---


@contextlib.asynccontextmanager
async def _aria2(
    network: Network, what: str | Path, folder: Path, scratch: Path, *options: str
) -> AsyncIterator[Program]:
    address = network.new_address()
    argv = [
        "aria2c",
        "--no-conf",
        f"--dir={folder}",
        f"--listen-port={PEER_PORT}",
        f"--interface={address}",
        # aria2 speaks to UDP trackers only with its DHT on; here it knows no node to start from.
        "--enable-dht=true",
        f"--dht-listen-port={PEER_PORT}",
        f"--dht-file-path={scratch / 'dht.dat'}",
        "--bt-enable-lpd=false",
        "--enable-peer-exchange=false",
        "--file-allocation=none",
        "--summary-interval=0",
        "--show-console-readout=false",
        "--console-log-level=info",
        "--bt-tracker-interval=2",
        *options,
        str(what),
    ]
    async with running(network, "aria2", address, argv, folder=scratch) as program:
        yield program


def _aria2_seed(
    network: Network, content: Content, torrent: Path, scratch: Path, *options: str
) -> AbstractAsyncContextManager[Program]:
    options = ("--check-integrity=true", "--seed-ratio=0", *options)
    return _aria2(network, torrent, content.path.parent, scratch, *options)


def _aria2_fetch(
    network: Network, what: str | Path, folder: Path, scratch: Path, *options: str
) -> AbstractAsyncContextManager[Program]:
    return _aria2(network, what, folder, scratch, "--seed-time=0", *options)


def _aria2_fetched(program: Program) -> bool:
    return program.process.poll() == 0


# --- Transmission ---


@contextlib.asynccontextmanager
async def _transmission(
    network: Network, what: str | Path, folder: Path, scratch: Path, *options: str
) -> AsyncIterator[Program]:
    address = network.new_address()
    config = make_folder(scratch / "transmission")
    settings = {
        "bind-address-ipv4": address,
        "dht-enabled": False,
        "utp-enabled": False,
        "lpd-enabled": False,
        "pex-enabled": False,
        "port-forwarding-enabled": False,
        "encryption": 0,
        "preallocation": 0,
        "rpc-enabled": False,
    }
    (config / "settings.json").write_text(json.dumps(settings))
    argv = [
        "transmission-cli",
        "-g",
        config,
        "-w",
        make_folder(folder),
        "-p",
        str(PEER_PORT),
        *options,
        what,
    ]
    async with running(network, "transmission", address, argv, folder=scratch) as program:
        yield program


def _transmission_seed(
    network: Network, content: Content, torrent: Path, scratch: Path
) -> AbstractAsyncContextManager[Program]:
    return _transmission(network, torrent, content.path.parent, scratch)


def _transmission_fetched(program: Program) -> bool:
    return 'State changed from "Incomplete" to "Complete"' in program.output


LIBTORRENT = Client("libtorrent", _libtorrent_seed, _libtorrent, _libtorrent_fetched)
ARIA2 = Client("aria2", _aria2_seed, _aria2_fetch, _aria2_fetched, ("aria2c",))
TRANSMISSION = Client(
    "transmission",
    _transmission_seed,
    _transmission,
    _transmission_fetched,
    ("transmission-cli",),
    writes_empty_files=False,
    # transmission-cli 3.00 looks five times a second whether its torrent is stopped, and quits when
    # it is. It is, for a moment, between a magnet link's metadata and the download.
    attempts=5,
)
CLIENTS = {client.name: client for client in (LIBTORRENT, ARIA2, TRANSMISSION)}


# --- Our own peer, by its command line ---


@contextlib.asynccontextmanager
async def trio_swarm(
    network: Network,
    scratch: Path,
    command: str,
    *arguments: str | Path,
    checkout: Path | None = None,
) -> AsyncIterator[Program]:
    """Run `trio-swarm COMMAND ARGUMENTS --json`, listening at an address of its own.

    checkout: where to take it from, if not from where this Python finds it.
    """
    address = network.new_address()
    port = TRACKER_PORT if command == "tracker" else 0
    argv = [sys.executable, "-m", "trio_swarm", command, *arguments]
    argv += ["--listen", f"{address}:{port}", "--json", "--verbose"]
    env = {"XDG_STATE_HOME": str(scratch / "state"), "XDG_CONFIG_HOME": str(scratch / "config")}
    if checkout is not None:
        env["PYTHONPATH"] = str(checkout)
    async with running(
        network, f"trio-swarm-{command}", address, argv, folder=scratch, env=env
    ) as program:
        yield program


def events(program: Program, name: str) -> list[dict[str, object]]:
    """The events of that name that a `trio-swarm --json` has printed so far."""
    found = []
    for line in program.output.splitlines():
        # The other lines are what it, or Python, wrote to stderr.
        with contextlib.suppress(json.JSONDecodeError):
            event = json.loads(line)
            if isinstance(event, dict) and event.get("event") == name:
                found.append(event)
    return found


# --- Trackers ---


class Tracker:
    """A running tracker; `url` is what a torrent names."""

    def __init__(self, network: Network, program: Program, whitelist: Path | None = None) -> None:
        self.url = f"udp://{program.address}:{TRACKER_PORT}"
        self.program = program
        self._network = network
        self._whitelist = whitelist

    async def scrape(self, info_hash: bytes) -> tracker_probe.Counts | None:
        """What it says of a swarm; None while it does not answer."""
        self.program.check_alive()
        with self._network.udp_socket() as connection:
            connection.connect((self.program.address, TRACKER_PORT))
            return await tracker_probe.scrape(connection, info_hash)

    async def until_seeded(self, seeder: Program, info_hash: bytes) -> None:
        """Wait until it lists a seeder, so that a leecher's first announce finds one."""
        while True:
            counts = await self.scrape(info_hash)
            if counts is not None and counts.seeders:
                return
            seeder.check_alive()
            await trio.sleep(POLL_SECONDS)

    async def until_up(self) -> None:
        """Wait until it answers."""
        while True:
            if await self.scrape(bytes(20)) is not None:
                return
            await trio.sleep(POLL_SECONDS)

    def admit(self, *info_hashes: bytes) -> None:
        """Allow swarms, where the tracker wants to be told."""
        if self._whitelist is not None:
            with self._whitelist.open("a") as listed:
                listed.writelines(f"{info_hash.hex()}\n" for info_hash in info_hashes)
            self.program.signal(signal.SIGHUP)  # read the list again


@contextlib.asynccontextmanager
async def opentracker(network: Network, scratch: Path) -> AsyncIterator[Tracker]:
    """Debian's opentracker: serves whitelisted swarms only, and not as root."""
    # It makes this folder its root, then becomes nobody.
    whitelist = make_folder(scratch / "opentracker", mode=0o755) / "whitelist"
    whitelist.touch()
    address = network.new_address()
    argv = ["opentracker", "-i", address, "-p", str(TRACKER_PORT), "-P", str(TRACKER_PORT)]
    argv += ["-u", "nobody", "-d", str(whitelist.parent), "-w", whitelist.name]
    async with running(network, "opentracker", address, argv, folder=scratch) as program:
        tracker = Tracker(network, program, whitelist)
        await tracker.until_up()
        yield tracker


@contextlib.asynccontextmanager
async def our_tracker(network: Network, scratch: Path) -> AsyncIterator[Tracker]:
    """`trio-swarm tracker`, as it comes."""
    async with trio_swarm(network, scratch, "tracker") as program:
        tracker = Tracker(network, program)
        await tracker.until_up()
        yield tracker


TRACKERS = {"our-tracker": our_tracker, "opentracker": opentracker}
