"""Files that nobody wants: they never appear, and none of their bytes that are here is lost."""

import random
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from storage_samples import PIECE, Sample, close_all, folder, hash_all
from trio_swarm.piece_sets import iterate
from trio_swarm.protocol.metainfo.selection import wanted_pieces
from trio_swarm.protocol.metainfo.torrent import build_info
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.layout import BORDER_NAME
from trio_swarm.storage.moving import move_data
from trio_swarm.storage.removal import delete_data

__all__ = ["close_all"]


def fetch(sample: Sample, place: Path, unwanted: set[int]) -> TorrentFiles:
    """Check and write all that is wanted, as a download does."""
    files = checked(sample, place, unwanted)
    sample.write(files, *iterate(files.wanted_pieces & ~files.have))
    return files


def checked(sample: Sample, place: Path, unwanted: set[int]) -> TorrentFiles:
    files = TorrentFiles.for_download(
        sample.info, place / "downloads", place / "state", unwanted=frozenset(unwanted)
    )
    assert files.check().have == files.have
    return files


def names(root: Path) -> set[str]:
    return {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}


def assert_wanted(sample: Sample, root: Path, unwanted: set[int]) -> None:
    for number, entry in enumerate(sample.info.files):
        path = root.joinpath(*entry.path)
        if number in unwanted:
            assert not path.exists()
        else:
            assert path.read_bytes() == sample.file(number)


def test_a_file_that_nobody_wants_never_appears(tmp_path: Path) -> None:
    sample = folder()
    unwanted = {0, 1, 3}
    files = fetch(sample, tmp_path, unwanted)
    root = files.finish()
    assert files.is_complete
    assert names(root) == {"deep/deep/f2", "deep/f4", BORDER_NAME}
    assert_wanted(sample, root, unwanted)
    # What is here of the others is served.
    for piece in iterate(files.have):
        size = sample.info.piece_size(piece)
        assert files.read(piece, 0, size) == sample.piece(piece)
    (root / BORDER_NAME).stat()
    assert (root / BORDER_NAME).stat().st_blocks * 512 < 4 * PIECE


def test_finished_with_some_files_it_is_finished_at_the_next_start(tmp_path: Path) -> None:
    sample = folder()
    fetch(sample, tmp_path, {0, 3}).finish()
    again = TorrentFiles.for_download(
        sample.info, tmp_path / "downloads", tmp_path / "state", unwanted=frozenset({0, 3})
    )
    result = again.check()
    assert again.is_complete
    assert result.hashed == 0


def test_everything_later_lacks_only_what_was_not_wanted(tmp_path: Path) -> None:
    sample = folder()
    first = fetch(sample, tmp_path, {0, 3})
    had = first.have
    first.finish()
    first.close()
    later = checked(sample, tmp_path, set())
    assert later.have == had
    assert not later.is_complete
    sample.write(later, *iterate(later.wanted_pieces & ~had))
    root = later.finish()
    sample.assert_at(root)
    assert BORDER_NAME not in names(root)


def test_a_file_that_is_wanted_while_it_runs_gets_what_is_here_of_it(tmp_path: Path) -> None:
    sample = folder()
    files = fetch(sample, tmp_path, {2, 3})
    had = files.have
    files.want(frozenset({3}))
    assert files.have == had
    assert (files.root / "deep/deep/f2").read_bytes() == sample.file(2)
    sample.write(files, *iterate(files.wanted_pieces & ~had))
    assert_wanted(sample, files.finish(), {3})


def test_finished_data_goes_on_as_a_download_when_more_is_wanted(tmp_path: Path) -> None:
    sample = folder()
    files = fetch(sample, tmp_path, {0, 3})
    had = files.have
    final = files.finish()
    files.want(frozenset())
    assert not files.is_complete
    assert files.root != final
    assert files.have == had
    sample.write(files, *iterate(files.wanted_pieces & ~had))
    assert files.finish() == final
    sample.assert_at(final)


def test_less_that_is_wanted_finishes_with_what_is_here(tmp_path: Path) -> None:
    sample = folder()
    files = checked(sample, tmp_path, set())
    last = sample.info.piece_count - 1
    sample.write(files, *iterate(wanted_pieces(sample.info, {0, 1, 2, 3})))
    files.want(frozenset({0, 1, 2}))
    with pytest.raises(ValueError, match="all its pieces"):
        files.finish()
    files.want(frozenset({0, 1, 2, 3}))
    assert files.have >> last & 1
    root = files.finish()
    assert (root / "deep/f4").read_bytes() == sample.file(4)


def test_what_was_killed_while_a_file_was_made_is_taken_up_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = folder()
    files = fetch(sample, tmp_path, {0, 2, 3})
    had = files.have

    def killed(*_args: object, **_more: object) -> None:
        raise KeyboardInterrupt

    unfinished = files._unfinished
    assert unfinished is not None
    monkeypatch.setattr(unfinished, "_restate", killed)
    with pytest.raises(KeyboardInterrupt):
        files.want(frozenset())
    # The process is gone: nothing was saved, and its lock went with it.
    files._unlock()
    again = checked(sample, tmp_path, set())
    assert again.have == had
    sample.write(again, *iterate(again.wanted_pieces & ~had))
    sample.assert_at(again.finish())


