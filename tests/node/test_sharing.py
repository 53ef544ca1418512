"""Share on one node, fetch on others: the main job, over real sockets."""

from pathlib import Path

import pytest
import trio

import trio_swarm
from local_swarm import (
    HOST,
    LIMIT,
    Recorder,
    contents,
    make_file,
    make_folder,
    node,
    tracker,
    until,
)
from trio_swarm import events


async def test_a_file_shared_on_one_node_is_fetched_by_name_on_another(tmp_path: Path) -> None:
    original = make_file(tmp_path / "in" / "ubuntu.iso", 3_000_001)
    with trio.fail_after(30):
        async with tracker() as url, node(tmp_path / "s", url) as seeder:
            await seeder.share(original)
            async with node(tmp_path / "l", url) as leecher:
                torrent = await leecher.fetch("ubuntu.iso", folder=tmp_path / "out")
                path = await torrent.wait_complete()
    assert path == tmp_path / "out" / "ubuntu.iso"
    assert contents(path) == contents(original)


async def test_a_folder_arrives_with_all_its_files_the_empty_ones_too(tmp_path: Path) -> None:
    original = make_folder(tmp_path / "in" / "data")
    with trio.fail_after(30):
        async with tracker() as url, node(tmp_path / "s", url) as seeder:
            await seeder.share(original, piece_length=65536)
            async with node(tmp_path / "l", url) as leecher:
                torrent = await leecher.fetch("data", folder=tmp_path / "out")
                path = await torrent.wait_complete()
    assert contents(path) == contents(original)


@pytest.mark.parametrize("form", ["torrent", "magnet", "info-hash"])
async def test_a_fetch_takes_a_torrent_file_a_magnet_link_or_an_info_hash(
    tmp_path: Path, form: str
) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 700_000)
    with trio.fail_after(30):
        async with tracker() as url, node(tmp_path / "s", url) as seeder:
            shared = await seeder.share(original)
            assert shared.metainfo is not None
            file = tmp_path / "x.torrent"
            file.write_bytes(shared.metainfo.to_bytes())
            what = {
                "torrent": str(file),
                "magnet": shared.magnet(),
                "info-hash": shared.info_hash.hex(),
            }[form]
            trackers = (url,) if form == "info-hash" else ()
            async with node(tmp_path / "l", *trackers) as leecher:
                torrent = await leecher.fetch(what, folder=tmp_path / "out")
                path = await torrent.wait_complete()
    assert contents(path) == contents(original)


@pytest.mark.parametrize("host", [HOST, "localhost"])
async def test_a_peer_named_by_address_needs_no_tracker(tmp_path: Path, host: str) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 700_000)
    with trio.fail_after(30):
        async with node(tmp_path / "s") as seeder, node(tmp_path / "l") as leecher:
            shared = await seeder.share(original)
            torrent = await leecher.fetch(
                shared.info_hash.hex(), folder=tmp_path / "out", peers=[(host, seeder.port)]
            )
            path = await torrent.wait_complete()
    assert contents(path) == contents(original)


async def test_a_leecher_becomes_a_seeder_found_by_name_when_the_first_one_is_gone(
    tmp_path: Path,
) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 1_500_000)
    with trio.fail_after(30):
        async with tracker() as url, node(tmp_path / "a", url) as first:
            async with node(tmp_path / "s", url) as seeder:
                await seeder.share(original)
                torrent = await first.fetch("x.bin", folder=tmp_path / "a")
                await torrent.wait_complete()
            matches = await trio_swarm.search_names([url], "x*")
            assert [(m.name, m.seeders, m.size) for m in matches] == [("x.bin", 1, 1_500_000)]
            async with node(tmp_path / "b", url) as second:
                torrent = await second.fetch("x.bin", folder=tmp_path / "b")
                path = await torrent.wait_complete()
    assert contents(path) == contents(original)


async def test_several_seeders_all_give_and_every_byte_comes_once(tmp_path: Path) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 24_000_000)
    recorder = Recorder()
    with trio.fail_after(60):
        async with (
            tracker() as url,
            node(tmp_path / "s1", url, upload_rate=8_000_000) as one,
            node(tmp_path / "s2", url, upload_rate=8_000_000) as two,
            node(tmp_path / "s3", url, upload_rate=8_000_000) as three,
        ):
            for seeder in (one, two, three):
                await seeder.share(original)
            async with node(tmp_path / "l", url, recorder=recorder) as leecher:
                torrent = await leecher.fetch("x.bin", folder=tmp_path / "out")
                path = await torrent.wait_complete()
    assert contents(path) == contents(original)
    (done,) = recorder.of(events.Completed)
    assert len(done.sources) == 3
    assert min(done.sources.values()) > 2_000_000
    assert done.duplicate <= 0.05 * done.size


