"""A seeder among several leechers: how much leaves it, and that nobody is left without anything."""

from pathlib import Path

import pytest
import trio

from local_swarm import HOST, contents, make_file, node, until

SIZE = 6_000_000


@pytest.mark.parametrize(
    ("options", "most_copies"),
    [({}, 1.4), ({"hide": False}, 3.1)],
    ids=["hiding", "suggesting"],
)
async def test_a_slow_seeder_sends_about_one_copy_to_three_leechers(
    tmp_path: Path, options: dict[str, bool], most_copies: float
) -> None:
    original = make_file(tmp_path / "in" / "x.bin", SIZE)
    with trio.fail_after(60):
        async with (
            node(tmp_path / "s", upload_rate=3_000_000, uploader_options=options) as seeder,
            node(tmp_path / "1") as one,
            node(tmp_path / "2") as two,
            node(tmp_path / "3") as three,
        ):
            torrent = await seeder.share(original, piece_length=65536)
            info_hash = torrent.info_hash.hex()
            leechers = (one, two, three)
            peers = [(HOST, each.port) for each in (seeder, *leechers)]
            for number, leecher in enumerate(leechers):
                await leecher.fetch(info_hash, folder=tmp_path / str(number), peers=peers)
            for leecher in leechers:
                path = await leecher.torrents[0].wait_complete()
                assert contents(path) == contents(original)
            assert SIZE <= torrent.progress().uploaded <= most_copies * SIZE


async def test_a_leecher_that_comes_late_gets_everything(tmp_path: Path) -> None:
    original = make_file(tmp_path / "in" / "x.bin", SIZE)
    with trio.fail_after(60):
        async with (
            node(tmp_path / "s", upload_rate=3_000_000) as seeder,
            node(tmp_path / "1") as one,
            node(tmp_path / "2") as two,
        ):
            torrent = await seeder.share(original, piece_length=65536)
            first = await one.fetch(
                torrent.info_hash.hex(), folder=tmp_path / "o1", peers=[(HOST, seeder.port)]
            )
            await until(lambda: first.progress().have > SIZE // 3)
            second = await two.fetch(
                torrent.info_hash.hex(),
                folder=tmp_path / "o2",
                peers=[(HOST, seeder.port), (HOST, one.port)],
            )
            for each in (first, second):
                assert contents(await each.wait_complete()) == contents(original)


async def test_an_idle_seeder_is_seen_as_one_though_it_shows_little(tmp_path: Path) -> None:
    original = make_file(tmp_path / "in" / "x.bin", SIZE)
    with trio.fail_after(60):
        async with (
            node(tmp_path / "s", upload_rate=500_000) as seeder,
            node(tmp_path / "1") as one,
            node(tmp_path / "2") as two,
        ):
            torrent = await seeder.share(original, piece_length=65536)
            fetched = [
                await each.fetch(
                    torrent.info_hash.hex(), folder=tmp_path / str(n), peers=[(HOST, seeder.port)]
                )
                for n, each in enumerate((one, two))
            ]
            await until(lambda: all(each.progress().have for each in fetched))
            assert [each.progress().seeders for each in fetched] == [1, 1]
            assert all(each.peers()[0].share < 1.0 for each in fetched)
