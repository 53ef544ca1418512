"""The node's own API against a running node: what is asked, done and told."""

import base64
from pathlib import Path
from typing import Any

import httpx
import msgspec
import pytest
import trio

from controlled_node import API, controlled
from local_swarm import make_file, make_folder, until
from trio_swarm import events
from trio_swarm.control import answers, shapes
from trio_swarm.metainfo_files import create_torrent
from trio_swarm.protocol.metainfo.magnet import Magnet, parse_magnet
from trio_swarm.service.entries.records import Record
from trio_swarm.service.entries.store import EntryStore

LIMIT = 60.0
"""Seconds until a test that hangs has failed."""

NOWHERE = "magnet:?xt=urn:btih:" + "ab" * 20 + "&dn=far"


async def told(client: httpx.AsyncClient, name: str = "1") -> dict[str, Any]:
    answer = await client.get(f"{API}/torrents/{name}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


async def refused(
    client: httpx.AsyncClient, method: str, path: str, status: int, code: str, **body: Any
) -> dict[str, Any]:
    answer = await client.request(method, f"{API}{path}", **body)
    assert (answer.status_code, answer.json()["error"]["code"]) == (status, code), answer.text
    found: dict[str, Any] = answer.json()
    return found


async def test_a_torrent_is_added_changed_paused_resumed_and_removed(tmp_path: Path) -> None:
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node, node.client() as client:
            body = {
                "what": NOWHERE,
                "paused": True,
                "labels": ["far"],
                "limits": {"upload_rate": 1000, "seed_ratio": 2},
                "scheduler": {"name": "rarest-first", "options": {}},
            }
            answer = await client.post(f"{API}/torrents", json=body)
            assert answer.status_code == 201
            one = answer.json()
            assert (one["id"], one["name"], one["state"]) == (1, "far", "paused")
            assert (one["labels"], one["origin"], one["kind"]) == (["far"], "added", "fetch")
            assert one["folder"] == str(tmp_path / "down")
            present = await refused(client, "POST", "/torrents", 409, "present", json=body)
            assert present["torrent"] == one

            change = {"limits": {"upload_rate": None, "upload_slots": 3}, "labels": ["near"]}
            one = (await client.patch(f"{API}/torrents/far", json=change)).json()
            assert one["labels"] == ["near"]
            assert one["limits"] == {
                "upload_rate": None,
                "download_rate": None,
                "upload_slots": 3,
                "seed_ratio": 2,
                "seed_for": None,
            }
            for label, count in (("near", 1), ("far", 0)):
                found = (await client.get(f"{API}/torrents", params={"label": label})).json()
                assert len(found["torrents"]) == count

            assert (await client.post(f"{API}/torrents/1/resume")).json()["state"] != "paused"
            assert (await client.post(f"{API}/torrents/1/pause")).json()["state"] == "paused"
            assert (await client.delete(f"{API}/torrents/1")).status_code == 204
            await refused(client, "GET", "/torrents/1", 404, "unknown-torrent")


async def test_it_is_told_what_a_fetch_waits_for(tmp_path: Path) -> None:
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node, node.client() as client:
            await client.post(f"{API}/torrents", json={"what": "nowhere to be found"})
            await client.post(f"{API}/torrents", json={"what": NOWHERE})
            waits = await until_told(client, 1, "waits_for")
            assert waits.startswith("nobody shares 'nowhere to be found'")
            assert (await until_told(client, 2, "waits_for")).startswith("no peer yet, for ")
            await client.post(f"{API}/torrents/2/pause")
            assert (await client.get(f"{API}/torrents/2")).json()["waits_for"] == ""


async def until_told(client: httpx.AsyncClient, number: int, field: str) -> str:
    value = ""
    while not value:  # as a client of the API does
        await trio.sleep(0.1)
        value = (await client.get(f"{API}/torrents/{number}")).json()[field]
    return value


async def test_a_running_download_goes_on_by_another_strategy(tmp_path: Path) -> None:
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node, node.client() as client:
            await client.post(f"{API}/torrents", json={"what": NOWHERE})
            change = {"scheduler": {"name": "round-robin", "options": {}}}
            one = (await client.patch(f"{API}/torrents/1", json=change)).json()
            assert one["scheduler"] == {"name": "round-robin", "options": {}}
            wrong = {"scheduler": {"name": "no-such", "options": {}}}
            await refused(client, "PATCH", "/torrents/1", 400, "wrong-value", json=wrong)


@pytest.fixture
def saved(monkeypatch: pytest.MonkeyPatch) -> list[Record]:
    """The records that are written."""
    written: list[Record] = []
    save = EntryStore.save

    def noted(store: EntryStore, record: Record) -> None:
        written.append(record)
        save(store, record)

    monkeypatch.setattr(EntryStore, "save", noted)
    return written


async def test_several_changes_are_made_by_one_write_or_not_at_all(
    tmp_path: Path, saved: list[Record]
) -> None:
    changes = {
        "limits": {"upload_rate": 5000},
        "labels": ["a"],
        "queue_position": 0,
        "scheduler": {"name": "round-robin", "options": {"chunk_kib": "64"}},
    }
    wrong = (
        {"scheduler": {"name": "no-such", "options": {}}},
        {"scheduler": {"name": "round-robin", "options": {"chunk_kib": "much"}}},
        {"labels": ["x" * 1000]},
        {"labels": ["a,b"]},
        {"labels": ["a\nb"]},
        {"limits": {"upload_rate": 0}},
    )
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node, node.client() as client:
            for what in ("a", NOWHERE):
                await client.post(f"{API}/torrents", json={"what": what, "paused": True})
            before = await told(client, "2")
            saved.clear()
            for each in wrong:
                answer = await client.patch(f"{API}/torrents/2", json={**changes, **each})
                assert answer.status_code == 400
            assert (await told(client, "2"), saved) == (before, [])
            one = (await client.patch(f"{API}/torrents/2", json=changes)).json()
            assert len(saved) == 1
            assert (one["limits"]["upload_rate"], one["labels"]) == (5000, ["a"])
            assert one["queue_position"] == 0
            assert one["scheduler"] == {"name": "round-robin", "options": {"chunk_kib": 64}}
            await client.patch(f"{API}/torrents/2", json={})
            assert len(saved) == 1


async def test_changes_at_the_same_time_are_all_made(tmp_path: Path) -> None:
    limits = {"upload_rate": 5000, "download_rate": 6000, "upload_slots": 7, "seed_ratio": 8.0}
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node, node.client() as client:
            await client.post(f"{API}/torrents", json={"what": NOWHERE, "paused": True})
            async with trio.open_nursery() as nursery:
                for name, value in limits.items():
                    nursery.start_soon(
                        lambda change: client.patch(f"{API}/torrents/1", json=change),
                        {"limits": {name: value}},
                    )
            assert (await told(client))["limits"] == {**limits, "seed_for": None}


async def test_a_share_is_added_and_its_parts_are_told(tmp_path: Path) -> None:
    make_file(tmp_path / "film.bin", 100_000)
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node, node.client() as client:
            share = {"path": str(tmp_path / "film.bin"), "name": "my film"}
            answer = await client.post(f"{API}/torrents", json=share)
            assert answer.status_code == 201
            await node.recorder.wait_for(events.Sharing)
            one = await told(client)
            assert (one["state"], one["size"], one["have"], one["progress"]) == (
                "seeding",
                100_000,
                100_000,
                1,
            )
            assert one["scheduler"] is None
            (file,) = (await client.get(f"{API}/torrents/1/files")).json()["files"]
            assert (file["length"], file["have"]) == (100_000, 100_000)
            pieces = (await client.get(f"{API}/torrents/1/pieces")).json()
            assert pieces["count"] == one["pieces"]
            (tracker,) = (await client.get(f"{API}/torrents/1/trackers")).json()["trackers"]
            assert tracker["url"].startswith("udp://127.0.0.1:")
            for part in ("peers", "decisions"):
                assert (await client.get(f"{API}/torrents/1/{part}")).json()[part] == []
            names = (await client.get(f"{API}/names")).json()
            assert [each["name"] for each in names["names"]] == ["my film"]
            assert (names["total"], names["swarms"]) == (1, 1)
            for action in ("verify", "reannounce"):
                assert (await client.post(f"{API}/torrents/1/{action}")).status_code == 200


async def test_what_was_added_comes_back_and_a_torrent_file_is_kept(tmp_path: Path) -> None:
    make_file(tmp_path / "film.bin", 50_000)
    metainfo = create_torrent(tmp_path / "film.bin", state_folder=tmp_path / "s").to_bytes()
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node, node.client() as client:
            body = {"metainfo": base64.b64encode(metainfo).decode(), "paused": True}
            assert (await client.post(f"{API}/torrents", json=body)).status_code == 201
        async with controlled(tmp_path) as node, node.client() as client:
            one = await told(client)
            assert (one["name"], one["state"], one["origin"]) == ("film.bin", "paused", "added")


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({}, 400, "wrong-body"),
        ({"what": "a", "path": "/b"}, 400, "wrong-body"),
        ({"what": "a", "nothing": 1}, 400, "wrong-body"),
        ({"what": "a", "folder": "/etc"}, 403, "wrong-folder"),
        ({"what": "a", "folder": "down/../../x"}, 403, "wrong-folder"),
        ({"what": "/etc/passwd.torrent", "labels": [""]}, 400, "wrong-body"),
        ({"what": "magnet:?xt=urn:btih:zz"}, 400, "wrong-torrent"),
        ({"metainfo": "bm8="}, 400, "wrong-torrent"),
        ({"path": "film.bin"}, 400, "wrong-path"),
        ({"path": "/no/such/file"}, 400, "wrong-path"),
        ({"path": "/etc", "folder": "/tmp"}, 400, "wrong-body"),
        ({"what": "a" * 256}, 400, "wrong-value"),
        ({"what": "gpj\u202eexe"}, 400, "wrong-value"),
        ({"what": "a", "peers": ["nonsense"]}, 400, "wrong-value"),
        ({"what": "a", "trackers": ["nonsense:"]}, 400, "wrong-value"),
        ({"what": "a", "limits": {"upload_rate": -1}}, 400, "wrong-body"),
    ],
)
async def test_what_cannot_be_added_is_told(
    tmp_path: Path, body: dict[str, Any], status: int, code: str
) -> None:
    async with controlled(tmp_path) as node, node.client() as client:
        await refused(client, "POST", "/torrents", status, code, json=body)
        assert (await client.get(f"{API}/torrents")).json() == {"torrents": []}


