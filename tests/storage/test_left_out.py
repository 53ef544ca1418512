"""What of a folder is not shared is told; what vanishes or leads nowhere is no traceback."""

import hashlib
import os
import socket
from pathlib import Path

import pytest

from command_line import CommandLine, run_here
from trio_swarm.errors import StorageError
from trio_swarm.metainfo_files import create_torrent
from trio_swarm.protocol import bencode
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.shares import LeftOut, hash_share


@pytest.fixture
def mixed(tmp_path: Path) -> Path:
    """A folder of one file, and of much that is none."""
    root = tmp_path / "mixed"
    (root / "sub").mkdir(parents=True)
    (root / "file").write_bytes(b"data")
    os.link(root / "file", root / "sub" / "hard link")
    (root / "to file").symlink_to("file")
    (root / "to folder").symlink_to("sub")
    (root / "sub" / "to itself").symlink_to("to itself")
    (root / "outside").symlink_to("/etc/passwd")
    os.mkfifo(root / "pipe")
    (root / "_____padding_file_0_if you see this file").write_bytes(bytes(9))
    with socket.socket(socket.AF_UNIX) as listener:
        here = Path.cwd()
        os.chdir(root)  # the path of a socket has 108 bytes at most
        try:
            listener.bind("socket")
        finally:
            os.chdir(here)
    return root


def test_links_and_special_files_are_left_out_and_counted(mixed: Path, tmp_path: Path) -> None:
    told: list[LeftOut] = []
    info = hash_share(mixed, state_folder=tmp_path / "state", on_left_out=told.append)
    assert [entry.path for entry in info.files] == [("file",), ("sub", "hard link")]
    assert told == [LeftOut(links=4, special=2, padding=1)]
    # Told each time, also when the hashes are remembered.
    create_torrent(mixed, state_folder=tmp_path / "state", on_left_out=told.append)
    assert told[1:] == told[:1]


def test_a_folder_without_links_has_nothing_to_tell(tmp_path: Path) -> None:
    (tmp_path / "plain").mkdir()
    (tmp_path / "plain" / "file").touch()
    told: list[LeftOut] = []
    hash_share(tmp_path / "plain", state_folder=tmp_path / "state", on_left_out=told.append)
    assert told == []


def test_create_tells_how_many_were_left_out(mixed: Path, tmp_path: Path) -> None:
    code, out, err = run_here("create", mixed, "--out", tmp_path / "t", "--state-dir", tmp_path)
    assert code == 0
    assert err.count("\n") == 1
    assert "left out: 4 symbolic links, 2 sockets, pipes and devices, 1 padding file" in err
    assert "info-hash" in out


