"""Peers that lie, stall or trickle cost time, never bytes: the download ends with the others."""

from pathlib import Path

import pytest
import trio

from hostile_peers import (
    Behaviour,
    HostileSeeder,
    hostile,
    send_garbage,
    send_one_byte_a_second,
    stay_silent,
)
from local_swarm import HOST, Recorder, contents, make_file, node
from trio_swarm import events
from trio_swarm.protocol.addresses import format_address

SIZE = 6_000_000


async def _download(tmp_path: Path, bad: HostileSeeder, recorder: Recorder, rate: int) -> None:
    """Fetch from one good, slowed seeder and one bad one; the result must be right."""
    original = tmp_path / "in" / "x.bin"
    async with (
        node(tmp_path / "s", upload_rate=rate) as good,
        hostile(bad) as address,
        node(tmp_path / "l", recorder=recorder) as leecher,
    ):
        shared = await good.share(original, piece_length=65536)
        torrent = await leecher.fetch(
            shared.info_hash.hex(),
            folder=tmp_path / "out",
            peers=[address, (HOST, good.port)],
        )
        path = await torrent.wait_complete()
        assert contents(path) == contents(original)


async def _bad_seeder(
    tmp_path: Path, behaviour: Behaviour, *, unchokes: bool = True
) -> HostileSeeder:
    original = make_file(tmp_path / "in" / "x.bin", SIZE)
    async with node(tmp_path / "probe") as probe:
        shared = await probe.share(original, piece_length=65536)
        assert shared.info is not None
        return HostileSeeder(shared.info, original.read_bytes(), behaviour, unchokes=unchokes)


async def test_a_seeder_of_wrong_bytes_is_banned_and_named(tmp_path: Path) -> None:
    recorder = Recorder()
    with trio.fail_after(60):
        bad = await _bad_seeder(tmp_path, send_garbage)
        async with hostile(bad) as address, node(tmp_path / "s", upload_rate=4_000_000) as good:
            shared = await good.share(tmp_path / "in" / "x.bin", piece_length=65536)
            async with node(tmp_path / "l", recorder=recorder) as leecher:
                torrent = await leecher.fetch(
                    shared.info_hash.hex(),
                    folder=tmp_path / "out",
                    peers=[address, (HOST, good.port)],
                )
                path = await torrent.wait_complete()
                assert contents(path) == contents(tmp_path / "in" / "x.bin")
    assert bad.requests > 0
    assert leecher.tally.banned == 1
    assert leecher.tally.pieces_failed == len(recorder.of(events.PieceFailed))
    banned = recorder.of(events.PeerBanned)
    assert [event.address for event in banned] == [format_address(address)]
    assert recorder.of(events.PieceFailed)


@pytest.mark.parametrize(
    ("behaviour", "unchokes"),
    [(stay_silent, True), (send_one_byte_a_second, True), (stay_silent, False)],
    ids=["silent", "one byte a second", "chokes forever"],
)
async def test_a_useless_seeder_does_not_hold_up_the_download(
    tmp_path: Path, behaviour: Behaviour, *, unchokes: bool
) -> None:
    recorder = Recorder()
    with trio.fail_after(60):
        bad = await _bad_seeder(tmp_path, behaviour, unchokes=unchokes)
        await _download(tmp_path, bad, recorder, rate=3_000_000)
    assert bad.connections > 0
    assert recorder.of(events.PeerBanned) == []
