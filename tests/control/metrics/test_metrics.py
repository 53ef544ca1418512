"""A node that is scraped: real scrapes of a running node, over its own door."""

import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest
import trio
import trio.testing
from prometheus_client.openmetrics.parser import text_string_to_metric_families as open_families
from prometheus_client.parser import text_string_to_metric_families as families

from controlled_node import READER, TOKEN, Controlled, controlled, secret_file
from local_swarm import HOST, make_file, torrent_file
from trio_swarm import events
from trio_swarm.control.metrics import loop_delay
from trio_swarm.control.metrics.families import HOLDERS, by_holders
from trio_swarm.control.metrics.loop_delay import LoopDelay
from trio_swarm.node import open_node
from trio_swarm.settings import NodeSettings
from trio_swarm.tracker.seen.figures import TrackerFigures
from trio_swarm.tracker.seen.metrics import tracker_families

LIMIT = 30.0
"""Seconds until a test that hangs has failed."""

MONITORING = Path(__file__).parents[3] / "config" / "monitoring"

Values = dict[tuple[str, tuple[str, ...]], float]
"""Name and values of the labels → value."""


def read(text: str) -> Values:
    return {
        (sample.name, tuple(sample.labels.values())): sample.value
        for family in families(text)
        for sample in family.samples
    }


async def scrape(client: httpx.AsyncClient) -> Values:
    answer = await client.get("/metrics")
    assert answer.status_code == 200
    return read(answer.text)


async def fetch_from(node: Controlled, folder: Path) -> None:
    """Let another node fetch all of the one that is scraped, and leave."""
    context = node.context
    assert context.service is not None
    (shared,) = context.service.torrents
    settings = NodeSettings(listen_host=HOST, listen_port=0, state_folder=folder / "other")
    async with open_node(settings) as other:
        torrent = await other.fetch(shared.magnet(), folder=folder / "got")
        await torrent.wait_complete()


async def test_counters_move_with_what_a_node_sends(tmp_path: Path) -> None:
    make_file(tmp_path / "film.bin", 300_000)
    with trio.fail_after(LIMIT):
        async with (
            controlled(tmp_path, '[tracker]\n[[share]]\npath = "film.bin"\n') as node,
            node.client() as client,
        ):
            await node.recorder.wait_for(events.Sharing)
            before = await scrape(client)
            assert before["trio_swarm_torrents", ("seeding",)] == 1
            assert before["trio_swarm_torrents", ("failed",)] == 0
            assert before["trio_swarm_sent_bytes_total", ()] == 0
            assert before["trio_swarm_size_bytes", ()] == 300_000
            assert before["trio_swarm_verified_bytes", ()] == 300_000
            await fetch_from(node, tmp_path)
            await node.recorder.wait_for(events.PeerLost)
            after = await scrape(client)
            assert after["trio_swarm_sent_bytes_total", ()] == 300_000
            assert after["trio_swarm_peer_connections_total", ("incoming",)] == 1
            assert after["trio_swarm_peer_connections_total", ("outgoing",)] == 0
            assert after["trio_swarm_peers", ("incoming", "leecher")] == 0
            assert after["trio_swarm_announces_total", ("answered",)] >= 1
            assert after["trio_swarm_tracker_names", ("0",)] == 1
            assert after["trio_swarm_tracker_announces_total", ("udp", "0")] >= 2
            assert after["process_open_fds", ()] > 0
            # What a torrent has sent stays counted when it is gone.
            assert node.context.service is not None
            await node.context.service.torrents[0].remove()
            await trio.testing.wait_all_tasks_blocked(0.01)
            gone = await scrape(client)
            assert gone["trio_swarm_size_bytes", ()] == 0
            assert gone["trio_swarm_sent_bytes_total", ()] == 300_000


