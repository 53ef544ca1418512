"""What a strategy is told of blocks that were put out and are not delivered."""

from pathlib import Path

import trio.testing

from simulated_link import MIB, meeting
from trio_swarm.engine.conversation import Conversation
from trio_swarm.peer.torrent import Torrent


def _served(torrent: Torrent) -> Conversation:
    assert torrent.download is not None
    (conversation,) = torrent.download.exchange.conversations.values()
    return conversation


async def test_bytes_count_as_undelivered_until_the_other_end_has_acknowledged_them(
    tmp_path: Path, autojump_clock: trio.testing.MockClock
) -> None:
    most = 0
    async with meeting(tmp_path, autojump_clock, size=16 * MIB) as swarm:
        swarm.begin()
        await trio.sleep(0.001)
        served = _served(swarm.seeding)
        while swarm.fetching[0].state == "downloading":
            assert 0 <= served.undelivered() <= served.uploaded + 65536
            most = max(most, served.undelivered())
            await trio.sleep(0.01)
    assert served.uploaded == 16 * MIB
    assert most > 64 * 1024
    assert served.undelivered() == 0
