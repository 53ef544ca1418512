"""Files that are wanted of a torrent, between two nodes: only their bytes come, and come once."""

from collections.abc import Sequence
from pathlib import Path

import pytest
import trio

from local_swarm import until
from trio_swarm import events
from trio_swarm.errors import MetainfoError, NotHereError
from trio_swarm.node import Node, open_node
from trio_swarm.peer.torrent import Torrent
from trio_swarm.protocol.metainfo.selection import Selection, unwanted_files, wanted_pieces
from trio_swarm.protocol.metainfo.torrent import Info
from trio_swarm.settings import NodeSettings
from trio_swarm.storage.layout import BORDER_NAME

FILES = 1000
LENGTH = 3_000


def content(number: int) -> bytes:
    return bytes([number % 251, number // 251]) * (LENGTH // 2)


def settings(place: Path, name: str, told: list[events.Event] | None = None) -> NodeSettings:
    return NodeSettings(
        state_folder=place / f"state of {name}",
        listen_host="127.0.0.1",
        on_event=(told if told is not None else []).append,
    )


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "given" / "many"
    for number in range(FILES):
        path = folder / f"{number // 100}" / f"{number:04}.bin"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content(number))
    return folder


def names(root: Path) -> set[str]:
    return {path.name for path in root.rglob("*") if path.is_file()}


async def fetch(node: Node, what: str, seeder: Node, folder: Path, selection: Selection) -> Torrent:
    return await node.fetch(
        what, folder=folder, trackers=[], peers=seeder.addresses, selection=selection
    )


def bytes_of(info: Info, selection: Selection) -> int:
    pieces = wanted_pieces(info, unwanted_files(info, selection))
    return sum(info.piece_size(piece) for piece in range(info.piece_count) if pieces >> piece & 1)


def assert_has(root: Path, numbers: Sequence[int]) -> None:
    assert names(root) - {BORDER_NAME} == {f"{number:04}.bin" for number in numbers}
    for number in numbers:
        assert (root / f"{number // 100}" / f"{number:04}.bin").read_bytes() == content(number)


THREE = Selection(only=("0007.bin", "0500.bin", "/9/0999.bin"))


async def test_three_of_a_thousand_files_cost_at_most_their_pieces(
    tmp_path: Path, source: Path
) -> None:
    told: list[events.Event] = []
    async with (
        open_node(settings(tmp_path, "seeder")) as seeder,
        open_node(settings(tmp_path, "leecher", told)) as leecher,
    ):
        shared = await seeder.share(source, trackers=[])
        torrent = await fetch(leecher, shared.magnet(), seeder, tmp_path / "got", THREE)
        with trio.fail_after(20):
            root = await torrent.wait_complete()
        assert_has(root, [7, 500, 999])
        assert torrent.info is not None
        at_most = bytes_of(torrent.info, THREE)
        assert torrent.downloaded <= at_most < 6 * torrent.info.piece_length
        assert torrent.duplicate == 0
        progress = torrent.progress()
        assert progress.have == progress.size == at_most
        assert torrent.missing == torrent.info.size - at_most
        assert not torrent.is_whole
        (done,) = [each for each in told if isinstance(each, events.Completed)]
        assert done.size == at_most
        with pytest.raises(NotHereError, match="left out"):
            await torrent.read_at(300, 0, 10)


async def test_what_is_wanted_changes_while_it_runs_and_nothing_comes_twice(
    tmp_path: Path, source: Path
) -> None:
    async with (
        open_node(settings(tmp_path, "seeder")) as seeder,
        open_node(settings(tmp_path, "leecher")) as leecher,
    ):
        shared = await seeder.share(source, trackers=[])
        torrent = await fetch(leecher, shared.magnet(), seeder, tmp_path / "got", THREE)
        with trio.fail_after(20):
            await torrent.wait_complete()
        more = Selection(only=("/9",), skip=("099?.bin",))
        with trio.fail_after(20):
            await torrent.select(more)
            assert not torrent.is_complete
            root = await torrent.wait_complete()
        assert_has(root, [7, 500, 999, *range(900, 990)])
        with pytest.raises(MetainfoError):
            await torrent.select(Selection(only=("nothing",)))
        assert torrent.selection == more
        with trio.fail_after(20):
            await torrent.select(Selection())
            root = await torrent.wait_complete()
        assert names(root) == {f"{number:04}.bin" for number in range(FILES)}
        assert_has(root, range(FILES))
        assert torrent.info is not None
        assert torrent.downloaded == torrent.info.size
        assert torrent.duplicate == 0
        assert torrent.is_whole


async def test_a_later_fetch_of_everything_takes_only_what_is_missing(
    tmp_path: Path, source: Path
) -> None:
    async with open_node(settings(tmp_path, "seeder")) as seeder:
        shared = await seeder.share(source, trackers=[])
        async with open_node(settings(tmp_path, "leecher")) as leecher:
            torrent = await fetch(leecher, shared.magnet(), seeder, tmp_path / "got", THREE)
            with trio.fail_after(20):
                await torrent.wait_complete()
            first = torrent.downloaded
        async with open_node(settings(tmp_path, "leecher")) as leecher:
            torrent = await fetch(leecher, shared.magnet(), seeder, tmp_path / "got", Selection())
            with trio.fail_after(20):
                root = await torrent.wait_complete()
            assert torrent.info is not None
            assert torrent.downloaded == torrent.info.size - first
        assert_has(root, range(FILES))
        assert BORDER_NAME not in names(root)


async def test_less_is_wanted_while_nobody_has_the_rest(tmp_path: Path, source: Path) -> None:
    """What was asked for in vain is not waited for any more."""
    async with (
        open_node(settings(tmp_path, "seeder")) as seeder,
        open_node(settings(tmp_path, "partial")) as partial,
        open_node(settings(tmp_path, "leecher")) as leecher,
    ):
        shared = await seeder.share(source, trackers=[])
        link = shared.magnet()
        first = await fetch(partial, link, seeder, tmp_path / "some", THREE)
        with trio.fail_after(20):
            await first.wait_complete()
        await shared.remove()
        # A partial seeder serves what it has, and says that it wants nothing (BEP 21).
        torrent = await fetch(leecher, link, partial, tmp_path / "got", Selection())
        with trio.fail_after(20):
            await until(lambda: torrent.downloaded >= first.downloaded)
            (peer,) = torrent.peers()
            assert peer.is_seeder
            assert peer.share < 1
            await torrent.select(THREE)
            root = await torrent.wait_complete()
        # Files that were wanted and begun stay.
        assert names(root) >= {"0007.bin", "0500.bin", "0999.bin"}
        assert torrent.downloaded == first.downloaded


async def test_a_link_chooses_files_itself(tmp_path: Path, source: Path) -> None:
    async with (
        open_node(settings(tmp_path, "seeder")) as seeder,
        open_node(settings(tmp_path, "leecher")) as leecher,
    ):
        shared = await seeder.share(source, trackers=[])
        link = f"{shared.magnet()}&so=7,998-2000"
        torrent = await fetch(leecher, link, seeder, tmp_path / "got", Selection())
        with trio.fail_after(20):
            root = await torrent.wait_complete()
        assert_has(root, [7, 998, 999])


async def test_a_choice_that_leaves_nothing_ends_the_fetch(tmp_path: Path, source: Path) -> None:
    async with (
        open_node(settings(tmp_path, "seeder")) as seeder,
        open_node(settings(tmp_path, "leecher")) as leecher,
    ):
        shared = await seeder.share(source, trackers=[])
        torrent = await fetch(
            leecher, shared.magnet(), seeder, tmp_path / "got", Selection(only=("*.txt",))
        )
        with pytest.raises(MetainfoError, match=r"only '\*\.txt'"), trio.fail_after(20):
            await torrent.wait_complete()
        assert not (tmp_path / "got" / "many").exists()
