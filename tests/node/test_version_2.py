"""Torrents of version 2 between our own nodes: wrong blocks, missing layers, two swarms."""

from pathlib import Path

import pytest
import trio

from hostile_peers import HostileSeeder, flush, hostile
from local_swarm import HOST, Recorder, contents, make_file, node
from trio_swarm import events
from trio_swarm.errors import MetainfoError
from trio_swarm.identities import TorrentVersion
from trio_swarm.protocol import bencode
from trio_swarm.protocol.addresses import format_address
from trio_swarm.protocol.metainfo import merkle
from trio_swarm.protocol.metainfo.info import Info, parse_info
from trio_swarm.protocol.metainfo.magnet import Magnet
from trio_swarm.protocol.metainfo.torrent import Metainfo
from trio_swarm.protocol.wire import messages as msg
from trio_swarm.protocol.wire.machine import PeerWire
from trio_swarm.storage.shares import hash_share
from unusual_messages import send_block_data

BLOCK = merkle.BLOCK_LENGTH
PIECE = 16 * BLOCK
SIZE = 10 * PIECE + 5 * BLOCK + 100


def version_2_of(path: Path) -> Info:
    """Return the torrent of version 2 of a file."""
    leaves = merkle.leaf_hashes(path.read_bytes())
    root = merkle.file_root(leaves)
    size = PIECE // BLOCK * 32
    layer = b"".join(
        merkle.piece_hash(leaves[at : at + size], PIECE, is_whole_file=False)
        for at in range(0, len(leaves), size)
    )
    tree = {path.name: {"": {"length": path.stat().st_size, "pieces root": root}}}
    raw = {"file tree": tree, "meta version": 2, "name": path.name, "piece length": PIECE}
    return parse_info(bencode.encode(raw)).with_layers({root: layer})  # type: ignore[arg-type]


async def test_a_wrong_block_is_fetched_again_alone_and_its_sender_is_banned(
    tmp_path: Path,
) -> None:
    path = make_file(tmp_path / "in" / "x.bin", SIZE)
    info = version_2_of(path)
    file = tmp_path / "x.torrent"
    file.write_bytes(Metainfo(info).to_bytes())
    wrong: list[msg.RequestReceived] = []
    was_sent = trio.Event()

    async def change_one_block(
        seeder: HostileSeeder, stream: trio.SocketStream, wire: PeerWire, asked: msg.RequestReceived
    ) -> None:
        data = seeder.block(asked)
        if not wrong:
            wrong.append(asked)
            data = bytes([data[0] ^ 1]) + data[1:]
        send_block_data(wire, asked.piece, asked.begin, data)
        await flush(stream, wire)
        was_sent.set()

    recorder = Recorder()
    bad = HostileSeeder(info, path.read_bytes(), change_one_block)
    with trio.fail_after(60):
        async with (
            hostile(bad) as address,
            node(tmp_path / "s") as good,
            node(tmp_path / "l", recorder=recorder) as leecher,
        ):
            seeding = await good.fetch(str(file), folder=tmp_path / "in")
            await seeding.wait_complete()
            torrent = await leecher.fetch(str(file), folder=tmp_path / "out", peers=[address])
            await was_sent.wait()
            torrent.add_peers([(HOST, good.port)])
            assert contents(await torrent.wait_complete()) == contents(path)
            assert torrent.download is not None
            assert torrent.download.ledger.failed_bytes == BLOCK
    assert [event.address for event in recorder.of(events.PeerBanned)] == [format_address(address)]
    (failed,) = recorder.of(events.PieceFailed)
    assert failed.piece == wrong[0].piece


async def test_piece_layers_come_from_peers_if_the_torrent_file_has_none(tmp_path: Path) -> None:
    path = make_file(tmp_path / "in" / "x.bin", SIZE)
    info = version_2_of(path)
    whole, bare = tmp_path / "whole.torrent", tmp_path / "bare.torrent"
    whole.write_bytes(Metainfo(info).to_bytes())
    bare.write_bytes(Metainfo(parse_info(info.raw)).to_bytes())
    with trio.fail_after(60):
        async with node(tmp_path / "s") as good, node(tmp_path / "l") as leecher:
            seeding = await good.fetch(str(whole), folder=tmp_path / "in")
            await seeding.wait_complete()
            peers = [(HOST, good.port)]
            torrent = await leecher.fetch(str(bare), folder=tmp_path / "out", peers=peers)
            assert contents(await torrent.wait_complete()) == contents(path)
            assert torrent.metainfo == Metainfo(info)


