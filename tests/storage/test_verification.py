"""Data on the disk against a torrent: what is bad, missing or of another size, and nothing else."""

import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from odd_torrents import FILES, content_of, odd_torrents, v2_folder, write
from storage_samples import PIECE, Sample, make_info
from trio_swarm.errors import StorageError
from trio_swarm.metainfo_files import create_torrent
from trio_swarm.protocol.metainfo.torrent import parse_metainfo
from trio_swarm.storage.verification import Verification, verify_data

ODD = dict(odd_torrents())
OTHER = "hybrid folder: other content in version 2"


def sample_of(lengths: list[int], **more: object) -> Sample:
    data = bytearray(random.Random(1).randbytes(sum(lengths)))
    padding = more.get("padding", ())
    assert isinstance(padding, tuple)
    for number in padding:
        start = sum(lengths[:number])
        data[start : start + lengths[number]] = bytes(lengths[number])
    info = make_info(lengths, data=bytes(data), **more)  # type: ignore[arg-type]
    return Sample(info, bytes(data))


def put(sample: Sample, root: Path) -> None:
    for number, entry in enumerate(sample.info.files):
        if not entry.padding:
            path = root.joinpath(*entry.path)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(sample.file(number))


def told(found: Verification) -> dict[str, tuple[str, int, int]]:
    return {"/".join(each.path): (each.kind, each.wrong, each.pieces) for each in found.faults}


def test_whole_data_is_found_by_its_folder_and_by_the_folder_it_lies_in(tmp_path: Path) -> None:
    sample = sample_of([5, 3 * PIECE, 0, 20_000])
    put(sample, tmp_path / "torrent")
    for place in (tmp_path, tmp_path / "torrent"):
        found = verify_data(sample.info, place)
        assert found.is_whole
        assert (found.root, found.files, found.right) == (tmp_path / "torrent", 4, 5)


def test_an_unfinished_download_is_found(tmp_path: Path) -> None:
    sample = sample_of([5, PIECE])
    put(sample, tmp_path / "torrent.part")
    assert verify_data(sample.info, tmp_path).root == tmp_path / "torrent.part"


def test_a_torrents_own_folder_may_hold_one_of_the_same_name(tmp_path: Path) -> None:
    sample = sample_of([5, 7], paths=[("torrent", "a"), ("b",)])
    put(sample, tmp_path)
    assert verify_data(sample.info, tmp_path).is_whole


def test_each_kind_of_fault_is_told_with_its_pieces(tmp_path: Path) -> None:
    """Padding after each file, so that no piece has bytes of two."""
    lengths = [2 * PIECE, PIECE, PIECE // 2, PIECE // 2, 3 * PIECE, PIECE, 0]
    sample = sample_of(lengths, padding=(3,))
    put(sample, tmp_path)
    changed = bytearray(sample.file(0))
    changed[-1] ^= 1
    (tmp_path / "f0").write_bytes(changed)
    (tmp_path / "f1").unlink()
    (tmp_path / "f2").write_bytes(sample.file(2) + b"more")
    os.truncate(tmp_path / "f4", PIECE + 1)
    (tmp_path / "f5").unlink()
    (tmp_path / "f5").mkdir()
    (tmp_path / "f6").unlink()
    found = verify_data(sample.info, tmp_path)
    assert told(found) == {
        "f0": ("bad", 1, 2),
        "f1": ("missing", 1, 1),
        "f2": ("longer", 0, 1),
        "f4": ("shorter", 2, 3),
        "f5": ("unreadable", 1, 1),
        "f6": ("missing", 0, 0),
    }
    assert (found.files, found.pieces, found.right, found.is_whole) == (6, 8, 3, False)
    assert "folder" in next(each.reason for each in found.faults if each.path == ("f5",))


def test_a_file_is_not_called_bad_for_a_piece_it_shares_with_a_missing_one(tmp_path: Path) -> None:
    sample = sample_of([PIECE + 10, 10, 2 * PIECE])
    put(sample, tmp_path)
    (tmp_path / "f1").unlink()
    assert told(verify_data(sample.info, tmp_path)) == {
        "f0": ("unproven", 1, 2),
        "f1": ("missing", 1, 1),
        "f2": ("unproven", 1, 3),
    }


def test_a_wrong_piece_of_two_whole_sized_files_is_told_of_both(tmp_path: Path) -> None:
    sample = sample_of([10, 10])
    put(sample, tmp_path)
    (tmp_path / "f1").write_bytes(bytes(10))
    assert told(verify_data(sample.info, tmp_path)) == {"f0": ("bad", 1, 1), "f1": ("bad", 1, 1)}


def test_links_are_followed_and_one_that_leads_nowhere_is_a_missing_file(tmp_path: Path) -> None:
    """So data is verified where a model hub's client keeps it: links into a store."""
    sample = sample_of([PIECE, 5])
    put(sample, tmp_path / "store")
    (tmp_path / "torrent").mkdir()
    (tmp_path / "torrent/f0").symlink_to(tmp_path / "store/f0")
    (tmp_path / "torrent/f1").symlink_to("nowhere")
    found = verify_data(sample.info, tmp_path)
    assert told(found) == {"f1": ("missing", 1, 1)}
    assert found.root == tmp_path / "torrent"


def test_a_pipe_in_place_of_a_file_is_told_and_not_read(tmp_path: Path) -> None:
    sample = sample_of([5])
    os.mkfifo(tmp_path / "f0")
    assert told(verify_data(sample.info, tmp_path)) == {"f0": ("unreadable", 1, 1)}


def test_a_file_that_cannot_be_read_to_its_end_is_named_and_the_others_are_hashed(
    tmp_path: Path,
) -> None:
    """The memory of this process is a file that cannot be read from its beginning."""
    sample = sample_of([PIECE, PIECE])
    put(sample, tmp_path)
    (tmp_path / "f0").unlink()
    (tmp_path / "f0").symlink_to("/proc/self/mem")
    (fault,) = verify_data(sample.info, tmp_path).faults
    assert (fault.path, fault.kind, fault.wrong) == (("f0",), "unreadable", 1)
    assert "input/output" in fault.reason


def test_names_that_a_download_changed_for_the_disk_are_found(tmp_path: Path) -> None:
    """As a download writes them where case is ignored, and where Windows' names are kept."""
    sample = sample_of([5, 6, 7], paths=[("a",), ("A",), ("x:y", "v1.")])
    put(sample, tmp_path)
    (tmp_path / "A").rename(tmp_path / "A (2)")
    (tmp_path / "x:y/v1.").rename(tmp_path / "x:y/v1")
    (tmp_path / "x:y").rename(tmp_path / "x_y")
    assert verify_data(sample.info, tmp_path).is_whole


def test_the_second_of_two_names_that_are_one_file_is_looked_for_under_its_other_name(
    tmp_path: Path,
) -> None:
    """A hard link is to this test what a disk that ignores case is to a user."""
    sample = sample_of([5, 5], paths=[("a",), ("A",)])
    put(sample, tmp_path)
    (tmp_path / "A").rename(tmp_path / "A (2)")
    os.link(tmp_path / "a", tmp_path / "A")
    assert verify_data(sample.info, tmp_path).is_whole


def test_a_place_that_is_not_there_or_no_folder_is_an_error(tmp_path: Path) -> None:
    sample = sample_of([5, 6])
    with pytest.raises(StorageError, match="does not exist"):
        verify_data(sample.info, tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="is not a folder"):
        verify_data(sample.info, tmp_path / "file")


def test_without_piece_layers_a_file_is_right_or_wrong_by_its_root(tmp_path: Path) -> None:
    torrent = v2_folder()
    root = tmp_path / "n"
    for path, length in FILES.items():
        file = root.joinpath(*map(str, path))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content_of(length))
    known = parse_metainfo(write(torrent)).info
    unknown = parse_metainfo(write({"info": torrent["info"]})).info
    assert (known.can_verify, unknown.can_verify) == (True, False)
    assert verify_data(known, tmp_path).is_whole
    assert verify_data(unknown, tmp_path).is_whole
    (root / "a").write_bytes(content_of(2 * PIECE) + b"other")
    (root / "d" / "b").unlink()
    assert told(verify_data(known, tmp_path)) == {"a": ("bad", 1, 3), "d/b": ("missing", 1, 1)}
    assert told(verify_data(unknown, tmp_path)) == {"a": ("bad", 3, 3), "d/b": ("missing", 1, 1)}


