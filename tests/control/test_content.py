"""Files over HTTP, while they download and afterwards."""

import base64
import os
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest
import trio

from controlled_node import API, Controlled, controlled
from local_swarm import make_file, until
from trio_swarm import events
from trio_swarm.control.api import content
from trio_swarm.metainfo_files import create_torrent
from trio_swarm.service.entries.entry import Entry

LIMIT = 60.0
"""Seconds until a test that hangs has failed."""

FILE = f"{API}/torrents/1/files"
NOWHERE = "magnet:?xt=urn:btih:" + "ab" * 20 + "&dn=far"


async def share(node: Controlled, client: httpx.AsyncClient, path: Path) -> None:
    answer = await client.post(f"{API}/torrents", json={"path": str(path)})
    assert answer.status_code == 201
    await node.recorder.wait_for(events.Sharing)


async def test_a_file_is_sent_as_a_whole_or_in_parts(tmp_path: Path) -> None:
    data = make_file(tmp_path / "film.mp4", 3_000_000).read_bytes()
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node, node.client() as client:
            await share(node, client, tmp_path / "film.mp4")
            answer = await client.get(f"{FILE}/film.mp4")
            assert answer.content == data
            assert answer.headers["content-type"] == "video/mp4"
            assert answer.headers["accept-ranges"] == "bytes"
            assert answer.headers["content-disposition"].startswith("inline")
            tag = answer.headers["etag"]
            head = await client.head(f"{FILE}/film.mp4")
            assert head.headers["content-length"] == "3000000"
            part = {"range": "bytes=1000-1999", "if-range": tag}
            answer = await client.get(f"{FILE}/film.mp4", headers=part)
            assert (answer.status_code, answer.content) == (206, data[1000:2000])
            assert answer.headers["content-range"] == "bytes 1000-1999/3000000"
            answer = await client.get(f"{FILE}/film.mp4", headers={"range": "bytes=3000000-"})
            assert answer.status_code == 416
            assert answer.headers["content-range"] == "bytes */3000000"
            answer = await client.get(f"{FILE}/film.mp4", headers={"if-none-match": tag})
            assert (answer.status_code, answer.content) == (304, b"")