async def test_a_name_nobody_shares_is_an_error_that_names_it(tmp_path: Path) -> None:
    with trio.fail_after(30):
        async with tracker() as url, node(tmp_path, url) as leecher:
            with pytest.raises(trio_swarm.NameUnknownError, match=r"nothing\.iso"):
                await leecher.fetch("nothing.iso")


async def test_a_name_of_two_torrents_must_be_told_apart_by_info_hash(tmp_path: Path) -> None:
    first = make_file(tmp_path / "1" / "x.bin", 100_000, seed=1)
    second = make_file(tmp_path / "2" / "x.bin", 100_000, seed=2)
    with trio.fail_after(30):
        async with (
            tracker() as url,
            node(tmp_path / "s1", url) as one,
            node(tmp_path / "s2", url) as two,
            node(tmp_path / "l", url) as leecher,
        ):
            await one.share(first)
            wanted = await two.share(second)
            with pytest.raises(trio_swarm.NameAmbiguousError) as caught:
                await leecher.fetch("x.bin", folder=tmp_path / "out")
            assert wanted.info_hash in caught.value.info_hashes
            torrent = await leecher.fetch(
                "x.bin", folder=tmp_path / "out", info_hash=wanted.info_hash
            )
            path = await torrent.wait_complete()
    assert contents(path) == contents(second)


async def test_what_the_folder_already_holds_is_verified_and_used(tmp_path: Path) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 2_000_000)
    partial = bytearray(original.read_bytes())
    partial[1_000_000:] = bytes(1_000_000)
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "x.bin").write_bytes(partial)
    recorder = Recorder()
    with trio.fail_after(30):
        async with tracker() as url, node(tmp_path / "s", url) as seeder:
            await seeder.share(original, piece_length=65536)
            async with node(tmp_path / "l", url, recorder=recorder) as leecher:
                torrent = await leecher.fetch("x.bin", folder=tmp_path / "out")
                path = await torrent.wait_complete()
    assert contents(path) == contents(original)
    (done,) = recorder.of(events.Completed)
    assert done.downloaded <= 1_000_000 + 65536


async def test_a_seeder_that_joins_later_is_found_by_a_running_download(tmp_path: Path) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 500_000)
    recorder = Recorder()
    with trio.fail_after(30):
        async with tracker() as url, node(tmp_path / "l", url, recorder=recorder) as leecher:
            async with node(tmp_path / "s0") as unlisted:
                info_hash = (await unlisted.share(original)).info_hash
            torrent = await leecher.fetch(info_hash.hex(), folder=tmp_path / "out")
            await recorder.wait_for(events.Announced)
            async with node(tmp_path / "s", url) as seeder:
                await seeder.share(original)
                path = await torrent.wait_complete()
    assert contents(path) == contents(original)


async def test_a_node_that_closes_is_gone_from_the_tracker(tmp_path: Path) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 100_000)
    with trio.fail_after(LIMIT):
        async with tracker() as url:
            recorder = Recorder()
            async with node(tmp_path / "s", url, recorder=recorder) as seeder:
                await seeder.share(original)
                await recorder.wait_for(events.Announced)
                assert await trio_swarm.search_names([url], "x.bin")
            assert await trio_swarm.search_names([url], "*") == []


async def test_a_share_is_listed_as_a_seeder_from_its_first_announce(tmp_path: Path) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 100_000)
    recorder = Recorder()
    with trio.fail_after(LIMIT):
        async with tracker() as url, node(tmp_path / "s", url, recorder=recorder) as seeder:
            await seeder.share(original)
            await recorder.wait_for(events.Announced)
            (match,) = await trio_swarm.search_names([url], "*")
            assert (match.seeders, match.leechers) == (1, 0)


async def test_removing_a_torrent_ends_it_alone(tmp_path: Path) -> None:
    one = make_file(tmp_path / "in" / "one.bin", 100_000, seed=1)
    two = make_file(tmp_path / "in" / "two.bin", 100_000, seed=2)
    with trio.fail_after(LIMIT):
        async with tracker() as url, node(tmp_path / "s", url) as seeder:
            first = await seeder.share(one)
            second = await seeder.share(two)
            await first.remove()
            assert seeder.torrents == [second]
            async with node(tmp_path / "l", url) as leecher:
                torrent = await leecher.fetch("two.bin", folder=tmp_path / "out")
                await torrent.wait_complete()


async def test_the_same_torrent_twice_in_one_node_is_refused(tmp_path: Path) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 100_000)
    async with node(tmp_path / "s") as seeder:
        await seeder.share(original)
        with pytest.raises(trio_swarm.ConfigError, match=r"x\.bin"):
            await seeder.share(original)


