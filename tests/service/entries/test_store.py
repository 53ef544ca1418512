"""What the state folder keeps of the list: any value, at any moment, whatever lies there."""

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trio_swarm.errors import StateFolderError, StorageError
from trio_swarm.service.entries import records
from trio_swarm.service.entries.limits import EntryLimits
from trio_swarm.service.entries.records import AllTotals, Record, Totals
from trio_swarm.service.entries.store import EntryStore, ListInUseError, open_store
from trio_swarm.settings import FetchSettings, ShareSettings

# Names as Python has them, those that are not UTF-8 included.
names = st.binary(min_size=1, max_size=20).map(
    lambda raw: os.fsdecode(raw.replace(b"\0", b"_").replace(b"/", b"_"))
)
paths = st.lists(names, max_size=4).map(lambda parts: Path("/", *parts))
urls = st.lists(st.sampled_from(["udp://a:1", "http://b/announce"]), max_size=2).map(tuple)
shares = st.builds(
    ShareSettings,
    path=paths,
    name=st.none() | names,
    trackers=st.none() | urls,
    piece_length=st.none() | st.just(1 << 14),
)
fetches = st.builds(
    FetchSettings,
    what=names,
    folder=paths,
    trackers=st.none() | urls,
    peers=st.lists(st.tuples(st.just("::1"), st.integers(0, 65535)), max_size=2).map(tuple),
    info_hash=st.none() | st.binary(min_size=20, max_size=20) | st.just("abc"),
    scheduler=st.none() | st.just("round-robin"),
    scheduler_options=st.dictionaries(st.text(max_size=5), st.integers(0, 9), max_size=2),
    wait=st.booleans(),
    seed=st.booleans(),
    seed_for=st.none() | st.floats(0, 1e6),
    seed_ratio=st.none() | st.floats(0, 1e6),
)


@given(shares | fetches)
def test_settings_come_back_as_they_were(settings: ShareSettings | FetchSettings) -> None:
    record = Record(id=7, origin="added", settings=records.keep(settings))
    again = records.decode_record(records.encode(record))
    assert again == record
    assert again.settings is not None
    assert records.kept_settings(again.settings) == settings


@given(st.binary(max_size=200))
def test_any_bytes_are_a_record_or_an_error(data: bytes) -> None:
    for decode in (records.decode_record, records.decode_totals):
        with pytest.raises(ValueError):  # noqa: PT011 - of any words
            decode(data)


def record_of(number: int, **more: object) -> Record:
    settings = records.keep(ShareSettings(path=Path(f"/film-{number}")))
    return Record(id=number, origin="added", settings=settings, **more)  # type: ignore[arg-type]


@pytest.fixture
def store(tmp_path: Path) -> EntryStore:
    """A list in a new state folder."""
    return open_store(tmp_path)


def test_what_was_saved_is_loaded_and_what_was_forgotten_is_not(store: EntryStore) -> None:
    store.save(record_of(1))
    store.save(record_of(1, is_paused=True, limits=EntryLimits(upload_rate=5)))
    store.save(record_of(2))
    store.save_metainfo(2, b"d4:infode")
    store.save_totals([Totals(id=1, uploaded=1 << 60), Totals(id=2)], 4)
    store.forget(2)
    store.forget(2)
    kept = store.load()
    assert kept.records == {1: record_of(1, is_paused=True, limits=EntryLimits(upload_rate=5))}
    assert kept.totals[1].uploaded == 1 << 60
    assert kept.next_id == 4
    assert not kept.problems
    assert not store.path_of_metainfo(2).exists()


def test_a_number_is_not_given_twice_even_if_the_totals_were_never_written(
    store: EntryStore,
) -> None:
    store.save(record_of(9))
    assert store.load().next_id == 10


STEPS = ["os.write", "os.fsync", "replace", "sync_folder"]


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize("is_new", [True, False])
def test_a_write_that_ends_at_any_step_leaves_the_old_state_or_the_new(
    store: EntryStore, monkeypatch: pytest.MonkeyPatch, step: str, *, is_new: bool
) -> None:
    """As `kill -9` does, the exception runs no clean-up: `BaseException` is no OSError."""

    class KilledError(BaseException):
        pass

    def kill(*_: object, **__: object) -> None:
        raise KilledError

    old, new = record_of(1), record_of(1, is_paused=True)
    if not is_new:
        store.save(old)
    with monkeypatch.context() as patch:
        match step:
            case "os.write":
                patch.setattr("os.fdopen", kill)
            case "os.fsync":
                patch.setattr("os.fsync", kill)
            case "replace":
                patch.setattr("pathlib.Path.replace", kill)
            case _:
                patch.setattr("trio_swarm.service.entries.store.sync_folder", kill)
        with pytest.raises(KilledError):
            store.save(new)
    kept = store.load()
    assert not kept.problems
    assert kept.records == ({1: new} if step == "sync_folder" else {} if is_new else {1: old})
    leftovers = {each.name for each in store.folder.iterdir()} - {"lock", "1.json"}
    assert leftovers == set()


@pytest.mark.parametrize(
    "bad",
    [
        b"",
        b"{",
        b"[]",
        b"\xff\xfe",
        b'{"id": 2, "origin": "added"}',
        b'{"version": 99, "id": 2, "origin": "file"}',
        records.encode(record_of(3)),
        b"x" * (1 << 20) + b"x",
    ],
)
def test_what_cannot_be_read_is_told_in_a_line_and_put_aside(store: EntryStore, bad: bytes) -> None:
    store.save(record_of(1))
    for _ in range(2):
        (store.folder / "2.json").write_bytes(bad)
        (store.folder / "totals.json").write_bytes(b"[")
        kept = store.load()
        assert set(kept.records) == {1}
        assert len(kept.problems) == 2
        assert all("\n" not in each for each in kept.problems)
        assert "2.json: cannot be read" in kept.problems[0]
    assert (store.folder / "2.json.unreadable").read_bytes() == bad
    assert (store.folder / "2.json.unreadable-2").read_bytes() == bad
    assert not store.load().problems


def test_a_link_in_the_place_of_a_file_is_not_followed(store: EntryStore, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.write_bytes(records.encode(record_of(5)))
    (store.folder / "5.json").symlink_to(outside)
    assert store.load().records == {}
    assert outside.exists()


def test_a_torrent_file_that_is_damaged_is_put_aside(store: EntryStore) -> None:
    store.save_metainfo(1, b"nonsense")
    assert store.metainfo(1) is None
    assert store.metainfo(1) is None
    assert (store.folder / "1.torrent.unreadable").read_bytes() == b"nonsense"


def test_only_one_process_has_the_list_of_a_state_folder(store: EntryStore, tmp_path: Path) -> None:
    with pytest.raises(ListInUseError, match="another trio-swarm has the list"):
        open_store(tmp_path)
    store.close()
    open_store(tmp_path).close()


def test_a_state_folder_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    for folder in (tmp_path / "file", Path("~/state")):
        with pytest.raises(StateFolderError):
            open_store(folder)


def test_a_full_disk_leaves_the_old_record(
    store: EntryStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    store.save(record_of(1))

    def fail(_descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("os.fsync", fail)
        with pytest.raises(StorageError, match="disk is full"):
            store.save(record_of(1, is_paused=True))
    assert store.load().records == {1: record_of(1)}
    assert AllTotals().next_id == 1