@pytest.mark.parametrize(
    "name", ["page.html", "picture.svg", "script.js", "style.css", "x.pdf", "page.xhtml", "none"]
)
async def test_what_could_run_in_a_browser_is_only_kept(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "site"
    (folder / "in").mkdir(parents=True)
    make_file(folder / "in" / name, 2000)
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node, node.client() as client:
            await share(node, client, folder)
            answer = await client.get(f"{FILE}/in/{name}")
            assert answer.headers["content-type"] == "application/octet-stream"
            assert answer.headers["content-disposition"] == (f"attachment; filename*=UTF-8''{name}")
            assert answer.headers["x-content-type-options"] == "nosniff"
            policy = answer.headers["content-security-policy"]
            assert policy.startswith("sandbox; default-src 'none'")
            for path in ("in", "in/", "", f"../in/{name}", f"in/{name}/x", f"site/in/{name}"):
                answer = await client.get(f"{FILE}/{path}")
                assert answer.status_code == 404


async def test_names_do_not_break_out_of_their_header(tmp_path: Path) -> None:
    folder = tmp_path / "site"
    folder.mkdir()
    make_file(folder / 'a"; x=\ny é.txt', 2000)
    make_file(folder / "empty.txt", 0)
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node, node.client() as client:
            await share(node, client, folder)
            files = (await client.get(f"{API}/torrents/1/files")).json()["files"]
            for each in files:
                answer = await client.get(f"{FILE}/{quote(each['path'])}")
                assert answer.status_code == 200
                assert len(answer.content) == each["length"]
                assert "\n" not in answer.headers["content-disposition"]


async def test_what_was_verified_of_a_torrent_that_does_not_run_is_read(tmp_path: Path) -> None:
    data = make_file(tmp_path / "film.mp4", 100_000).read_bytes()
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node, node.client() as client:
            await share(node, client, tmp_path / "film.mp4")
            tag = (await client.head(f"{FILE}/film.mp4")).headers["etag"]
            assert (await client.post(f"{API}/torrents/1/pause")).status_code == 200
            answer = await client.get(f"{FILE}/film.mp4")
            assert (answer.status_code, answer.content) == (200, data)
        # After a restart it is known from the state folder.
        async with controlled(tmp_path) as node, node.client() as client:
            head = await client.head(f"{FILE}/film.mp4")
            assert (head.status_code, head.headers["content-length"]) == (200, "100000")
            assert head.headers["etag"] == tag
            part = {"range": "bytes=99000-", "if-range": tag}
            answer = await client.get(f"{FILE}/film.mp4", headers=part)
            assert (answer.status_code, answer.content) == (206, data[99_000:])
            await until(lambda: entry_of(node).info is not None)
            (file,) = (await client.get(FILE)).json()["files"]
            assert (file["path"], file["have"]) == ("film.mp4", 100_000)
            (tmp_path / "film.mp4").write_bytes(b"another")
            # Small files are hashed at once: it is offered as it is now, and is another file.
            answer = await client.get(f"{FILE}/film.mp4", headers=part)
            assert (answer.status_code, answer.content) == (200, b"another")


def entry_of(node: Controlled) -> Entry:
    service = node.context.service
    assert service is not None
    return service.entries.by_id(1)


async def add_damaged(tmp_path: Path, client: httpx.AsyncClient, **more: object) -> bytes:
    """Add a film of 20 pieces, of which number 10 is not right on the disk, and nobody has it."""
    original = make_file(tmp_path / "film.mp4", 20 * 16384)
    metainfo = create_torrent(original, piece_length=16384, state_folder=tmp_path / "s").to_bytes()
    data = bytearray(original.read_bytes())
    damaged = data[:]
    damaged[10 * 16384] ^= 1
    (tmp_path / "down").mkdir()
    (tmp_path / "down" / "film.mp4").write_bytes(damaged)
    body = {"metainfo": base64.b64encode(metainfo).decode(), **more}
    assert (await client.post(f"{API}/torrents", json=body)).status_code == 201
    return bytes(data)


HERE = 10 * 16384
"""Bytes before what is missing of the damaged film."""


async def test_what_is_missing_of_a_torrent_that_does_not_run_is_told(tmp_path: Path) -> None:
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node, node.client() as client:
            data = await add_damaged(tmp_path, client)
            await until(lambda: entry_of(node).state == "downloading")
            assert (await client.post(f"{API}/torrents/1/pause")).status_code == 200
            for _ in range(2):
                await _read_damaged(client, data)
                (part,) = (tmp_path / "down").iterdir()
                os.utime(part)  # it may have been changed: what is read is hashed again
        async with controlled(tmp_path) as node, node.client() as client:
            answer = await client.get(f"{FILE}/film.mp4")
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not-here")


async def _read_damaged(client: httpx.AsyncClient, data: bytes) -> None:
    for method in ("GET", "HEAD"):
        assert (await client.request(method, f"{FILE}/film.mp4")).status_code == 409
    answer = await client.get(f"{FILE}/film.mp4")
    assert answer.json()["error"]["code"] == "not-here"
    assert f"from byte {HERE} on" in answer.json()["error"]["message"]
    # RFC 9110, 15.3.7: a server may answer a range by less.
    answer = await client.get(f"{FILE}/film.mp4", headers={"range": "bytes=1000-"})
    assert (answer.status_code, answer.content) == (206, data[1000:HERE])
    assert answer.headers["content-range"] == f"bytes 1000-{HERE - 1}/{len(data)}"
    answer = await client.get(f"{FILE}/film.mp4", headers={"range": f"bytes={HERE + 16384}-"})
    assert answer.content == data[HERE + 16384 :]
    answer = await client.get(f"{FILE}/film.mp4", headers={"range": f"bytes={HERE}-"})
    assert answer.status_code == 409
    assert (await client.get(f"{FILE}/other.mp4")).status_code == 404


async def test_a_torrent_that_never_ran_has_no_bytes_to_read(tmp_path: Path) -> None:
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node, node.client() as client:
            await add_damaged(tmp_path, client, paused=True)
            answer = await client.get(f"{FILE}/film.mp4")
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not-here")
            await client.post(f"{API}/torrents", json={"what": NOWHERE, "paused": True})
            answer = await client.get(f"{API}/torrents/2/files/far")
            assert (answer.status_code, answer.json()["error"]["code"]) == (409, "not-running")


async def test_a_file_is_sent_to_its_end_though_the_torrent_is_paused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "FIRST_BYTES", 16384)
    monkeypatch.setattr(content, "MOST_BYTES", 16384)
    data = make_file(tmp_path / "film.mp4", 8_000_000).read_bytes()
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node, node.client() as client:
            await share(node, client, tmp_path / "film.mp4")
            async with client.stream("GET", f"{FILE}/film.mp4") as answer:
                got = b""
                async for part in answer.aiter_raw():
                    got += part
                    if len(got) == len(part):  # the first
                        paused = await client.post(f"{API}/torrents/1/pause")
                        assert paused.json()["state"] == "paused"
            assert got == data
            await until(lambda: node.context.readers == 0)


