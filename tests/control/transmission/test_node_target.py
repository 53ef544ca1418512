"""Transmission's RPC to a running node, over its real doors."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from controlled_node import PASSWORD, READER, TOKEN, Controlled, controlled, secret_file
from local_swarm import make_file, make_folder, until
from trio_swarm import events
from trio_swarm.control.transmission.routes import SESSION_HEADER
from trio_swarm.metainfo_files import create_torrent
from trio_swarm.service.entries.records import Record
from trio_swarm.service.entries.store import EntryStore

LIMIT = 60.0
RPC = "/transmission/rpc"
SHARE = '[tracker]\n[[share]]\npath = "film.bin"\n'


@pytest.fixture
def seed(tmp_path: Path) -> Path:
    """The folder of a node that shares."""
    folder = tmp_path / "seed"
    folder.mkdir()
    return folder


@pytest.fixture
def leech(tmp_path: Path) -> Path:
    """The folder of a node that fetches."""
    folder = tmp_path / "leech"
    (folder / "down").mkdir(parents=True)
    return folder


class Caller:
    """A client of a node's TCP door, in the old dialect."""

    def __init__(self, client: httpx.AsyncClient) -> None:
        self._client = client
        self._id = ""

    async def answer(self, method: str, **arguments: Any) -> Any:
        named = {name.replace("_", "-"): value for name, value in arguments.items()}
        body = {"method": method, "arguments": named, "tag": 7}
        for _ in range(2):
            response = await self._client.post(RPC, json=body, headers={SESSION_HEADER: self._id})
            if response.status_code != httpx.codes.CONFLICT:
                break
            self._id = response.headers[SESSION_HEADER]
        assert response.status_code == httpx.codes.OK, response.text
        return response.json()

    async def call(self, method: str, **arguments: Any) -> Any:
        answer = await self.answer(method, **arguments)
        assert answer["result"] == "success", answer
        assert answer["tag"] == 7
        return answer["arguments"]

    async def torrent(self, number: int, *fields: str) -> Any:
        told = await self.call("torrent-get", ids=number, fields=list(fields))
        return told["torrents"][0]

    async def until(self, number: int, **wanted: Any) -> None:
        """Ask as remotes do, again and again, until a torrent has these fields."""
        while await self.torrent(number, *wanted) != wanted:  # noqa: ASYNC110 - nothing is pushed
            await trio.sleep(0.05)


@asynccontextmanager
async def a_seeder(folder: Path) -> AsyncIterator[tuple[Controlled, Caller]]:
    """A node with a tracker that shares `film.bin`, of 300,000 bytes."""
    make_file(folder / "film.bin", 300_000)
    async with controlled(folder, SHARE) as node, node.client() as client:
        await node.recorder.wait_for(events.Sharing)
        yield node, Caller(client)


@asynccontextmanager
async def a_leecher(folder: Path, text: str = "", **settings: Any) -> AsyncIterator[Caller]:
    """A node with nothing to do, but to be told by a client."""
    async with (
        controlled(folder, f"[tracker]\n{text}", **settings) as node,
        node.client() as client,
    ):
        await node.context.peer.wait_open()
        yield Caller(client)


async def test_a_share_is_told_with_all_that_is_known_of_it(seed: Path) -> None:
    with trio.fail_after(LIMIT):
        async with a_seeder(seed) as (node, seeder):
            told = await seeder.torrent(
                1,
                *("name", "status", "totalSize", "haveValid", "percentDone", "downloadDir"),
                *("files", "pieceCount", "trackers", "leftUntilDone", "error", "wanted"),
            )
            (tracker,) = told.pop("trackers")
            assert tracker["announce"].startswith("udp://127.0.0.1:")
            assert told.pop("files")[0]["bytesCompleted"] == 300_000
            assert told == {
                "name": "film.bin",
                "status": 6,
                "totalSize": 300_000,
                "haveValid": 300_000,
                "percentDone": 1.0,
                "downloadDir": str(seed),
                "pieceCount": 19,
                "leftUntilDone": 0,
                "error": 0,
                "wanted": [1],
            }
            session = await seeder.call("session-get")
            assert session["peer-port"] == node.context.peer.service.node.port  # type: ignore[union-attr]
            assert session["download-dir"] == str(seed / "down")
            stats = await seeder.call("session-stats")
            assert (stats["torrentCount"], stats["activeTorrentCount"]) == (1, 1)


