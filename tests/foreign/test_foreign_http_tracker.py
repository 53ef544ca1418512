"""Foreign clients announce to our tracker and scrape it by HTTP, and find each other so."""

import contextlib
import json
import os
import shutil
import sys
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from urllib.parse import quote

import pytest
import trio

from foreign_clients import (
    ARIA2,
    LIBTORRENT,
    PEER_PORT,
    TRACKER_PORT,
    TRANSMISSION,
    Client,
    Tracker,
    events,
    opentracker,
    our_tracker,
    trio_swarm,
)
from foreign_content import KIB, Torrent, make_content, make_torrent
from foreign_network import Network
from foreign_programs import Program, last_output, make_folder, running
from foreign_remotes import INSTALLED, SCRIPTS
from local_swarm import until
from trio_swarm.events import Event, TrackerChange
from trio_swarm.protocol.bencode import Value, decode
from trio_swarm.tracker.http import answering
from trio_swarm.tracker.server import serve_tracker
from trio_swarm.tracker.settings import TrackerSettings

pytestmark = pytest.mark.foreign

LIMIT = 100.0
SIZE = 512 * KIB


def http_url(tracker: Tracker) -> str:
    return f"http://{tracker.program.address}:{TRACKER_PORT}/announce"


def changes(tracker: Tracker, torrent: Torrent) -> list[str]:
    """What became of a torrent's peers at our tracker."""
    return [
        str(told["change"])
        for told in events(tracker.program, "tracker_change")
        if told["info_hash"] == torrent.info_hash.hex()
    ]


async def pass_on(
    network: Network, tracker: Tracker, seeder: Client, leecher: Client, scratch: Path
) -> None:
    """Let one client fetch from another, which it can find through the tracker only."""
    name = f"{seeder.name}-{leecher.name}.bin"  # each pair has a swarm of its own
    content = make_content(scratch / "share", name, SIZE, multi_file=False)
    torrent = make_torrent(content, scratch / "film.torrent", http_url(tracker))
    copies = make_folder(scratch / "copies")
    async with seeder.seed(network, content, torrent.path, scratch / "seeder") as seeding:
        await tracker.until_seeded(seeding, torrent.info_hash)
        async with leecher.fetch(network, torrent.path, copies, scratch / "leecher") as fetching:
            await fetching.until(lambda: leecher.fetched(fetching))
            # aria2 ends when it has all, and says only that it stops.
            ends = {"completed", "stopped"}
            await tracker.program.until(lambda: not ends.isdisjoint(changes(tracker, torrent)))
    content.assert_equals_copy_in(copies)
    assert changes(tracker, torrent).count("registered") == 2


@pytest.mark.foreign("aria2c", "transmission-cli")
async def test_clients_find_each_other_by_http(network: Network, tmp_path: Path) -> None:
    """libtorrent 2.1, aria2 1.36 and Transmission 3.00, each as a seeder and as a leecher."""
    pairs = [(LIBTORRENT, ARIA2), (ARIA2, TRANSMISSION), (TRANSMISSION, LIBTORRENT)]
    try:
        with trio.fail_after(LIMIT):
            async with our_tracker(network, tmp_path / "tracker") as tracker:
                async with trio.open_nursery() as nursery:
                    for seeder, leecher in pairs:
                        folder = make_folder(tmp_path / f"{seeder.name}-{leecher.name}")
                        nursery.start_soon(pass_on, network, tracker, seeder, leecher, folder)
                assert not [
                    told for told in events(tracker.program, "tracker_change")
                    if told["change"] == "refused"
                ]  # fmt: skip
    except BaseException as error:
        error.add_note(last_output(tmp_path))
        raise


@contextlib.asynccontextmanager
async def qbittorrent(
    network: Network, torrent: Path, folder: Path, scratch: Path
) -> AsyncIterator[Program]:
    """qBittorrent without a window, with one torrent."""
    address = network.new_address()
    config = make_folder(scratch / "profile" / "qBittorrent" / "config") / "qBittorrent.conf"
    config.write_text(
        "[LegalNotice]\nAccepted=true\n[BitTorrent]\n"
        f"Session\\InterfaceAddress={address}\nSession\\Port={PEER_PORT}\n"
        "Session\\DHTEnabled=false\nSession\\LSDEnabled=false\nSession\\PeXEnabled=false\n"
        "Session\\AddTorrentPaused=false\nSession\\BTProtocol=TCP\n"
        "[Network]\nPortForwardingEnabled=false\n[Preferences]\nWebUI\\Enabled=true\n"
        f"WebUI\\Address={address}\nWebUI\\UseUPnP=false\n"
    )
    argv = ["qbittorrent-nox", f"--profile={scratch / 'profile'}", "--webui-port=8080"]
    argv += [f"--save-path={folder}", "--skip-dialog=true", torrent]
    async with running(network, "qbittorrent", address, argv, folder=scratch) as program:
        yield program


