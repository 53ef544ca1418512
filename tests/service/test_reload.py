"""A configuration that changes under a peer that runs: only the difference is applied."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import tomli_w
import trio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from few_examples import one_example_in
from local_swarm import HOST, LIMIT, Recorder, contents, make_file, node, tracker, until
from trio_swarm import events
from trio_swarm.config.reading import read_config
from trio_swarm.errors import ConfigError
from trio_swarm.peer.torrent import Torrent
from trio_swarm.service.configured import ConfiguredPeer
from trio_swarm.service.entries.changing import EntryChanges
from trio_swarm.service.entries.limits import LimitChanges
from trio_swarm.settings import FetchSettings

NOWHERE = "udp://127.0.0.1:1"
"""A tracker that does not answer."""


def write(file: Path, described: dict[str, Any]) -> None:
    head = {"listen": f"{HOST}:0", "state_folder": "state"}
    whole = {**described, "node": {**head, **described.get("node", {})}}
    file.write_text(tomli_w.dumps(whole), encoding="utf-8")


@asynccontextmanager
async def running(file: Path, **more: Any) -> AsyncIterator[ConfiguredPeer]:
    """A peer that runs by a file, until the context ends."""
    peer = ConfiguredPeer(
        read_config(file), file, on_event=more.pop("on_event", Recorder()), stays=True, **more
    )
    async with trio.open_nursery() as nursery:
        nursery.start_soon(peer.run)
        await peer.wait_open()
        yield peer
        nursery.cancel_scope.cancel()


async def test_a_wrong_file_changes_nothing_and_says_why(tmp_path: Path) -> None:
    file = tmp_path / "peer.toml"
    make_file(tmp_path / "a", 20_000)
    write(file, {"share": [{"path": "a"}], "limits": {"upload": 1000}})
    with trio.fail_after(LIMIT):
        async with running(file) as peer:
            await until(lambda: settled(peer))
            before = state_of(peer)
            for wrong in (
                {"share": [{"path": "a"}], "limits": {"upload": "much", "connections": 1}},
                {"share": [{"path": "a"}], "uploader": "nobody", "limits": {"upload": 5}},
                {"share": [{"path": "a"}], "plugins": {"paths": ["not-there.py"]}},
            ):
                write(file, wrong)
                with pytest.raises(ConfigError, match=r"peer\.toml"):
                    await peer.reload()
                assert state_of(peer) == before
            file.write_bytes(b"\xff")
            with pytest.raises(ConfigError, match="not UTF-8"):
                await peer.reload()
            file.unlink()
            with pytest.raises(ConfigError, match="cannot be read"):
                await peer.reload()
            assert state_of(peer) == before


async def test_a_dry_run_tells_what_would_change_and_changes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "peer.toml"
    make_file(tmp_path / "a", 20_000)
    write(file, {"share": [{"path": "a"}]})
    with trio.fail_after(LIMIT):
        async with running(file) as peer:
            await until(lambda: settled(peer))
            before = state_of(peer)
            write(file, {"share": [{"path": "a"}], "limits": {"upload": 1000}})
            (change,) = await peer.reload(dry_run=True)
            assert str(change) == "limits.upload: unlimited → 1000 (at once)"
            assert state_of(peer) == before
            assert await peer.reload() == [change]
            assert peer.service is not None
            assert peer.service.node.rates == (1000, None)
            assert await peer.reload() == []


async def test_what_needs_a_restart_stays_and_is_told_until_there_was_one(tmp_path: Path) -> None:
    file = tmp_path / "peer.toml"
    make_file(tmp_path / "a", 20_000)
    write(file, {"share": [{"path": "a"}]})
    with trio.fail_after(LIMIT):
        async with running(file) as peer:
            for _ in range(2):
                write(file, {"share": [{"path": "a"}], "limits": {"piece_memory": "1MiB"}})
                (change,) = await peer.reload()
                assert (change.key, change.how) == ("limits.piece_memory", "restart")
            assert peer.config.limits.piece_memory == 32 * 1024**2


async def test_a_transfer_of_both_files_goes_on_over_the_same_connection(tmp_path: Path) -> None:
    film = make_file(tmp_path / "film", 4_000_000)
    file = tmp_path / "peer.toml"
    recorder = Recorder()
    with trio.fail_after(LIMIT):
        async with tracker() as url, node(tmp_path / "l", url, download_rate=3_000_000) as leecher:
            described: dict[str, Any] = {"trackers": [url], "share": [{"path": "film"}]}
            write(file, described)
            async with running(file, on_event=recorder) as peer:
                await recorder.wait_for(events.Announced)
                fetched = await leecher.fetch("film", folder=tmp_path / "out")
                await until(lambda: len(fetched.peers()) == 1)
                for number in range(1, 9):
                    make_file(tmp_path / f"more{number}", 20_000, number)
                    described["share"] = [{"path": f"more{number}"}, {"path": "film"}]
                    described["limits"] = {"upload": 10_000_000 + number, "upload_slots": number}
                    described["trackers"] = [url, NOWHERE][: 1 + number % 2]
                    described["uploader"] = ["spread", "least-sent"][number % 2]
                    described["choker"] = {
                        "name": "tit-for-tat",
                        "options": {"optimistic_every": number},
                    }
                    write(file, described)
                    assert await peer.reload()
                    await trio.sleep(0.05)
                await fetched.wait_complete()
    assert contents(tmp_path / "out" / "film") == contents(film)
    assert not recorder.of(events.TorrentFailed)


async def test_a_share_of_which_only_the_trackers_change_stays_the_torrent_that_it_is(
    tmp_path: Path,
) -> None:
    make_file(tmp_path / "a", 20_000)
    file = tmp_path / "peer.toml"
    with trio.fail_after(LIMIT):
        async with tracker() as one, tracker() as two:
            write(file, {"share": [{"path": "a", "trackers": [one]}]})
            async with running(file) as peer:
                await until(lambda: len(peer.torrents) == 1)
                (torrent,) = peer.torrents
                write(file, {"share": [{"path": "a", "trackers": [two]}]})
                await peer.reload()
                assert peer.torrents == [torrent]
                assert urls_of(torrent) == [two]
                write(file, {"share": [{"path": "a", "name": "b", "trackers": [two]}]})
                await peer.reload()
                await until(lambda: [each.name for each in peer.torrents] == ["b"])


async def test_what_was_added_at_run_time_stays_and_uses_what_the_file_says_now(
    tmp_path: Path,
) -> None:
    make_file(tmp_path / "a", 20_000)
    file = tmp_path / "peer.toml"
    write(file, {"share": [{"path": "a"}]})
    magnet = f"magnet:?xt=urn:btih:{'ab' * 20}"
    with trio.fail_after(LIMIT):
        async with running(file) as peer:
            assert peer.service is not None
            added = await peer.service.entries.add(FetchSettings(what=magnet, folder=tmp_path))
            await until(lambda: added.torrent is not None)
            torrent = added.torrent
            write(file, {"tracker": {}, "scheduler": "round-robin", "trackers": [NOWHERE]})
            await peer.reload()
            assert [each.origin for each in peer.service.entries] == ["added"]
            assert torrent is added.torrent
            assert torrent is not None
            assert torrent.scheduler_state().name == "round-robin"
            assert urls_of(torrent) == [NOWHERE]


async def test_the_queue_is_as_long_as_the_file_says_now(tmp_path: Path) -> None:
    for name in "abc":
        make_file(tmp_path / name, 20_000)
    file = tmp_path / "peer.toml"
    shares = [{"path": name} for name in "abc"]
    write(file, {"share": shares, "limits": {"max_active_seeds": 1}})
    with trio.fail_after(LIMIT):
        async with running(file) as peer:
            await until(lambda: [each.name for each in peer.torrents] == ["a"])
            (first,) = peer.torrents
            write(file, {"share": shares, "limits": {"max_active_seeds": 2}})
            await peer.reload()
            await until(lambda: len(peer.torrents) == 2)
            write(file, {"share": shares})
            await peer.reload()
            await until(lambda: len(peer.torrents) == 3)
            assert first in peer.torrents


async def test_a_watched_folder_comes_and_goes(tmp_path: Path) -> None:
    make_file(tmp_path / "a", 20_000)
    drop, file = tmp_path / "drop", tmp_path / "peer.toml"
    drop.mkdir()
    link = f"magnet:?xt=urn:btih:{'cd' * 20}"
    write(file, {"share": [{"path": "a"}]})
    with trio.fail_after(LIMIT):
        async with running(file) as peer:
            for change, name in (("[]", "one"), ('["x"]', "two")):
                watch = {"folder": "drop", "paused": True, "labels": json.loads(change)}
                write(file, {"share": [{"path": "a"}], "watch": [watch]})
                (told,) = await peer.reload()
                assert told.key.startswith("watch")
                (drop / f"{name}.magnet").write_text(link, encoding="utf-8")
                await until((drop / f"{name}.magnet.added").exists)
            write(file, {"share": [{"path": "a"}]})
            assert [str(each) for each in await peer.reload()] == [f"watch {drop}: removed"]
            assert [each.origin for each in _entries(peer)] == ["file", "added"]


async def test_a_share_that_failed_is_tried_again(tmp_path: Path) -> None:
    file, recorder = tmp_path / "peer.toml", Recorder()
    write(file, {"share": [{"path": "later"}]})
    with trio.fail_after(LIMIT):
        async with running(file, on_event=recorder) as peer:
            await recorder.wait_for(events.TorrentFailed)
            make_file(tmp_path / "later", 20_000)
            assert await peer.reload() == []
            await recorder.wait_for(events.Sharing)


async def test_a_new_plugin_is_loaded_and_used(tmp_path: Path) -> None:
    make_file(tmp_path / "a", 20_000)
    file = tmp_path / "peer.toml"
    magnet = f"magnet:?xt=urn:btih:{'ab' * 20}"
    described: dict[str, Any] = {"fetch": [{"what": magnet, "folder": "out"}]}
    write(file, described)
    (tmp_path / "mine.py").write_text(
        "from trio_swarm.schedulers.hookspecs import hookimpl\n"
        "from trio_swarm.schedulers.rarest_first import RarestFirst\n"
        "class Mine(RarestFirst):\n    '''Mine.'''\n"
        "@hookimpl\ndef trio_swarm_schedulers():\n    return {'mine': Mine}\n",
        encoding="utf-8",
    )
    with trio.fail_after(LIMIT):
        async with running(file) as peer:
            await until(lambda: len(peer.torrents) == 1)
            (torrent,) = peer.torrents
            described["plugins"] = {"paths": ["mine.py"]}
            described["fetch"][0]["scheduler"] = "mine"
            write(file, described)
            await peer.reload()
            assert peer.torrents == [torrent]
            assert torrent.scheduler_state().name == "mine"


async def test_the_log_level_is_told_at_start_and_when_it_changes(tmp_path: Path) -> None:
    make_file(tmp_path / "a", 20_000)
    file, told = tmp_path / "peer.toml", list[str | None]()
    write(file, {"share": [{"path": "a"}], "log": {"level": "warning"}})
    with trio.fail_after(LIMIT):
        async with running(file, on_log_level=told.append) as peer:
            write(file, {"share": [{"path": "a"}], "log": {"level": "debug"}})
            await peer.reload()
    assert told == ["warning", "debug"]


# --- any edit -------------------------------------------------------------------------------------

MAGNETS = [f"magnet:?xt=urn:btih:{digit * 40}&x.pe=127.0.0.1:1" for digit in "ab"]
rates = st.sampled_from([0, 1000, 5000, "1MiB"])
schedulers = st.sampled_from(
    ["round-robin", {"name": "rarest-first", "options": {"random_first_pieces": 2}}]
)
trackers = st.lists(st.sampled_from([NOWHERE, "udp://127.0.0.1:2"]), unique=True, max_size=2)


def table(**keys: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=keys)


shares = st.lists(
    st.fixed_dictionaries(
        {"path": st.sampled_from(["a", "b", "c"])},
        optional={"name": st.sampled_from(["x", "y"]), "trackers": trackers},
    ),
    max_size=4,
    unique_by=lambda each: each["path"],
)
fetches = st.lists(
    st.fixed_dictionaries(
        {"what": st.sampled_from(MAGNETS)},
        optional={
            "folder": st.sampled_from(["in", "out"]),
            "scheduler": schedulers,
            "trackers": trackers,
            "seed_ratio": st.sampled_from([1.0, 2.0]),
        },
    ),
    max_size=2,
    unique_by=lambda each: each["what"],
)
descriptions = st.fixed_dictionaries(
    {"share": shares, "fetch": fetches},
    optional={
        "trackers": trackers,
        "node": table(
            download_folder=st.sampled_from(["in", "out"]),
            incomplete_folder=st.sampled_from(["begins", "elsewhere"]),
        ),
        "limits": table(
            upload=rates,
            download=rates,
            upload_slots=st.integers(1, 9),
            connections=st.integers(1, 300),
        ),
        "schedule": table(upload=rates, begin=st.just("00:00"), end=st.just("24:00")),
        "hooks": table(on_complete=st.just(["true"])),
        "scheduler": schedulers,
        "uploader": st.sampled_from(["spread", "least-sent"]),
        "choker": table(options=st.just({"optimistic_every": 4})).map(
            lambda each: {"name": "tit-for-tat", **each}
        ),
        "labels": st.just({"10.": {"rack": "a"}}),
    },
).filter(lambda each: each["share"] or each["fetch"])


def urls_of(torrent: Torrent) -> list[str]:
    return [each.url for each in torrent.tracker_states()]


def state_of(peer: ConfiguredPeer) -> dict[str, Any]:
    """Everything that a configuration decides, as it is in a peer that runs."""
    service = peer.service
    assert service is not None
    assert peer.rates is not None
    node_settings = service.node.settings
    return {
        "rates": service.node.rates,
        "in force": peer.rates.in_force,
        "node": {
            name: getattr(node_settings, name)
            for name in node_settings.__struct_fields__
            if name not in {"on_event", "upload_rate", "download_rate"}  # see "rates"
        },
        "hooks": peer.config.hooks,
        "begins": service.entries.incomplete_folder,
        "entries": sorted(
            (
                repr(entry.settings),
                entry.origin,
                sorted(map(repr, urls_of(entry.torrent))) if entry.torrent else None,
                entry.torrent.scheduler_state().name if entry.torrent else None,
                sorted(entry.torrent.scheduler_state().options.items()) if entry.torrent else None,
            )
            for entry in service.entries
        ),
    }


def settled(peer: ConfiguredPeer) -> bool:
    """Whether each entry has come as far as it can without peers."""
    assert peer.service is not None
    return all(
        entry.torrent is not None and entry.state in ("seeding", "metadata")
        for entry in peer.service.entries
    )


with one_example_in(3):  # each begins two peers
    edited = settings(
        suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
    )


@edited
@given(before=descriptions, after=descriptions)
def test_any_edit_applied_to_a_running_peer_ends_as_a_fresh_start_by_it_does(
    before: dict[str, Any], after: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("edit")
    for number, name in enumerate("abc"):
        make_file(folder / name, 16_384, number)
    file = folder / "peer.toml"

    async def edit() -> None:
        write(file, before)
        async with running(file) as peer:
            await until(lambda: settled(peer))
            kept = {id(each.torrent): each.torrent for each in _entries(peer)}
            both = _known_to_both(before, after)
            write(file, after)
            await peer.reload()
            await until(lambda: settled(peer))
            reloaded = state_of(peer)
            for entry in _entries(peer):
                if _identity(entry.settings) in both:
                    assert id(entry.torrent) in kept, "a transfer of both files was interrupted"
            assert await peer.reload() == []
        for leftover in (folder / "state" / "entries").glob("**/*"):
            if leftover.is_file():
                leftover.unlink()
        async with running(file) as fresh:
            await until(lambda: settled(fresh))
            assert state_of(fresh) == reloaded

    async def limited() -> None:
        with trio.fail_after(LIMIT):
            await edit()

    trio.run(limited)


def _entries(peer: ConfiguredPeer) -> list[Any]:
    assert peer.service is not None
    return list(peer.service.entries)


def _identity(settings: Any) -> tuple[object, ...]:
    if isinstance(settings, FetchSettings):
        return settings.what, settings.folder.name
    return settings.path.name, settings.name


def _known_to_both(*described: dict[str, Any]) -> set[tuple[object, ...]]:
    """The shares and fetches that each of these configurations has."""
    found = []
    for each in described:
        default = each.get("node", {}).get("download_folder")
        shares = {(share["path"], share.get("name")) for share in each["share"]}
        fetches = {(fetch["what"], fetch.get("folder", default)) for fetch in each["fetch"]}
        found.append(shares | fetches)
    return set.intersection(*found)


async def test_labels_limits_and_pause_come_from_the_file_and_may_be_changed_at_run_time(
    tmp_path: Path,
) -> None:
    make_file(tmp_path / "a", 20_000)
    file = tmp_path / "peer.toml"
    share: dict[str, object] = {"path": "a", "labels": ["x"], "upload": 50_000, "paused": True}
    with trio.fail_after(LIMIT):
        write(file, {"share": [share]})
        async with running(file) as peer:
            entries = (await peer.wait_open()).entries
            (entry,) = entries
            assert (entry.labels, entry.state) == (("x",), "paused")
            assert (entry.limits.upload_rate, entry.limits.upload_slots) == (50_000, None)
            await entries.resume(entry)
            await entries.change(entry, EntryChanges(labels=["mine"]))
            await entries.change(entry, EntryChanges(limits=LimitChanges(upload_slots=2)))
            await until(lambda: entry.state == "seeding")
            write(file, {"share": [share | {"upload": 60_000}]})
            await peer.reload()
            assert (entry.labels, entry.state) == (("mine",), "seeding")
            assert entry.torrent is not None
            assert entry.torrent.limits.upload_rate == 60_000
            assert entry.torrent.limits.upload_slots == 2
        async with running(file) as peer:
            (entry,) = (await peer.wait_open()).entries
            assert (entry.labels, entry.is_paused) == (("mine",), False)
            write(file, {"share": [share | {"labels": ["y"], "paused": False}]})
            await peer.reload()
            assert (entry.labels, entry.is_paused) == (("y",), False)
            write(file, {"share": [share | {"labels": ["y"]}]})
            await peer.reload()
            assert entry.state == "paused"
