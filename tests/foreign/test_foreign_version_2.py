"""Torrents of version 2 and hybrids with libtorrent, in both directions (BEP 52)."""

import os
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import trio

from trio_swarm import NodeSettings, open_node
from trio_swarm.metainfo_files import read_torrent
from trio_swarm.node import Node

lt = pytest.importorskip("libtorrent")
pytestmark = [
    pytest.mark.foreign,
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
]

PIECE = 32 * 1024
FILES = {"a/two": 2, "ab": 70_000, "big": 1_000_000, "empty": 0, "one block": 16_384, "p": PIECE}
FORMATS = {"v1": lt.create_torrent.v1_only, "hybrid": 0, "v2": lt.create_torrent.v2_only}


class Made:
    """Random files, and a torrent of them as libtorrent makes it."""

    def __init__(self, folder: Path, kind: str, files: dict[str, int]) -> None:
        self.folder = folder / "made"
        for name, size in files.items():
            path = self.folder / "share" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(os.urandom(size))
        maker = lt.create_torrent(lt.list_files(str(self.folder / "share")), PIECE, FORMATS[kind])
        lt.set_piece_hashes(maker, str(self.folder))
        self.path = folder / "share.torrent"
        self.path.write_bytes(lt.bencode(maker.generate()))
        hashes = lt.load_torrent_file(str(self.path)).ti.info_hashes()
        self.topics = {"btih": f"urn:btih:{hashes.v1}", "btmh": f"urn:btmh:1220{hashes.v2}"}

    def what(self, how: str) -> str:
        """Return the .torrent file, or a magnet link with one info-hash or both."""
        if how == "torrent":
            return str(self.path)
        return "magnet:?" + "&".join(f"xt={self.topics[each]}" for each in how.split("+"))

    def assert_equals(self, copy: Path) -> None:
        found = {
            str(path.relative_to(copy)): path.read_bytes()
            for path in copy.rglob("*")
            if path.is_file()
        }
        wanted = self.folder / "share"
        assert found == {name: (wanted / name).read_bytes() for name in FILES}


@pytest.fixture
def session() -> Iterator[Any]:
    made = lt.session(
        {
            "listen_interfaces": "127.0.0.1:0",
            "enable_dht": False,
            "enable_lsd": False,
            "enable_upnp": False,
            "enable_natpmp": False,
            "enable_outgoing_utp": False,
            "enable_incoming_utp": False,
            "allow_multiple_connections_per_ip": True,
        }
    )
    yield made
    made.pause()


async def until(condition: Any) -> None:
    """Wait for libtorrent, which cannot wake Trio."""
    with trio.fail_after(30):
        while not condition():  # noqa: ASYNC110 - there is no event to wait for
            await trio.sleep(0.02)


def add(session: Any, what: str, folder: Path, *, is_seeder: bool) -> Any:
    is_magnet = what.startswith("magnet:")
    parameters = lt.parse_magnet_uri(what) if is_magnet else lt.load_torrent_file(what)
    parameters.save_path = str(folder)
    parameters.flags &= ~(lt.torrent_flags.auto_managed | lt.torrent_flags.paused)
    if is_seeder:
        parameters.flags |= lt.torrent_flags.seed_mode
    return session.add_torrent(parameters)


@asynccontextmanager
async def our_node(folder: Path) -> AsyncIterator[Node]:
    settings = NodeSettings(listen_host="127.0.0.1", state_folder=folder / "state")
    async with open_node(settings) as node:
        yield node


CASES = [
    ("v1", "torrent"),
    ("v1", "btih"),
    ("hybrid", "torrent"),
    ("hybrid", "btih"),
    ("hybrid", "btmh"),
    ("hybrid", "btih+btmh"),
    ("v2", "torrent"),
    ("v2", "btmh"),
]


@pytest.mark.parametrize(("kind", "how"), CASES)
async def test_we_fetch_from_libtorrent(tmp_path: Path, session: Any, kind: str, how: str) -> None:
    made = Made(tmp_path, kind, FILES)
    seeder = add(session, made.what("torrent"), made.folder, is_seeder=True)
    await until(lambda: session.listen_port() and seeder.status().is_seeding)
    async with our_node(tmp_path) as node:
        peers = [("127.0.0.1", session.listen_port())]
        torrent = await node.fetch(made.what(how), folder=tmp_path / "copy", peers=peers)
        with trio.fail_after(30):
            await torrent.wait_complete()
        info = torrent.info
    assert info is not None
    assert (info.has_v1, info.has_v2) == (kind != "v2", kind != "v1")
    made.assert_equals(tmp_path / "copy" / "share")
    # Nobody was asked for padding.
    assert torrent.downloaded == sum(FILES.values()) == info.size
    if kind == "v2":
        assert info.layers() == read_torrent(made.path).info.layers()


@pytest.mark.parametrize(("kind", "how"), CASES)
async def test_libtorrent_fetches_from_us(
    tmp_path: Path, session: Any, kind: str, how: str
) -> None:
    made = Made(tmp_path, kind, FILES)
    async with our_node(tmp_path) as node:
        torrent = await node.fetch(made.what("torrent"), folder=made.folder)
        with trio.fail_after(30):
            await torrent.wait_complete()
        leecher = add(session, made.what(how), tmp_path / "copy", is_seeder=False)
        leecher.connect_peer(("127.0.0.1", node.port))
        await until(lambda: leecher.status().is_seeding)
        leecher.flush_cache()
        session.remove_torrent(leecher)
        await until(lambda: not session.get_torrents())
        await until(lambda: (tmp_path / "copy/share/big").stat().st_size == FILES["big"])
    made.assert_equals(tmp_path / "copy" / "share")