@pytest.mark.parametrize(
    ("method", "path", "body", "said"),
    [
        ("GET", "/torrents?state=lost", None, "state: expected hashing, waiting, queued, "),
        ("GET", "/torrents/1/decisions?limit=x", None, "limit: expected a whole number"),
        (
            "POST",
            "/torrents",
            {"what": "a", "labels": [""]},
            "labels[0]: expected text that is not",
        ),
        ("POST", "/torrents/1/rename", {"name": ""}, "name: expected text that is not empty"),
        (
            "PATCH",
            "/torrents/1",
            {"limits": {"upload_slots": 10**9}},
            "limits.upload_slots: expected",
        ),
        (
            "PATCH",
            "/session",
            {"max_active_seeds": "x"},
            "max_active_seeds: expected a whole number",
        ),
    ],
)
async def test_a_wrong_value_is_told_by_its_key_and_in_words(
    tmp_path: Path, method: str, path: str, body: dict[str, Any] | None, said: str
) -> None:
    async with controlled(tmp_path) as node, node.client() as client:
        answer = await client.request(method, f"{API}{path}", json=body)
        assert answer.status_code == 400
        message = answer.json()["error"]["message"]
        assert message.startswith(said)
        assert "`" not in message


async def test_a_torrent_file_of_the_node_is_not_read_for_a_client(tmp_path: Path) -> None:
    make_file(tmp_path / "film.bin", 50_000)
    file = tmp_path / "secret.torrent"
    file.write_bytes(create_torrent(tmp_path / "film.bin", state_folder=tmp_path / "s").to_bytes())
    async with controlled(tmp_path) as node, node.client() as client:
        await refused(client, "POST", "/torrents", 400, "wrong-value", json={"what": str(file)})


