"""What single strangers once could do to a node: end it, fill its memory, or push others out."""

import struct
from pathlib import Path

import pytest
import trio

import trio_swarm
from local_swarm import HOST, Recorder, contents, make_file, node, torrent_file, until
from strangers import (
    FAST,
    GONE,
    ID,
    PEER_ID,
    PLAIN,
    Stranger,
    extended,
    frame,
    ranged,
    stranger,
)
from trio_swarm import Node, events
from trio_swarm.peer.torrent import Torrent
from trio_swarm.peer.torrent_plan import TorrentPlan
from trio_swarm.piece_sets import full_set, to_bitfield
from trio_swarm.protocol import bencode
from trio_swarm.protocol.addresses import Address
from trio_swarm.protocol.extensions.metadata import MetadataRequest, encode_metadata_message
from trio_swarm.protocol.metainfo.torrent import Metainfo
from trio_swarm.protocol.wire.allowed_fast import allowed_fast_set
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.shares import hash_share

PIECE = 32768
PIECES = 40
SIZE = PIECES * PIECE
EVERYTHING = frame(ID.HAVE_ALL)


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return make_file(tmp_path / "in" / "x.bin", SIZE)


def meet(torrent: Torrent, address: Address) -> None:
    torrent.peer_set.candidates.add(address, trio.current_time())
    torrent.peer_set.dial_wakeup.set()


async def complete(torrent: Torrent, seeder: Node, original: Path) -> None:
    """Let a good seeder end the download."""
    meet(torrent, (HOST, seeder.port))
    path = await torrent.wait_complete()
    assert contents(path) == contents(original)


async def shared_file(seeder: Node, original: Path, folder: Path) -> Path:
    return torrent_file(await seeder.share(original, piece_length=PIECE), folder)


# --- messages that do not fit the moment ---


@pytest.mark.parametrize(
    "told",
    [frame(ID.BITFIELD, b"\xff" * 9), frame(ID.HAVE, struct.pack(">I", 1_000_000))],
    ids=["bitfield", "have"],
)
async def test_pieces_that_do_not_fit_the_metadata_cost_only_the_peer_that_told_them(
    tmp_path: Path, original: Path, told: bytes
) -> None:
    with trio.fail_after(60):
        async with node(tmp_path / "s") as seeder, node(tmp_path / "l") as leecher:
            info_hash = (await seeder.share(original, piece_length=PIECE)).info_hash
            torrent = await leecher.fetch(info_hash.hex(), folder=tmp_path / "out")
            async with stranger((HOST, leecher.port)) as liar:
                await liar.shake_hands(info_hash, then=frame(ID.HAVE_NONE) + told)
                await until(lambda: bool(torrent.peers()))
                await complete(torrent, seeder, original)
                await liar.wait_gone()


async def test_who_came_before_the_metadata_is_served_its_allowed_fast_pieces(
    tmp_path: Path, original: Path
) -> None:
    with trio.fail_after(60):
        async with node(tmp_path / "s") as seeder, node(tmp_path / "l") as leecher:
            info_hash = (await seeder.share(original, piece_length=PIECE)).info_hash
            torrent = await leecher.fetch(info_hash.hex(), folder=tmp_path / "out")
            async with stranger((HOST, leecher.port)) as early:
                await early.shake_hands(info_hash, FAST)
                assert await early.hear() == bytes([ID.HAVE_NONE])
                await complete(torrent, seeder, original)
                piece = allowed_fast_set("127.0.0.2", info_hash, PIECES)[0]
                await early.say(ranged(ID.REQUEST, piece, 0, 16384))
                block = await early.hear_a(ID.PIECE)
    assert block[8:] == contents(original)[""][piece * PIECE :][:16384]


ALL_BITS = to_bitfield(full_set(PIECES), PIECES)
RETREATS = {
    "have none": (FAST, EVERYTHING, frame(ID.HAVE_NONE)),
    "empty bitfield": (PLAIN, frame(ID.BITFIELD, ALL_BITS), frame(ID.BITFIELD, bytes(5))),
    "a fault": (FAST, EVERYTHING, frame(ID.CHOKE) + frame(ID.HAVE, b"\xff" * 4)),
    "a fault, plain": (PLAIN, frame(ID.BITFIELD, ALL_BITS), frame(ID.CHOKE) + bytes([99] * 5)),
    "choke": (FAST, EVERYTHING, frame(ID.CHOKE)),
}