@pytest.mark.parametrize("version", ["hybrid", "v2"])
async def test_a_folder_is_shared_in_either_version_and_again_without_hashing(
    tmp_path: Path, version: TorrentVersion
) -> None:
    for name, size in (("a", PIECE + 1), ("b/c", 5), ("b/empty", 0), ("d", 3 * PIECE)):
        make_file(tmp_path / "in" / "share" / name, size)
    with trio.fail_after(60):
        for _ in range(2):
            async with node(tmp_path / "s") as good, node(tmp_path / "l") as leecher:
                shared = await good.share(tmp_path / "in" / "share", version=version)
                assert shared.info is not None
                assert (shared.info.has_v1, shared.info.has_v2) == (version == "hybrid", True)
                torrent = await leecher.fetch(
                    shared.magnet(), folder=tmp_path / "out", peers=[(HOST, good.port)]
                )
                copy = await torrent.wait_complete()
    for name in ("a", "b/c", "b/empty", "d"):
        assert contents(copy / name) == contents(tmp_path / "in" / "share" / name)


async def test_a_hybrid_is_found_by_either_info_hash(tmp_path: Path) -> None:
    make_file(tmp_path / "in" / "share" / "a", 3 * PIECE + 5)
    with trio.fail_after(60):
        async with node(tmp_path / "s") as good:
            shared = await good.share(tmp_path / "in" / "share", version="hybrid")
            assert shared.info is not None
            assert shared.info.v2_hash is not None
            for number, magnet in enumerate(
                [
                    Magnet(shared.info.info_hash),
                    Magnet(shared.info.v2_hash[:20], v2_hash=shared.info.v2_hash),  # type: ignore[arg-type]
                ]
            ):
                async with node(tmp_path / f"l{number}") as leecher:
                    torrent = await leecher.fetch(
                        magnet.to_uri(),
                        folder=tmp_path / f"out{number}",
                        peers=[(HOST, good.port)],
                    )
                    await torrent.wait_complete()
                    assert torrent.info_hash == shared.info.info_hash


async def test_a_hybrid_whose_hashes_disagree_is_refused_and_said_to_be(tmp_path: Path) -> None:
    """BEP 52, "Upgrade Path": pieces must match both hashes."""
    path = make_file(tmp_path / "in" / "x.bin", SIZE)
    right = hash_share(path, version="hybrid", piece_length=PIECE, state_folder=tmp_path / "state")
    other = make_file(tmp_path / "other" / "x.bin", SIZE - 1)
    other.write_bytes(other.read_bytes() + b"?")
    wrong = hash_share(other, version="v2", piece_length=PIECE, state_folder=tmp_path / "state")
    halves = bencode.decode(right.raw)
    assert isinstance(halves, dict)
    tree = bencode.decode(wrong.raw)[b"file tree"]  # type: ignore[index, call-overload]
    info = parse_info(bencode.encode(halves | {b"file tree": tree})).with_layers(wrong.layers())
    file = tmp_path / "x.torrent"
    file.write_bytes(Metainfo(info).to_bytes())
    seeder = HostileSeeder(info, path.read_bytes(), send_block)
    with trio.fail_after(60):
        async with hostile(seeder) as address, node(tmp_path / "l") as leecher:
            torrent = await leecher.fetch(str(file), folder=tmp_path / "out", peers=[address])
            with pytest.raises(MetainfoError, match="version 1 and version 2 differ in piece"):
                await torrent.wait_complete()


async def send_block(
    seeder: HostileSeeder, stream: trio.SocketStream, wire: PeerWire, asked: msg.RequestReceived
) -> None:
    send_block_data(wire, asked.piece, asked.begin, seeder.block(asked))
    await flush(stream, wire)
