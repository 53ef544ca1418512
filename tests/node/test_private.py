"""Private torrents (BEP 27): their own trackers and those trackers' peers, and nobody else's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import trio
import trio.lowlevel

import trio_swarm
from local_swarm import Recorder, contents, make_file, node, until
from packed_addresses import packed
from tracker_scripts import connected_script, udp_script
from trio_swarm import events
from trio_swarm.metainfo_files import create_torrent
from trio_swarm.protocol.metainfo.magnet import Magnet
from trio_swarm.protocol.trackers import udp as udp_tracker
from trio_swarm.protocol.trackers.announces import AnnounceEvent

STARTED, STOPPED = AnnounceEvent.STARTED, AnnounceEvent.STOPPED


class Told:
    """A tracker: what it was told, and the peers it tells."""

    def __init__(self) -> None:
        self.url = ""
        self.events: list[int] = []
        self.data: list[bytes] = []
        self.peers: list[tuple[str, int]] = []
        self.is_refusing = False

    def answer(self, request: bytes, transaction: int) -> bytes | None:
        if self.is_refusing:
            return udp_tracker.error_answer(transaction, "no")
        self.events.append(int.from_bytes(request[80:84], "big"))
        self.data.append(udp_tracker.parse_options(request[98:]))
        return udp_tracker.announce_answer(transaction, 1, 1, 1, packed(self.peers))


@asynccontextmanager
async def told() -> AsyncIterator[Told]:
    tracker = Told()
    async with udp_script(connected_script(tracker.answer)) as tracker.url:
        yield tracker


def private_torrent(
    folder: Path, *tiers: str, private: bool = True
) -> tuple[Path, trio_swarm.Metainfo]:
    original = make_file(folder / "in" / "x.bin", 700_000)
    metainfo = create_torrent(
        original, trackers=tiers, private=private, state_folder=folder / "state"
    )
    file = folder / "x.torrent"
    file.write_bytes(metainfo.to_bytes())
    return file, metainfo


async def test_a_private_torrent_is_announced_to_its_own_trackers_only(tmp_path: Path) -> None:
    recorder = Recorder()
    with trio.fail_after(30):
        async with told() as own, told() as other:
            file, _ = private_torrent(tmp_path, own.url)
            async with node(tmp_path, other.url, recorder=recorder) as leecher:
                torrent = await leecher.fetch(str(file), folder=tmp_path / "in")
                await torrent.wait_complete()
                await until(lambda: len(own.events) > 1)
                assert other.url not in torrent.magnet()
                assert own.url.replace(":", "%3A").replace("/", "%2F") in torrent.magnet()
    assert own.events[0] == STARTED
    assert other.events == []
    (event,) = recorder.of(events.PrivateTorrent)
    assert event.left_out == [other.url]
    # Its name would let anybody find it.
    assert not any(b"name=" in data for data in own.data)


async def test_a_public_torrent_is_announced_to_all(tmp_path: Path) -> None:
    recorder = Recorder()
    with trio.fail_after(30):
        async with told() as own, told() as other:
            file, _ = private_torrent(tmp_path, own.url, private=False)
            async with node(tmp_path, other.url, recorder=recorder) as leecher:
                await leecher.fetch(str(file), folder=tmp_path / "in")
                await until(lambda: bool(own.events and other.events))
    assert recorder.of(events.PrivateTorrent) == []


async def test_a_person_may_overrule_that_and_is_warned(tmp_path: Path) -> None:
    recorder = Recorder()
    with trio.fail_after(30):
        async with told() as own, told() as other:
            file, _ = private_torrent(tmp_path, own.url)
            async with node(
                tmp_path, other.url, recorder=recorder, trackers_for_private=True
            ) as leecher:
                await leecher.fetch(str(file), folder=tmp_path / "in")
                await until(lambda: bool(own.events and other.events))
    (event,) = recorder.of(events.PrivacyOverruled)
    assert event.level == "warning"
    assert event.trackers == [other.url]


async def test_a_private_torrent_without_trackers_is_announced_nowhere(tmp_path: Path) -> None:
    recorder = Recorder()
    with trio.fail_after(30):
        async with told() as other:
            file, _ = private_torrent(tmp_path)
            async with node(tmp_path, other.url, recorder=recorder) as leecher:
                torrent = await leecher.fetch(str(file), folder=tmp_path / "in")
                await torrent.wait_complete()
                await trio.lowlevel.checkpoint()
    assert other.events == []
    assert recorder.of(events.PrivateTorrent)


@pytest.mark.parametrize("is_linked", [False, True])
async def test_a_link_that_turns_out_to_be_private_leaves_what_is_not_its_own(
    tmp_path: Path, *, is_linked: bool
) -> None:
    """The metadata comes from a peer; then the other tracker is told that we stopped."""
    recorder = Recorder()
    with trio.fail_after(60):
        async with told() as own, told() as other:
            file, metainfo = private_torrent(tmp_path, own.url)
            async with node(tmp_path / "s") as seeder, node(tmp_path / "l", other.url,
                recorder=recorder,
            ) as leecher:  # fmt: skip
                await seeder.fetch(str(file), folder=tmp_path / "in")
                (first, *_) = seeder.addresses
                peers: tuple[tuple[str, int], ...] = ()
                if is_linked:
                    peers = (first,)
                else:
                    other.peers = [first]
                link = Magnet(metainfo.info.info_hash, trackers=(own.url,), peers=peers)
                torrent = await leecher.fetch(link.to_uri(), folder=tmp_path / "out")
                await recorder.wait_for(events.PrivateTorrent)
                await until(lambda: STOPPED in other.events)
                await until(lambda: not torrent.peers())
                told_before = list(other.events)
                # From now on only its own tracker can bring the two together.
                own.peers = [first]
                await torrent.wait_complete()
                assert other.events == told_before
                assert STOPPED not in own.events
                assert contents(tmp_path / "out" / "x.bin") == contents(tmp_path / "in" / "x.bin")


async def test_a_link_without_trackers_keeps_those_a_person_named(tmp_path: Path) -> None:
    with trio.fail_after(30):
        async with told() as other:
            file, metainfo = private_torrent(tmp_path)
            async with node(tmp_path / "s") as seeder, node(tmp_path / "l", other.url) as leecher:
                await seeder.fetch(str(file), folder=tmp_path / "in")
                other.peers = list(seeder.addresses[:1])
                link = Magnet(metainfo.info.info_hash)
                torrent = await leecher.fetch(link.to_uri(), folder=tmp_path / "out")
                await torrent.wait_complete()
                assert STOPPED not in other.events


async def test_a_private_torrents_peers_are_those_of_one_tracker_at_a_time(tmp_path: Path) -> None:
    """BEP 27: who switches between trackers "MUST disconnect from all current peers"."""
    with trio.fail_after(90):
        async with told() as one, told() as two:
            file, _ = private_torrent(tmp_path, one.url, two.url)
            async with (
                node(tmp_path / "a") as seeder,
                node(tmp_path / "b", upload_rate=1000) as slow,
                node(tmp_path / "l", download_rate=2000) as leecher,
            ):
                for each in (seeder, slow):
                    await each.fetch(str(file), folder=tmp_path / "in")
                one.peers, two.peers = list(seeder.addresses[:1]), list(slow.addresses[:1])
                one.events.clear()
                two.events.clear()
                torrent = await leecher.fetch(str(file), folder=tmp_path / "out")
                await until(lambda: len(torrent.peers()) == 1)
                assert [peer.address for peer in torrent.peers()] == [address(seeder)]
                one.is_refusing = True
                await until(lambda: [peer.address for peer in torrent.peers()] == [address(slow)])


def address(node: trio_swarm.Node) -> str:
    host, port = node.addresses[0]
    return f"{host}:{port}"
