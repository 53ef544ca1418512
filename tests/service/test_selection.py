"""What a service fetches of a torrent: by its settings, and by others while it runs."""

from pathlib import Path

import trio
from msgspec.structs import replace

from local_swarm import LIMIT, node
from trio_swarm.service.service import open_service
from trio_swarm.settings import FetchSettings, NodeSettings


async def test_other_settings_have_a_fetch_that_is_complete_go_on(tmp_path: Path) -> None:
    folder = tmp_path / "in" / "set"
    folder.mkdir(parents=True)
    for name in ("a.json", "b.json", "c.bin"):
        (folder / name).write_bytes(name.encode() * 10_000)
    with trio.fail_after(LIMIT):
        async with (
            node(tmp_path / "s") as seeder,
            open_service(
                NodeSettings(listen_host="127.0.0.1", state_folder=tmp_path / "state")
            ) as service,
        ):
            shared = await seeder.share(folder)
            settings = FetchSettings(
                what=shared.magnet(),
                folder=tmp_path / "out",
                trackers=(),
                peers=tuple(seeder.addresses),
                only=("*.json",),
                skip=("b.*",),
            )
            fetch = service.fetch(settings)
            torrent = await fetch.wait_complete()
            root = await torrent.wait_complete()
            assert {path.name for path in root.iterdir() if path.name[0] != "."} == {"a.json"}
            await fetch.change(replace(settings, skip=()), trackers=())
            root = await torrent.wait_complete()
            assert (root / "b.json").read_bytes() == b"b.json" * 10_000
            assert not (root / "c.bin").exists()
            assert torrent.duplicate == 0
