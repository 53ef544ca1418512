"""A share that nobody wants costs no task and no descriptor; it is there all the same."""

from pathlib import Path

import pytest
import trio

from local_swarm import HOST, Recorder, contents, make_file, node, tracker, until
from task_names import task_names
from trio_swarm import TrioSwarmError, events
from trio_swarm.announcing.clients import open_tracker_clients
from trio_swarm.peer import torrent as torrent_module
from trio_swarm.peer.torrent import Torrent

LIMIT = 30.0
"""Seconds until a test that hangs has failed."""


def tasks_of(torrent: Torrent) -> list[str]:
    return [name for name in task_names() if name.endswith(torrent.name)]


def descriptors() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


@pytest.fixture
def rest_soon(monkeypatch: pytest.MonkeyPatch) -> None:
    """Half a minute is long for a test."""
    monkeypatch.setattr(torrent_module, "REST_AFTER", 0.05)


async def test_shares_that_nobody_wants_have_no_tasks_and_no_descriptors(tmp_path: Path) -> None:
    with trio.fail_after(LIMIT):
        async with tracker(interval=1800) as url, node(tmp_path, url) as seeder:
            await seeder.share(make_file(tmp_path / "first", 10))
            await trio.sleep(0.1)
            few, open_before = sorted(task_names()), descriptors()
            for number in range(50):
                await seeder.share(make_file(tmp_path / f"{number}", 20_000, seed=number))
            await until(lambda: not any(name.startswith("ask ") for name in task_names()))
            assert sorted(task_names()) == few
            assert descriptors() == open_before
            assert all(torrent.state == "seeding" for torrent in seeder.torrents)
            assert all(
                torrent.progress().have == torrent.progress().size for torrent in seeder.torrents
            )


async def test_it_gets_up_for_a_peer_and_rests_again_and_knows_what_it_gave(
    tmp_path: Path, rest_soon: None
) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 300_000)
    with trio.fail_after(LIMIT):
        async with node(tmp_path / "s") as seeder:
            shared = await seeder.share(original)
            assert tasks_of(shared) == []
            for number in (1, 2):
                async with node(tmp_path / f"l{number}") as leecher:
                    torrent = await leecher.fetch(
                        shared.info_hash.hex(),
                        folder=tmp_path / f"out{number}",
                        peers=[(HOST, seeder.port)],
                    )
                    await torrent.wait_complete()
                assert contents(tmp_path / f"out{number}" / "x.bin") == contents(original)
                await until(lambda: shared.download is None)
                # It may dial that leecher again, in some minutes.
                assert tasks_of(shared) == ["torrent x.bin"]
                assert shared.uploaded == number * 300_000
                assert shared.progress().uploaded == number * 300_000
                assert shared.progress().have == 300_000
                before = descriptors()
            assert descriptors() <= before


async def test_a_download_that_is_complete_rests_as_well(tmp_path: Path, rest_soon: None) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 300_000)
    with trio.fail_after(LIMIT):
        async with node(tmp_path / "l") as leecher:
            async with node(tmp_path / "s") as seeder:
                shared = await seeder.share(original)
                torrent = await leecher.fetch(
                    shared.info_hash.hex(), folder=tmp_path / "out", peers=[(HOST, seeder.port)]
                )
                await torrent.wait_complete()
                progress = torrent.progress()
                assert (progress.downloaded, progress.pieces_have) == (300_000, progress.pieces)
            # It knows where the seeder was, and goes on dialling it now and then.
            torrent.peer_set.candidates.keep_only([])
            torrent.peer_set.tell_changed()
            await until(lambda: torrent.rests)
            progress = torrent.progress()
            assert (progress.downloaded, progress.pieces_have) == (300_000, progress.pieces)
            assert torrent.have == shared.have


async def test_one_that_is_not_whole_does_not_rest(tmp_path: Path, rest_soon: None) -> None:
    """It is fetched still, and looks for peers."""
    async with node(tmp_path / "l") as leecher:
        torrent = await leecher.fetch("ab" * 20, folder=tmp_path / "out", peers=[])
        await trio.sleep(0.3)
        assert not torrent.rests


async def test_a_changed_file_of_a_resting_share_is_not_served(tmp_path: Path) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 300_000)
    recorder = Recorder()
    with trio.fail_after(LIMIT):
        async with (
            node(tmp_path / "s", recorder=recorder) as seeder,
            node(tmp_path / "l") as leecher,
        ):
            shared = await seeder.share(original)
            assert shared.rests
            with original.open("r+b") as file:
                file.write(b"another beginning")
            torrent = await leecher.fetch(
                shared.info_hash.hex(), folder=tmp_path / "out", peers=[(HOST, seeder.port)]
            )
            changed = await recorder.wait_for(events.FilesChanged)
            assert changed.lost == 1
            await until(lambda: torrent.progress().pieces_have == torrent.progress().pieces - 1)
            assert torrent.state == "downloading"


