"""Peers that say a lot of no use: they are read by turns, cost no wake-ups, and are ended.

Honest peers that repeat themselves are not. Counts only: a timing is a benchmark
(`make bench-floods`).
"""

import struct
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
import trio
import trio.testing

from local_swarm import HOST, LIMIT, Recorder, contents, make_file, node, torrent_file, until
from strangers import (
    FAST_AND_EXTENSIONS,
    GONE,
    ID,
    PLAIN,
    Stranger,
    extended,
    frame,
    ranged,
    stranger,
)
from trio_swarm import events
from trio_swarm.peer.torrent import Torrent
from trio_swarm.piece_sets import to_bitfield

PIECE = 16384
PIECES = 200
LAST = struct.pack(">I", PIECES - 1)
TOO_MUCH = "it says too much that is of no use"
METADATA_REQUEST = extended(1, b"d8:msg_typei0e5:piecei0ee")
HELLO = extended(0, b"d1:md11:ut_metadatai2eee")


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return make_file(tmp_path / "in" / "x.bin", PIECES * PIECE)


def all_pieces(number: int, count: int = PIECES) -> bytes:
    return b"".join(frame(number, struct.pack(">I", piece)) for piece in range(count))


async def say_until_gone(peer: Stranger, noise: bytes) -> int:
    """Say the same over and over until the node has enough; returns how many bytes it took."""
    said = 0
    with suppress(*GONE):
        while True:
            await peer.stream.send_all(noise)
            said += len(noise)
    return said


FLOODS: dict[str, bytes] = {
    "known HAVEs": all_pieces(ID.HAVE, PIECES - 1),
    "unchokes": frame(ID.UNCHOKE),
    "choke flapping": frame(ID.UNCHOKE) + frame(ID.CHOKE),
    "interest flapping": frame(ID.INTERESTED) + frame(ID.NOT_INTERESTED),
    "suggestions": all_pieces(ID.SUGGEST),
    "allowed fast": all_pieces(ID.ALLOWED_FAST),
    "hints outside the torrent": frame(ID.SUGGEST, b"\xff" * 4)
    + frame(ID.ALLOWED_FAST, b"\xff" * 4),
    "rejects": ranged(ID.REJECT, 0, 0, PIECE),
    "rejects outside the torrent": ranged(ID.REJECT, PIECES, 0, PIECE),
    "cancels": ranged(ID.CANCEL, 0, 0, PIECE),
    "cancels outside the torrent": ranged(ID.CANCEL, PIECES, 0, PIECE),
    "the same request": ranged(ID.REQUEST, 1, 0, PIECE),
    "requests of a byte": b"".join(ranged(ID.REQUEST, 3, begin, 1) for begin in range(PIECE)),
    "requests outside the torrent": ranged(ID.REQUEST, PIECES, 0, PIECE),
    "requests of too much": ranged(ID.REQUEST, 0, 0, 1 << 24),
    "requests and cancels": ranged(ID.REQUEST, 2, 0, PIECE) + ranged(ID.CANCEL, 2, 0, PIECE),
    "extension handshakes": HELLO,
    "metadata requests": METADATA_REQUEST,
    "unknown extensions": extended(99, b""),
    "unknown messages": frame(99),
    "long unknown messages": frame(99, bytes(100_000)),
    "keep-alives": bytes(4),
    "ports": frame(ID.PORT, b"\x1a\xe1"),
    "the same bitfield": frame(ID.BITFIELD, to_bitfield(1, PIECES)),
    "bitfields": frame(ID.BITFIELD, to_bitfield(1, PIECES))
    + frame(ID.BITFIELD, to_bitfield(2, PIECES)),
    "all and nothing": frame(ID.HAVE_ALL) + frame(ID.HAVE_NONE),
    "blocks not asked for": frame(ID.PIECE, bytes(8 + PIECE)),
    "blocks of a byte": frame(ID.PIECE, bytes(9)),
}


