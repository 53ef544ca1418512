"""Torrents as other clients make them, which ours never makes itself."""

from pathlib import Path

import pytest
import trio

from foreign_clients import LIBTORRENT, our_tracker, trio_swarm
from foreign_content import KIB, make_content, make_torrent
from foreign_network import Network
from foreign_programs import last_output
from trio_swarm import read_torrent

pytestmark = pytest.mark.foreign


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
