"""Pieces that a peer, or we, have no longer: lt_donthave (BEP 54), honest and not."""

import struct
from contextlib import suppress
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from local_swarm import HOST, Recorder, contents, make_file, node, until
from scripted_peers import HonestSeeder, fetching
from strangers import GONE, ID, Stranger, extended, frame, ranged, stranger
from trio_swarm import events
from trio_swarm.engine.conversation import LOSSES_TOLD
from trio_swarm.engine.download.source import FIRST_PATIENCE
from trio_swarm.peer import keeping
from trio_swarm.protocol.extensions.handshake import (
    ExtensionHandshake,
    encode_extension_handshake,
    parse_extension_handshake,
)
from trio_swarm.protocol.extensions.table import OUR_MESSAGE_IDS
from trio_swarm.protocol.wire import messages as msg

OURS = OUR_MESSAGE_IDS["lt_donthave"]
THEIRS = 77
PIECE = 16384


def dont_have(piece: int, number: int = OURS) -> bytes:
    return extended(number, struct.pack(">I", piece))


def listens_to_losses() -> bytes:
    """An extension handshake that announces lt_donthave."""
    told = ExtensionHandshake(message_ids={"lt_donthave": THEIRS})
    return extended(0, encode_extension_handshake(told))


# --- what peers take back ------------------------------------------------------------------------


class Forgetful(HonestSeeder):
    """Takes back the first piece that it is asked for, and says nothing more of that."""

    gone = -1

    def acts(self, event: msg.WireEvent) -> None:
        if isinstance(event, msg.RequestReceived) and self.gone in {-1, event.piece}:
            if self.gone < 0:
                self.gone = event.piece
                self.wire.send_extended(OURS, struct.pack(">I", event.piece))
        else:
            super().acts(event)


