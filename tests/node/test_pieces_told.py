"""What a torrent tells of its pieces and files while it runs."""

from pathlib import Path

from trio.testing import MockClock

from local_swarm import node, until
from simulated_link import meeting
from trio_swarm.piece_sets import full_set, to_bitfield
from trio_swarm.progress import PIECE_BEGUN, PIECE_HAD, PIECE_NOWHERE


async def test_a_map_of_the_pieces_tells_what_is_here_who_has_the_rest_and_what_nobody_has(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    async with meeting(tmp_path, mock_clock, size=4_000_000) as peers:
        (torrent,) = peers.fetching
        assert torrent.info is not None
        count = torrent.info.piece_count
        alone = torrent.piece_map()
        assert alone is not None
        assert alone.states == bytes([PIECE_NOWHERE]) * count
        assert alone.holders == bytes(count)
        torrent.set_limits(download_rate=500_000)
        peers.begin()
        await until(lambda: torrent.progress().pieces_have > count // 4)
        some = torrent.piece_map(peers=5)
        assert some is not None
        assert some.states.count(PIECE_HAD) == torrent.progress().pieces_have
        assert some.have == to_bitfield(
            sum(1 << at for at, state in enumerate(some.states) if state == PIECE_HAD), count
        )
        assert some.states.count(PIECE_BEGUN) > 0
        assert PIECE_NOWHERE not in some.states
        assert some.holders == bytes([1]) * count
        (seeder,) = some.peers
        assert seeder.pieces == to_bitfield(full_set(count), count)
        (file,) = torrent.file_states()
        assert (file.path, file.length, file.have) == (
            "x.bin",
            4_000_000,
            torrent.progress().have,
        )
        assert torrent.piece_map().peers == []  # type: ignore[union-attr]
        await until(lambda: torrent.state != "downloading")


async def test_a_torrent_without_metadata_has_no_pieces_and_no_files_to_tell_of(
    tmp_path: Path,
) -> None:
    async with node(tmp_path) as leecher:
        torrent = await leecher.fetch("ab" * 20, folder=tmp_path)
        assert torrent.piece_map() is None
        assert torrent.file_states() == []