async def test_a_body_must_be_json_and_say_so(tmp_path: Path) -> None:
    """A page elsewhere may send text/plain without asking the node first (Fetch, "CORS-safe")."""
    async with controlled(tmp_path) as node, node.client() as client:
        body = msgspec.json.encode({"what": NOWHERE})
        await refused(
            client,
            "POST",
            "/torrents",
            415,
            "wrong-type",
            content=body,
            headers={"content-type": "text/plain"},
        )
        wrong = {"content": b"{", "headers": {"content-type": "application/json"}}
        await refused(client, "POST", "/torrents", 400, "wrong-body", **wrong)
        wrong["content"] = b'{"what": "' + b"x" * 100_000
        await refused(client, "PATCH", "/session", 413, "too-large", **wrong)


async def test_limits_of_the_node_are_changed(tmp_path: Path) -> None:
    text = '[tracker]\n[schedule]\nupload = "10KiB"\nbegin = "00:00"\nend = "00:00"\n'
    async with controlled(tmp_path, text) as node, node.client() as client:
        session = (await client.get(f"{API}/session")).json()
        assert session["alternative_limits"]
        assert session["alternative"] == {
            "active": True,
            "upload_rate": 10 * 1024,
            "download_rate": None,
        }
        change = {"download_rate": 5000, "alternative_limits": False, "max_active_downloads": 2}
        session = (await client.patch(f"{API}/session", json=change)).json()
        assert not session["alternative_limits"]
        assert session["limits"] == {
            "upload_rate": None,
            "download_rate": 5000,
            "max_active_downloads": 2,
            "max_active_seeds": None,
        }
        service = node.context.service
        assert service is not None
        assert service.node.rates == (None, 5000)
        change = {"download_rate": None}
        assert (await client.patch(f"{API}/session", json=change)).status_code == 200
        assert service.node.rates == (None, None)