async def test_counters_move_with_what_a_node_fetches(tmp_path: Path) -> None:
    make_file(tmp_path / "film.bin", 300_000)
    settings = NodeSettings(listen_host=HOST, listen_port=0, state_folder=tmp_path / "other")
    with trio.fail_after(LIMIT):
        async with open_node(settings) as seeder:
            shared = await seeder.share(tmp_path / "film.bin", trackers=())
            pieces = shared.progress().pieces
            text = (
                f'[[fetch]]\nwhat = "{shared.magnet()}"\n'
                f'trackers = []\npeers = ["{HOST}:{seeder.port}"]\n'
            )
            async with controlled(tmp_path, text) as node, node.client() as client:
                await node.recorder.wait_for(events.Completed)
                values = await scrape(client)
    assert values["trio_swarm_received_bytes_total", ()] == 300_000
    assert values["trio_swarm_duplicate_bytes_total", ()] == 0
    assert values["trio_swarm_pieces_verified_total", ()] == pieces
    assert values["trio_swarm_pieces_failed_total", ()] == 0
    assert values["trio_swarm_disk_wait_seconds_count", ()] == pieces
    assert values["trio_swarm_disk_wait_seconds_sum", ()] > 0
    assert values["trio_swarm_disk_waiting_pieces", ()] == 0
    assert values["trio_swarm_peer_connections_total", ("outgoing",)] == 1
    decisions = values["trio_swarm_scheduler_decision_seconds_count", ()]
    assert decisions >= 1
    assert values["trio_swarm_scheduler_decision_seconds_bucket", ("+Inf",)] == decisions
    assert values["trio_swarm_strategy_faults_total", ("scheduler",)] == 0


async def test_what_fails_and_what_nobody_has_is_counted(tmp_path: Path) -> None:
    make_file(tmp_path / "film.bin", 300_000)
    settings = NodeSettings(listen_host=HOST, listen_port=0, state_folder=tmp_path / "other")
    with trio.fail_after(LIMIT), socket.socket() as nobody:
        nobody.bind((HOST, 0))  # and does not listen
        async with open_node(settings) as seeder:
            shared = await seeder.share(tmp_path / "film.bin", trackers=())
            file, pieces = torrent_file(shared, tmp_path), shared.progress().pieces
        tracker = f"http://{HOST}:{nobody.getsockname()[1]}/announce"
        text = f'[[fetch]]\nwhat = "{file}"\ntrackers = ["{tracker}"]\n'
        async with controlled(tmp_path, text) as node, node.client() as client:
            await node.recorder.wait_for(events.TrackerFailed)
            values = await scrape(client)
    assert values["trio_swarm_announces_total", ("failed",)] == 1
    assert values["trio_swarm_announces_total", ("answered",)] == 0
    assert values["trio_swarm_torrents", ("downloading",)] == 1
    assert values["trio_swarm_verified_bytes", ()] == 0
    assert values["trio_swarm_pieces", ("0",)] == pieces
    assert sum(values["trio_swarm_pieces", (label,)] for _, label in HOLDERS) == pieces


def test_pieces_are_classed_by_how_many_have_them() -> None:
    counts = bytes([0, 0, 1, 2, 3, 4, 5, 9, 10, 49, 50, 255])
    assert by_holders(counts) == [2, 1, 1, 1, 1, 2, 2, 2]


async def test_both_formats_are_served_as_asked(tmp_path: Path) -> None:
    # Content types: prometheus.io/docs, "Exposition formats", and OpenMetrics 1.0, "Protocol
    # negotiation".
    async with controlled(tmp_path) as node, node.client() as client:
        plain = await client.get("/metrics", headers={"accept": "*/*"})
        assert plain.headers["content-type"].startswith("text/plain; version=0.0.4")
        wanted = "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5"
        opened = await client.get("/metrics", headers={"accept": wanted})
        assert opened.headers["content-type"].startswith("application/openmetrics-text")
        assert opened.text.endswith("# EOF\n")
        assert {each.name for each in open_families(opened.text)}  # type: ignore[no-untyped-call] >= {"trio_swarm_sent_bytes"}
        head = await client.head("/metrics")
        assert (head.status_code, head.content) == (200, b"")
        assert (await client.post("/metrics")).status_code == 405


