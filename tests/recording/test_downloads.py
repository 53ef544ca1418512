"""Real downloads, recorded: what the file tells is what happened."""

import errno
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, BinaryIO

import pytest
import trio
from trio.testing import MockClock

import trio_swarm
from local_swarm import HOST, make_file
from trio_swarm import events as node_events
from trio_swarm.errors import StorageError
from trio_swarm.lab.replaying import measure, replay
from trio_swarm.recording import Recording, read_recording, records
from trio_swarm.recording.story.history import History
from trio_swarm.schedulers.rarest_first import RarestFirst
from trio_swarm.schedulers.round_robin import RoundRobin

PIECE = 64 * 1024
PIECES = 40
SIZE = PIECES * PIECE - 1000


def settings(folder: Path, **more: Any) -> trio_swarm.NodeSettings:
    return trio_swarm.NodeSettings(listen_host=HOST, state_folder=folder / "state", **more)


def recording_of(path: Path) -> Recording:
    with path.open("rb") as file:
        return read_recording(file, path.name)


@asynccontextmanager
async def two_seeders(
    folder: Path, upload_rates: tuple[int | None, int | None] = (None, None)
) -> AsyncIterator[tuple[trio_swarm.Torrent, list[Any]]]:
    """Two nodes that seed the same file; yields one of its torrents and both addresses.

    `upload_rates` are in bytes/s, None for no limit.
    """
    film = make_file(folder / "film.mkv", SIZE)
    first, second = upload_rates
    async with (
        trio_swarm.open_node(settings(folder / "one", upload_rate=first)) as one,
        trio_swarm.open_node(settings(folder / "two", upload_rate=second)) as two,
    ):
        torrent = await one.share(film, piece_length=PIECE)
        await two.share(film, piece_length=PIECE)
        yield torrent, [(HOST, one.port), (HOST, two.port)]


async def download(
    folder: Path, torrent: trio_swarm.Torrent, peers: list[Any]
) -> trio_swarm.Torrent:
    async with trio_swarm.open_node(settings(folder / "leecher")) as node:
        fetched = await node.fetch(
            torrent.magnet(), folder=folder / "out", peers=peers, record=folder / "film.rec"
        )
        with trio.fail_after(60):
            await fetched.wait_complete()
        return fetched


async def test_a_download_from_two_seeders_is_told_from_beginning_to_end(tmp_path: Path) -> None:
    async with two_seeders(tmp_path) as (torrent, peers):
        fetched = await download(tmp_path, torrent, peers)
    recording = recording_of(tmp_path / "film.rec")
    header = recording.header
    assert (header.name, header.size, header.piece_length) == ("film.mkv", SIZE, PIECE)
    assert header.info_hash == torrent.info_hash.hex()
    assert header.scheduler == "rarest-first"
    assert recording.cut_off is None
    assert isinstance(recording.events[0], records.Began)
    assert recording.events[-1] == records.Ended(recording.events[-1].at, "stopped")
    history = History(recording.lengths)
    for event in recording.events:
        history.apply(event)
    assert history.have == (1 << PIECES) - 1
    assert sorted(e.piece for e in recording.events if isinstance(e, records.Verified)) == [
        *range(PIECES)
    ]
    # Byte by byte what the download itself counted.
    assert fetched.download is not None
    sources = fetched.download.sources
    assert {peer.address: peer.received for peer in history.known.values()} == sources
    assert sum(sources.values()) == SIZE
    assert {peer.client.split()[0] for peer in history.known.values()} == {"trio-swarm"}
    assert all(peer.left_at is not None for peer in history.known.values())
    assert not any(peer.in_flight for peer in history.known.values())