@pytest.mark.foreign("qbittorrent-nox")
async def test_qbittorrent_fetches_what_it_finds_by_http(network: Network, tmp_path: Path) -> None:
    """qBittorrent 4.5.2."""
    content = make_content(tmp_path / "share", "film.bin", SIZE, multi_file=False)
    copies = make_folder(tmp_path / "copies")
    copy = copies / content.path.name

    def is_whole() -> bool:
        return copy.exists() and copy.read_bytes() == content.path.read_bytes()

    try:
        with trio.fail_after(LIMIT):
            async with our_tracker(network, tmp_path / "tracker") as tracker:
                torrent = make_torrent(content, tmp_path / "film.torrent", http_url(tracker))
                async with LIBTORRENT.seed(network, content, torrent.path, tmp_path) as seeder:
                    await tracker.until_seeded(seeder, torrent.info_hash)
                    async with qbittorrent(network, torrent.path, copies, tmp_path) as leecher:
                        await leecher.until(is_whole)
                        await tracker.program.until(
                            lambda: "completed" in changes(tracker, torrent)
                        )
                await tracker.program.until(lambda: "stopped" in changes(tracker, torrent))
    except BaseException as error:
        error.add_note(last_output(tmp_path))
        raise


LIBTORRENT_SCRAPES = """
import sys, time, libtorrent as lt
categories = lt.alert.category_t
session = lt.session({"listen_interfaces": sys.argv[1] + ":6881", "enable_dht": False,
    "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
    "alert_mask": categories.tracker_notification | categories.error_notification})
parameters = lt.load_torrent_file(sys.argv[2])
parameters.save_path = "."
handle = session.add_torrent(parameters)
asked = False
while True:
    session.wait_for_alert(200)
    for alert in session.pop_alerts():
        print(type(alert).__name__, alert.message(), flush=True)
        if isinstance(alert, lt.tracker_reply_alert) and not asked:
            asked = True
            handle.scrape_tracker()
        if isinstance(alert, lt.scrape_reply_alert):
            print("counts", alert.complete, alert.incomplete, flush=True)
            sys.exit()
"""


async def test_libtorrent_scrapes_by_http(network: Network, tmp_path: Path) -> None:
    """libtorrent 2.1: an answer without the swarm would be a failure to it."""
    content = make_content(tmp_path / "share", "film.bin", SIZE, multi_file=False)
    try:
        with trio.fail_after(LIMIT):
            async with our_tracker(network, tmp_path / "tracker") as tracker:
                url = f"{http_url(tracker)}/key-of-an-account?name={quote('a film')}"
                torrent = make_torrent(content, tmp_path / "film.torrent", url)
                address = network.new_address()
                argv = [sys.executable, "-c", LIBTORRENT_SCRAPES, address, torrent.path]
                async with running(network, "scraper", address, argv, folder=tmp_path) as scraper:
                    assert await scraper.wait() == 0
                assert "counts 0 1" in scraper.output.splitlines()
                assert "name_taken" in changes(tracker, torrent)
    except BaseException as error:
        error.add_note(last_output(tmp_path))
        raise


async def test_npms_client_announces_scrapes_and_stops_by_http(
    network: Network, tmp_path: Path
) -> None:
    """bittorrent-tracker 10.0, which webtorrent used; later ones need a compiled WebRTC."""
    if not (INSTALLED / "node_modules" / "bittorrent-tracker").exists() or not shutil.which("node"):
        reason = "npm's bittorrent-tracker is not installed (`make remotes` installs it)"
        if os.environ.get("CI") == "true":
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    content = make_content(tmp_path / "share", "film.bin", SIZE, multi_file=False)
    try:
        with trio.fail_after(LIMIT):
            async with our_tracker(network, tmp_path / "tracker") as tracker:
                torrent = make_torrent(content, tmp_path / "film.torrent", http_url(tracker))
                async with LIBTORRENT.seed(network, content, torrent.path, tmp_path) as seeder:
                    await tracker.until_seeded(seeder, torrent.info_hash)
                    address = network.new_address()
                    argv = ["node", SCRIPTS / "tracker_client.mjs", torrent.info_hash.hex()]
                    argv += [http_url(tracker)]
                    env = {"NODE_PATH": str(INSTALLED / "node_modules")}
                    async with running(
                        network, "npm", address, argv, folder=tmp_path, env=env
                    ) as client:
                        assert await client.wait() == 0, client.output
                    told = [json.loads(line) for line in client.output.splitlines()]
                    assert told == [
                        {"peer": f"{seeder.address}:{PEER_PORT}"},
                        {"update": [1, 1]},
                        {"scrape": [1, 1, 0]},
                        {"update": [2, 0]},
                        {"scrape": [2, 0, 1]},
                    ]
                    await tracker.program.until(lambda: "stopped" in changes(tracker, torrent))
    except BaseException as error:
        error.add_note(last_output(tmp_path))
        raise