async def test_bytes_are_waited_for_while_it_downloads(tmp_path: Path) -> None:
    data = make_file(tmp_path / "seed" / "film.mp4", 300_000).read_bytes()
    (tmp_path / "leecher").mkdir()
    slow = '[tracker]\n[limits]\nupload = "150KiB"\n[[share]]\npath = "film.mp4"\n'
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path / "seed", slow) as seeder:
            await seeder.recorder.wait_for(events.Sharing)
            (seeding,) = seeder.context.peer.torrents
            text = f'[[fetch]]\nwhat = "{seeding.magnet()}"\n'
            async with controlled(tmp_path / "leecher", text) as node, node.client() as client:
                await node.recorder.wait_for(events.MetadataReceived)
                parts = {"range": "bytes=200000-299999"}
                answer = await client.get(f"{FILE}/film.mp4", headers=parts)
                assert (answer.status_code, answer.content) == (206, data[200_000:])


async def test_a_torrent_that_ends_cuts_the_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The head is out by then: only the end of the connection tells that this is not all."""
    monkeypatch.setattr(content, "WAIT_FOR_ERRORS", 0.05)
    make_file(tmp_path / "film.mp4", 400_000)
    metainfo = create_torrent(tmp_path / "film.mp4", state_folder=tmp_path / "s").to_bytes()
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node, node.client() as client:
            body = {"metainfo": base64.b64encode(metainfo).decode()}
            await client.post(f"{API}/torrents", json=body)  # nobody has it
            await until(lambda: [t.state for t in node.context.peer.torrents] == ["downloading"])
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_cut, client)
                await until(lambda: node.context.readers > 0)
                await trio.sleep(0.3)
                assert (await client.post(f"{API}/torrents/1/pause")).status_code == 200
            assert node.context.readers == 0


async def _cut(client: httpx.AsyncClient) -> None:
    with pytest.raises(httpx.RemoteProtocolError):
        await client.get(f"{FILE}/film.mp4")


async def test_files_that_are_sent_at_once_are_bounded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(content, "MAX_READERS", 0)
    make_file(tmp_path / "film.mp4", 100_000)
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node, node.client() as client:
            await share(node, client, tmp_path / "film.mp4")
            answer = await client.get(f"{FILE}/film.mp4")
            assert answer.status_code == 503
            assert (await client.head(f"{FILE}/film.mp4")).status_code == 503
