"""Answers that go on: events, changed torrents, log lines."""

import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
import trio

from controlled_node import API, controlled
from local_swarm import make_file
from trio_swarm.control.api import streams
from trio_swarm.control.event_stream import EventStreamReader, ServerEvent

LIMIT = 60.0
"""Seconds until a test that hangs has failed."""


Found = trio.MemoryReceiveChannel[ServerEvent | str]
"""Events, and comments as text."""


@asynccontextmanager
async def listening(client: httpx.AsyncClient, path: str) -> AsyncIterator[Found]:
    """What a stream says; it is left by cancelling, so that httpx's generators end."""
    sender, found = trio.open_memory_channel[ServerEvent | str](1000)
    async with trio.open_nursery() as nursery:
        await nursery.start(_listen, client, path, sender)
        yield found
        nursery.cancel_scope.cancel()


async def _listen(
    client: httpx.AsyncClient,
    path: str,
    sender: trio.MemorySendChannel[ServerEvent | str],
    *,
    task_status: trio.TaskStatus[None],
) -> None:
    reader = EventStreamReader()
    async with client.stream("GET", f"{API}{path}", timeout=LIMIT) as response:
        assert response.status_code == 200
        assert response.headers["content-type"].startswith("text/event-stream")
        task_status.started()
        async for part in response.aiter_bytes():
            if part.startswith(b":"):
                sender.send_nowait(part.decode())
            for event in reader.feed(part):
                sender.send_nowait(event)


async def named(found: Found, name: str) -> dict[str, Any]:
    while True:
        event = await found.receive()
        if isinstance(event, ServerEvent) and event.name == name:
            data: dict[str, Any] = json.loads(event.data)
            return data


async def test_who_listens_is_told_what_happens_and_which_torrents_changed(tmp_path: Path) -> None:
    make_file(tmp_path / "film.bin", 100_000)
    with trio.fail_after(LIMIT):
        async with (
            controlled(tmp_path) as node,
            node.client() as client,
            listening(client, "/events") as found,
        ):
            share = {"path": str(tmp_path / "film.bin")}
            one = (await client.post(f"{API}/torrents", json=share)).json()
            added = await named(found, "entry_added")
            assert (added["id"], added["share_name"]) == (one["id"], "film.bin")
            changed: dict[str, Any] = {}
            while changed.get("state") != "seeding":
                told = await named(found, "torrents")
                (changed,) = told["torrents"]
            assert changed == (await client.get(f"{API}/torrents/1")).json()
            await client.delete(f"{API}/torrents/1")
            assert (await named(found, "torrents"))["removed"] == [1]


async def test_who_wants_some_events_only_is_told_no_others(tmp_path: Path) -> None:
    make_file(tmp_path / "film.bin", 100_000)
    with trio.fail_after(LIMIT):
        async with (
            controlled(tmp_path) as node,
            node.client() as client,
            listening(client, "/events?only=torrents") as changes,
            listening(client, "/events?only=sharing,entry_removed") as found,
        ):
            share = {"path": str(tmp_path / "film.bin")}
            await client.post(f"{API}/torrents", json=share)
            assert (await named(found, "sharing"))["share_name"] == "film.bin"
            first = await changes.receive()
            await client.delete(f"{API}/torrents/1")
            for event in (first, await found.receive(), await changes.receive()):
                assert isinstance(event, ServerEvent)
                assert event.name == ("entry_removed" if b"deleted" in event.data else "torrents")


async def test_a_name_that_no_event_has_is_refused(tmp_path: Path) -> None:
    async with controlled(tmp_path, "") as node, node.client() as client:
        answer = await client.get(f"{API}/events?only=torrents,sharring")
        assert answer.status_code == 400
        assert "no event is called 'sharring'" in answer.json()["error"]["message"]


async def test_nothing_is_told_of_torrents_that_do_not_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "QUIET_SECONDS", 2.5)
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path, "") as node, node.client() as client:
            body = {"what": "a name", "paused": True}
            await client.post(f"{API}/torrents", json=body)
            async with listening(client, "/events") as found:
                assert await found.receive() == ": still here\n\n"


async def test_log_lines_are_kept_and_told_as_they_come(tmp_path: Path) -> None:
    logger = logging.getLogger("trio_swarm.test")
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path, "") as node, node.client() as client:
            logger.warning("kept %d", 1)
            answer = await client.get(f"{API}/log?follow=false")
            assert "kept 1" in answer.text
            async with listening(client, "/log") as found:
                line: dict[str, Any] = {}
                while line.get("message") != "kept 1":
                    line = await named(found, "logged")
                assert (line["severity"], line["logger"]) == ("warning", "trio_swarm.test")
                await trio.to_thread.run_sync(logger.warning, "from a thread\nwith a break")
                line = await named(found, "logged")
                assert line["message"] == "from a thread\\nwith a break"


async def test_streams_are_bounded_and_their_places_become_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams, "MAX_STREAMS", 1)
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path, "") as node, node.client() as client:
            assert (await client.head(f"{API}/events")).status_code == 200
            async with listening(client, "/events"):
                answer = await client.get(f"{API}/log")
                assert answer.status_code == 503
                assert answer.json()["error"]["code"] == "too-many"
            answer = await client.get(f"{API}/log?follow=false")
            while answer.status_code == 503:  # the node learns that it is closed by and by
                answer = await client.get(f"{API}/log?follow=false")
            assert answer.status_code == 200