@pytest.mark.parametrize("retreat", RETREATS)
async def test_a_peer_may_take_back_its_offer_at_any_moment(
    tmp_path: Path, original: Path, retreat: str
) -> None:
    reserved, offer, withdrawal = RETREATS[retreat]
    with trio.fail_after(30):
        async with node(tmp_path / "s") as seeder, node(tmp_path / "l") as leecher:
            file = await shared_file(seeder, original, tmp_path)
            torrent = await leecher.fetch(str(file), folder=tmp_path / "out")
            for turns in range(12):
                for _ in range(4):
                    async with stranger((HOST, leecher.port)) as fickle:
                        await fickle.shake_hands(torrent.info_hash, reserved)
                        await until(lambda: bool(torrent.peers()))
                        await fickle.say(offer, frame(ID.UNCHOKE))
                        for _ in range(turns):
                            await trio.lowlevel.checkpoint()
                        await fickle.say(withdrawal)
                        for _ in range(10):
                            await trio.lowlevel.checkpoint()
                    await until(lambda: not torrent.peers())
            await complete(torrent, seeder, original)


# --- messages that would pile up ---


async def _say_for_ever(talker: Stranger, noise: bytes) -> None:
    """Return when the node has had enough, or takes no more."""
    try:
        with trio.move_on_after(3):
            while True:
                await talker.say(noise)
    except GONE:
        return


def _owed(torrent: Torrent) -> int:
    """Bytes that wait to be sent to the peers."""
    return sum(
        len(segment)
        for connection in torrent.peer_set.connections.values()
        for segment in connection.wire.data_to_send()
        if isinstance(segment, bytes)
    )


@pytest.mark.parametrize("kind", ["requests and cancels", "metadata requests"])
async def test_answers_that_nobody_reads_do_not_pile_up(
    tmp_path: Path, original: Path, kind: str
) -> None:
    request = extended(1, encode_metadata_message(MetadataRequest(0)))
    noise = {
        "requests and cancels": b"".join(
            ranged(number, piece, 0, 16384)
            for piece in range(PIECES)
            for number in (ID.REQUEST, ID.CANCEL)
        )
        * 200,
        "metadata requests": request * 1000,
    }[kind]
    hello = extended(0, bencode.encode({"m": {"ut_metadata": 1}}))
    with trio.fail_after(30):
        async with node(tmp_path / "s") as seeder:
            torrent = await seeder.share(original, piece_length=16384)
            async with stranger((HOST, seeder.port)) as deaf:
                await deaf.shake_hands(
                    torrent.info_hash, then=frame(ID.HAVE_NONE) + frame(ID.INTERESTED) + hello
                )
                await deaf.hear_a(ID.UNCHOKE)
                # More than the sockets' buffers hold, so that the node waits to send.
                await deaf.say(ranged(ID.REQUEST, 0, 0, 16384) * 1000)
                await until(lambda: torrent.progress().uploaded > 0)
                await _say_for_ever(deaf, noise)
                assert _owed(torrent) < 1_000_000


async def test_who_goes_on_sending_what_nobody_asked_for_is_dropped(
    tmp_path: Path, original: Path
) -> None:
    recorder = Recorder()
    with trio.fail_after(60):
        async with (
            node(tmp_path / "s") as seeder,
            node(tmp_path / "l", recorder=recorder) as opened,
        ):
            file = await shared_file(seeder, original, tmp_path)
            torrent = await opened.fetch(str(file), folder=tmp_path / "out")
            await until(lambda: torrent.state == "downloading")
            async with stranger((HOST, opened.port)) as generous:
                await generous.shake_hands(torrent.info_hash, then=frame(ID.HAVE_NONE))
                await _say_for_ever(generous, frame(ID.PIECE, bytes(8 + 16384)))
                await recorder.wait_for(events.PeerLost)
            assert torrent.progress().downloaded == 0
            await complete(torrent, seeder, original)
    reasons = [event.reason for event in recorder.of(events.PeerLost)]
    assert reasons[0] == "it sends blocks that nobody asked for"


# --- identities that are borrowed ---


