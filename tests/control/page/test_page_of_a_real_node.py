"""The page as a real node serves it, and the scripted node measured by what real ones say."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

import scripted_swarm
from controlled_node import READER, TOKEN, controlled, secret_file
from local_swarm import make_file
from scripted_swarm import PEERS, ScriptedSwarm
from trio_swarm.control import shapes

Open = Callable[..., Any]


@contextmanager
def real_node(folder: Path, text: str, **settings: Any) -> Iterator[str]:
    """Run a node with its doors in a thread; return its address."""
    ready = threading.Event()
    told: dict[str, Any] = {}

    async def run() -> None:
        async with controlled(folder, text, **settings) as node:
            host, port = node.address
            told.update(address=f"http://{host}:{port}", token=trio.lowlevel.current_trio_token())
            told["stop"] = trio.Event()
            ready.set()
            await told["stop"].wait()

    thread = threading.Thread(target=trio.run, args=(run,), daemon=True)
    thread.start()
    assert ready.wait(30)
    try:
        yield told["address"]
    finally:
        trio.from_thread.run_sync(told["stop"].set, trio_token=told["token"])
        thread.join(30)


class At:
    """What `open_page` opens."""

    def __init__(self, address: str) -> None:
        self.address = address


@pytest.mark.foreign("chromium")
@pytest.mark.parametrize(("token", "may"), [(TOKEN, "look and change"), (READER, "only look")])
def test_who_has_a_token_sees_what_a_real_node_shares(
    open_page: Open, tmp_path: Path, token: str, may: str
) -> None:
    expect = pytest.importorskip("playwright.sync_api").expect
    make_file(tmp_path / "photos.tar", 300_000)
    secrets = {
        "token_file": secret_file(tmp_path / "token", TOKEN),
        "read_token_file": secret_file(tmp_path / "reader", READER),
    }
    with real_node(tmp_path, '[[share]]\npath = "photos.tar"\n', **secrets) as address:
        page = open_page(At(address))
        page.get_by_label("Token").fill(token)
        page.get_by_role("button", name="Log in").click()
        row = page.get_by_role("row").filter(has_text="photos.tar")
        expect(row).to_contain_text("293 KiB")
        expect(page.get_by_role("button", name="Add")).to_have_count(int(token == TOKEN))
        page.get_by_role("link", name="Node").click()
        about = page.get_by_label("About this node")
        expect(about).to_contain_text(str(tmp_path / "down"))
        expect(about).to_contain_text(may)
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_label("Token")).to_be_visible()


@pytest.mark.foreign("chromium")
def test_a_person_adds_looks_at_changes_and_removes_torrents_of_a_real_node(
    open_page: Open, tmp_path: Path
) -> None:
    expect = pytest.importorskip("playwright.sync_api").expect
    make_file(tmp_path / "notes.txt", 300_000)
    text = '[tracker]\n[[share]]\npath = "notes.txt"\n'
    with real_node(tmp_path, text) as address:
        page = open_page(At(address))
        page.get_by_role("button", name="Add").click()
        page.get_by_label("Magnet link").fill("magnet:?xt=urn:btih:" + "ab" * 20 + "&dn=far")
        page.get_by_role("dialog").get_by_role("button", name="Add").click()
        expect(page.get_by_role("row").filter(has_text="far")).to_be_visible()
        page.get_by_role("link", name="notes.txt").click()
        for part in ("Files", "Peers", "Trackers", "Settings", "Strategy"):
            page.get_by_role("link", name=part).or_(
                page.get_by_role("tab", name=part)
            ).first.click()
        page.get_by_role("button", name="Pause").click()
        expect(page.get_by_role("button", name="Resume")).to_be_visible()
        page.get_by_role("button", name="Resume").click()
        expect(page.get_by_role("button", name="Pause")).to_be_visible()
        page.get_by_role("link", name="Log").click()
        page.get_by_role("link", name="Tracker", exact=True).click()
        expect(page.get_by_label("Names and swarms").first).to_contain_text("notes.txt")
        page.get_by_role("link", name="Node").click()
        limits = page.get_by_label("Limits")
        limits.get_by_label("Upload").fill("100 KiB/s")
        limits.get_by_role("button", name="Save").click()
        expect(page.get_by_text("The limits hold now")).to_be_visible()


def test_the_scripted_node_says_all_that_a_real_one_says() -> None:
    """So a field that the API renames is missed here, and not first by a person."""
    node = ScriptedSwarm()
    msgspec.convert(node.session(), shapes.Session)
    msgspec.convert({"torrents": list(node.torrents.values())}, shapes.TorrentList)
    msgspec.convert(node.pieces(1), shapes.Pieces)
    msgspec.convert({"decisions": node.decisions(1), "recording": True}, shapes.Decisions)
    msgspec.convert({"peers": [scripted_swarm.peer(*each) for each in PEERS]}, shapes.Peers)
    msgspec.convert({"trackers": scripted_swarm.trackers()}, shapes.Trackers)
    for one in node.torrents.values():
        msgspec.convert({"files": scripted_swarm.files(one)}, shapes.Files)
    msgspec.convert(scripted_swarm.names(), shapes.Names)
    msgspec.convert(scripted_swarm.RELOAD, shapes.Reloaded)
    for line in node.lines:
        msgspec.convert(line, shapes.LogLine)