async def test_a_magnet_is_added_fetched_paused_resumed_and_removed_with_its_data(
    seed: Path, leech: Path
) -> None:
    with trio.fail_after(LIMIT):
        async with a_seeder(seed) as (_, seeder), a_leecher(leech) as leecher:
            magnet = (await seeder.torrent(1, "magnetLink"))["magnetLink"]
            added = await leecher.call("torrent-add", filename=magnet, labels=["film"], paused=True)
            number = added["torrent-added"]["id"]
            assert added["torrent-added"]["hashString"] in magnet
            again = await leecher.call("torrent-add", filename=magnet)
            assert again["torrent-duplicate"]["id"] == number
            assert (await leecher.torrent(number, "status", "labels")) == {
                "status": 0,
                "labels": ["film"],
            }
            await leecher.call("torrent-start", ids=[number])
            await leecher.until(number, status=6, percentDone=1.0, leftUntilDone=0)
            copy = leech / "down" / "film.bin"
            assert copy.read_bytes() == (seed / "film.bin").read_bytes()
            told = await leecher.torrent(number, "doneDate", "downloadedEver")
            assert told["doneDate"] > 0
            assert told["downloadedEver"] >= 300_000
            await leecher.call("torrent-stop", ids=number)
            await leecher.until(number, status=0)
            await leecher.call("torrent-remove", ids=number, delete_local_data=True)
            assert not copy.exists()
            recent = await leecher.call("torrent-get", ids="recently-active", fields=["id"])
            assert recent == {"torrents": [], "removed": [number]}


async def test_a_torrent_file_is_added_as_base64_by_path_and_refused_if_broken(
    tmp_path: Path, leech: Path
) -> None:
    folder = make_folder(tmp_path / "folder")
    data = create_torrent(folder, state_folder=tmp_path / "state").to_bytes()
    with trio.fail_after(LIMIT):
        async with a_leecher(leech) as leecher:
            answer = await leecher.answer("torrent-add", metainfo=base64.b64encode(b"d").decode())
            assert answer["result"].startswith("not a .torrent")
            added = await leecher.call(
                "torrent-add", metainfo=base64.b64encode(data).decode(), paused=True
            )
            assert added["torrent-added"]["name"] == "folder"
            inside = leech / "down" / "x.torrent"
            inside.write_bytes(data)
            again = await leecher.call("torrent-add", filename=str(inside))
            assert again["torrent-duplicate"]["id"] == added["torrent-added"]["id"]
            (tmp_path / "x.torrent").write_bytes(data)
            for outside in (tmp_path / "x.torrent", Path("/etc/passwd")):
                answer = await leecher.answer("torrent-add", filename=str(outside))
                assert "outside of the folders" in answer["result"]


async def test_content_goes_to_allowed_folders_only(tmp_path: Path, leech: Path) -> None:
    with trio.fail_after(LIMIT):
        async with a_leecher(leech) as leecher:
            magnet = "magnet:?xt=urn:btih:" + "a" * 40
            for method, arguments in (
                ("torrent-add", {"filename": magnet, "download_dir": str(tmp_path)}),
                ("torrent-add", {"filename": magnet, "download_dir": "/downloads"}),
                ("session-set", {"download_dir": str(leech / "down" / ".." / "x")}),
                ("free-space", {"path": "/"}),
            ):
                answer = await leecher.answer(method, **arguments)
                assert "outside of the folders" in answer["result"]
            assert (await leecher.call("torrent-get", fields=["id"]))["torrents"] == []
            films = leech / "down" / "films"
            assert (await leecher.call("free-space", path=str(films)))["size-bytes"] > 0
            await leecher.call("session-set", download_dir=str(films))
            assert (await leecher.call("session-get"))["download-dir"] == str(films)
            added = await leecher.call("torrent-add", filename=magnet, paused=True)
            told = await leecher.torrent(added["torrent-added"]["id"], "downloadDir")
            assert told == {"downloadDir": str(films)}
            back = await leecher.call("torrent-set-location", ids=1, location=str(leech / "down"))
            assert back == {}


async def test_limits_of_a_torrent_and_of_the_node_are_set_and_read_back(seed: Path) -> None:
    with trio.fail_after(LIMIT):
        async with a_seeder(seed) as (node, seeder):
            await seeder.call(
                "torrent-set",
                ids=1,
                uploadLimit=30,
                uploadLimited=True,
                seedRatioMode=1,
                seedRatioLimit=2.5,
                labels=["x"],
            )
            told = await seeder.torrent(
                1, "uploadLimit", "uploadLimited", "downloadLimited", "seedRatioLimit", "labels"
            )
            assert told == {
                "uploadLimit": 30,
                "uploadLimited": True,
                "downloadLimited": False,
                "seedRatioLimit": 2.5,
                "labels": ["x"],
            }
            await seeder.call(
                "session-set",
                **{"speed-limit-up": 50, "speed-limit-up-enabled": True},
                **{"download-queue-enabled": True, "download-queue-size": 2},
            )
            session = await seeder.call("session-get")
            assert (session["speed-limit-up"], session["speed-limit-up-enabled"]) == (50, True)
            assert (session["download-queue-size"], session["download-queue-enabled"]) == (2, True)
            assert node.context.peer.service.node.rates[0] == 50_000  # type: ignore[union-attr]