async def test_a_copied_peer_id_does_not_end_the_connection_of_its_owner(
    tmp_path: Path, original: Path
) -> None:
    recorder = Recorder()
    with trio.fail_after(60):
        async with (
            node(tmp_path / "1", upload_rate=500_000, recorder=recorder) as one,
            node(tmp_path / "2", upload_rate=500_000, recorder=recorder) as other,
        ):
            # The smaller id's connections win where both sides dial.
            seeder, leecher = sorted((one, other), key=lambda opened: opened.peer_id)
            shared = await seeder.share(original, piece_length=PIECE)
            torrent = await leecher.fetch(
                shared.info_hash.hex(), folder=tmp_path / "out", peers=[(HOST, seeder.port)]
            )
            await recorder.wait_for(events.PieceVerified)
            async with stranger((HOST, leecher.port)) as thief:
                await thief.shake_hands(torrent.info_hash, peer_id=seeder.peer_id)
                await thief.wait_gone()
            await torrent.wait_complete()
    reasons = [event.reason for event in recorder.of(events.PeerLost)]
    assert "it is connected twice" not in reasons


async def test_a_copied_peer_id_does_not_keep_its_owner_out(tmp_path: Path, original: Path) -> None:
    with trio.fail_after(60):
        async with node(tmp_path / "s") as seeder, node(tmp_path / "l") as leecher:
            file = await shared_file(seeder, original, tmp_path)
            torrent = await leecher.fetch(str(file), folder=tmp_path / "out")
            async with stranger((HOST, leecher.port)) as thief:
                await thief.shake_hands(torrent.info_hash, peer_id=seeder.peer_id)
                await until(lambda: bool(torrent.peers()))
                await complete(torrent, seeder, original)


# --- places ---


async def test_no_more_peers_than_allowed_are_connected_however_many_come_at_once(
    tmp_path: Path, original: Path
) -> None:
    with trio.fail_after(60):
        async with node(tmp_path / "s", max_connections=3) as seeder:
            torrent = await seeder.share(original)
            most = 0

            async def come(number: int) -> None:
                nonlocal most
                async with stranger((HOST, seeder.port)) as visitor:
                    try:
                        await visitor.shake_hands(
                            torrent.info_hash, peer_id=PEER_ID[:-2] + b"%02d" % number
                        )
                        most = max(most, len(torrent.peers()))
                        await trio.sleep(0.3)
                    except GONE:
                        return

            async with trio.open_nursery() as nursery:
                for number in range(20):
                    nursery.start_soon(come, number)
            await until(lambda: not torrent.peers())
            assert most == 3
            async with stranger((HOST, seeder.port)) as visitor:
                await visitor.shake_hands(torrent.info_hash)


async def test_a_place_that_one_torrent_frees_is_taken_by_another(tmp_path: Path) -> None:
    first = make_file(tmp_path / "in" / "1.bin", 100_000, seed=1)
    second = make_file(tmp_path / "in" / "2.bin", 100_000, seed=2)
    with trio.fail_after(60):
        async with (
            node(tmp_path / "s") as seeder,
            node(tmp_path / "l", max_connections=1) as leecher,
        ):
            one = await seeder.share(first)
            two = await seeder.share(second)
            async with stranger((HOST, leecher.port)) as visitor:
                waiting = await leecher.fetch(one.info_hash.hex(), folder=tmp_path / "out")
                await visitor.shake_hands(one.info_hash)
                await until(lambda: bool(waiting.peers()))
                torrent = await leecher.fetch(
                    two.info_hash.hex(), folder=tmp_path / "out", peers=[(HOST, seeder.port)]
                )
                await trio.sleep(0.1)
                assert not torrent.peers()
            with trio.fail_after(30):
                await torrent.wait_complete()


async def test_silent_visitors_do_not_keep_the_door_shut(
    tmp_path: Path, original: Path, endless_handshakes: None
) -> None:
    with trio.fail_after(60):
        async with node(tmp_path / "s") as seeder:
            torrent = await seeder.share(original)
            async with trio.open_nursery() as nursery:
                for _ in range(200):
                    nursery.start_soon(_stand_at_the_door, (HOST, seeder.port))
                await trio.sleep(0.2)
                async with stranger((HOST, seeder.port)) as visitor:
                    with trio.fail_after(30):
                        await visitor.shake_hands(torrent.info_hash)
                nursery.cancel_scope.cancel()


async def _stand_at_the_door(address: Address) -> None:
    async with stranger(address) as silent:
        await silent.wait_gone()


