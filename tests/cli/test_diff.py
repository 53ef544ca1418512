"""`trio-swarm diff` of two .torrent files."""

import json
from pathlib import Path

from command_line import CommandLine, run_here

PIECE = 32_768


def make(line: CommandLine, name: str, **files: bytes) -> Path:
    """Return the .torrent file of a folder with these files."""
    folder = line.folder / name
    folder.mkdir()
    for file, content in files.items():
        (folder / file).write_bytes(content)
    made = line.run("create", name, "-o", f"{name}.torrent", "--piece-length", PIECE)
    assert made.returncode == 0, made.stderr
    return line.folder / f"{name}.torrent"


def test_changes_are_told_with_what_has_to_be_fetched(line: CommandLine) -> None:
    same, big = b"s" * PIECE, b"1" * PIECE + b"2" * PIECE
    old = make(line, "album-1", a=same, b=big, gone=b"g" * PIECE)
    new = make(line, "album-2", a=same, b=big[:-1] + b"x", c=b"n")
    code, out, err = run_here("diff", old, new)
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert "removed    gone  (32 KiB)" in lines
    assert "same       1 file" in lines
    code, out, _ = run_here("diff", old, new, "--json")
    *changes, result = map(json.loads, out.splitlines())
    assert {each["event"] for each in changes} == {"file_change"}
    assert [(each["change"], each["path"]) for each in changes] == [
        ("same", "a"),
        ("changed", "b"),
        ("added", "c"),
        ("removed", "gone"),
    ]
    assert result["event"] == "torrents_compared"
    assert result["size"] == 3 * PIECE + 1
    assert result["needed"] == PIECE + 1
    assert (result["old_name"], result["new_name"]) == ("album-1", "album-2")


def test_a_torrent_and_itself_are_said_to_be_one(line: CommandLine) -> None:
    torrent = make(line, "album", a=b"s" * PIECE)
    code, out, _ = run_here("diff", torrent, torrent)
    assert code == 0
    assert "to fetch   0 B of 32 KiB, for who has album\n" in out
    assert "the two are one torrent" in out


def test_what_is_no_torrent_is_named(line: CommandLine) -> None:
    torrent = make(line, "album", a=b"s")
    code, out, err = run_here("diff", torrent, line.folder / "album/a")
    assert (code, out, err.count("\n")) == (1, "", 1)
    assert "album/a: not a .torrent" in err