async def test_the_turtle_switches_to_the_alternative_limits_and_back(seed: Path) -> None:
    # Transmission's rpc-spec, "Session parameters"; `transmission-remote -as`, `-asd`, `-AS`.
    with trio.fail_after(LIMIT):
        async with a_seeder(seed) as (node, seeder):
            running = node.context.peer.service.node  # type: ignore[union-attr]
            await seeder.call("session-set", speed_limit_up=900, speed_limit_up_enabled=True)
            await seeder.call("session-set", alt_speed_up=20)
            assert running.rates == (900_000, None)
            await seeder.call("session-set", alt_speed_enabled=True)
            assert running.rates == (20_000, None)
            await seeder.call("session-set", speed_limit_up=800)
            session = await seeder.call("session-get")
            assert (session["alt-speed-enabled"], session["alt-speed-up"]) == (True, 20)
            assert session["speed-limit-up"] == 800
            assert running.rates == (20_000, None)
            await seeder.call("session-set", alt_speed_enabled=False)
            assert running.rates == (800_000, None)


async def test_the_turtle_without_limits_of_its_own_has_those_that_are_shown(seed: Path) -> None:
    """tewi-torrent 3.0.0 ends with a traceback where `t` is refused; Transmission never does."""
    with trio.fail_after(LIMIT):
        async with a_seeder(seed) as (node, seeder):
            running = node.context.peer.service.node  # type: ignore[union-attr]
            shown = await seeder.call("session-get")
            await seeder.call("session-set", alt_speed_enabled=True)
            assert running.rates == (100_000, 100_000)
            assert (shown["alt-speed-up"], shown["alt-speed-down"]) == (100, 100)
            await seeder.call("session-set", alt_speed_enabled=False)
            assert running.rates == (None, None)


async def test_the_schedule_of_the_file_is_told_as_transmission_tells_its_own(seed: Path) -> None:
    hours = 'begin = "08:30"\nend = "17:00"\ndays = ["sun", "mon", "sat"]\n'
    text = f"[schedule]\n{hours}upload = 40_000\n"
    with trio.fail_after(LIMIT):
        async with a_leecher(seed, text) as leecher:
            session = await leecher.call("session-get")
            names = ("enabled", "begin", "end", "day")
            told = [session[f"alt-speed-time-{name}"] for name in names]
            assert told == [True, 510, 1020, 0b1000011]
            assert session["alt-speed-up"] == 40


async def test_a_torrent_is_moved_and_checked_again_on_demand(seed: Path, leech: Path) -> None:
    with trio.fail_after(LIMIT):
        async with a_seeder(seed) as (_, seeder), a_leecher(leech) as leecher:
            magnet = (await seeder.torrent(1, "magnetLink"))["magnetLink"]
            added = await leecher.call("torrent-add", filename=magnet)
            number = added["torrent-added"]["id"]
            await leecher.until(number, status=6)
            films = leech / "down" / "films"
            await leecher.call("torrent-set-location", ids=number, location=str(films), move=True)
            await leecher.until(number, status=6, downloadDir=str(films), percentDone=1.0)
            copy = films / "film.bin"
            whole = copy.read_bytes()
            assert whole == (seed / "film.bin").read_bytes()
            assert not (leech / "down" / "film.bin").exists()
            with copy.open("r+b") as file:  # damage that only reading shows
                file.write(b"damaged")
            await leecher.call("torrent-verify", ids=number)
            while not copy.exists() or copy.read_bytes() != whole:  # noqa: ASYNC110 - the same
                await trio.sleep(0.05)
            await leecher.until(number, status=6, percentDone=1.0)


