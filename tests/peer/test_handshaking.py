"""Handshakes of both directions over streams that are no sockets, and who may come in when.

All of it on a virtual clock: what a peer may take is a number of seconds (BEP 3 names none).
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trio
from trio.testing import memory_stream_pair

from trio_peer_stream import MemoryStream, TrioStream
from trio_swarm import events
from trio_swarm.engine.idle_talk import TalkativeHosts
from trio_swarm.errors import RemoteProtocolError
from trio_swarm.identities import InfoHash, PeerId
from trio_swarm.peer.transport.accepting import IncomingPeers
from trio_swarm.peer.transport.admission import (
    ADMISSIONS_PER_HOST,
    HURRIED_HANDSHAKE,
    PENDING_HANDSHAKES,
    PLACE_PATIENCE,
    Admission,
)
from trio_swarm.peer.transport.handshaking import (
    HANDSHAKE_TIMEOUT,
    Established,
    answer_handshake,
    open_handshake,
)
from trio_swarm.protocol.wire import messages as msg
from trio_swarm.protocol.wire.handshake import encode_handshake

HERE, THERE = ("127.0.0.1", 1), ("127.0.0.2", 2)
HASH, OTHER_HASH = InfoHash(b"h" * 20), InfoHash(b"o" * 20)
OURS, THEIRS = PeerId(b"-TS0000-ours00000000"), PeerId(b"-XX0000-theirs000000")


def pair() -> tuple[TrioStream, MemoryStream]:
    """Return our end of a new stream, and theirs as Trio has it."""
    ours, theirs = memory_stream_pair()
    return TrioStream(ours, THERE), theirs


async def test_both_ends_shake_hands_over_a_stream_of_any_kind(autojump_clock: object) -> None:
    one, other = memory_stream_pair()
    met: dict[str, Established] = {}

    async def dial() -> None:
        stream = TrioStream(one, THERE)
        met["dialled"] = await open_handshake(stream, peer_id=OURS, info_hash=HASH, twin_hash=None)

    async def answer() -> None:
        stream = TrioStream(other, HERE)
        met["answered"] = await answer_handshake(
            stream, peer_id=THEIRS, info_hashes={OTHER_HASH, HASH}
        )

    async with trio.open_nursery() as nursery:
        nursery.start_soon(dial)
        nursery.start_soon(answer)
    assert met["dialled"].info_hash == met["answered"].info_hash == HASH
    assert met["dialled"].wire.peer_id == THEIRS
    assert met["answered"].wire.peer_id == OURS
    assert met["dialled"].wire.is_open
    assert met["answered"].wire.is_open


async def test_what_comes_right_behind_a_handshake_is_handed_on(autojump_clock: object) -> None:
    ours, theirs = pair()
    await theirs.send_all(encode_handshake(HASH, THEIRS) + b"\0\0\0\1\2")
    met = await open_handshake(ours, peer_id=OURS, info_hash=HASH, twin_hash=None)
    assert met.events == [msg.Interested()]


async def test_a_peer_that_asks_for_another_torrent_learns_nothing(autojump_clock: object) -> None:
    ours, theirs = pair()
    await theirs.send_all(encode_handshake(OTHER_HASH, THEIRS))
    with pytest.raises(RemoteProtocolError, match="not here"):
        await answer_handshake(ours, peer_id=OURS, info_hashes=[HASH])
    ours.close()
    assert await theirs.receive_some() == b""


async def test_a_peer_that_answers_for_another_torrent_is_left(autojump_clock: object) -> None:
    ours, theirs = pair()
    await theirs.send_all(encode_handshake(OTHER_HASH, THEIRS))
    with pytest.raises(RemoteProtocolError, match="another info-hash"):
        await open_handshake(ours, peer_id=OURS, info_hash=HASH, twin_hash=None)


async def test_a_peer_that_was_dialled_and_is_silent_has_ten_seconds(
    autojump_clock: object,
) -> None:
    ours, _theirs = pair()
    began = trio.current_time()
    with pytest.raises(trio.TooSlowError):
        await open_handshake(ours, peer_id=OURS, info_hash=HASH, twin_hash=None)
    assert trio.current_time() - began == pytest.approx(HANDSHAKE_TIMEOUT)


class Door:
    """A node as strangers see it: they come in over streams in memory."""

    def __init__(self, nursery: trio.Nursery) -> None:
        self.admitted: list[Established] = []
        self.told: list[events.Event] = []
        self.room_at = -1.0
        self.admission = Admission(TalkativeHosts(), lambda _address: self.room_at)
        self._nursery = nursery
        self._incoming = IncomingPeers(
            peer_id=OURS,
            info_hashes=[HASH],
            admission=self.admission,
            admit=self.admitted.append,
            emit=self.told.append,
        )

    async def knock(self, number: int = 0) -> MemoryStream:
        """Come in over a new stream, from a host of one's own; returns the stranger's end."""
        ours, theirs = memory_stream_pair()
        await self.admission.wait_for_room()
        stream = TrioStream(ours, (f"10.0.{number >> 8}.{number & 255}", 1))
        self._nursery.start_soon(self._incoming.welcome, stream)
        await trio.testing.wait_all_tasks_blocked()
        return theirs


@asynccontextmanager
async def open_door() -> AsyncIterator[Door]:
    async with trio.open_nursery() as nursery:
        yield Door(nursery)
        nursery.cancel_scope.cancel()


async def closed_after(stream: MemoryStream) -> float:
    """Return how many seconds it takes until the other end closes."""
    began = trio.current_time()
    assert await stream.receive_some() == b""
    return trio.current_time() - began


async def test_a_peer_that_dials_us_is_let_in_over_any_stream(autojump_clock: object) -> None:
    async with open_door() as door:
        stranger = await door.knock()
        await stranger.send_all(encode_handshake(HASH, THEIRS))
        assert await stranger.receive_some() == encode_handshake(HASH, OURS)
        (peer,) = door.admitted
        assert (peer.info_hash, peer.wire.peer_id) == (HASH, THEIRS)


async def test_a_stranger_that_says_nothing_is_sent_away_after_ten_seconds(
    autojump_clock: object,
) -> None:
    async with open_door() as door:
        stranger = await door.knock()
        assert await closed_after(stranger) == pytest.approx(HANDSHAKE_TIMEOUT)
        assert not door.admitted


@pytest.mark.parametrize("said", [b"GET / HTTP/1.1\r\n", encode_handshake(OTHER_HASH, THEIRS)])
async def test_a_stranger_that_wants_something_else_is_sent_away_at_once(
    said: bytes, autojump_clock: object
) -> None:
    async with open_door() as door:
        stranger = await door.knock()
        await stranger.send_all(said)
        assert await closed_after(stranger) == 0.0
        assert not door.admitted


async def test_silent_strangers_give_way_one_by_one_and_the_oldest_first(
    autojump_clock: object,
) -> None:
    async with open_door() as door:
        silent = [await door.knock(number) for number in range(PENDING_HANDSHAKES)]
        began = trio.current_time()
        peer = await door.knock(PENDING_HANDSHAKES)
        assert trio.current_time() - began == pytest.approx(HURRIED_HANDSHAKE)
        await peer.send_all(encode_handshake(HASH, THEIRS))
        assert await peer.receive_some() == encode_handshake(HASH, OURS)
        assert await are_closed(silent) == [True] + [False] * (PENDING_HANDSHAKES - 1)


async def are_closed(streams: Sequence[MemoryStream]) -> list[bool]:
    """Return which streams the other end has closed."""
    found = []
    for stream in streams:
        with trio.move_on_after(0.001) as scope:
            assert await stream.receive_some() == b""
        found.append(not scope.cancelled_caught)
    return found


async def test_where_no_place_will_be_free_in_time_nobody_waits(autojump_clock: object) -> None:
    async with open_door() as door:
        door.room_at = trio.current_time() + PLACE_PATIENCE + 1
        assert await closed_after(await door.knock()) == 0.0


async def test_a_peer_waits_for_a_place_that_will_be_free_soon(autojump_clock: object) -> None:
    async with open_door() as door:
        began = trio.current_time()
        door.room_at = began + PLACE_PATIENCE / 2
        stranger = await door.knock()
        await stranger.send_all(encode_handshake(HASH, THEIRS))
        assert await stranger.receive_some() == encode_handshake(HASH, OURS)
        assert trio.current_time() == pytest.approx(door.room_at)


async def test_of_one_host_only_a_few_wait_for_a_place(autojump_clock: object) -> None:
    async with open_door() as door:
        door.room_at = trio.current_time() + PLACE_PATIENCE
        waiting = [await door.knock(7) for _ in range(ADMISSIONS_PER_HOST)]
        assert await closed_after(await door.knock(7)) == 0.0
        assert not any(await are_closed(waiting))
        other = await door.knock(8)
        assert await are_closed([other]) == [False]


async def test_a_bug_in_letting_a_peer_in_closes_the_stream_and_comes_out(
    autojump_clock: object,
) -> None:
    class BugError(Exception):
        pass

    def fail(_peer: Established) -> None:
        raise BugError

    ours, theirs = pair()
    await theirs.send_all(encode_handshake(HASH, THEIRS))
    incoming = IncomingPeers(
        peer_id=OURS,
        info_hashes=[HASH],
        admission=Admission(TalkativeHosts(), lambda _address: -1.0),
        admit=fail,
        emit=lambda _event: None,
    )
    with pytest.raises(BugError):
        await incoming.welcome(ours)
    assert await theirs.receive_some() == encode_handshake(HASH, OURS)
    assert await theirs.receive_some() == b""
