"""A strategy that breaks its contract costs a log line and a fallback, never a byte."""

import time
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

import trio_swarm
from broken_strategies import BROKEN, EXCESSIVE, HARMLESS
from local_swarm import HOST, Recorder, contents, make_file, node, until
from simulated_link import meeting
from trio_swarm import events

PLUGIN = """
import sys
sys.path.insert(0, {tests!r})
import broken_strategies
from trio_swarm.schedulers.hookspecs import hookimpl

@hookimpl
def trio_swarm_schedulers():
    return {{
        **broken_strategies.BROKEN, **broken_strategies.EXCESSIVE, **broken_strategies.HARMLESS
    }}
"""


@pytest.fixture
def plugin(tmp_path: Path) -> Path:
    path = tmp_path / "broken_plugin.py"
    path.write_text(PLUGIN.format(tests=str(Path(__file__).parents[1] / "support")))
    return path


@pytest.mark.parametrize("name", [*BROKEN, *EXCESSIVE, *HARMLESS])
async def test_a_download_completes_whatever_its_strategy_does(
    tmp_path: Path, plugin: Path, name: str
) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 3_000_000)
    recorder = Recorder()
    with trio.fail_after(60):
        async with (
            node(tmp_path / "a") as one,
            node(tmp_path / "b") as two,
            node(tmp_path / "l", recorder=recorder, plugins=(plugin,), scheduler=name) as leecher,
        ):
            info_hash = (await one.share(original, piece_length=65536)).info_hash.hex()
            await two.share(original, piece_length=65536)
            peers = [(HOST, one.port), (HOST, two.port)]
            torrent = await leecher.fetch(info_hash, folder=tmp_path / "out", peers=peers)
            path = await torrent.wait_complete()
    assert contents(path) == contents(original)
    (done,) = recorder.of(events.Completed)
    assert done.duplicate <= 0.1 * done.size
    if name in BROKEN:
        assert leecher.tally.scheduler_faults.faults > 0
    assert recorder.of(events.PeerBanned) == []
    faults = recorder.of(events.StrategyFault)
    if name in BROKEN:
        assert {fault.plugin for fault in faults} == {name}
        assert len(faults) < 20
    elif name in HARMLESS:
        assert faults == []


CHOKERS_AND_UPLOADERS = """
from trio_swarm.schedulers.hookspecs import hookimpl

class Broken:
    def offer(self, view, peer):
        return -1
    def order(self, view, peer, requests):
        return list(requests)[1:] * 2
    def unchoke(self, view, rng):
        raise ZeroDivisionError

@hookimpl
def trio_swarm_uploaders():
    return {"broken": Broken}

@hookimpl
def trio_swarm_chokers():
    return {"broken": Broken}
"""


async def test_a_seeder_serves_on_when_its_uploader_and_choker_are_broken(tmp_path: Path) -> None:
    plugin = tmp_path / "broken_seeding.py"
    plugin.write_text(CHOKERS_AND_UPLOADERS)
    original = make_file(tmp_path / "in" / "x.bin", 3_000_000)
    recorder = Recorder()
    with trio.fail_after(60):
        async with (
            node(
                tmp_path / "s",
                recorder=recorder,
                plugins=(plugin,),
                uploader="broken",
                choker="broken",
            ) as seeder,
            node(tmp_path / "l1") as one,
            node(tmp_path / "l2") as two,
        ):
            info_hash = (await seeder.share(original, piece_length=65536)).info_hash.hex()
            for number, leecher in enumerate((one, two)):
                await leecher.fetch(
                    info_hash, folder=tmp_path / str(number), peers=[(HOST, seeder.port)]
                )
            for number, leecher in enumerate((one, two)):
                path = await leecher.torrents[0].wait_complete()
                assert path.parent == tmp_path / str(number)
                assert contents(path) == contents(original)
    assert {fault.plugin for fault in recorder.of(events.StrategyFault)} == {"broken"}
    assert seeder.tally.uploader_faults.faults > 0
    assert seeder.tally.choker_faults.faults > 0
    assert seeder.tally.scheduler_faults.faults == 0


