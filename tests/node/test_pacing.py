"""Blocks are paced while a slow uplink is full, so that one of them does not fill its queue."""

from pathlib import Path

import trio
from trio.testing import MockClock

from scripted_peers import ScriptedPeer, seeding
from trio_swarm.engine.upload.governor import PACE
from trio_swarm.protocol.wire import messages as msg


class OneByOne(ScriptedPeer):
    """Asks for the first block again and again, when it is told to."""

    def begin(self) -> None:
        self.wire.send_interested()

    async def fetch(self) -> None:
        self.heard.clear()
        self.wire.send_request(0, 0, 16384)
        await self.flush()
        while not any(  # noqa: ASYNC110 - there is no event for it
            isinstance(event, msg.BlockReceived) for event in self.heard
        ):
            await trio.sleep(0.1)


async def test_a_connection_follows_the_pace_of_the_uplink_and_is_set_when_that_changes(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    async with seeding(tmp_path, mock_clock, pieces=4) as swarm:
        peer = swarm.join(OneByOne)
        governor = swarm.torrent.context.uplink.governor
        with trio.fail_after(100):
            await trio.sleep(1)
            await peer.fetch()
            assert peer.node_end.paces == []
            governor.budget = governor.carries = 100e3
            await peer.fetch()
            await peer.fetch()
            assert peer.node_end.paces == [PACE * 100e3]
            governor.budget = float("inf")
            await peer.fetch()
        assert peer.node_end.paces == [PACE * 100e3, None]
