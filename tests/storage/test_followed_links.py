"""Links of a share that are followed: what they mean is served, and never what lies elsewhere."""

from pathlib import Path

import pytest
import trio

from local_swarm import HOST, contents, make_file, node
from trio_swarm import create_torrent
from trio_swarm.errors import StorageError
from trio_swarm.storage.shares import LeftOut, examine, followed, links_root_of

REVISION = "0123456789abcdef0123456789abcdef01234567"


def hub(folder: Path) -> Path:
    """Make a repository as the client of a model hub lays it out; return its snapshot."""
    repository = folder / "models--org--name"
    snapshot = repository / "snapshots" / REVISION
    for name, blob in {"config.json": "a1", "weights/1.bin": "b2", "again.json": "a1"}.items():
        if not (repository / "blobs" / blob).exists():
            make_file(repository / "blobs" / blob, 40_000)
        link = snapshot / name
        link.parent.mkdir(parents=True, exist_ok=True)
        up = "../" * (2 + name.count("/"))
        link.symlink_to(f"{up}blobs/{blob}")
    make_file(repository / "refs" / "main", 40)
    return snapshot


def names(path: Path, root: Path | None) -> list[str]:
    return ["/".join(file.path) for file in examine(path, root).files]


def test_a_snapshot_of_a_model_hub_is_shared_with_what_its_links_mean(tmp_path: Path) -> None:
    snapshot = hub(tmp_path)
    root = links_root_of(snapshot)
    assert root == tmp_path / "models--org--name"
    assert names(snapshot, root) == ["again.json", "config.json", "weights/1.bin"]
    info = create_torrent(snapshot, follow_links=True, state_folder=tmp_path / "state").info
    assert info.size == 120_000


def test_without_being_asked_links_are_left_out_and_the_option_is_named(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match=r"only 3 symbolic links \(--follow-links shares"):
        examine(hub(tmp_path))


def test_links_lead_only_into_the_folder_that_is_named(tmp_path: Path) -> None:
    store, share, secret = (tmp_path / name for name in ("store", "share", "secret"))
    for folder in (store, share, secret):
        make_file(folder / "file", 10)
    for name, target in {
        "in-store": store / "file",
        "out": secret / "file",
        "broken": store / "missing",
        "loop": share / "loop",
        "round": share,
        "up": tmp_path,
        "folder": store,
        "self": share / "file",
    }.items():
        (share / name).symlink_to(target)
    (store / "back").symlink_to(secret)
    assert names(share, links_root_of(share, store)) == ["file", "folder/file", "in-store", "self"]
    assert names(share, links_root_of(share)) == ["file", "self"]
    left_out = examine(share, links_root_of(share, store)).left_out
    assert left_out == LeftOut(links=6)


def test_naming_a_folder_says_that_links_are_followed(tmp_path: Path) -> None:
    assert followed(tmp_path, follow_links=False, named=None) is None
    assert followed(tmp_path, follow_links=True, named=None) == tmp_path
    assert followed(tmp_path, follow_links=False, named=tmp_path) == tmp_path
    with pytest.raises(StorageError, match="nowhere"):
        followed(tmp_path, follow_links=True, named=tmp_path / "nowhere")


async def test_a_snapshot_is_served_in_place_and_again_after_a_restart(tmp_path: Path) -> None:
    snapshot = hub(tmp_path)
    with trio.fail_after(60):
        for round_ in range(2):
            async with node(tmp_path / "s") as good, node(tmp_path / f"l{round_}") as leecher:
                shared = await good.share(snapshot, name="model", follow_links=True)
                torrent = await leecher.fetch(
                    shared.magnet(), folder=tmp_path / f"out{round_}", peers=[(HOST, good.port)]
                )
                copy = await torrent.wait_complete()
            for name in ("config.json", "weights/1.bin", "again.json"):
                assert contents(copy / name) == contents(snapshot / name)
                assert not (copy / name).is_symlink()
    assert all((snapshot / name).is_symlink() for name in ("config.json", "weights/1.bin"))


async def test_a_link_that_is_changed_while_it_is_shared_leads_nowhere_else(tmp_path: Path) -> None:
    snapshot = hub(tmp_path)
    make_file(tmp_path / "secret", 40_000)
    with trio.fail_after(60):
        async with node(tmp_path / "s") as good:
            shared = await good.share(snapshot, name="model", follow_links=True)
            assert shared.files is not None
            (snapshot / "config.json").unlink()
            (snapshot / "config.json").symlink_to(tmp_path / "secret")
            assert shared.info is not None
            number = [file.path for file in shared.info.files].index(("config.json",))
            piece = shared.info.files[number].offset // shared.info.piece_length
            with pytest.raises(StorageError):
                await trio.to_thread.run_sync(shared.files.read, piece, 0, 16_384)