async def test_what_a_peer_takes_back_is_asked_of_another_at_once(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    """BEP 54, "Receiver operation": the rejects, which BEP 6 owes, need not be waited for."""
    async with fetching(tmp_path, mock_clock, pieces=40, piece_length=PIECE) as swarm:
        began = trio.current_time()
        forgetful = swarm.join(Forgetful)
        await until(lambda: swarm.torrent.progress().pieces_have == 39)
        (connection,) = swarm.torrent.peer_set.connections.values()
        assert connection.conversation is not None
        source = connection.conversation.source
        assert source.pieces == forgetful.every & ~(1 << forgetful.gone)
        assert not source.in_flight
        asked = len(forgetful.heard)
        swarm.join(HonestSeeder)
        with trio.fail_after(1000):
            took = await swarm.until_complete() - began
        again = [
            event
            for event in forgetful.heard[asked:]
            if isinstance(event, msg.RequestReceived) and event.piece == forgetful.gone
        ]
    assert not again
    assert took < FIRST_PATIENCE


async def test_we_announce_that_we_listen_to_it(tmp_path: Path) -> None:
    async with node(tmp_path / "s") as seeder, stranger((HOST, seeder.port)) as peer:
        shared = await seeder.share(make_file(tmp_path / "in" / "x.bin", 20 * PIECE))
        await peer.shake_hands(shared.info_hash)
        told = parse_extension_handshake((await peer.hear_a(ID.EXTENDED))[1:])
    assert told.message_ids["lt_donthave"] == OURS


@pytest.mark.parametrize(
    ("said", "reason"),
    [
        (extended(OURS, b"\0\0\0"), "lt_donthave of 3 bytes"),
        (extended(OURS, bytes(5)), "lt_donthave of 5 bytes"),
        (dont_have(20), "piece index 20 of 20 pieces"),
        (dont_have(0xFFFFFFFF), "piece index 4294967295 of 20 pieces"),
        (dont_have(3) * 20_000, "it says too much that is of no use"),
        ((frame(ID.HAVE, bytes(4)) + dont_have(0)) * 20_000, "it says too much that is of no use"),
    ],
    ids=["too short", "too long", "the next piece", "the last number", "over and over", "in turns"],
)
async def test_a_peer_that_takes_back_what_it_cannot_or_without_end_is_dropped(
    tmp_path: Path, said: bytes, reason: str
) -> None:
    recorder = Recorder()
    with trio.fail_after(60):
        async with node(tmp_path / "s", recorder=recorder) as seeder:
            original = make_file(tmp_path / "in" / "x.bin", 20 * PIECE)
            shared = await seeder.share(original, piece_length=PIECE)
            async with stranger((HOST, seeder.port)) as peer, trio.open_nursery() as nursery:
                await peer.shake_hands(shared.info_hash, then=frame(ID.HAVE_NONE))
                nursery.start_soon(peer.wait_gone)
                with suppress(*GONE):
                    await peer.say(said)
                lost = await recorder.wait_for(events.PeerLost)
    assert lost.reason == reason


async def test_a_peer_that_loses_a_file_of_many_pieces_stays(tmp_path: Path) -> None:
    recorder = Recorder()
    with trio.fail_after(60):
        async with node(tmp_path / "s", recorder=recorder) as seeder:
            original = make_file(tmp_path / "in" / "x.bin", 440 * PIECE)
            shared = await seeder.share(original, piece_length=PIECE)
            async with stranger((HOST, seeder.port)) as peer:
                some = bytes([0xFF] * 50 + [0] * 5)
                await peer.shake_hands(shared.info_hash, then=frame(ID.BITFIELD, some))
                await peer.say(*[dont_have(piece) for piece in range(400)])
                await until(lambda: len(shared.peer_set.connections) == 1)
                (connection,) = shared.peer_set.connections.values()
                await until(
                    lambda: (
                        connection.conversation is not None
                        and connection.conversation.source.pieces == 0
                    )
                )
                assert not recorder.of(events.PeerLost)


# --- what we take back ---------------------------------------------------------------------------


async def told_all(peer: Stranger, info_hash: bytes, then: bytes) -> None:
    """Shake hands, and wait until the node has told that it has everything."""
    await peer.shake_hands(info_hash, then=then)
    await peer.hear_a(ID.HAVE_ALL)


@pytest.mark.parametrize("pieces", [1, LOSSES_TOLD + 1], ids=["a piece", "many pieces"])
async def test_who_listens_is_told_of_lost_pieces_and_others_come_again(
    tmp_path: Path, pieces: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """BEP 54, "Sender operation"; of a HAVE that cannot be taken back a new connection tells."""
    monkeypatch.setattr(keeping, "LOOK_AGAIN", 0.1)
    recorder = Recorder()
    original = make_file(tmp_path / "in" / "x.bin", 600 * PIECE)
    before = original.read_bytes()
    with trio.fail_after(60):
        async with (
            node(tmp_path / "s", recorder=recorder, uploader="least-sent") as seeder,
            stranger((HOST, seeder.port)) as asker,
            stranger((HOST, seeder.port), "127.0.0.3") as listener,
            stranger((HOST, seeder.port), "127.0.0.4") as deaf,
        ):
            shared = await seeder.share(original, piece_length=PIECE)
            info_hash = shared.info_hash
            none = frame(ID.HAVE_NONE)
            await told_all(listener, info_hash, none + listens_to_losses())
            await listener.hear_a(ID.UNCHOKE)
            await told_all(deaf, info_hash, none)
            await told_all(asker, info_hash, none + frame(ID.INTERESTED))
            await asker.hear_a(ID.UNCHOKE)
            with original.open("r+b") as file:
                for piece in range(pieces):
                    file.seek(piece * PIECE)
                    file.write(b"changed")
            await asker.say(ranged(ID.REQUEST, 0, 0, 16384))
            changed = await recorder.wait_for(events.FilesChanged)
            assert changed.lost == pieces
            await deaf.wait_gone()
            if pieces > LOSSES_TOLD:
                await listener.wait_gone()
                return
            assert await listener.hear_a(ID.EXTENDED) == struct.pack(">BI", THEIRS, 0)
            original.write_bytes(before)
            # Which is found out by a look at the file, after a while.
            await listener.say(frame(ID.INTERESTED) + ranged(ID.REQUEST, 0, 0, 16384))
            assert await listener.hear_a(ID.REJECT) == struct.pack(">III", 0, 0, 16384)
            assert await listener.hear_a(ID.HAVE) == bytes(4)
    assert contents(original) == {"": before}
