"""Names that foreign clients register on our tracker without knowing that they do (design §5)."""

from pathlib import Path
from urllib.parse import quote

import pytest
import trio

from foreign_clients import LIBTORRENT, events, our_tracker, trio_swarm
from foreign_content import KIB, make_content, make_torrent
from foreign_network import Network
from foreign_programs import last_output

pytestmark = pytest.mark.foreign

NAME = "a größeres picture & 100 %.iso"


async def test_a_torrent_whose_tracker_url_has_a_name_is_fetched_by_that_name(
    network: Network, tmp_path: Path
) -> None:
    content = make_content(tmp_path / "share", "other-name.bin", 512 * KIB, multi_file=False)
    copies = tmp_path / "copies"
    try:
        with trio.fail_after(60):
            async with our_tracker(network, tmp_path / "tracker") as tracker:
                url = f"{tracker.url}/announce?name={quote(NAME)}"
                torrent = make_torrent(content, tmp_path / "named.torrent", url)
                async with LIBTORRENT.seed(network, content, torrent.path, tmp_path) as seeder:
                    await tracker.until_seeded(seeder, torrent.info_hash)
                    fetching = ("get", NAME, "--tracker", tracker.url, "--dir", copies, "--no-seed")
                    async with trio_swarm(network, tmp_path, *fetching) as leecher:
                        assert await leecher.wait() == 0
    except BaseException as error:
        error.add_note(last_output(tmp_path))
        raise
    (resolved,) = events(leecher, "resolved")
    assert resolved["info_hash"] == torrent.info_hash.hex()
    assert resolved["share_name"] == NAME
    content.assert_equals_copy_in(copies)
