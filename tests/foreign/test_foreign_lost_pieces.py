"""lt_donthave (BEP 54) with libtorrent 2.1, which sends it and hears it.

libtorrent runs in this process, at a loopback address of its own. It sends the message for a piece
that it cannot read when it is asked for it.
"""

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from local_swarm import HOST, LIMIT, Recorder, contents, make_file, node, until
from strangers import ID, frame, ranged, stranger
from trio_swarm import Metainfo, create_torrent, events
from trio_swarm.protocol.wire.allowed_fast import allowed_fast_set

lt = pytest.importorskip("libtorrent")

pytestmark = [
    pytest.mark.foreign,
    # Its newer interfaces are missing in older versions of libtorrent.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

PIECE = 32768
PIECES = 100
HALF = PIECES // 2
THEIRS = "127.0.0.5"
ASKERS = "127.0.0.2"


@pytest.fixture
def original(tmp_path: Path) -> Path:
    return make_file(tmp_path / "in" / "x.bin", PIECES * PIECE)


@asynccontextmanager
async def libtorrent(metainfo: Metainfo, folder: Path) -> AsyncIterator[tuple[Any, Any]]:
    """Run libtorrent with a torrent whose data is in, or goes to, `folder`.

    Yields its session and its handle of the torrent.
    """
    session = lt.session(
        {
            "listen_interfaces": f"{THEIRS}:0",
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "enable_outgoing_utp": False,
            "enable_incoming_utp": False,
            "allow_multiple_connections_per_ip": True,
        }
    )
    file = folder / "lt.torrent"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(metainfo.to_bytes())
    parameters = lt.load_torrent_file(str(file))
    parameters.save_path = str(folder)
    parameters.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    handle = session.add_torrent(parameters)
    try:
        yield session, handle
    finally:
        session.pause()


async def test_what_libtorrent_takes_back_is_asked_of_another(
    tmp_path: Path, original: Path
) -> None:
    metainfo = create_torrent(original, piece_length=PIECE)
    expected = contents(original)
    recorder = Recorder()
    with trio.fail_after(LIMIT):
        async with (
            libtorrent(metainfo, original.parent) as (session, handle),
            node(tmp_path / "l", recorder=recorder) as leecher,
            node(tmp_path / "s") as seeder,
        ):
            await until(lambda: handle.status().is_seeding)
            copy = make_file(tmp_path / "copy" / "x.bin", PIECES * PIECE)
            await seeder.share(copy, piece_length=PIECE)
            os.truncate(original, HALF * PIECE)
            torrent = await leecher.fetch(
                str(original.parent / "lt.torrent"),
                folder=tmp_path / "out",
                peers=[(THEIRS, session.listen_port())],
            )
            await until(lambda: len(torrent.peer_set.connections) == 1)
            (theirs,) = torrent.peer_set.connections.values()

            def left() -> int:
                return theirs.conversation.source.pieces if theirs.conversation is not None else 0

            # It is asked for each, and takes it back.
            await until(lambda: left() == (1 << HALF) - 1)
            await until(lambda: torrent.progress().pieces_have == HALF)
            assert not recorder.of(events.PeerLost)
            torrent.peer_set.candidates.add((HOST, seeder.port), trio.current_time())
            torrent.peer_set.dial_wakeup.set()
            path = await torrent.wait_complete()
    assert contents(path) == expected


async def test_libtorrent_learns_that_a_file_of_ours_changed_and_stays(
    tmp_path: Path, original: Path
) -> None:
    metainfo = create_torrent(original, piece_length=PIECE)
    info_hash = metainfo.info.info_hash
    allowed = [
        *allowed_fast_set(THEIRS, info_hash, PIECES),
        *allowed_fast_set(ASKERS, info_hash, PIECES),
    ]
    lost = next(piece for piece in range(PIECES) if piece not in allowed)
    recorder = Recorder()
    serving = {
        "uploader": "least-sent",
        "upload_slots": 1,
        # Whoever has the slot keeps it, however long libtorrent takes to connect.
        "choker_options": {"minimum_seconds": LIMIT},
    }
    with trio.fail_after(LIMIT):
        async with (
            node(tmp_path / "s", recorder=recorder, **serving) as ours,
            libtorrent(metainfo, tmp_path / "lt") as (_, handle),
        ):
            await ours.share(original, piece_length=PIECE)
            # Who comes first has the only slot: libtorrent asks for what it may have without.
            async with stranger((HOST, ours.port), ASKERS) as asker:
                await asker.shake_hands(info_hash, then=frame(ID.HAVE_NONE) + frame(ID.INTERESTED))
                await asker.hear_a(ID.UNCHOKE)
                handle.connect_peer((HOST, ours.port))

                def told() -> list[bool]:
                    return [bool(each) for peer in handle.get_peer_info() for each in peer.pieces]

                await until(lambda: told() == [True] * PIECES)
                # It must not find the change itself.
                free = len(allowed_fast_set(THEIRS, info_hash, PIECES))
                await until(lambda: handle.status().num_pieces == free)
                (before,) = handle.get_peer_info()
                with original.open("r+b") as file:
                    file.seek(lost * PIECE)
                    file.write(b"changed")
                await asker.say(ranged(ID.REQUEST, lost, 0, 16384))
                await until(lambda: told() == [piece != lost for piece in range(PIECES)])
                (after,) = handle.get_peer_info()
                assert after.local_endpoint() == before.local_endpoint()
    (changed,) = recorder.of(events.FilesChanged)
    assert changed.lost == 1
