"""A download asks things that are no BitTorrent peers for blocks in the same way as peers."""

import random
from collections import deque
from pathlib import Path

import trio

from local_swarm import HOST, make_file, node, until
from trio_swarm import Node
from trio_swarm.engine.lengths import BlockRun
from trio_swarm.peer.download import Download
from trio_swarm.peer.torrent import Torrent
from trio_swarm.peer.wakeup import Wakeup

PIECE = 64 * 1024


class FromMemory:
    """A source that has the content at hand; `refused` pieces it will not give."""

    def __init__(self, key: int, content: bytes, refused: int = 0) -> None:
        self.key = key
        self.address = "memory"
        self.refused = refused
        self.given: list[BlockRun] = []
        self.cancelled: list[BlockRun] = []
        self._content = content
        self._asked: deque[BlockRun] = deque()
        self._wakeup = Wakeup()

    def grant(self, run: BlockRun) -> None:
        self._asked.append(run)
        self._wakeup.set()

    def cancel(self, run: BlockRun) -> None:
        self.cancelled.append(run)

    async def run(self, download: Download) -> None:
        """Give what is asked for, in runs of any length."""
        while True:
            await self._wakeup.wait()
            while self._asked:
                run = self._asked.popleft()
                now = trio.current_time()
                if self.refused >> run.piece & 1:
                    assert download.ledger.rejected(self.key, *run, now)
                    download.exchange.replan()
                    continue
                begin = run.piece * PIECE + run.begin
                data = memoryview(self._content)[begin : begin + run.length]
                if download.source_gave(self, run.piece, run.begin, data, now):
                    self.given.append(run)
                await trio.lowlevel.checkpoint()


async def torrent_file(seeder: Node, original: Path) -> str:
    metainfo = (await seeder.share(original, piece_length=PIECE)).metainfo
    assert metainfo is not None
    path = original.with_name("x.torrent")
    path.write_bytes(metainfo.to_bytes())
    return str(path)


async def downloading(torrent: Torrent) -> Download:
    await until(lambda: torrent.state == "downloading")
    assert torrent.download is not None
    return torrent.download


async def test_a_download_without_any_peer_is_completed_by_such_a_source(tmp_path: Path) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 1_000_000)
    with trio.fail_after(30):
        async with node(tmp_path / "a") as seeder:
            file = await torrent_file(seeder, original)
        async with node(tmp_path / "l") as leecher, trio.open_nursery() as nursery:
            torrent = await leecher.fetch(file, folder=tmp_path / "out")
            download = await downloading(torrent)
            source = FromMemory(10_000, original.read_bytes())
            nursery.start_soon(source.run, download)
            download.exchange.add_source(source, trio.current_time())
            path = await torrent.wait_complete()
            assert path.read_bytes() == original.read_bytes()
            assert download.sources == {"memory": 1_000_000}
            assert sum(run.length for run in source.given) == 1_000_000
            download.exchange.remove_source(source)
            nursery.cancel_scope.cancel()


async def test_what_it_refuses_a_peer_is_asked_for_and_what_comes_unasked_is_dropped(
    tmp_path: Path,
) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 1_000_000)
    with trio.fail_after(30):
        async with node(tmp_path / "a") as seeder, node(tmp_path / "l") as leecher:
            file = await torrent_file(seeder, original)
            async with trio.open_nursery() as nursery:
                torrent = await leecher.fetch(file, folder=tmp_path / "out")
                download = await downloading(torrent)
                source = FromMemory(10_000, original.read_bytes(), refused=0b1010)
                nursery.start_soon(source.run, download)
                download.exchange.add_source(source, trio.current_time())
                await until(lambda: download.ledger.wanted == 0b1010)
                unasked = memoryview(random.randbytes(16384))
                now = trio.current_time()
                assert not download.source_gave(source, 1, 0, unasked, now)
                download.exchange.remove_source(source)
                torrent.peer_set.candidates.add((HOST, seeder.port), now)
                torrent.peer_set.dial_wakeup.set()
                path = await torrent.wait_complete()
                nursery.cancel_scope.cancel()
            assert path.read_bytes() == original.read_bytes()
            assert download.sources.keys() == {"memory", f"{HOST}:{seeder.port}"}
            assert download.sources[f"{HOST}:{seeder.port}"] == 2 * PIECE
