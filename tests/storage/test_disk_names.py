"""What files are called on this disk: the torrent's own names, wherever the disk can hold them."""

import fcntl
import os
import shutil
import tempfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from storage_samples import (
    PIECE,
    Sample,
    begin,
    close_all,  # noqa: F401 - an autouse fixture
    hash_all,
    one_file,
)
from trio_swarm.errors import StorageError
from trio_swarm.protocol.metainfo.file_names import safe_component, safe_paths
from trio_swarm.protocol.metainfo.torrent import build_info, parse_info
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.disk_names import Probed, choose_names
from trio_swarm.storage.shares import hash_share
from trio_swarm.storage.state import StateFolder

ODD = (
    "aux.c",
    "v1.",
    "x ",
    "C:notes",
    "C:",
    "con",
    "back\\slash",
    "line\nbreak",
    "\x1b[31m",
    "e\u0301",
    "x" * 241,
    "x" * 250,
    "y" * 255,
    "ä" * 127,
)


def tree(paths: Sequence[tuple[str, ...]], *, name: str = "tree") -> Sample:
    """A folder torrent of files at these paths, two pieces and a bit each."""
    lengths = [2 * PIECE + number for number in range(len(paths))]
    data = b"".join(bytes([number % 251]) * length for number, length in enumerate(lengths))
    info = build_info(
        name=name,
        piece_length=PIECE,
        piece_hashes=hash_all(data),
        files=list(zip(paths, lengths, strict=True)),
        length=None,
    )
    return Sample(parse_info(info.raw), data)


def received(sample: Sample) -> Sample:
    """The same torrent as others get it."""
    return Sample(parse_info(sample.info.raw), sample.data)


def former(sample: Sample) -> Sample:
    """The same torrent with the names that versions up to 2b72422 gave."""
    info = sample.info
    files = info.files
    if not info.is_single_file:
        safe = safe_paths([entry.path for entry in files])
        files = tuple(
            type(entry)(path, entry.length, entry.offset, padding=False)
            for entry, path in zip(files, safe, strict=True)
        )
    name = safe_component(info.name, max_bytes=240)
    return Sample(replace(info, name=name, files=files), sample.data)


def names_below(folder: Path) -> set[str]:
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@pytest.mark.parametrize("name", ODD)
def test_a_file_keeps_the_name_that_linux_can_hold(name: str, tmp_path: Path) -> None:
    sample = received(one_file(name=name))
    files = begin(sample, tmp_path, *range(10))
    assert files.renamed == ()
    finished = files.finish()
    assert finished.name == name
    sample.assert_at(finished)
    assert names_below(tmp_path / "downloads") == {name}


def test_a_folder_keeps_its_names_and_what_differs_in_case_only(tmp_path: Path) -> None:
    paths = [(name,) for name in ODD] + [("a",), ("A",), ("\u00e9",), ("D", "f"), ("d", "F")]
    sample = tree(paths, name="v1.")
    files = begin(sample, tmp_path, *range(sample.info.piece_count))
    assert files.renamed == ()
    sample.assert_at(files.finish())
    assert names_below(tmp_path / "downloads" / "v1.") >= {"/".join(path) for path in paths}
    assert names_below(tmp_path / "downloads") >= {"v1."}
    assert not [name for name in names_below(tmp_path / "downloads") if "trio" in name]


@pytest.mark.parametrize("name", ODD)
def test_identical_data_is_recognised_under_the_torrents_own_name(
    name: str, tmp_path: Path
) -> None:
    for sample in (received(one_file(name=name)), tree([(name,), ("b",)])):
        sample.put(tmp_path / "downloads" / sample.info.name)
        files = begin(sample, tmp_path)
        assert files.is_complete
        assert files.root == tmp_path / "downloads" / sample.info.name


