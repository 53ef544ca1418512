"""Torrents as other clients make them, which ours never makes itself."""

from pathlib import Path

import pytest
import trio

from foreign_clients import LIBTORRENT, our_tracker, trio_swarm
from foreign_content import KIB, make_content, make_torrent
from foreign_network import Network
from foreign_programs import POLL_SECONDS, last_output
from trio_swarm import read_torrent


@pytest.mark.foreign
async def test_a_hybrid_torrent_with_pad_files_is_fetched_without_the_padding(
    network: Network, tmp_path: Path
) -> None:
    content = make_content(tmp_path / "share", "hybrid", 1024 * KIB, multi_file=True)
    copies = tmp_path / "copies"
    try:
        with trio.fail_after(60):
            async with our_tracker(network, tmp_path / "tracker") as tracker:
                torrent_path = tmp_path / "hybrid.torrent"
                torrent = make_torrent(content, torrent_path, tracker.url, hybrid=True)
                assert any(each.padding for each in read_torrent(torrent_path).info.files)
                async with LIBTORRENT.seed(network, content, torrent_path, tmp_path) as seeder:
                    await tracker.until_seeded(seeder, torrent.info_hash)
                    fetching = ("get", torrent_path, "--dir", copies, "--no-seed")
                    async with trio_swarm(network, tmp_path, *fetching) as leecher:
                        assert await leecher.wait() == 0
    except BaseException as error:
        error.add_note(last_output(tmp_path))
        raise
    content.assert_equals_copy_in(copies)
    fetched = {path.relative_to(copies / "hybrid") for path in copies.rglob("*") if path.is_file()}
    assert fetched == {Path(name) for name in content.files}


@pytest.mark.foreign
async def test_clients_of_either_version_finish_in_the_two_swarms_of_a_hybrid(
    network: Network, tmp_path: Path
) -> None:
    """One libtorrent is told the version 1 info-hash only, another one only the other.

    aria2 1.36 takes part in no hybrid: findings/aria2_hybrid.sh.
    """
    content = make_content(tmp_path / "share", "hybrid", 1024 * KIB, multi_file=True)
    torrent_path = tmp_path / "hybrid.torrent"
    copies = {name: tmp_path / name for name in ("first", "second", "ours")}
    try:
        with trio.fail_after(90):
            async with our_tracker(network, tmp_path / "tracker") as tracker:
                seeding = ("seed", content.path, "--format", "hybrid", "--tracker", tracker.url)
                seeding = (*seeding, "--torrent-out", torrent_path)
                async with trio_swarm(network, tmp_path / "s", *seeding) as seeder:
                    while not torrent_path.exists():
                        seeder.check_alive()
                        await trio.sleep(POLL_SECONDS)
                    info = read_torrent(torrent_path).info
                    assert info.v2_hash is not None
                    await tracker.until_seeded(seeder, info.info_hash)
                    await tracker.until_seeded(seeder, info.v2_hash[:20])
                    first = f"magnet:?xt=urn:btih:{info.info_hash.hex()}&tr={tracker.url}"
                    link = f"magnet:?xt=urn:btmh:1220{info.v2_hash.hex()}&tr={tracker.url}"
                    ours = ("get", torrent_path, "--dir", copies["ours"], "--no-seed")
                    async with (
                        LIBTORRENT.fetch(network, first, copies["first"], tmp_path) as old,
                        LIBTORRENT.fetch(network, link, copies["second"], tmp_path) as new,
                        trio_swarm(network, tmp_path / "l", *ours) as leecher,
                    ):
                        assert await leecher.wait() == 0
                        while not (LIBTORRENT.fetched(old) and LIBTORRENT.fetched(new)):  # noqa: ASYNC110
                            await trio.sleep(POLL_SECONDS)
    except BaseException as error:
        error.add_note(last_output(tmp_path))
        raise
    for copy in copies.values():
        content.assert_equals_copy_in(copy)
