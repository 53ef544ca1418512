"""Parts of a torrent with libtorrent 2.1: taken from it, given to it, and told of.

libtorrent runs in this process, at loopback addresses of its own.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from local_swarm import LIMIT, node, until
from trio_swarm import Metainfo, create_torrent
from trio_swarm.protocol.metainfo.selection import Selection, unwanted_files, wanted_pieces

lt = pytest.importorskip("libtorrent")

pytestmark = [
    pytest.mark.foreign,
    # Its newer interfaces are missing in older versions of libtorrent.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

FILES = 60
LENGTH = 21_000
NAMES = [f"{number:02}.bin" for number in range(FILES)]
CHOSEN = ["07.bin", "08.bin", "41.bin"]
SELECTION = Selection(only=tuple(CHOSEN))


@pytest.fixture
def original(tmp_path: Path) -> Path:
    folder = tmp_path / "in" / "many"
    folder.mkdir(parents=True)
    for number, name in enumerate(NAMES):
        (folder / name).write_bytes(bytes([number]) * LENGTH)
    return folder


@asynccontextmanager
async def libtorrent(
    metainfo: Metainfo, folder: Path, host: str, only: list[str] | None = None
) -> AsyncIterator[tuple[Any, Any]]:
    """Run libtorrent with a torrent in `folder`; yields its session, and its handle of it."""
    session = lt.session(
        {
            "listen_interfaces": f"{host}:0",
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "enable_outgoing_utp": False,
            "enable_incoming_utp": False,
            "allow_multiple_connections_per_ip": True,
        }
    )
    parameters = lt.add_torrent_params()
    parameters.ti = lt.torrent_info(lt.bdecode(metainfo.to_bytes()))
    parameters.save_path = str(folder)
    parameters.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    if only is not None:
        parameters.file_priorities = [
            4 if entry.path[-1] in only else 0 for entry in metainfo.info.files
        ]
    handle = session.add_torrent(parameters)
    try:
        await until(lambda: session.listen_port() and handle.status().state > 2)
        yield session, handle
    finally:
        session.remove_torrent(handle)
        await trio.to_thread.run_sync(session.pause)


def least(metainfo: Metainfo) -> int:
    """Return the bytes of the pieces that the chosen files lie in."""
    info = metainfo.info
    pieces = wanted_pieces(info, unwanted_files(info, SELECTION))
    return sum(info.piece_size(n) for n in range(info.piece_count) if pieces >> n & 1)


async def test_a_part_comes_from_libtorrent_and_goes_to_libtorrent(
    tmp_path: Path, original: Path
) -> None:
    metainfo = await trio.to_thread.run_sync(create_torrent, original)
    file = tmp_path / "many.torrent"
    file.write_bytes(metainfo.to_bytes())
    with trio.fail_after(LIMIT):
        async with node(tmp_path / "ours") as ours:
            async with libtorrent(metainfo, original.parent, "127.0.0.5") as (session, _):
                torrent = await ours.fetch(
                    str(file),
                    folder=tmp_path / "out",
                    peers=[("127.0.0.5", session.listen_port())],
                    trackers=[],
                    selection=SELECTION,
                )
                root = await torrent.wait_complete()
                assert torrent.downloaded <= least(metainfo)
            assert {path.name for path in root.iterdir() if path.name[0] != "."} == set(CHOSEN)
            for name in CHOSEN:
                assert (root / name).read_bytes() == (original / name).read_bytes()
            async with libtorrent(metainfo, tmp_path / "theirs", "127.0.0.6", CHOSEN) as (
                _session,
                theirs,
            ):
                theirs.connect_peer((ours.addresses[0][0], ours.port))
                await until(lambda: theirs.status().is_finished)
                assert not theirs.status().is_seeding
    for name in CHOSEN:
        assert (tmp_path / "theirs" / "many" / name).read_bytes() == (original / name).read_bytes()


async def test_each_sees_that_the_other_only_uploads_a_part(tmp_path: Path, original: Path) -> None:
    metainfo = await trio.to_thread.run_sync(create_torrent, original)
    file = tmp_path / "many.torrent"
    file.write_bytes(metainfo.to_bytes())
    with trio.fail_after(LIMIT):
        async with (
            libtorrent(metainfo, original.parent, "127.0.0.5") as (seeding, _),
            libtorrent(metainfo, tmp_path / "theirs", "127.0.0.6", CHOSEN) as (giving, part),
            node(tmp_path / "ours") as ours,
        ):
            part.connect_peer(("127.0.0.5", seeding.listen_port()))
            await until(lambda: part.status().is_finished)
            # We want all of it, and find a part only; then we want no more than that.
            torrent = await ours.fetch(
                str(file),
                folder=tmp_path / "out",
                peers=[("127.0.0.6", giving.listen_port())],
                trackers=[],
            )
            await until(lambda: torrent.downloaded >= least(metainfo))
            (peer,) = torrent.peers()
            assert peer.is_seeder
            assert peer.share < 1
            # A leecher that wants all of it hears, when we are complete, that we only upload. As it
            # has taken all of our part, it parts with us.
            async with libtorrent(metainfo, tmp_path / "other", "127.0.0.7") as (leeching, other):
                leeching.apply_settings({"alert_mask": lt.alert.category_t.peer_log_notification})
                other.connect_peer((ours.addresses[0][0], ours.port))
                await until(lambda: other.status().total_done >= least(metainfo))
                await torrent.select(SELECTION)
                await torrent.wait_complete()
                await until(
                    lambda: any(
                        "uninteresting upload-only peer" in str(alert)
                        for alert in leeching.pop_alerts()
                    )
                )