@pytest.mark.parametrize("name", ["aux.c", "v1.", "x ", "C:notes", "x" * 250])
@pytest.mark.parametrize("has_state", [False, True])
def test_data_that_an_earlier_version_renamed_is_recognised(
    name: str,
    *,
    has_state: bool,
    tmp_path: Path,
) -> None:
    for sample in (
        received(one_file(name=name)),
        tree([(name,), ("b",)]),
        tree([("b",)], name=name),
    ):
        old = former(sample)
        root = tmp_path / "downloads" / old.info.name
        old.put(root)
        if has_state:
            begin(old, tmp_path).close()
        before = names_below(tmp_path / "downloads")
        files = begin(sample, tmp_path)
        assert files.is_complete
        assert files.root == root
        assert len(files.renamed) == (old.info != sample.info)
        assert names_below(tmp_path / "downloads") == before
        shutil.rmtree(tmp_path / "downloads")


@pytest.mark.parametrize("name", ["aux.c", "v1."])
def test_a_download_that_an_earlier_version_began_goes_on(name: str, tmp_path: Path) -> None:
    for sample in (received(one_file(name=name)), tree([(name,), ("b",)], name=f"{name} ")):
        old = former(sample)
        begin(old, tmp_path, 0, 1).close()
        files = begin(sample, tmp_path)
        assert files.have == 3
        sample.write(files, *range(2, sample.info.piece_count))
        assert files.finish().name == old.info.name
        old.assert_at(files.root)
        shutil.rmtree(tmp_path / "downloads")


def test_other_data_under_the_former_name_stays_anothers(tmp_path: Path) -> None:
    """`v1.` is not `v1`, and a folder of that name is a person's own."""
    downloads = tmp_path / "downloads"
    (downloads / "v1").mkdir(parents=True)
    (downloads / "v1" / "b").write_bytes(b"mine")
    (downloads / "_aux.c").write_bytes(b"mine too")
    for sample in (tree([("b",)], name="v1."), received(one_file(name="aux.c"))):
        files = begin(sample, tmp_path, *range(sample.info.piece_count))
        assert files.finish().name == sample.info.name
    assert (downloads / "v1" / "b").read_bytes() == b"mine"
    assert (downloads / "_aux.c").read_bytes() == b"mine too"
    assert names_below(downloads) == {"v1", "v1/b", "_aux.c", "v1.", "v1./b", "aux.c"}


def test_what_came_in_the_place_of_a_former_download_is_not_taken_for_it(tmp_path: Path) -> None:
    sample = received(one_file(name="aux.c"))
    begin(former(sample), tmp_path, *range(10)).finish()
    (tmp_path / "downloads" / "_aux.c").write_bytes(b"mine")
    files = begin(sample, tmp_path, *range(10))
    assert files.finish().name == "aux.c"
    assert (tmp_path / "downloads" / "_aux.c").read_bytes() == b"mine"


def test_a_persons_file_of_the_same_size_under_the_former_name_is_not_taken(tmp_path: Path) -> None:
    sample = tree([("aux.c",), ("b",)])
    root = tmp_path / "downloads" / "tree"
    root.mkdir(parents=True)
    (root / "b").write_bytes(sample.file(1))
    (root / "_aux.c").write_bytes(bytes(len(sample.file(0)) - 1) + b"x" * 1)
    (root / "_aux.c").write_bytes(b"z" * len(sample.file(0)))
    files = begin(sample, tmp_path, *range(sample.info.piece_count))
    sample.assert_at(files.finish())
    assert (root / "_aux.c").read_bytes() == b"z" * len(sample.file(0))


def test_a_complete_folder_is_never_called_part(tmp_path: Path) -> None:
    sample = tree([("aux.c",), ("v1.", "x "), ("Case",), ("case",)])
    sample.put(tmp_path / "downloads" / "tree")
    files = begin(sample, tmp_path)
    assert files.is_complete
    assert names_below(tmp_path / "downloads") == {
        *("tree", "tree/aux.c", "tree/v1.", "tree/v1./x ", "tree/Case", "tree/case")
    }


def test_a_folder_of_somebodys_that_is_called_part_is_not_taken(tmp_path: Path) -> None:
    mine = tmp_path / "downloads" / "tree.part" / "my notes"
    mine.parent.mkdir(parents=True)
    mine.write_bytes(b"mine")
    with pytest.raises(StorageError, match="not of this torrent"):
        begin(tree([("a",), ("b",)]), tmp_path)
    assert names_below(tmp_path / "downloads") == {"tree.part", "tree.part/my notes"}