async def test_without_a_schedule_there_are_no_alternative_limits(tmp_path: Path) -> None:
    async with controlled(tmp_path) as node, node.client() as client:
        change = {"alternative_limits": True}
        await refused(client, "PATCH", "/session", 409, "no-alternative", json=change)


async def test_the_node_reads_its_file_again(tmp_path: Path) -> None:
    make_file(tmp_path / "film.bin", 1000)
    head = '[node]\nlisten = "127.0.0.1:0"\nstate_folder = "state"\ndownload_folder = "down"\n'
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path, "") as node, node.client() as client:
            file = tmp_path / "peer.toml"
            file.write_text(f'{head}[[share]]\npath = "film.bin"\n')
            plan = (await client.post(f"{API}/reload?dry_run=true")).json()
            assert [each["how"] for each in plan["changes"]] == ["added"]
            assert (await client.get(f"{API}/torrents")).json() == {"torrents": []}
            assert (await client.post(f"{API}/reload")).json() == plan
            assert (await told(client))["origin"] == "file"
            file.write_text("[node]\nlisen = 1\n")
            wrong = (await client.post(f"{API}/reload")).json()
            assert wrong["changes"] == []
            assert wrong["errors"][0]["key"] == "node.lisen"


async def test_the_node_is_stopped_once_the_answer_is_sent(tmp_path: Path) -> None:
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node, node.client() as client:
            assert (await client.post(f"{API}/stop")).status_code == 202
            await node.stopped.wait()


async def test_data_is_moved_into_allowed_folders_only(tmp_path: Path) -> None:
    make_file(tmp_path / "down" / "film.bin", 100_000)
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node, node.client() as client:
            await client.post(f"{API}/torrents", json={"path": str(tmp_path / "down" / "film.bin")})
            await node.recorder.wait_for(events.Sharing)
            move = {"folder": str(tmp_path)}
            await refused(client, "POST", "/torrents/1/move", 403, "wrong-folder", json=move)
            move = {"folder": str(tmp_path / "down" / "films")}
            answer = await client.post(f"{API}/torrents/1/move", json=move)
            assert answer.json()["path"] == str(tmp_path / "down" / "films" / "film.bin")
            assert (tmp_path / "down" / "films" / "film.bin").stat().st_size == 100_000


async def test_what_is_set_of_the_node_outlives_it(tmp_path: Path) -> None:
    place = str(tmp_path / "down" / "begins")
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node, node.client() as client:
            change = {"upload_rate": 5000, "max_active_seeds": 3, "incomplete_folder": place}
            assert (await client.patch(f"{API}/session", json=change)).status_code == 200
            outside = {"upload_rate": 7, "incomplete_folder": "/tmp"}
            await refused(client, "PATCH", "/session", 403, "wrong-folder", json=outside)
        async with controlled(tmp_path) as node, node.client() as client:
            told = (await client.get(f"{API}/session")).json()
            assert told["limits"]["upload_rate"] == 5000
            assert told["limits"]["max_active_seeds"] == 3
            assert told["incomplete_folder"] == place
            change = {"incomplete_folder": None}
            told = (await client.patch(f"{API}/session", json=change)).json()
            assert told["incomplete_folder"] is None