# --- names and addresses ---


@pytest.mark.parametrize("host", ["a" * 70, "a..b", "x\0y", "::1%\0"])
async def test_a_peer_named_by_nonsense_is_a_peer_that_cannot_be_reached(
    tmp_path: Path, original: Path, host: str
) -> None:
    recorder = Recorder()
    with trio.fail_after(60):
        async with (
            node(tmp_path / "s") as seeder,
            node(tmp_path / "l", recorder=recorder) as opened,
        ):
            file = await shared_file(seeder, original, tmp_path)
            torrent = await opened.fetch(str(file), folder=tmp_path / "out", peers=[(host, 80)])
            await recorder.wait_for(events.PeerLost)
            await complete(torrent, seeder, original)


# --- peers that learn ---


async def test_metadata_is_passed_on_to_a_peer_that_was_there_before_it(
    tmp_path: Path, original: Path
) -> None:
    with trio.fail_after(60):
        async with (
            node(tmp_path / "s") as seeder,
            node(tmp_path / "a") as first,
            node(tmp_path / "b") as second,
        ):
            info_hash = (await seeder.share(original, piece_length=PIECE)).info_hash.hex()
            near = await first.fetch(info_hash, folder=tmp_path / "out1")
            far = await second.fetch(
                info_hash, folder=tmp_path / "out2", peers=[(HOST, first.port)]
            )
            await until(lambda: bool(near.peers() and far.peers()))
            await complete(near, seeder, original)
            with trio.fail_after(30):
                assert contents(await far.wait_complete()) == contents(original)


async def test_who_wants_nothing_of_a_seeder_is_parted_from(tmp_path: Path, original: Path) -> None:
    with trio.fail_after(60):
        async with node(tmp_path / "s") as seeder:
            torrent = await seeder.share(original, piece_length=PIECE)
            async with stranger((HOST, seeder.port)) as partial:
                await partial.shake_hands(
                    torrent.info_hash,
                    then=frame(ID.BITFIELD, b"\xf0" + bytes(4))
                    + extended(0, bencode.encode({"m": {}, "upload_only": 1})),
                )
                with trio.fail_after(30):
                    await partial.wait_gone()


# --- leaving ---


@pytest.mark.parametrize("state", ["metadata", "checking", "downloading", "seeding"])
async def test_a_torrent_can_be_removed_in_any_state_and_fetched_again(
    tmp_path: Path, original: Path, state: str
) -> None:
    with trio.fail_after(60):
        async with (
            node(tmp_path / "s", upload_rate=2_000_000) as seeder,
            node(tmp_path / "l") as leecher,
        ):
            file = await shared_file(seeder, original, tmp_path)
            info_hash = seeder.torrents[0].info_hash
            peers = [] if state in ("metadata", "checking") else [(HOST, seeder.port)]
            what = info_hash.hex() if state == "metadata" else str(file)
            torrent = await leecher.fetch(what, folder=tmp_path / "out", peers=peers)
            await until(lambda: torrent.state == state)
            with trio.fail_after(30):
                await torrent.remove()
            assert leecher.torrents == []
            if state == "seeding":
                await torrent.wait_complete()
            else:
                with pytest.raises(trio_swarm.TrioSwarmError, match="removed"):
                    await torrent.wait_complete()
            again = await leecher.fetch(str(file), folder=tmp_path / "out")
            await complete(again, seeder, original)


async def test_a_share_that_is_not_whole_is_an_error_and_no_download(
    tmp_path: Path, original: Path
) -> None:
    info = hash_share(original, piece_length=PIECE, state_folder=tmp_path)
    make_file(original, SIZE, seed=2)
    with trio.fail_after(30):
        async with node(tmp_path / "s") as seeder:
            # As if it changed between its hashing and its check.
            torrent = await seeder._start(
                TorrentPlan(
                    info_hash=info.info_hash,
                    name="x.bin",
                    size=SIZE,
                    metainfo=Metainfo(info=info, announce_tiers=()),
                    open_files=lambda known: TorrentFiles.for_share(known, original, tmp_path),
                    tiers=(),
                    is_share=True,
                )
            )
            with pytest.raises(trio_swarm.StorageError, match=r"x\.bin.*changed"):
                await torrent.wait_complete()
            assert seeder.torrents == []