def test_long_names_that_begin_alike_have_part_names_of_their_own(tmp_path: Path) -> None:
    one, other = (received(one_file(name="x" * 254 + end, seed=ord(end))) for end in "ab")
    first, second = begin(one, tmp_path, 0), begin(other, tmp_path, 0)
    assert first.root != second.root
    assert first.root.name.endswith(".part")
    one.write(first, *range(1, 10))
    other.write(second, *range(1, 10))
    one.assert_at(first.finish())
    other.assert_at(second.finish())


# --- file systems that hold less ---


def like_windows(_folder: Path, odd: Sequence[str], _clashing: bool) -> Probed:  # noqa: FBT001
    """What a probe finds on a disk formatted for Windows."""
    changed = {name: safe_component(name.replace(":", "_")) for name in odd}
    return Probed({name: now for name, now in changed.items() if now != name}, is_folding=True)


def test_a_name_the_disk_cannot_hold_is_changed_and_told(tmp_path: Path) -> None:
    paths = [("aux.c",), ("What?",), ("a",), ("A",), ("plain",)]
    sample = tree(paths, name="v1.")
    names = choose_names(sample.info, tmp_path, StateFolder(tmp_path / "state"), like_windows)
    assert names.info.name == "v1"
    assert [entry.path for entry in names.info.files] == [
        *(("_aux.c",), ("What?",), ("a",), ("A (2)",), ("plain",))
    ]
    assert names.renamed == (("v1.", "v1"), ("aux.c", "_aux.c"), ("A", "A (2)"))
    assert names.info.raw == sample.info.raw


def test_what_no_linux_holds_is_told_with_the_torrents_own_name(tmp_path: Path) -> None:
    listed = b"d5:filesld6:lengthi1e4:pathl3:a/beee4:name4:t\xe9st12:piece lengthi16384e6:pieces20:"
    info = parse_info(listed + b"h" * 20 + b"e")
    names = choose_names(info, tmp_path, StateFolder(tmp_path / "state"))
    assert names.renamed == (("t\udce9st", "t\ufffdst"), ("a/b", "a_b"))


def test_a_probe_leaves_nothing_behind_and_needs_no_right_to_write(tmp_path: Path) -> None:
    sample = tree([(name,) for name in (*ODD, "Case", "case")])
    state = StateFolder(tmp_path / "state")
    (tmp_path / "d").mkdir()
    assert choose_names(sample.info, tmp_path / "d", state).renamed == ()
    assert list((tmp_path / "d").iterdir()) == []
    # Nobody can make a folder there, not even root.
    assert choose_names(sample.info, Path("/proc/self"), state).renamed == ()


def test_what_a_killed_probe_left_goes_with_the_next_one(tmp_path: Path) -> None:
    folder = tmp_path / "downloads"
    left = folder / ".trio-swarm-names-killed"
    left.mkdir(parents=True)
    (left / "aux.c").touch()
    begin(one_file(name="aux.c"), tmp_path)
    assert names_below(folder) == {"aux.c.part"}


