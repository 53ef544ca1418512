"""A strategy that breaks its contract costs a log line and a fallback, never a byte."""

from pathlib import Path

import pytest
import trio

from broken_strategies import BROKEN, EXCESSIVE, HARMLESS
from local_swarm import HOST, Recorder, contents, make_file, node
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