def test_seed_tells_how_many_were_left_out(mixed: Path, tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    with line.start("seed", mixed, "--tracker", "udp://127.0.0.1:1/") as program:
        left_out = program.wait_for("files_left_out")
        assert (left_out["links"], left_out["special"], left_out["padding"]) == (4, 2, 1)
        program.wait_for("sharing")


@pytest.mark.parametrize("target", ["nowhere", "link"])
def test_a_link_that_leads_to_nothing_is_named(target: str, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(target)
    with pytest.raises(StorageError, match=f"a symbolic link to a missing file: {target}"):
        hash_share(tmp_path / "link", state_folder=tmp_path / "state")
    for command in ("create", "seed"):
        code, _, err = run_here(command, tmp_path / "link")
        assert code == 1
        assert err.count("\n") == 1
        assert "link to a missing file" in err


@pytest.mark.parametrize("name", ["x" * 300, "missing", "file/below"])
def test_a_path_that_cannot_be_is_one_line(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for command in ("create", "seed"):
        code, _, err = run_here(command, tmp_path / name)
        assert code == 1
        assert err.count("\n") == 1


def test_a_link_to_what_is_shared_is_followed(mixed: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(mixed)
    info = hash_share(tmp_path / "link", state_folder=tmp_path / "state")
    share = TorrentFiles.for_share(info, tmp_path / "link", tmp_path / "state")
    assert (info.name, share.check().hashed) == ("link", 0)
    assert share.is_complete
    share.close()


def test_a_folder_with_nothing_to_share_says_what_it_holds_instead(tmp_path: Path) -> None:
    root = tmp_path / "nothing"
    root.mkdir()
    (root / "link").symlink_to("/etc/passwd")
    os.mkfifo(root / "pipe")
    (root / "_____padding_file_0_").touch()
    said = "holds no files to share, only 1 symbolic link, 1 socket, pipe or device, 1 padding file"
    with pytest.raises(StorageError, match=said):
        hash_share(root, state_folder=tmp_path / "state")


def test_the_folder_that_is_a_link_is_named(mixed: Path, tmp_path: Path) -> None:
    info = hash_share(mixed, state_folder=tmp_path / "state")
    data = tmp_path / "downloads" / "mixed"
    data.mkdir(parents=True)
    for is_link, said in ((True, "put the folder itself in its place"), (False, "is not a folder")):
        if is_link:
            (data / "sub").symlink_to(mixed / "sub")
        else:
            (data / "sub").touch()
        files = TorrentFiles.for_download(info, tmp_path / "downloads", tmp_path / "state")
        with pytest.raises(StorageError, match=said) as caught:
            files.check()
        assert caught.value.path == data / "sub"
        files.close()
        (data / "sub").unlink()


def test_data_that_is_a_link_says_what_to_do(mixed: Path, tmp_path: Path) -> None:
    info = hash_share(mixed, state_folder=tmp_path / "state")
    data = tmp_path / "downloads" / "mixed"
    data.mkdir(parents=True)
    (data / "file").symlink_to(mixed / "file")
    files = TorrentFiles.for_download(info, tmp_path / "downloads", tmp_path / "state")
    with pytest.raises(StorageError, match="put the file itself in its place") as caught:
        files.check()
    assert str(data / "file") in str(caught.value)
    files.close()


def test_names_are_shown_with_their_control_characters_escaped(tmp_path: Path) -> None:
    root = tmp_path / "odd\x1b[31m"
    root.mkdir()
    (root / "line\nbreak").write_bytes(b"x")
    torrent = tmp_path / "t.torrent"
    code, out, _ = run_here("create", root, "--out", torrent, "--state-dir", tmp_path / "state")
    assert code == 0
    assert "\x1b" not in out
    assert "odd\\x1b[31m" in out
    code, out, _ = run_here("show", torrent)
    assert code == 0
    assert "odd\\x1b[31m/line\\nbreak" in out


def test_a_changed_name_is_told_in_one_line(tmp_path: Path) -> None:
    """libtorrent 2.1.1 makes `ab` of `a/b`; nothing of it was said, with exit code 0."""
    data = b"x" * 100
    entries: dict[str, bencode.Encodable] = {
        "files": [{"length": 60, "path": ["a/b"]}, {"length": 40, "path": [b"caf\xe9"]}],
        "name": "n",
        "piece length": 16384,
        "pieces": hashlib.sha1(data).digest(),
    }
    torrent = tmp_path / "t.torrent"
    torrent.write_bytes(b"d4:info" + bencode.encode(entries) + b"e\n")
    (tmp_path / "n").mkdir()
    (tmp_path / "n" / "a_b").write_bytes(data[:60])
    (tmp_path / "n" / "caf\ufffd").write_bytes(data[60:])
    line = CommandLine(tmp_path)
    done = line.run("get", torrent, "--dir", tmp_path, "--no-seed")
    assert done.returncode == 0
    # What follows, if anything, is about the default tracker.
    assert done.stderr.splitlines()[0] == (
        "trio-swarm: n: 'a/b' is called 'a_b' on this disk (and 1 more name); share it by `get`: "
        "`seed` makes another torrent of it"
    )
    [told] = [
        e for e in line.events("get", torrent, "--dir", tmp_path, "--no-seed") if "renamed" in e
    ]
    assert told["count"] == 2
    assert told["renamed"][0] == {"name": "a/b", "here": "a_b"}


def test_a_name_of_megabytes_is_told_in_a_short_line(tmp_path: Path) -> None:
    entries: dict[str, bencode.Encodable] = {"length": 1, "name": "x" * 10**6}
    entries |= {"piece length": 16384, "pieces": hashlib.sha1(b"x").digest()}
    torrent = tmp_path / "t.torrent"
    torrent.write_bytes(b"d4:info" + bencode.encode(entries) + b"e")
    (tmp_path / ("x" * 255)).write_bytes(b"x")
    line = CommandLine(tmp_path)
    done = line.run("get", torrent, "--dir", tmp_path, "--no-seed", "--json")
    assert done.returncode == 0
    assert "files_renamed" in done.stdout
    assert max(map(len, done.stdout.splitlines())) < 3000
