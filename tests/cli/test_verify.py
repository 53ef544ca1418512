"""`trio-swarm verify` with a .torrent file; that of a running node is tested with the others."""

import json
from pathlib import Path

import pytest

from command_line import CommandLine, run_here

PIECE = 32_768


@pytest.fixture
def album(line: CommandLine) -> Path:
    """A folder of two files, with its album.torrent beside it."""
    folder = line.folder / "album"
    folder.mkdir()
    (folder / "one.flac").write_bytes(b"1" * 3 * PIECE)
    (folder / "two\x1b.flac").write_bytes(b"2" * PIECE)
    made = line.run("create", "album", "-o", "album.torrent", "--piece-length", PIECE)
    assert made.returncode == 0, made.stderr
    return folder


def test_whole_data_is_told_in_one_line(line: CommandLine, album: Path) -> None:
    for place in (".", "album"):
        done = line.run("verify", "album.torrent", place)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("album: whole: 2 files, 128 KiB in 4 pieces: ")
        assert done.stdout.count("\n") == 1
    (told,) = line.events("verify", "album.torrent", "album", "--quiet")
    assert (told["event"], told["is_whole"]) == ("data_verified", True)
    assert (told["files"], told["files_whole"], told["pieces"], told["pieces_right"]) == (
        2,
        2,
        4,
        4,
    )
    assert told["size"] == 4 * PIECE


def test_bad_files_are_named_and_the_exit_code_says_so(line: CommandLine, album: Path) -> None:
    with (album / "one.flac").open("r+b") as file:
        file.seek(PIECE)
        file.write(b"X")
    (album / "two\x1b.flac").unlink()
    done = line.run("verify", "album.torrent", ".")
    assert (done.returncode, done.stderr) == (1, "")
    first, second, last = done.stdout.splitlines()
    assert first == "bad        album/one.flac: 1 of 3 pieces wrong"
    assert second == "missing    album/two\\x1b.flac: 1 piece"
    assert last.startswith("album: not whole: 0 of 2 files and 2 of 4 pieces are right: ")
    as_json = line.run("verify", "album.torrent", ".", "--json", "--quiet")
    assert as_json.returncode == 1
    bad, missing, result = map(json.loads, as_json.stdout.splitlines())
    assert (bad["event"], bad["path"], bad["fault"]) == ("file_fault", "album/one.flac", "bad")
    assert (bad["pieces"], bad["pieces_wrong"], bad["size"]) == (3, 1, 3 * PIECE)
    assert (missing["fault"], missing["size"]) == ("missing", None)
    assert (result["is_whole"], result["files_whole"], result["pieces_right"]) == (False, 0, 2)


def test_nothing_is_written(line: CommandLine, album: Path) -> None:
    before = sorted(line.folder.rglob("*"))
    (album / "one.flac").chmod(0o400)
    album.chmod(0o500)
    state = line.folder / "elsewhere"
    done = line.run("verify", "album.torrent", ".", environment={"XDG_STATE_HOME": str(state)})
    album.chmod(0o700)
    assert done.returncode == 0
    assert sorted(line.folder.rglob("*")) == before


def test_data_is_wanted_and_must_be_there(tmp_path: Path) -> None:
    code, out, err = run_here("verify")
    assert (code, out) == (2, "")
    assert "trio-swarm verify FILE.torrent FOLDER, or" in err
    code, out, err = run_here("verify", "big.torrent")
    assert (code, out) == (2, "")
    assert "say where its data is: trio-swarm verify big.torrent FOLDER" in err
    code, _, err = run_here("verify", tmp_path / "big.torrent", tmp_path)
    assert (code, err.count("\n")) == (1, 1)
    assert "No such file" in err


def test_with_an_option_that_names_a_node_the_node_is_asked(line: CommandLine, album: Path) -> None:
    del album
    done = line.run("verify", "album.torrent", "album", "--state-dir", line.folder / "none")
    assert done.returncode == 1
    assert "node" in done.stderr