async def test_settings_and_place_of_a_torrent_are_changed_by_one_write(
    seed: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    saved: list[Record] = []
    save = EntryStore.save

    def noted(store: EntryStore, record: Record) -> None:
        saved.append(record)
        save(store, record)

    monkeypatch.setattr(EntryStore, "save", noted)
    there = seed / "down" / "films"
    wanted = {"labels": ["x"], "uploadLimit": 5, "uploadLimited": True, "seedRatioLimit": 3}
    with trio.fail_after(LIMIT):
        async with a_seeder(seed) as (_, seeder):
            await seeder.call("torrent-set", ids=1, location=str(there), seedRatioMode=1, **wanted)
            first = saved[0]
            assert (first.labels, first.moving_to) == (("x",), str(there))
            assert (first.limits.upload_rate, first.limits.seed_ratio) == (5000, 3)
            await seeder.until(1, downloadDir=str(there), labels=["x"], uploadLimit=5)
            assert len(saved) == 2  # and that it is there


async def test_a_paused_torrent_shows_files_and_progress_after_a_restart_too(
    seed: Path, leech: Path
) -> None:
    fields = ("totalSize", "haveValid", "percentDone", "pieceCount", "files", "pieces")
    with trio.fail_after(LIMIT):
        async with a_seeder(seed) as (_, seeder):
            magnet = (await seeder.torrent(1, "magnetLink"))["magnetLink"]
            async with a_leecher(leech) as leecher:
                # Slow from its first byte, or it is whole before a busy machine has set the limit.
                await leecher.call("torrent-add", filename=magnet, paused=True)
                await leecher.call("torrent-set", ids=1, downloadLimit=60, downloadLimited=True)
                await leecher.call("torrent-start", ids=1)
                have = 0
                while not 0 < have < 300_000:
                    await trio.sleep(0.02)
                    have = (await leecher.torrent(1, "haveValid"))["haveValid"]
                await leecher.call("torrent-stop", ids=1)
                before = await leecher.torrent(1, *fields)
                assert 0 < before["haveValid"] < before["totalSize"] == 300_000
                (file,) = before["files"]
                assert file["bytesCompleted"] == before["haveValid"]
            async with a_leecher(leech) as leecher:
                await leecher.until(1, **before, status=0)


async def test_a_torrent_file_that_is_added_paused_shows_its_files(
    tmp_path: Path, leech: Path
) -> None:
    data = create_torrent(make_folder(tmp_path / "album"), state_folder=tmp_path / "s").to_bytes()
    with trio.fail_after(LIMIT):
        async with a_leecher(leech) as leecher:
            torrent = base64.b64encode(data).decode()
            await leecher.call("torrent-add", metainfo=torrent, paused=True)
            told = await leecher.torrent(1, "files", "totalSize", "haveValid")
            assert len(told["files"]) > 1
            assert sum(each["length"] for each in told["files"]) == told["totalSize"]
            assert told["haveValid"] == 0


async def test_why_a_torrent_could_not_be_moved_is_told_of_it(seed: Path, leech: Path) -> None:
    with trio.fail_after(LIMIT):
        async with a_seeder(seed) as (_, seeder), a_leecher(leech) as leecher:
            magnet = (await seeder.torrent(1, "magnetLink"))["magnetLink"]
            await leecher.call("torrent-add", filename=magnet)
            await leecher.until(1, status=6)
            there = make_file(leech / "down" / "films" / "film.bin", 10)
            place = {"location": str(there.parent), "move": True}
            await leecher.call("torrent-set-location", ids=1, **place)
            await leecher.until(1, error=3, downloadDir=str(leech / "down"), status=6)
            told = (await leecher.torrent(1, "errorString"))["errorString"]
            assert "not overwritten" in told
            there.unlink()
            await leecher.call("torrent-set-location", ids=1, **place)
            await leecher.until(1, error=0, downloadDir=str(there.parent), status=6)


async def test_a_fetch_begins_in_the_incomplete_dir_and_its_download_dir_is_where_it_goes(
    seed: Path, leech: Path
) -> None:
    # Transmission 4.0: `incomplete-dir`, `incomplete-dir-enabled`; downloadDir is the final one.
    begins = leech / "down" / "begins"
    with trio.fail_after(LIMIT):
        async with a_seeder(seed) as (_, seeder):
            magnet = (await seeder.torrent(1, "magnetLink"))["magnetLink"]
            async with a_leecher(leech) as leecher:
                session = await leecher.call("session-get")
                told = session["incomplete-dir"], session["incomplete-dir-enabled"]
                assert told == (str(leech / "down"), False)
                outside = {"incomplete-dir": "/tmp", "incomplete-dir-enabled": True}
                answer = await leecher.answer("session-set", **outside)
                assert "outside of the folders" in answer["result"]
                await leecher.call("session-set", **{"incomplete-dir": str(begins)})
                await leecher.call("session-set", **{"incomplete-dir-enabled": True})
            async with a_leecher(leech) as leecher:  # it outlives the node
                session = await leecher.call("session-get")
                told = session["incomplete-dir"], session["incomplete-dir-enabled"]
                assert told == (str(begins), True)
                assert (await leecher.call("free-space", path=str(begins)))["size-bytes"] > 0
                await leecher.call("torrent-add", filename=magnet)
                await leecher.until(1, status=6, downloadDir=str(leech / "down"))
                await leecher.until(1, percentDone=1)
                await until((leech / "down" / "film.bin").exists)
                assert list(begins.iterdir()) == []
                await leecher.call("session-set", **{"incomplete-dir-enabled": False})
                session = await leecher.call("session-get")
                told = session["incomplete-dir"], session["incomplete-dir-enabled"]
                assert told == (str(begins), False)


async def test_the_incomplete_dir_of_the_file_may_be_switched_off_and_on(leech: Path) -> None:
    with trio.fail_after(LIMIT):
        text = 'incomplete_folder = "begins"\n[tracker]\n'
        async with controlled(leech, text) as node, node.client() as client:
            await node.context.peer.wait_open()
            leecher = Caller(client)
            for is_on in (True, False, True):
                await leecher.call("session-set", **{"incomplete-dir-enabled": is_on})
                session = await leecher.call("session-get")
                told = session["incomplete-dir"], session["incomplete-dir-enabled"]
                assert told == (str(leech / "begins"), is_on)


async def test_a_torrent_is_renamed_on_the_disk_and_for_remotes(seed: Path, leech: Path) -> None:
    # Transmission's rpc-spec, "Renaming a torrent's path".
    with trio.fail_after(LIMIT):
        async with a_seeder(seed) as (_, seeder), a_leecher(leech) as leecher:
            magnet = (await seeder.torrent(1, "magnetLink"))["magnetLink"]
            await leecher.call("torrent-add", filename=magnet)
            await leecher.until(1, status=6)
            wanted = {"path": "film.bin", "name": "Summer.mkv"}
            answer = await leecher.call("torrent-rename-path", ids=[1], **wanted)
            assert answer == {**wanted, "id": 1}
            await leecher.until(1, status=6, name="Summer.mkv")
            (file,) = (await leecher.torrent(1, "files"))["files"]
            assert file["name"] == "Summer.mkv"
            assert [each.name for each in (leech / "down").iterdir()] == ["Summer.mkv"]
            for path, name in (("film.bin", "x"), ("Summer.mkv", "../x"), ("Summer.mkv", "")):
                refused = await leecher.answer("torrent-rename-path", ids=[1], path=path, name=name)
                assert refused["result"] != "success"


async def test_a_name_that_is_a_file_in_the_nodes_working_folder_is_not_read(
    tmp_path: Path, leech: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "b").write_bytes(b"secret")
    monkeypatch.chdir(tmp_path)
    with trio.fail_after(LIMIT):
        async with a_leecher(leech) as leecher:
            answer = await leecher.answer("torrent-add", filename="a/b")
            assert answer["result"] == "not an absolute path"


async def test_passwords_and_tokens_are_asked_for_as_remotes_need_it(tmp_path: Path) -> None:
    # transmission-remote 3.00 sends a password only after 401 with `WWW-Authenticate: Basic`.
    make_file(tmp_path / "film.bin", 1000)
    files = {
        "token_file": secret_file(tmp_path / "token", TOKEN),
        "read_token_file": secret_file(tmp_path / "reader", READER),
        "password_file": secret_file(tmp_path / "password", PASSWORD),
    }
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path, SHARE, **files) as node:
            await node.recorder.wait_for(events.Sharing)
            async with node.client() as client:
                answer = await client.post(RPC, content=b"{}")
                assert answer.status_code == 401
                assert answer.headers["www-authenticate"].startswith("Basic ")
                answer = await client.post(RPC, headers={"host": "evil.example"})
                assert answer.status_code == 421
            user, _, password = PASSWORD.partition(":")
            for pair, may_change in (((user, password), True), (("any", READER), False)):
                async with node.client(auth=pair) as client:
                    caller = Caller(client)
                    assert (await caller.torrent(1, "id")) == {"id": 1}
                    answer = await caller.answer("torrent-reannounce")
                    assert (answer["result"] == "success") is may_change


async def test_session_close_ends_the_node_once_it_is_answered(seed: Path) -> None:
    with trio.fail_after(LIMIT):
        async with a_seeder(seed) as (node, seeder):
            await seeder.call("session-close")
            await node.stopped.wait()
