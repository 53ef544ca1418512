"""A libtorrent seeder that super-seeds (BEP 16): it shows the next piece at the HAVE of the last.

libtorrent 2.1, `torrent_flags.super_seeding`.
"""

from contextlib import AsyncExitStack
from pathlib import Path

import pytest
import trio

from foreign_clients import LIBTORRENT, events, our_tracker, trio_swarm
from foreign_content import KIB, make_content, make_torrent
from foreign_network import Network
from foreign_programs import last_output

pytestmark = pytest.mark.foreign

SIZE = 32 * 1024 * KIB


@pytest.mark.parametrize("leechers", [1, 3])
async def test_a_download_from_a_super_seeder_ends(
    network: Network, tmp_path: Path, leechers: int
) -> None:
    content = make_content(tmp_path / "share", "film.bin", SIZE, multi_file=False)
    try:
        with trio.fail_after(60):
            async with AsyncExitStack() as stack:
                tracker = await stack.enter_async_context(
                    our_tracker(network, tmp_path / "tracker")
                )
                torrent = make_torrent(content, tmp_path / "film.torrent", tracker.url)
                seeding = LIBTORRENT.seed(
                    network, content, torrent.path, tmp_path, "--super-seeding"
                )
                seeder = await stack.enter_async_context(seeding)
                await tracker.until_seeded(seeder, torrent.info_hash)
                running = []
                for number in range(leechers):
                    own = tmp_path / str(number)
                    fetching = ("get", torrent.path, "--dir", own / "copies", "--no-seed")
                    running.append(
                        await stack.enter_async_context(trio_swarm(network, own, *fetching))
                    )
                for leecher in running:
                    assert await leecher.wait() == 0
    except BaseException as error:
        error.add_note(last_output(tmp_path))
        raise
    for number, leecher in enumerate(running):
        content.assert_equals_copy_in(tmp_path / str(number) / "copies")
        (completed,) = events(leecher, "completed")
        assert completed["size"] == SIZE + 4_321
