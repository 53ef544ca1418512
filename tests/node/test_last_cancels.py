"""What was asked of several peers at the end of a download is cancelled with the late ones."""

from pathlib import Path

import trio
from trio.testing import MockClock

from scripted_peers import HonestSeeder, ScriptedPeer, fetching
from trio_swarm.protocol.wire import messages as msg


class Mute(ScriptedPeer):
    """Lacks a piece, so that nobody parts with it; takes requests, and never answers."""

    def begin(self) -> None:
        self.wire.send_bitfield(self.every ^ 1)
        self.wire.send_unchoke()

    def acts(self, event: msg.WireEvent) -> None:
        pass


async def test_requests_that_another_peer_answered_are_cancelled_at_the_very_end_too(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    """BEP 3, "cancel": at the end of a download everything is cancelled as it arrives."""
    async with fetching(tmp_path, mock_clock, pieces=4) as swarm:
        mute = swarm.join(Mute)
        await trio.sleep(1.0)
        swarm.join(HonestSeeder)
        await swarm.until_complete()
        await trio.sleep(1.0)
        asked = [event for event in mute.heard if isinstance(event, msg.RequestReceived)]
        cancelled = [event for event in mute.heard if isinstance(event, msg.CancelReceived)]
        assert asked
        assert {(e.piece, e.begin, e.length) for e in asked} == {
            (e.piece, e.begin, e.length) for e in cancelled
        }