def test_a_hybrid_whose_hashes_contradict_each_other_is_at_fault(tmp_path: Path) -> None:
    for path, length in FILES.items():
        file = tmp_path.joinpath(*map(str, path))
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content_of(length))
    good = parse_metainfo(ODD["hybrid folder: good"]).info
    found = verify_data(good, tmp_path)
    assert (found.is_whole, found.right, found.at_odds) == (True, 5, 0)
    assert told(verify_data(parse_metainfo(ODD[OTHER]).info, tmp_path)) == {"a": ("bad", 3, 3)}
    assert verify_data(parse_metainfo(ODD[OTHER]).info, tmp_path).at_odds == 3
    (tmp_path / "a").write_bytes(b"wrong by both".ljust(FILES["a",]))
    found = verify_data(good, tmp_path)
    assert (told(found), found.at_odds) == ({"a": ("bad", 3, 3)}, 0)


def test_a_single_file_is_found_by_its_path_and_in_its_folder(tmp_path: Path) -> None:
    (tmp_path / "film").write_bytes(b"x" * 40_000)
    info = create_torrent(tmp_path / "film", state_folder=tmp_path / "state").info
    for place in (tmp_path, tmp_path / "film"):
        assert verify_data(info, place).is_whole
    (tmp_path / "film").rename(tmp_path / "other")
    assert verify_data(info, tmp_path / "other").is_whole
    (fault,) = verify_data(info, tmp_path).faults
    assert (fault.path, fault.kind, fault.pieces) == ((), "missing", 3)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=30)
@given(
    st.lists(st.integers(0, 3) | st.integers(0, 40_000), min_size=1, max_size=8),
    st.sampled_from([1024, PIECE]),
    st.data(),
)
def test_one_changed_byte_is_found_in_its_piece_and_its_file_is_named(
    tmp_path: Path, lengths: list[int], piece_length: int, data: st.DataObject
) -> None:
    sample = sample_of(lengths, piece_length=piece_length)
    put(sample, tmp_path)
    assert verify_data(sample.info, tmp_path).is_whole
    if not sample.info.length:
        return
    at = data.draw(st.integers(0, sample.info.length - 1))
    file = next(
        number
        for number, entry in enumerate(sample.info.files)
        if entry.offset <= at < entry.offset + entry.length
    )
    content = bytearray(sample.file(file))
    content[at - sample.info.files[file].offset] ^= 1
    (tmp_path / f"f{file}").write_bytes(content)
    found = verify_data(sample.info, tmp_path)
    assert found.right == found.pieces - 1
    assert told(found)[f"f{file}"][:2] == ("bad", 1)
    assert {each.kind for each in found.faults} == {"bad"}
