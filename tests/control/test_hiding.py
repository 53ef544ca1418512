"""Readers are told no key of an account, wherever a tracker's URL turns up."""

import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import trio

from controlled_node import API, READER, TOKEN, Controlled, controlled, secret_file
from local_swarm import make_file, until
from trio_swarm.control import hiding
from trio_swarm.control.api.routes import OPERATIONS
from trio_swarm.control.transmission.session_fields import FIELDS as SESSION_FIELDS
from trio_swarm.control.transmission.torrent_fields import FIELDS

LIMIT = 60.0
KEY = "0123456789abcdefsecret"
TRACKER = f"http://me:{KEY}@127.0.0.1:9/{KEY}/announce?passkey={KEY}"
"""Nobody listens there, so its URL is in errors and log lines, too."""
MAGNET = f"magnet:?xt=urn:btih:{'ab' * 20}&tr={TRACKER.replace('&', '%26')}"
ENCODED = f"magnet:?xt=urn:btih:{'cd' * 20}&tr=http%3A%2F%2F127.0.0.1%3A9%2F{KEY}%2Fannounce"

TOP = f'trackers = ["{TRACKER}"]\n'
CONFIG = f"""
[[share]]
path = "film.bin"
[[fetch]]
what = "{MAGNET}"
[[fetch]]
what = "{ENCODED}"
[[fetch]]
what = "a name"
"""


def client_of(node: Controlled, token: str) -> httpx.AsyncClient:
    return node.client(headers={"authorization": f"Bearer {token}"}, timeout=LIMIT)


def questions() -> Iterator[str]:
    """Every path that can be looked at, for each of the torrents."""
    for each in OPERATIONS:
        if each.method == "GET" and each.kind != "text/event-stream":
            for number in (1, 2, 3, 4, 9):
                path = each.path.replace("{id}", str(number)).replace("{path}", "film.bin")
                yield f"{API}{path}"
    yield f"{API}/torrents/magnet"
    yield f"{API}/log?follow=false"
    yield "/metrics"


async def rpc(client: httpx.AsyncClient) -> str:
    headers = dict((await client.post("/transmission/rpc")).headers)
    named = {"x-transmission-session-id": headers["x-transmission-session-id"]}
    told = ""
    for method, fields in (("torrent_get", FIELDS), ("session_get", SESSION_FIELDS)):
        arguments = {"fields": list(fields)}
        old = {"method": method.replace("_", "-"), "arguments": arguments}
        new = {"jsonrpc": "2.0", "id": 1, "method": method, "params": arguments}
        for body in (old, new):
            answer = await client.post("/transmission/rpc", json=body, headers=named)
            assert answer.status_code == 200
            told += answer.text
    return told


@pytest.mark.parametrize("token", [TOKEN, READER])
async def test_a_reader_sees_everything_but_keys(
    tmp_path: Path, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hiding, "IN_THREAD", 2000)  # some in a thread, some not
    make_file(tmp_path / "film.bin", 100_000)
    files = {
        "token_file": secret_file(tmp_path / "token", TOKEN),
        "read_token_file": secret_file(tmp_path / "reader", READER),
    }
    told: dict[str, str] = {}
    with trio.fail_after(LIMIT):
        async with (
            controlled(tmp_path, CONFIG, top=TOP, **files) as node,
            client_of(node, token) as client,
            client_of(node, TOKEN) as full,
        ):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(_listen, client, told)
                logging.getLogger("trio_swarm.test").warning("asked %s", TRACKER)
                await until(lambda: "seen" in told)
                # An error that repeats a URL: nobody can be sent to what is not there.
                await full.post(f"{API}/torrents", json={"what": MAGNET.replace("ab", "ef")})
                await until(lambda: "tracker_failed" in told["seen"])
                nursery.cancel_scope.cancel()
            for path in questions():
                answer = await client.get(path)
                told[path] = answer.text + repr(answer.headers)
            told["rpc"] = await rpc(client)
    keyed = {path for path, text in told.items() if KEY in text}
    if token == READER:
        assert keyed == set()
        assert "http://127.0.0.1:9/…" in told[f"{API}/torrents/1/trackers"]
    else:
        assert {"rpc", "seen", f"{API}/session", f"{API}/torrents"} <= keyed
        assert {f"{API}/torrents/1/trackers", f"{API}/log?follow=false"} <= keyed
    assert told["/metrics"].startswith("# HELP")


async def _listen(client: httpx.AsyncClient, told: dict[str, str]) -> None:
    async with client.stream("GET", f"{API}/events") as answer:
        async for text in answer.aiter_text():
            told["seen"] = told.get("seen", "") + text


async def test_a_reader_reads_files_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "links.txt").write_text(TRACKER)
    files = {
        "token_file": secret_file(tmp_path / "token", TOKEN),
        "read_token_file": secret_file(tmp_path / "reader", READER),
    }
    text = '[tracker]\n[[share]]\npath = "links.txt"\n'
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path, text, **files) as node, client_of(node, READER) as client:
            await until(lambda: [each.state for each in node.context.peer.torrents] == ["seeding"])
            answer = await client.get(f"{API}/torrents/1/files/links.txt")
            assert answer.text == TRACKER
