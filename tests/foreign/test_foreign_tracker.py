"""Our tracker with clients that have habits of their own."""

import contextlib
import socket
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import pytest
import trio

import tracker_probe
from foreign_clients import LIBTORRENT, Tracker, events, our_tracker, trio_swarm
from foreign_content import KIB, make_content, make_torrent
from foreign_network import Network, inside
from foreign_programs import last_output, running

pytestmark = pytest.mark.foreign


@contextlib.asynccontextmanager
async def impatient_tracker(network: Network, scratch: Path) -> AsyncIterator[Tracker]:
    """Our tracker with a lease of 2.5 s."""
    async with trio_swarm(network, scratch, "tracker", "--interval", "1") as program:
        tracker = Tracker(network, program)
        await tracker.until_up()
        yield tracker


async def test_libtorrent_is_listed_all_the_time_although_it_comes_back_after_300_s(
    network: Network, tmp_path: Path
) -> None:
    """libtorrent 2.1.1, `min_announce_interval` 300: it was listed for one lease of every 300 s."""
    content = make_content(tmp_path / "share", "film.bin", 64 * KIB, multi_file=False)
    try:
        with trio.fail_after(60):
            async with impatient_tracker(network, tmp_path / "tracker") as tracker:
                torrent = make_torrent(content, tmp_path / "film.torrent", f"{tracker.url}/a")
                async with LIBTORRENT.seed(network, content, torrent.path, tmp_path) as seeder:
                    await tracker.until_seeded(seeder, torrent.info_hash)
                    for _ in range(20):  # four leases
                        counts = await tracker.scrape(torrent.info_hash)
                        assert counts is not None
                        assert counts.seeders == 1
                        await trio.sleep(0.5)
            changes = [told["change"] for told in events(tracker.program, "tracker_change")]
            assert changes == ["registered"]
    except BaseException as error:
        error.add_note(last_output(tmp_path))
        raise


async def test_libtorrent_is_found_by_a_tracker_of_two_workers(
    network: Network, tmp_path: Path
) -> None:
    """libtorrent 2.1.1; two torrents, of which each worker owns one as like as not."""
    try:
        with trio.fail_after(60):
            async with trio_swarm(
                network, tmp_path / "tracker", "tracker", "--workers", "2"
            ) as program:
                tracker = Tracker(network, program)
                await tracker.until_up()
                for number in range(2):
                    scratch = tmp_path / str(number)
                    content = make_content(
                        scratch / "share", f"film{number}.bin", 64 * KIB, multi_file=False
                    )
                    torrent = make_torrent(content, scratch / "film.torrent", f"{tracker.url}/a")
                    async with LIBTORRENT.seed(network, content, torrent.path, scratch) as seeder:
                        await tracker.until_seeded(seeder, torrent.info_hash)
                        copies = scratch / "copies"
                        flags = ("--tracker", tracker.url, "--dir", copies, "--no-seed")
                        async with trio_swarm(
                            network, scratch / "leecher", "get", torrent.path, *flags
                        ) as leecher:
                            assert await leecher.wait() == 0
                        content.assert_equals_copy_in(copies)
    except BaseException as error:
        error.add_note(last_output(tmp_path))
        raise


async def test_a_hybrid_is_one_entry_and_either_of_its_hashes_fetches_it(
    network: Network, tmp_path: Path
) -> None:
    """libtorrent 2.1.1 announces both hashes; `get NAME` stood before two different torrents.

    Once it has been asked by the version 2 hash from an address, it answers with that alone.
    """
    import libtorrent as lt

    content = make_content(tmp_path / "share", "film.bin", 256 * KIB, multi_file=False)
    try:
        with trio.fail_after(100):
            async with our_tracker(network, tmp_path / "tracker") as tracker:
                url = f"{tracker.url}/announce?name={quote('film.bin')}"
                torrent = make_torrent(content, tmp_path / "film.torrent", url, hybrid=True)
                v2 = lt.load_torrent_file(str(torrent.path)).info_hashes.v2.to_bytes()
                async with LIBTORRENT.seed(network, content, torrent.path, tmp_path) as seeder:
                    await tracker.until_seeded(seeder, v2[:20])
                    await tracker.until_seeded(seeder, torrent.info_hash)
                    forms: list[object] = ["film.bin", v2[:20].hex(), v2.hex()]
                    forms.append(f"magnet:?xt=urn:btmh:1220{v2.hex()}")
                    forms += [torrent.info_hash.hex(), "film.bin", torrent.path]
                    for number, what in enumerate(forms):
                        copies = tmp_path / f"copies-{number}"
                        flags = ("--tracker", tracker.url, "--dir", copies, "--no-seed")
                        scratch = tmp_path / f"leecher-{number}"
                        async with trio_swarm(network, scratch, "get", what, *flags) as leecher:
                            assert await leecher.wait() == 0, what
                        content.assert_equals_copy_in(copies)
                        for learned in events(leecher, "metadata_received"):
                            assert learned["info_hash"] == torrent.info_hash.hex()
    except BaseException as error:
        error.add_note(last_output(tmp_path))
        raise


async def test_every_address_of_a_host_is_answered_from(network: Network, tmp_path: Path) -> None:
    """A client with a connected socket, as libtorrent's, hears no other address."""
    port = 7969
    argv = [sys.executable, "-m", "trio_swarm", "tracker", "--listen", f":{port}", "--json"]
    addresses = [network.new_address() for _ in range(3)]
    hosts = [(socket.AF_INET, address) for address in addresses] + [(socket.AF_INET6, "::1")]
    try:
        with trio.fail_after(60):
            async with running(network, "tracker", addresses[0], argv, folder=tmp_path) as program:
                await program.until(lambda: "tracker_listening" in program.output)
                for family, host in hosts:

                    def open_socket(family: int = family) -> socket.socket:
                        return socket.socket(family, socket.SOCK_DGRAM)

                    with inside(network.name, open_socket) as asker:
                        asker.connect((host, port))
                        assert await tracker_probe.scrape(asker, bytes(20)) is not None, host
    except BaseException as error:
        error.add_note(last_output(tmp_path))
        raise