async def test_each_request_is_of_a_decision_or_the_host_s_own(tmp_path: Path) -> None:
    async with two_seeders(tmp_path) as (torrent, peers):
        await download(tmp_path, torrent, peers)
    recording = recording_of(tmp_path / "film.rec")
    history = History(recording.lengths)
    assigned: set[tuple[int, int]] = set()
    asked = 0
    for event in recording.events:
        if isinstance(event, records.Decided):
            assert event.by in {"strategy", "host"}
            history.apply(event)
            for peer, piece, _ in event.assigned:
                assert history.wanted >> piece & 1
                assert peer in {each.peer for each in event.peers}
                assert history.peers[peer].pieces >> piece & 1
                assigned.add((peer, piece))
            continue
        if isinstance(event, records.Granted):
            for index, (peer, run) in enumerate(event.grants):
                blocks = recording.lengths.blocks_between(*run)
                others = [p for key, p in history.peers.items() if key != peer]
                is_second = any(p.in_flight.get(run.piece, 0) & blocks for p in others)
                assert is_second == (index in event.seconds)
                assert is_second or (peer, run.piece) in assigned
                asked += blocks.bit_count()
        history.apply(event)
    assert asked >= -(-SIZE // 16384)


async def test_what_is_uploaded_is_told(tmp_path: Path) -> None:
    film = make_file(tmp_path / "film.mkv", SIZE)
    async with (
        trio_swarm.open_node(settings(tmp_path / "one")) as one,
        trio_swarm.open_node(settings(tmp_path / "two")) as two,
        trio_swarm.open_node(settings(tmp_path / "three")) as three,
    ):
        torrent = await one.share(film, piece_length=PIECE)
        first = await two.fetch(
            torrent.magnet(),
            folder=tmp_path / "out2",
            peers=[(HOST, one.port)],
            record=tmp_path / "two.rec",
        )
        with trio.fail_after(60):
            await first.wait_complete()
            second = await three.fetch(
                torrent.magnet(), folder=tmp_path / "out3", peers=[(HOST, two.port)]
            )
            await second.wait_complete()
        uploaded = first.uploaded
    recording = recording_of(tmp_path / "two.rec")
    sent = [event for event in recording.events if isinstance(event, records.Sent)]
    assert sum(event.length for event in sent) == uploaded == SIZE
    assert {event.piece for event in sent} == set(range(PIECES))


async def test_the_recorded_strategy_replayed_fetches_the_same_in_about_the_same_way(
    tmp_path: Path, autojump_clock: MockClock
) -> None:
    # What the links take is then virtual time, whatever the machine takes; packets get their turn.
    autojump_clock.autojump_threshold = 0.01
    async with two_seeders(tmp_path, upload_rates=(2_000_000, 1_000_000)) as (torrent, peers):
        await download(tmp_path, torrent, peers)
    measured = measure(recording_of(tmp_path / "film.rec"))
    assert measured.is_complete
    result = replay(measured, RarestFirst(), "rarest-first")
    assert sum(result.received.values()) == SIZE
    # The seeders show each piece at one of them first, so most are had from where they were.
    for key, recorded in measured.received.items():
        assert abs(result.received[key] - recorded) <= SIZE // 4
    assert result.seconds == pytest.approx(measured.seconds, rel=0.2)
    assert replay(measured, RarestFirst(), "rarest-first") == result
    other = replay(measured, RoundRobin(), "round-robin")
    assert sum(other.received.values()) == SIZE


async def test_a_file_that_is_there_is_not_overwritten(tmp_path: Path) -> None:
    (tmp_path / "film.rec").write_text("mine")
    async with two_seeders(tmp_path) as (torrent, peers):
        with pytest.raises(StorageError, match=r"film\.rec: is there already"):
            await download(tmp_path, torrent, peers)
    assert (tmp_path / "film.rec").read_text() == "mine"


async def test_a_disk_without_room_ends_the_recording_and_not_the_download(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def append(_file: BinaryIO, _bodies: list[bytes]) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("trio_swarm.peer.recording._append", append)
    told: list[node_events.Event] = []
    async with two_seeders(tmp_path) as (torrent, peers):
        async with trio_swarm.open_node(
            settings(tmp_path / "leecher", on_event=told.append)
        ) as node:
            record = tmp_path / "film.rec"
            fetched = await node.fetch(
                torrent.magnet(), folder=tmp_path / "out", peers=peers, record=record
            )
            with trio.fail_after(60):
                path = await fetched.wait_complete()
        assert path.read_bytes() == (tmp_path / "film.mkv").read_bytes()
    stopped = [event for event in told if isinstance(event, node_events.RecordingStopped)]
    assert [(event.path, event.reason) for event in stopped] == [
        (str(record), "No space left on device")
    ]
    recording = recording_of(record)
    assert not recording.events
    assert recording.cut_off is not None


def test_a_download_that_is_not_recorded_imports_nothing_for_it() -> None:
    program = (
        "import sys, trio_swarm.node, trio_swarm.cli.commands.get\n"
        "print([name for name in sys.modules if 'recording' in name])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=30, check=True
    )
    assert done.stdout == "[]\n"