def test_a_border_file_that_is_gone_costs_its_pieces_only(tmp_path: Path) -> None:
    sample = folder()
    files = fetch(sample, tmp_path, {0, 3})
    files.close()
    (files.root / BORDER_NAME).unlink()
    again = checked(sample, tmp_path, {0, 3})
    lost = files.wanted_pieces & ~again.have
    assert lost
    sample.write(again, *iterate(lost))
    assert_wanted(sample, again.finish(), {0, 3})


def test_a_changed_border_file_is_found_before_anything_of_it_is_served(tmp_path: Path) -> None:
    sample = folder()
    files = fetch(sample, tmp_path, {0, 3})
    files.finish()
    border = files.root / BORDER_NAME
    with border.open("r+b") as file:
        file.seek(sample.info.files[3].offset + 100)
        file.write(b"changed")
    changes = files.verify_again()
    assert changes.lost
    assert files.path_of(changes.files[0]) == (BORDER_NAME,)
    assert files.lacks_pieces


def test_a_file_of_somebody_else_is_not_overwritten(tmp_path: Path) -> None:
    sample = folder()
    files = fetch(sample, tmp_path, {0, 2, 3})
    files.close()
    own = files.root / "deep/deep/f2"
    own.parent.mkdir(parents=True)
    own.write_bytes(b"mine!")
    again = checked(sample, tmp_path, set())
    assert own.read_bytes() == b"mine!"
    assert again.wanted_pieces & ~again.have


def test_the_border_file_moves_and_is_deleted_with_the_data(tmp_path: Path) -> None:
    sample = folder()
    files = fetch(sample, tmp_path, {0, 3})
    had = files.have
    root = files.finish()
    files.close()
    (root / "notes").write_text("a file of the user's")  # so that files are carried one by one
    moved = move_data(sample.info, root, tmp_path / "elsewhere", tmp_path / "state")
    assert BORDER_NAME in names(moved)
    again = TorrentFiles.for_download(
        sample.info, tmp_path / "elsewhere", tmp_path / "state", unwanted=frozenset({0, 3})
    )
    assert again.check().hashed == 0
    assert again.have == had
    again.close()
    delete_data(again.info, moved)
    assert not moved.exists()


def test_a_name_of_the_torrent_is_not_that_of_the_border_file(tmp_path: Path) -> None:
    data = random.Random(9).randbytes(3 * PIECE)
    info = build_info(
        name="odd",
        piece_length=PIECE,
        piece_hashes=hash_all(data),
        files=[((BORDER_NAME,), PIECE + 5), (("b",), 2 * PIECE - 5)],
        length=None,
    )
    sample = Sample(info, data)
    root = fetch(sample, tmp_path, {1}).finish()
    assert names(root) == {BORDER_NAME, BORDER_NAME + "~"}
    assert (root / BORDER_NAME).read_bytes() == sample.file(0)


def test_an_empty_file_that_nobody_wants_is_not_made(tmp_path: Path) -> None:
    sample = folder()
    files = fetch(sample, tmp_path, {1})
    root = files.finish()
    assert "deep/f1" not in names(root)
    assert BORDER_NAME not in names(root)
    files.want(frozenset())
    if not files.is_complete:
        files.finish()
    assert "deep/f1" in names(files.root)


@settings(max_examples=25, deadline=None)
@given(
    lengths=st.lists(st.integers(0, 3 * PIECE), min_size=2, max_size=6),
    choices=st.lists(st.sets(st.integers(0, 5)), min_size=1, max_size=4),
    restarts=st.booleans(),
)
def test_whatever_is_wanted_in_turn_nothing_is_fetched_twice(
    tmp_path_factory: pytest.TempPathFactory,
    lengths: list[int],
    choices: list[set[int]],
    restarts: bool,  # noqa: FBT001  drawn
) -> None:
    if not any(lengths):
        lengths[0] = 1
    place = tmp_path_factory.mktemp("border")
    sample = folder(lengths)
    every = set(range(len(lengths)))
    fetched = 0
    files: TorrentFiles | None = None
    wanted_once: set[int] = set()
    for choice in [*choices, set()]:
        unwanted = choice & every
        if files is None or restarts:
            if files is not None:
                files.close()
            files = checked(sample, place, unwanted)
        else:
            files.want(frozenset(unwanted))
        assert not fetched & ~files.have, "something that was here is lost"
        missing = files.wanted_pieces & ~files.have
        sample.write(files, *iterate(missing))
        fetched |= missing
        root = files.finish()
        wanted_once |= every - unwanted
        for number, entry in enumerate(sample.info.files):
            path = root.joinpath(*entry.path)
            if number not in unwanted:
                assert path.read_bytes() == sample.file(number)
            elif number not in wanted_once:
                assert not path.exists()
    assert files is not None
    assert BORDER_NAME not in names(files.root)
    files.close()