async def test_a_reader_may_scrape_and_a_stranger_may_not(tmp_path: Path) -> None:
    files = {
        "token_file": secret_file(tmp_path / "token", TOKEN),
        "read_token_file": secret_file(tmp_path / "reader", READER),
    }
    async with controlled(tmp_path, **files) as node, node.client() as client:
        assert (await client.get("/metrics")).status_code == 401
        reader = {"authorization": f"Bearer {READER}"}
        assert (await client.get("/metrics", headers=reader)).status_code == 200


async def test_nothing_a_stranger_chose_is_a_label_and_more_torrents_make_no_more_series(
    tmp_path: Path,
) -> None:
    text = "[tracker]\n"
    async with controlled(tmp_path, text) as node, node.client() as client:
        service = await node.context.peer.wait_open()
        empty = await scrape(client)
        for number in range(3):
            path = make_file(tmp_path / f"strange-{number}.bin", 1000, seed=number)
            await service.node.share(path)
        answer = await client.get("/metrics")
        full = read(answer.text)
    assert full.keys() == empty.keys()
    assert len(full) < 200
    assert "strange" not in answer.text
    assert "udp://" not in answer.text


async def test_the_event_loop_is_watched_only_while_somebody_scrapes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    watching: list[LoopDelay] = []
    monkeypatch.setattr(trio.lowlevel, "add_instrument", _noting(watching, add=True))
    monkeypatch.setattr(trio.lowlevel, "remove_instrument", _noting(watching, add=False))
    async with controlled(tmp_path) as node, node.client() as client:
        await client.get("/api/v1/session")
        assert watching == []
        await scrape(client)
        assert len(watching) == 1
        values = await scrape(client)
        assert values["trio_swarm_event_loop_pass_seconds_count", ()] > 0
        assert len(watching) == 1
        monkeypatch.setattr(loop_delay, "WATCHED_FOR", -1.0)
        await scrape(client)
        await trio.lowlevel.checkpoint()
        await trio.lowlevel.checkpoint()
        assert watching == []
        monkeypatch.undo()


def _noting(watching: list[LoopDelay], *, add: bool) -> Callable[[LoopDelay], None]:
    real = trio.lowlevel.add_instrument if add else trio.lowlevel.remove_instrument

    def change(instrument: LoopDelay) -> None:
        real(instrument)
        (watching.append if add else watching.remove)(instrument)

    return change


def test_a_node_that_nobody_scrapes_does_not_import_the_library() -> None:
    code = (
        "import sys, trio_swarm.control.app, trio_swarm.service.configured;"
        "sys.exit('prometheus_client' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


async def test_every_metric_of_the_dashboard_and_the_alerts_exists(tmp_path: Path) -> None:
    limits = '[limits]\nupload = "1MB"\ndownload = "1MB"\n'
    async with controlled(tmp_path, limits + "[tracker]\n") as node, node.client() as client:
        await node.context.peer.wait_open()
        text = (await client.get("/metrics")).text
    shared = [TrackerFigures(is_shared=True)]
    known = {name for name, _ in read(text)}
    known |= {each.name for each in tracker_families(shared)}
    names = re.compile(r"\b(?:trio_swarm|process|python)_[a-z0-9_]+\b")
    dashboard = json.loads((MONITORING / "dashboard.json").read_text())
    shown = {
        name
        for panel in dashboard["panels"]
        for target in panel["targets"]
        for name in names.findall(target["expr"])
    }
    asked = set(names.findall((MONITORING / "alerts.yml").read_text()))
    assert len(asked) > 8
    assert shown | asked <= known
    own = {each.name for each in families(text) if each.name.startswith("trio_swarm_")}
    unseen = {name for name in own if not any(each.startswith(name) for each in shown)}
    assert unseen == {"trio_swarm_start_time_seconds", "trio_swarm_tracker_start_time_seconds"}