async def test_our_own_peers_find_a_name_by_http(network: Network, tmp_path: Path) -> None:
    content = make_content(tmp_path / "share", "film.bin", SIZE, multi_file=False)
    copies = make_folder(tmp_path / "copies")
    try:
        with trio.fail_after(LIMIT):
            async with our_tracker(network, tmp_path / "tracker") as tracker:
                flags = ("--tracker", http_url(tracker))
                sharing = ("seed", content.path, *flags)
                async with trio_swarm(network, tmp_path / "seeder", *sharing) as seeder:
                    await seeder.until(lambda: bool(events(seeder, "announced")))
                    fetching = ("get", "film.bin", *flags, "--dir", copies, "--no-seed")
                    async with trio_swarm(network, tmp_path / "leecher", *fetching) as leecher:
                        assert await leecher.wait() == 0
    except BaseException as error:
        error.add_note(last_output(tmp_path))
        raise
    content.assert_equals_copy_in(copies)


ASKER = """
import sys, urllib.request
sys.stdout.buffer.write(urllib.request.urlopen(sys.argv[1]).read())
"""


async def answer_of(network: Network, tracker: Tracker, target: str) -> dict[bytes, Value]:
    """What Python's own HTTP client is answered."""
    url = f"http://{tracker.program.address}:{TRACKER_PORT}{target}"
    argv = network.command([sys.executable, "-c", ASKER, url])
    done = await trio.run_process(argv, capture_stdout=True)
    answer = decode(done.stdout)
    assert isinstance(answer, dict)
    return answer


@pytest.mark.foreign("opentracker")
async def test_answers_are_those_of_opentracker(network: Network, tmp_path: Path) -> None:
    """opentracker 0.0~git20210823, asked the same by HTTP."""
    info_hash = bytes(range(100, 120))
    escaped = quote(info_hash)

    def announce(port: int, more: str) -> str:
        return (
            f"/announce?info_hash={escaped}&peer_id={'p' * 20}&port={port}&uploaded=0&downloaded=0"
            f"&compact=1{more}"
        )

    targets = [
        announce(7001, "&left=0&event=started"),
        announce(7002, "&left=9&event=started"),
        announce(7002, "&left=0&event=completed"),
        announce(7003, "&left=5&numwant=1"),
        announce(7001, "&left=0&event=stopped"),
        announce(7003, "&left=5"),
        f"/scrape?info_hash={escaped}",
    ]
    try:
        with trio.fail_after(LIMIT):
            async with (
                our_tracker(network, tmp_path / "ours") as ours,
                opentracker(network, tmp_path / "theirs") as theirs,
            ):
                theirs.admit(info_hash)
                await trio.sleep(1)  # it reads its list when it likes, and does not say so
                for target in targets:
                    own = await answer_of(network, ours, target)
                    other = await answer_of(network, theirs, target)
                    assert own.keys() - other.keys() <= {b"external ip"}
                    assert other.keys() - own.keys() <= {b"min interval", b"downloaded"}
                    # Which peer of two is luck, and whether the asker is among them a habit.
                    for key in own.keys() & other.keys() - {b"interval", b"peers"}:
                        assert own[key] == other[key], (target, key)
    except BaseException as error:
        error.add_note(last_output(tmp_path))
        raise


async def test_libtorrent_comes_back_when_a_refused_torrent_is_allowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libtorrent 2.1.1 takes the interval of a refusal; without one it is away for half an hour."""
    import libtorrent as lt

    monkeypatch.setattr(answering, "REFUSED_SECONDS", 1)
    allowed = tmp_path / "allow"
    allowed.touch()
    settings = TrackerSettings(host="127.0.0.1", port=0, allow=allowed)
    kinds: list[str] = []
    content = make_content(tmp_path / "share", "film.bin", SIZE, multi_file=False)

    def note(event: Event) -> None:
        if isinstance(event, TrackerChange):
            kinds.append(event.change)

    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            handle = await nursery.start(partial(serve_tracker, settings, on_event=note))
            url = f"http://127.0.0.1:{handle.port}/announce"
            torrent = make_torrent(content, tmp_path / "film.torrent", url)
            session = lt.session({
                "listen_interfaces": "127.0.0.1:0",
                "min_announce_interval": 1, "tracker_backoff": 0, "enable_dht": False,
                "enable_lsd": False, "enable_upnp": False, "enable_natpmp": False,
            })  # fmt: skip
            wanted = lt.add_torrent_params()
            wanted.ti, wanted.save_path = lt.torrent_info(str(torrent.path)), str(tmp_path / "lt")
            wanted.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
            session.add_torrent(wanted)
            await until(lambda: "refused" in kinds)
            allowed.write_text(f"{torrent.info_hash.hex()}\n")
            handle.reload_lists()
            await until(lambda: "registered" in kinds)
            del session
            nursery.cancel_scope.cancel()
