"""What is told of a torrent whose files were being verified when it was removed."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
import trio

from local_swarm import make_file, node, torrent_file, until
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.hashing import HashingStopped


async def test_bytes_that_were_looked_at_are_not_told_as_had_once_the_look_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 10 * 16384)

    def check(
        _files: TorrentFiles, note: Callable[[int, int], None], should_stop: Callable[[], bool]
    ) -> None:
        note(5 * 16384, 10 * 16384)
        while not should_stop():
            threading.Event().wait(0.001)
        raise HashingStopped

    with trio.fail_after(30):
        async with node(tmp_path / "s") as seeder, node(tmp_path / "l") as leecher:
            file = torrent_file(await seeder.share(original, piece_length=16384), tmp_path)
            monkeypatch.setattr(TorrentFiles, "check", check)
            torrent = await leecher.fetch(str(file), folder=tmp_path / "out")
            await until(lambda: torrent.progress().have == 5 * 16384)
            assert torrent.state == "checking"
            await torrent.remove()
            assert torrent.state == "removed"
            assert torrent.progress().have == 0
