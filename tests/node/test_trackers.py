"""What a torrent makes of its trackers' answers: events, and peers that lead nowhere."""

import time
from pathlib import Path

import pytest
import trio
from trio.testing import MockClock

from deaf_name_server import deaf_name_server
from local_swarm import HOST, Recorder, contents, make_file, node, until
from tracker_scripts import http_script, response, silent_udp
from trio_swarm import events
from trio_swarm.metainfo_files import create_torrent
from trio_swarm.peer.trackers import MAX_WARNINGS
from trio_swarm.protocol.bencode import encode

INFO_HASH = bytes(range(20)).hex()


async def test_a_warning_of_a_tracker_is_told_once(tmp_path: Path) -> None:
    """BEP 3, "warning message"."""
    recorder = Recorder()
    said = response(encode({"interval": 1, "warning message": "closing\x1b[2J soon"}))
    with trio.fail_after(30):
        async with http_script(said) as (url, asked), node(tmp_path, url, recorder=recorder) as one:
            await one.fetch(INFO_HASH, folder=tmp_path)
            await until(lambda: len(asked) > 2)
    (warning,) = recorder.of(events.TrackerWarning)
    assert (warning.tracker, warning.text) == (url, "closing[2J soon")
    assert warning.as_dict()["event"] == "tracker_warning"


async def test_a_tracker_that_warns_of_something_new_each_time_is_not_listened_to(
    tmp_path: Path,
) -> None:
    recorder = Recorder()
    number = 0

    async def talk(stream: trio.SocketStream) -> None:
        nonlocal number
        number += 1
        await stream.send_all(response(encode({"interval": 1, "warning message": f"no. {number}"})))

    with trio.fail_after(30):
        async with http_script(talk) as (url, _), node(tmp_path, url, recorder=recorder) as one:
            await one.fetch(INFO_HASH, folder=tmp_path)
            await until(lambda: number > MAX_WARNINGS + 1)
    assert len(recorder.of(events.TrackerWarning)) == MAX_WARNINGS


async def test_a_silent_tracker_is_told_of_after_two_seconds(tmp_path: Path) -> None:
    recorder = Recorder()
    with trio.fail_after(30):
        async with silent_udp() as url, node(tmp_path, url, recorder=recorder) as one:
            await one.fetch(INFO_HASH, folder=tmp_path)
            silent = await recorder.wait_for(events.TrackerSilent)
    assert (silent.tracker, silent.info_hash) == (url, INFO_HASH)
    assert one.tally.announces_silent == 1


async def test_peers_whose_names_nobody_knows_keep_no_place_of_one_that_is_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hostile tracker's list: BEP 3 allows names of hosts, and a name server may be deaf."""
    original = make_file(tmp_path / "in" / "x.bin", 700_000)
    file = tmp_path / "x.torrent"
    with deaf_name_server(monkeypatch), trio.fail_after(30):
        async with node(tmp_path / "s") as seeder:
            named = [{"ip": f"h{number}.deaf", "port": 1} for number in range(200)]
            peers = [*named, {"ip": HOST, "port": seeder.port}]
            said = response(encode({"interval": 60, "peers": peers}))
            async with http_script(said) as (url, _), node(tmp_path / "l") as leecher:
                metainfo = create_torrent(original, trackers=[url], state_folder=tmp_path)
                file.write_bytes(metainfo.to_bytes())
                await seeder.share(original, trackers=())
                torrent = await leecher.fetch(str(file), folder=tmp_path / "out")
                path = await torrent.wait_complete()
    assert contents(path) == contents(original)


async def test_what_each_tracker_said_is_known_with_the_times(tmp_path: Path) -> None:
    said = response(encode({"interval": 1800, "complete": 3, "incomplete": 4, "peers": []}))
    refusal = response(encode({"failure reason": "not here"}))
    began = time.time()
    with trio.fail_after(30):
        async with (
            http_script(said) as (good, _),
            http_script(refusal) as (bad, _),
            node(tmp_path) as one,
        ):
            torrent = await one.fetch(
                f"magnet:?xt=urn:btih:{INFO_HASH}&tr={good}&tr={bad}", folder=tmp_path
            )
            await until(lambda: len([s for s in torrent.tracker_states() if s.result]) == 2)
            states = {state.url: state for state in torrent.tracker_states()}
    works, refuses = states[good], states[bad]
    assert (works.is_working, works.seeders, works.leechers, works.peers) == (True, 3, 4, 0)
    assert works.result == "lists 3 seeders and 3 other leechers"
    assert works.last_announce is not None
    assert works.next_announce is not None
    assert began <= works.last_announce <= time.time()
    assert works.next_announce - works.last_announce == pytest.approx(1800)
    assert not refuses.is_working
    assert "not here" in refuses.result
    assert (refuses.seeders, refuses.leechers) == (None, None)
    assert refuses.next_announce is not None
    assert refuses.last_announce is not None
    assert refuses.next_announce - refuses.last_announce == pytest.approx(120)


async def test_asking_for_peers_again_waits_as_long_as_the_tracker_wants(
    tmp_path: Path, mock_clock: MockClock
) -> None:
    """BEP 3, "min interval": the least seconds between two announces."""
    asked: list[float] = []

    async def answer(stream: trio.SocketStream) -> None:
        asked.append(trio.current_time())
        said = {"interval": 1800, "min interval": 600, "peers": []}
        await stream.send_all(response(encode(said)))

    mock_clock.rate = 1.0
    with trio.fail_after(800):
        async with http_script(answer) as (url, _), node(tmp_path, url) as one:
            torrent = await one.fetch(INFO_HASH, folder=tmp_path)
            await until(lambda: torrent.tracker_states()[0].is_working)
            torrent.reannounce()
            mock_clock.jump(500)
            torrent.reannounce()
            await until(lambda: trio.current_time() - asked[0] > 501)
            assert len(asked) == 1
            mock_clock.jump(100)
            await until(lambda: len(asked) == 2)
    assert asked[1] - asked[0] >= 600