async def test_a_port_in_use_is_one_clear_line(tmp_path: Path) -> None:
    async with node(tmp_path / "a") as first:
        with pytest.raises(trio_swarm.ConfigError, match=rf"{first.port}.*--listen"):
            async with node(tmp_path / "b", listen_port=first.port):
                pass


async def test_a_share_that_cannot_be_read_is_a_storage_error_by_itself(tmp_path: Path) -> None:
    async with node(tmp_path / "a") as seeder:
        with pytest.raises(trio_swarm.StorageError, match="missing"):
            await seeder.share(tmp_path / "missing.bin")
        assert seeder.torrents == []


async def test_an_unknown_scheduler_is_named_with_the_known_ones(tmp_path: Path) -> None:
    with pytest.raises(trio_swarm.ConfigError, match="rarest-first"):
        async with node(tmp_path / "a", scheduler="fastest-ever"):
            pass


async def test_labels_from_the_settings_reach_the_strategy(tmp_path: Path) -> None:
    seen = tmp_path / "seen"
    plugin = tmp_path / "noting.py"
    plugin.write_text(
        "from trio_swarm.schedulers.hookspecs import hookimpl\n"
        "from trio_swarm.schedulers.rarest_first import RarestFirst\n"
        "class Noting(RarestFirst):\n"
        "    def assign(self, view, rng):\n"
        f"        with open({str(seen)!r}, 'a') as file:\n"
        "            for peer in (*view.peers, *view.busy):\n"
        "                print(sorted(peer.labels.items()), file=file)\n"
        "        return super().assign(view, rng)\n"
        "@hookimpl\n"
        "def trio_swarm_schedulers():\n"
        "    return {'noting': Noting}\n"
    )
    original = make_file(tmp_path / "in" / "x.bin", 1_000_000)
    with trio.fail_after(60):
        # So slow that neither is done before the other is met, however busy the machine is.
        async with (
            node(tmp_path / "a", upload_rate=1) as near,
            node(tmp_path / "b", upload_rate=1) as far,
        ):
            info_hash = (await near.share(original)).info_hash.hex()
            await far.share(original)
            labels = {
                "127.0.0.": {"zone": "z", "rack": "far"},
                f"127.0.0.1:{near.port}": {"rack": "a"},
            }
            async with node(
                tmp_path / "l", labels=labels, plugins=(plugin,), scheduler="noting"
            ) as leecher:
                peers = [(HOST, far.port), (HOST, near.port)]
                await leecher.fetch(info_hash, folder=tmp_path / "out", peers=peers)
                wanted = {f"[('rack', '{rack}'), ('zone', 'z')]" for rack in ("a", "far")}
                await until(lambda: seen.exists() and wanted <= {*seen.read_text().splitlines()})
    assert {*seen.read_text().splitlines()} == wanted


@pytest.mark.parametrize("is_folder", [False, True], ids=["file", "folder"])
async def test_what_was_fetched_is_shared_later_without_hashing_it_again(
    tmp_path: Path, *, is_folder: bool
) -> None:
    source = tmp_path / "in" / "x"
    original = make_folder(source) if is_folder else make_file(source, 500_000)
    progress: list[int] = []
    with trio.fail_after(30):
        async with node(tmp_path / "s") as seeder:
            shared = await seeder.share(original)
            async with node(tmp_path / "l") as leecher:
                torrent = await leecher.fetch(
                    shared.info_hash.hex(), folder=tmp_path / "out", peers=[(HOST, seeder.port)]
                )
                path = await torrent.wait_complete()
            async with node(tmp_path / "l") as again:
                second = await again.share(path, on_progress=lambda done, _: progress.append(done))
                assert second.info_hash == shared.info_hash
    assert progress == []


async def test_no_rate_is_told_when_the_last_peer_is_gone(tmp_path: Path) -> None:
    """A rate is a mean of the last seconds, and nobody is there to take anything."""
    original = make_file(tmp_path / "in" / "x.bin", 3_000_000)
    recorder = Recorder()
    with trio.fail_after(30):
        async with node(tmp_path / "s", recorder=recorder) as seeder:
            shared = await seeder.share(original)
            async with node(tmp_path / "l") as leecher:
                torrent = await leecher.fetch(
                    shared.info_hash.hex(), folder=tmp_path / "out", peers=[(HOST, seeder.port)]
                )
                await torrent.wait_complete()
            while shared.peers():
                await recorder.wait_for(events.PeerLost)
                await trio.lowlevel.checkpoint()
            assert shared.progress().upload_rate == 0.0
