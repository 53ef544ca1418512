"""The page as a real node serves it, and the scripted node measured by what real ones say."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
import trio

from controlled_node import READER, TOKEN, controlled, secret_file
from local_swarm import make_file
from scripted_swarm import ScriptedSwarm
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


def test_the_scripted_node_says_all_that_a_real_one_says() -> None:
    """So a field that the API renames is missed here, and not first by a person."""
    node = ScriptedSwarm()
    msgspec.convert(node.session(), shapes.Session)
    msgspec.convert({"torrents": list(node.torrents.values())}, shapes.TorrentList)