async def test_a_resting_share_can_be_removed_and_shared_again(tmp_path: Path) -> None:
    original = make_file(tmp_path / "x.bin", 1000)
    with trio.fail_after(LIMIT):
        async with tracker(interval=1800) as url, node(tmp_path, url) as seeder:
            shared = await seeder.share(original)
            await until(lambda: bool(shared.tracker_news()))
            await shared.remove()
            assert (shared.state, seeder.torrents) == ("removed", [])
            async with open_tracker_clients() as clients:
                assert (await clients.scrape(url, [shared.info_hash]))[
                    shared.info_hash
                ].seeders == 0
            again = await seeder.share(original)
            assert seeder.torrents == [again]


async def test_the_end_of_a_node_is_told_for_every_share_that_rests(tmp_path: Path) -> None:
    with trio.fail_after(LIMIT):
        async with tracker(interval=1800) as url, open_tracker_clients() as clients:
            async with node(tmp_path, url) as seeder:
                shares = [
                    await seeder.share(make_file(tmp_path / f"{number}", 100, seed=number))
                    for number in range(200)
                ]
                await until(lambda: all(share.tracker_news() for share in shares))
                hashes = [share.info_hash for share in shares]
                listed = await clients.scrape(url, hashes)
                assert [listed[each].seeders for each in hashes] == [1] * 200
            listed = await clients.scrape(url, hashes)
            assert [listed[each].seeders for each in hashes] == [0] * 200
            assert {share.state for share in shares} == {"removed"}
            for share in shares:
                await share.wait_over()


async def test_a_peer_that_comes_by_a_tracker_wakes_it(tmp_path: Path) -> None:
    """The leecher cannot be reached by anybody but the seeder that dials it."""
    original = make_file(tmp_path / "in" / "x.bin", 300_000)
    with trio.fail_after(LIMIT):
        async with tracker(interval=1) as url, node(tmp_path / "s", url) as seeder:
            shared = await seeder.share(original)
            async with node(tmp_path / "l", url) as leecher:
                torrent = await leecher.fetch(shared.info_hash.hex(), folder=tmp_path / "out")
                await torrent.wait_complete()
    assert contents(tmp_path / "out" / "x.bin") == contents(original)


async def test_a_resting_share_is_read_checked_and_shown_as_any_other(
    tmp_path: Path, rest_soon: None
) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 300_000)
    data = original.read_bytes()
    with trio.fail_after(LIMIT):
        async with node(tmp_path / "s") as seeder:
            shared = await seeder.share(original)
            pieces = shared.progress().pieces
            assert shared.rests
            states = shared.file_states()
            assert [(state.path, state.have) for state in states] == [("x.bin", 300_000)]
            whole = shared.piece_map()
            assert whole is not None
            assert (len(whole.states), len(set(whole.states))) == (pieces, 1)
            assert shared.scheduler_state().name == "rarest-first"
            assert shared.rests  # nobody woke it to look

            assert await shared.read_at(0, 100_000, 1000) == data[100_000:101_000]
            assert not shared.rests
            await until(lambda: shared.rests)
            verified = await shared.verify()
            assert (verified.checked, verified.bad) == (pieces, 0)
            awake = shared.piece_map()
            assert awake is not None
            assert (awake.states, awake.have) == (whole.states, whole.have)
            await until(lambda: shared.rests)


async def test_a_check_of_a_resting_share_finds_what_was_changed(tmp_path: Path) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 300_000)
    with trio.fail_after(LIMIT):
        async with node(tmp_path / "s") as seeder:
            shared = await seeder.share(original)
            with original.open("r+b") as file:
                file.write(b"another beginning")
            assert (await shared.verify()).bad == 1
            assert not shared.rests  # what is lost may be put back
            assert shared.progress().pieces_have == shared.progress().pieces - 1


async def test_one_that_is_removed_while_it_is_read_tells_the_reader(tmp_path: Path) -> None:
    with trio.fail_after(LIMIT):
        async with node(tmp_path / "s") as seeder:
            shared = await seeder.share(make_file(tmp_path / "x.bin", 300_000))

            async def read_on() -> None:
                while True:
                    await shared.read_at(0, 0, 10)

            async with trio.open_nursery() as nursery:
                nursery.start_soon(shared.remove)
                with pytest.raises(TrioSwarmError):
                    await read_on()
            assert seeder.torrents == []