async def test_a_running_download_goes_on_with_another_strategy(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    async with meeting(tmp_path, mock_clock, size=8_000_000) as peers:
        (torrent,) = peers.fetching
        torrent.set_limits(download_rate=1_000_000)
        peers.begin()
        await until(lambda: torrent.progress().downloaded > 1_000_000)
        was = torrent.scheduler_state()
        assert (was.name, was.options) == ("rarest-first", {})
        assert was.decisions > 0
        mock_clock.autojump_threshold = float("inf")  # a thread looks for the strategy
        await torrent.set_scheduler("round-robin", {"chunk_kib": "64"}, text_values=True)
        mock_clock.autojump_threshold = 0.0
        now = torrent.scheduler_state()
        assert (now.name, now.options, now.decisions) == ("round-robin", {"chunk_kib": 64}, 0)
        await until(lambda: torrent.state != "downloading")
        progress = torrent.progress()
        assert progress.have == progress.downloaded == 8_000_000
        assert progress.duplicate == 0
        assert torrent.scheduler_state().decisions > 0


@pytest.mark.parametrize(
    ("name", "options", "match"),
    [
        ("rarest-frist", {}, "did you mean 'rarest-first'"),
        ("round-robin", {"chunks": 3}, "chunks"),
        ("round-robin", {"chunk_kib": 0}, "must be 1 or more"),
        ("round-robin", {"chunk_kib": "many"}, "chunk_kib"),
    ],
)
async def test_a_wrong_strategy_is_refused_and_changes_nothing(
    tmp_path: Path, name: str, options: dict[str, object], match: str
) -> None:
    async with node(tmp_path / "l") as leecher:
        torrent = await leecher.fetch("ab" * 20, folder=tmp_path)
        await torrent.set_scheduler("bandwidth-weighted", {"pieces": "in-order"})
        before = torrent.scheduler_state()
        with pytest.raises(trio_swarm.ConfigError, match=match):
            await torrent.set_scheduler(name, options)
        assert torrent.scheduler_state() == before


async def test_a_strategy_chosen_before_the_metadata_is_known_decides_afterwards(
    tmp_path: Path,
) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 1_000_000)
    with trio.fail_after(60):
        async with node(tmp_path / "s") as seeder, node(tmp_path / "l") as leecher:
            shared = await seeder.share(original)
            torrent = await leecher.fetch(shared.info_hash.hex(), folder=tmp_path / "out")
            await torrent.set_scheduler("round-robin")
            torrent.peer_set.candidates.add((HOST, seeder.port), trio.current_time())
            torrent.peer_set.dial_wakeup.set()
            await torrent.wait_complete()
            assert torrent.scheduler_state().decisions > 0


async def test_a_strategy_that_took_over_is_guarded_like_the_first(
    tmp_path: Path, plugin: Path
) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 3_000_000)
    recorder = Recorder()
    with trio.fail_after(60):
        async with (
            node(tmp_path / "s") as seeder,
            node(tmp_path / "l", recorder=recorder, plugins=(plugin,)) as leecher,
        ):
            shared = await seeder.share(original, piece_length=65536)
            torrent = await leecher.fetch(shared.info_hash.hex(), folder=tmp_path / "out")
            await torrent.set_scheduler(next(iter(BROKEN)))
            torrent.peer_set.candidates.add((HOST, seeder.port), trio.current_time())
            torrent.peer_set.dial_wakeup.set()
            assert contents(await torrent.wait_complete()) == contents(original)
            assert torrent.scheduler_state().faults > 0
    assert recorder.of(events.StrategyFault)


async def test_a_program_that_looks_is_told_why_something_is_asked_of_whom(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    async with meeting(tmp_path, mock_clock, size=8_000_000, leechers=1) as peers:
        (torrent,) = peers.fetching
        torrent.set_limits(download_rate=1_000_000)
        peers.begin()
        await until(lambda: torrent.progress().downloaded > 1_000_000)
        assert torrent.decisions() == [], "nothing was recorded before the first look"
        await until(lambda: len(torrent.decisions()) > 3)
        told = torrent.decisions()[-1]
        (peer,) = torrent.peers()
        assert told.scheduler == "rarest-first"
        assert told.requests[0].text.startswith(f"rarest-first asked {peer.address} for ")
        assert "1 of 1 peer had it" in told.requests[0].reasons[0]
        assert abs(told.at - time.time()) < 3600
        await until(lambda: torrent.state != "downloading")