def test_the_probe_of_a_program_that_runs_and_a_persons_files_stay(tmp_path: Path) -> None:
    folder = tmp_path / "downloads"
    in_use, persons = folder / ".trio-swarm-names-used", folder / ".trio-swarm-names-mine"
    in_use.mkdir(parents=True)
    persons.mkdir()
    (persons / "notes").write_text("mine")
    (folder / ".trio-swarm-names-file").touch()
    before = names_below(folder)
    descriptor = os.open(in_use, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        begin(one_file(name="aux.c"), tmp_path)
    finally:
        os.close(descriptor)
    assert names_below(folder) == before | {"aux.c.part"}


def test_an_ordinary_torrent_is_not_probed_for(tmp_path: Path) -> None:
    def fails(*_: object) -> Probed:
        raise AssertionError

    sample = tree([("a.txt",), ("b", "c (2).tar.gz")])
    state = StateFolder(tmp_path / "state")
    assert choose_names(sample.info, tmp_path, state, fails).info is sample.info


# --- round trips ---

CHARACTERS = st.one_of(
    st.sampled_from('aA.~ \\:*?"<>|\n\x1b\x7féÉ\u0301\u202e\u2028日-_'),
    st.characters(exclude_categories=["Cs"], exclude_characters="/\0"),
)


def fits(name: str) -> bool:
    return name not in {"", ".", ".."} and len(os.fsencode(name)) <= 255


COMPONENTS = st.one_of(
    st.text(CHARACTERS, min_size=1, max_size=12),
    st.builds(str.__mul__, CHARACTERS, st.integers(60, 255)),
    st.sampled_from([*ODD, "CON", "a", "A", "a (2)", ".pad", ".hidden", "nul.part"]),
).filter(fits)
TREES = st.lists(
    st.tuples(st.lists(COMPONENTS, min_size=1, max_size=4), st.integers(0, 40_000)),
    min_size=1,
    max_size=8,
)


@settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow], deadline=None)
@given(COMPONENTS, TREES)
def test_any_tree_that_linux_holds_comes_out_as_it_went_in(
    name: str, paths: list[tuple[list[str], int]]
) -> None:
    with tempfile.TemporaryDirectory() as place:
        base = Path(place)
        root = base / "share" / name
        root.mkdir(parents=True)
        for number, (path, size) in enumerate(paths):
            file = root.joinpath(*path)
            try:
                file.parent.mkdir(parents=True, exist_ok=True)
                file.write_bytes(bytes([number]) * size)
            except (NotADirectoryError, IsADirectoryError, FileExistsError):
                continue  # one path is another's folder
        before = {
            path.relative_to(root): path.read_bytes() for path in root.rglob("*") if path.is_file()
        }
        if not before:
            return
        shared = hash_share(root, state_folder=base / "state")
        data = b"".join(before[Path(*entry.path)] for entry in shared.files)
        sample = Sample(parse_info(shared.raw), data)
        files = TorrentFiles.for_download(sample.info, base / "downloads", base / "state")
        try:
            files.check()
            sample.write(files, *range(sample.info.piece_count))
            got = files.finish()
            assert files.renamed == ()
        finally:
            files.close()
        assert got.name == name
        after = {
            path.relative_to(got): path.read_bytes() for path in got.rglob("*") if path.is_file()
        }
        assert after == before


def test_a_tree_deeper_than_any_path_can_say_goes_round(tmp_path: Path) -> None:
    """Each folder is opened in the one before, so PATH_MAX counts for no path of ours."""
    downloads = tmp_path / ("d" * 200)
    depth = (4000 - len("f")) // 251
    sample = tree([("x" * 250,) * depth + ("f",), ("y",)])
    files = TorrentFiles.for_download(sample.info, downloads, tmp_path / "state")
    files.check()
    sample.write(files, *range(sample.info.piece_count))
    root = files.finish()
    assert files.read(0, 0, 100) == sample.data[:100]
    shared = hash_share(root, state_folder=tmp_path / "other state")
    assert [entry.path for entry in shared.files] == [entry.path for entry in sample.info.files]


def test_a_path_that_is_too_long_for_a_torrent_is_a_clear_error(tmp_path: Path) -> None:
    folder = os.open(tmp_path, os.O_RDONLY)
    for _ in range(20):
        os.mkdir("x" * 250, dir_fd=folder)
        inner = os.open("x" * 250, os.O_RDONLY, dir_fd=folder)
        os.close(folder)
        folder = inner
    os.close(os.open("f", os.O_WRONLY | os.O_CREAT, dir_fd=folder))
    os.close(folder)
    try:
        with pytest.raises(StorageError, match="longer than 4096 bytes"):
            hash_share(tmp_path, state_folder=tmp_path.parent / f"{tmp_path.name} state")
    finally:
        shutil.rmtree(tmp_path)
