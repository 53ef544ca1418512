"""`trio-swarm show` of torrents with folders, and of very many files."""

from pathlib import Path

from command_line import run_here
from trio_swarm.cli.output.file_trees import tree_lines
from trio_swarm.protocol import bencode

PIECE = 16_384


def write_torrent(file: Path, files: list[dict[str, object]]) -> Path:
    """Write a torrent of these files, called `album`."""
    total = sum(int(str(each["length"])) for each in files)
    info = {
        "files": files,
        "name": "album",
        "piece length": PIECE,
        "pieces": b"h" * 20 * -(-total // PIECE),
    }
    file.write_bytes(bencode.encode({"info": info}))
    return file


def test_a_tree_has_folders_with_their_sizes_and_padding_is_told_apart(tmp_path: Path) -> None:
    """Files of one folder come together, wherever the torrent lists them."""
    file = write_torrent(
        tmp_path / "a.torrent",
        [
            {"length": 2000, "path": ["cd 1", "one.flac"]},
            {"length": 14_384, "path": [".pad", "14384"], "attr": "p"},
            {"length": 5, "path": ["cover.jpg"]},
            {"length": 48, "path": ["cd 1", "extra", "t\x1bwo.flac"]},
        ],
    )
    code, out, err = run_here("show", "--tree", file)
    assert (code, err) == (0, "")
    assert "size       2.00 KiB (2,053 bytes), and 14.0 KiB of padding\n" in out
    assert out[out.index("3 files:") :].splitlines() == [
        "3 files:",
        "    2.00 KiB  album/  (3 files)",
        "       2 KiB  ├─ cd 1/  (2 files)",
        "    1.95 KiB  │  ├─ one.flac",
        "        48 B  │  └─ extra/  (1 file)",
        "        48 B  │     └─ t\\x1bwo.flac",
        "         5 B  └─ cover.jpg",
    ]


def test_the_tree_of_a_single_file_is_its_name() -> None:
    assert list(tree_lines([(("film.mkv",), 7)])) == ["         7 B  film.mkv"]


def test_a_tree_may_be_a_hundred_folders_deep() -> None:
    *_, last = tree_lines([((*"d" * 99, "f"), 1), (("d", "g"), 1)])
    assert last == "         1 B  └─ g"