async def test_a_file_of_a_torrent_is_renamed_as_files_lists_it(tmp_path: Path) -> None:
    data = make_folder(tmp_path / "down" / "album")
    torrent = base64.b64encode(create_torrent(data, state_folder=tmp_path / "s").to_bytes())
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node, node.client() as client:
            body = {"metainfo": torrent.decode()}
            assert (await client.post(f"{API}/torrents", json=body)).status_code == 201
            await node.recorder.wait_for(events.EntryCompleted)
            change = {"path": "deep/c.bin", "name": "song.flac"}
            assert (await client.post(f"{API}/torrents/1/rename", json=change)).status_code == 200
            answer = await client.post(f"{API}/torrents/1/rename", json={"name": "Summer"})
            assert answer.json()["name"] == "Summer"
            files = (await client.get(f"{API}/torrents/Summer/files")).json()["files"]
            assert "deep/song.flac" in [each["path"] for each in files]
            assert (tmp_path / "down" / "Summer" / "deep" / "song.flac").exists()
            await until(lambda: any(each.is_complete for each in node.context.peer.torrents))
            got = await client.get(f"{API}/torrents/1/files/deep/song.flac")
            assert len(got.content) == 2_000_000
            for change in ({"path": "deep", "name": "a.bin"}, {"path": "..", "name": "x"}):
                await refused(client, "POST", "/torrents/1/rename", 400, "wrong-value", json=change)


PAIRS = {
    "Torrent": shapes.Torrent,
    "NodeLimits": shapes.Limits,
    "Session": shapes.Session,
    "File": shapes.FileState,
    "Peer": shapes.PeerProgress,
    "TrackerState": shapes.TrackerState,
    "Decision": shapes.Decision,
    "Change": shapes.Change,
    "Problem": shapes.FileProblem,
    "LogLine": shapes.LogLine,
    "TorrentChanges": shapes.TorrentChanges,
}


@pytest.mark.parametrize("name", PAIRS)
def test_a_client_reads_no_field_that_the_node_does_not_tell(name: str) -> None:
    read = msgspec.structs.fields(getattr(answers, name))
    assert {each.name for each in read} <= {
        each.name for each in msgspec.structs.fields(PAIRS[name])
    }


async def test_a_torrent_that_never_ran_tells_its_size_and_files(tmp_path: Path) -> None:
    metainfo = create_torrent(make_file(tmp_path / "film.bin", 100_000), state_folder=tmp_path)
    body = {"metainfo": base64.b64encode(metainfo.to_bytes()).decode(), "paused": True}
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node, node.client() as client:
            one = (await client.post(f"{API}/torrents", json=body)).json()
            assert (one["state"], one["size"], one["have"]) == ("paused", 100_000, 0)
            (file,) = (await client.get(f"{API}/torrents/1/files")).json()["files"]
            assert (file["path"], file["length"], file["have"]) == ("film.bin", 100_000, 0)


async def test_the_link_of_a_torrent_that_does_not_run_leads_to_its_trackers(
    tmp_path: Path,
) -> None:
    """BEP 27: what is private is told to its own trackers, and its link leads to no others."""
    async with controlled(tmp_path) as node, node.client() as client:
        (tracker,) = (await node.context.open()).node.settings.trackers

        async def link(**body: object) -> Magnet:
            answer = await client.post(f"{API}/torrents", json={**body, "paused": True})
            assert answer.status_code == 201, answer.text
            return parse_magnet(answer.json()["magnet"])

        own = "udp://10.0.0.1:1/announce"
        found = await link(what=f"{NOWHERE}&tr={own}")
        assert (found.name, found.trackers) == ("far", (own, tracker))
        for is_private, trackers in ((False, (tracker,)), (True, ())):
            data = make_file(tmp_path / f"film-{is_private}", 100_000)
            file = create_torrent(data, state_folder=tmp_path, private=is_private).to_bytes()
            found = await link(metainfo=base64.b64encode(file).decode())
            assert (found.name, found.length) == (data.name, 100_000)
            assert found.trackers == trackers
