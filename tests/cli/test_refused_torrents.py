"""Torrents that are refused: one line for a person, and nothing on the disk."""

import pytest

from command_line import CommandLine
from odd_torrents import odd_torrents

ODD = dict(odd_torrents())


@pytest.mark.parametrize(
    "what",
    [
        "v2 folder: a wrong layer",
        "v2 folder: a layer too short",
        "hybrid folder: no padding",
        "hybrid folder: an unsorted tree",
        "v2 file: pieces of 16385",
        "v1 folder: a path that is out",
    ],
)
def test_a_refused_torrent_is_told_in_one_line_and_nothing_is_written(
    what: str, line: CommandLine
) -> None:
    (line.folder / "odd.torrent").write_bytes(ODD[what])
    (line.folder / "here").mkdir()
    for arguments in (("show", "odd.torrent"), ("get", "odd.torrent", "--dir", "here")):
        done = line.run(*arguments)
        assert (done.returncode, done.stdout) == (1, "")
        assert done.stderr.startswith("trio-swarm: odd.torrent: ")
        assert done.stderr.count("\n") == 1
    assert list((line.folder / "here").iterdir()) == []
