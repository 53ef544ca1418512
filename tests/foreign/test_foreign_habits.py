"""What foreign clients say that BEP 3 does not tell, and what must not end a connection."""

from functools import partial
from pathlib import Path

import pytest
import trio

from foreign_clients import CLIENTS, events, our_tracker, trio_swarm
from foreign_content import KIB, make_content
from foreign_network import Network
from foreign_programs import last_output
from trio_swarm import create_torrent


@pytest.mark.foreign("aria2c")
async def test_aria2_that_tells_its_pieces_by_bitfields_stays_connected(
    network: Network, tmp_path: Path
) -> None:
    """aria2 1.36 sends a bitfield in the place of twenty HAVEs or more."""
    content = make_content(tmp_path / "share", "many pieces", 32 * 1024 * KIB, multi_file=False)
    torrent = tmp_path / "ours.torrent"
    aria2 = CLIENTS["aria2"]
    info_hash = create_torrent(content.path).info.info_hash
    try:
        with trio.fail_after(60):
            async with our_tracker(network, tmp_path / "tracker") as tracker:
                where = ("--tracker", tracker.url, "--torrent-out", torrent)
                seeding = ("seed", content.path, *where)
                async with trio_swarm(network, tmp_path, *seeding) as seeder:
                    await tracker.until_seeded(seeder, info_hash)
                    copies = tmp_path / "copies"
                    async with aria2.fetch(network, torrent, copies, tmp_path / "aria2") as leecher:
                        await leecher.until(partial(aria2.fetched, leecher))
                        content.assert_equals_copy_in(copies)
                    reasons = [str(event["reason"]) for event in events(seeder, "peer_lost")]
    except BaseException as error:
        error.add_note(last_output(tmp_path))
        raise
    assert not [reason for reason in reasons if "again and again" in reason]
