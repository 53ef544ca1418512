"""The harness itself, without trio-swarm: when this fails, the other foreign tests say nothing."""

from pathlib import Path

import pytest
import trio

from foreign_clients import ARIA2, LIBTORRENT, opentracker
from foreign_content import KIB, make_content, make_torrent
from foreign_network import Network
from foreign_programs import last_output

pytestmark = pytest.mark.foreign("aria2c", "opentracker")


async def test_aria2_fetches_from_libtorrent_through_opentracker(
    network: Network, tmp_path: Path
) -> None:
    content = make_content(tmp_path / "share", "harness", 512 * KIB, multi_file=True)
    copies = tmp_path / "copies"
    try:
        with trio.fail_after(60):
            async with opentracker(network, tmp_path / "tracker") as tracker:
                torrent = make_torrent(content, tmp_path / "harness.torrent", tracker.url)
                tracker.admit(torrent.info_hash)
                async with LIBTORRENT.seed(network, content, torrent.path, tmp_path) as seeder:
                    await tracker.until_seeded(seeder, torrent.info_hash)
                    async with ARIA2.fetch(network, torrent.path, copies, tmp_path) as leecher:
                        await leecher.until(lambda: ARIA2.fetched(leecher))
    except BaseException as error:
        error.add_note(last_output(tmp_path))
        raise
    content.assert_equals_copy_in(copies)