@pytest.mark.parametrize("at", ["seeder", "leecher"])
@pytest.mark.parametrize("noise", FLOODS.values(), ids=FLOODS.keys())
async def test_whoever_floods_is_ended_and_the_transfer_goes_on(
    tmp_path: Path, original: Path, noise: bytes, at: str
) -> None:
    recorder = Recorder()
    noise *= max(1, 20_000 // len(noise))
    with trio.fail_after(30):
        async with (
            node(tmp_path / "s", recorder=recorder) as seeder,
            node(tmp_path / "l", recorder=recorder) as leecher,
        ):
            shared = await seeder.share(original, piece_length=PIECE)
            torrent = await leecher.fetch(str(torrent_file(shared, tmp_path)), folder=tmp_path)
            await until(lambda: torrent.state == "downloading")
            target = seeder if at == "seeder" else leecher
            async with stranger((HOST, target.port)) as flooder:
                hello = frame(ID.HAVE_NONE) + HELLO + frame(ID.INTERESTED)
                await flooder.shake_hands(shared.info_hash, then=hello)
                async with trio.open_nursery() as nursery:
                    nursery.start_soon(listen, flooder)
                    await say_until_gone(flooder, noise)
                    nursery.cancel_scope.cancel()
            torrent.peer_set.candidates.add((HOST, seeder.port), trio.current_time())
            torrent.peer_set.dial_wakeup.set()
            assert contents(await torrent.wait_complete()) == contents(original)


async def listen(peer: Stranger) -> None:
    """Take whatever the node says."""
    with suppress(*GONE):
        while await peer.stream.receive_some(1 << 20):
            pass


# --- what it costs -----------------------------------------------------------------------------


class Steps(trio.abc.Instrument):
    """Counts how often each kind of task went on."""

    def __init__(self) -> None:
        self.of: Counter[str] = Counter()

    def before_task_step(self, task: trio.lowlevel.Task) -> None:
        self.of[task.name.split()[0]] += 1


async def counted(
    tmp_path: Path, original: Path, noise: bytes, last: Callable[[Torrent], bool]
) -> Counter[str]:
    """Return the steps of a leecher's tasks while it hears `noise`, until `last` is so."""
    steps = Steps()
    async with node(tmp_path / "s") as seeder, node(tmp_path / "l") as leecher:
        shared = await seeder.share(original, piece_length=PIECE)
        torrent = await leecher.fetch(str(torrent_file(shared, tmp_path)), folder=tmp_path)
        await until(lambda: torrent.state == "downloading")
        async with stranger((HOST, leecher.port)) as peer:
            hello = frame(ID.BITFIELD, to_bitfield(1, PIECES)) + frame(ID.SUGGEST, bytes(4))
            await peer.shake_hands(shared.info_hash, then=hello + frame(ID.ALLOWED_FAST, bytes(4)))
            await peer.hear_a(ID.REQUEST)
            await trio.testing.wait_all_tasks_blocked(0.05)
            trio.lowlevel.add_instrument(steps)
            await peer.say(noise, frame(ID.HAVE, LAST))
            await until(lambda: last(torrent))
            trio.lowlevel.remove_instrument(steps)
    return steps.of


def knows_the_last_piece(torrent: Torrent) -> bool:
    assert torrent.download is not None
    (connection,) = torrent.peer_set.connections.values()
    return torrent.download.ledger.pieces_of(connection.key) >> PIECES - 1 == 1


async def test_what_changes_nothing_wakes_nobody(tmp_path: Path, original: Path) -> None:
    redundant = (
        frame(ID.HAVE, bytes(4))
        + frame(ID.CHOKE)
        + frame(ID.NOT_INTERESTED)
        + frame(ID.SUGGEST, bytes(4))
        + frame(ID.ALLOWED_FAST, bytes(4))
        + ranged(ID.REJECT, 5, 0, PIECE)
        + ranged(ID.CANCEL, 5, 0, PIECE)
        + frame(99)
        + bytes(4)
    )
    with trio.fail_after(LIMIT):
        steps = await counted(tmp_path, original, redundant * 300, knows_the_last_piece)
    # One HAVE at the end, which is news, wakes them; the 2,700 messages before it do not.
    assert steps["write"] <= 2
    assert steps["choke"] == 0


async def test_much_that_is_said_at_once_is_heard_by_turns(tmp_path: Path, original: Path) -> None:
    with trio.fail_after(LIMIT):
        steps = await counted(tmp_path, original, bytes(4) * 3000, knows_the_last_piece)
    assert steps["peer"] >= 11  # 256 messages at most in each


# --- honest peers that say much ----------------------------------------------------------------


async def served(tmp_path: Path, original: Path, said: bytes, reserved: bytes) -> Recorder:
    """Let a peer that is choked say all this to a seeder, and get a block after it.

    Another one has the only slot until then.
    """
    recorder = Recorder()
    async with node(tmp_path / "s", recorder=recorder, upload_slots=1) as seeder:
        shared = await seeder.share(original, piece_length=PIECE)
        address = (HOST, seeder.port)
        async with stranger(address) as peer:
            async with stranger(address, "127.0.0.3") as other:
                await other.shake_hands(shared.info_hash, reserved)
                await other.say(frame(ID.INTERESTED))
                await other.hear_a(ID.UNCHOKE)
                await peer.shake_hands(shared.info_hash, reserved)
                await peer.hear()
                await peer.say(said, frame(ID.INTERESTED))
                await until(lambda: [each.interested for each in shared.peers()] == [True] * 2)
            await peer.hear_a(ID.UNCHOKE)
            await peer.say(ranged(ID.REQUEST, 3, 0, PIECE))
            await peer.hear_a(ID.PIECE)
        await until(lambda: len(recorder.of(events.PeerLost)) == 2)
    return recorder


HONEST: dict[str, bytes] = {
    # Many clients tell pieces after a bitfield without them; some tell all of it again.
    "a lazy bitfield": frame(ID.BITFIELD, to_bitfield(1, PIECES)) + all_pieces(ID.HAVE, PIECES - 1),
    "each piece twice": all_pieces(ID.HAVE, PIECES - 1) * 2,
    # libtorrent's longest queue of requests, refused at a choke.
    "2,000 requests while choked": ranged(ID.REQUEST, 0, 0, PIECE) * 2000,
    "2,000 cancels of what is out already": ranged(ID.CANCEL, 0, 0, PIECE) * 2000,
    "a choke again and again": (frame(ID.CHOKE) + frame(ID.UNCHOKE)) * 500,
    "a block of 64 KiB too much": ranged(ID.REQUEST, 0, 0, 1 << 20) * 10,
    "a bitfield, all and a bitfield": frame(ID.BITFIELD, to_bitfield(1, PIECES))
    + frame(ID.BITFIELD, to_bitfield(3, PIECES)) * 3,
    # aria2 1.36 tells of twenty new pieces by a bitfield, however often.
    "bitfields that grow": b"".join(
        frame(ID.BITFIELD, to_bitfield((1 << have) - 1, PIECES)) for have in range(0, PIECES, 9)
    ),
    "extension messages that were never announced": extended(7, b"de") * 50,
}


@pytest.mark.parametrize("reserved", [PLAIN, FAST_AND_EXTENSIONS], ids=["plain", "fast"])
@pytest.mark.parametrize("said", HONEST.values(), ids=HONEST.keys())
async def test_an_honest_peer_may_repeat_itself(
    tmp_path: Path, original: Path, said: bytes, reserved: bytes
) -> None:
    with trio.fail_after(LIMIT):
        recorder = await served(tmp_path, original, said, reserved)
    *_, lost = recorder.of(events.PeerLost)
    assert lost.reason == "it closed the connection"


# --- admission ---------------------------------------------------------------------------------


async def test_a_peer_waits_for_the_place_that_one_of_a_crowd_has_to_give_up(
    tmp_path: Path, original: Path
) -> None:
    """Sent away, it would come again only after the crowd had filled up again."""
    async with node(tmp_path / "s", max_connections=8) as seeder, trio.open_nursery() as nursery:
        shared = await seeder.share(original, piece_length=PIECE)

        async def hold(number: int) -> None:
            async with stranger((HOST, seeder.port)) as silent:
                await silent.shake_hands(shared.info_hash, peer_id=b"-XX0001-%012d" % number)
                await trio.sleep_forever()

        with trio.fail_after(LIMIT):
            for number in range(8):
                nursery.start_soon(hold, number)
            await until(lambda: len(shared.peer_set.connections) == 8)
            async with stranger((HOST, seeder.port), host="127.0.0.3") as guest:
                await guest.shake_hands(shared.info_hash, peer_id=b"-XX0001-guest0000000")
                await guest.hear()
        nursery.cancel_scope.cancel()
