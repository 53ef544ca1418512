"""Somebody who looks at a download on the node's page: a browser, or the requests that it makes.

    bench_control_visitor.py replay|browser http://HOST:PORT TORRENT

It prints `open` once it sees the torrent, and goes on until its input ends. Then it prints how many
requests it made meanwhile. It gives way to whatever else wants a processor: of a browser only what
the node does for it is to be measured.
"""

import json
import os
import select
import sys
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection

ROOT = "/api/v1"
NICENESS = 19
PIECE_TURNS, SESSION_TURNS = 2, 15
"""As in the page: every other second the pieces, each 15 s the session."""


def main() -> None:
    kind, address, torrent = sys.argv[1:]
    os.nice(NICENESS)
    {"replay": replay, "browser": browse}[kind](address, torrent)


def tell(word: object) -> None:
    print(word, flush=True)


def has_ended(seconds: float) -> bool:
    """Wait so long, or until the input ends."""
    return bool(select.select([sys.stdin], [], [], seconds)[0])


def replay(address: str, torrent: str) -> None:
    """Ask as the page does that shows what the strategy of a download is doing."""
    host = address.removeprefix("http://")
    connection = HTTPConnection(host)

    def ask(path: str) -> dict[str, object]:
        connection.request("GET", ROOT + path)
        answer: dict[str, object] = json.loads(connection.getresponse().read())
        return answer

    opened = threading.Event()
    threading.Thread(target=listen, args=(host, opened.set), daemon=True).start()
    opened.wait()
    ask("/session")
    ask("/torrents")
    latest = count = turn = 0
    while True:
        began = time.monotonic()
        if turn % PIECE_TURNS == 0:
            ask(f"/torrents/{torrent}/pieces")
            count += 1
        if turn % SESSION_TURNS == SESSION_TURNS - 1:
            ask("/session")
            count += 1
        found = ask(f"/torrents/{torrent}/decisions?since={latest}")["decisions"]
        assert isinstance(found, list)
        latest = max((each["number"] for each in found), default=latest)
        count += 1
        turn += 1
        if turn == 1:
            tell("open")
            count = 0
        # The page's pause begins when the answers are there.
        if has_ended(1.0):
            break
        assert time.monotonic() > began
    tell(count)


def listen(host: str, opened: Callable[[], None]) -> None:
    """Take in the stream of changes, until the process ends."""
    connection = HTTPConnection(host)
    connection.request("GET", ROOT + "/events?only=torrents")
    answer = connection.getresponse()
    opened()
    while answer.read1(65536):
        pass


def browse(address: str, torrent: str) -> None:
    """Look with a real browser."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path="/usr/bin/chromium", args=["--no-sandbox"])
        page = browser.new_page(viewport={"width": 1280, "height": 800})
        count = 0

        def counted(_request: object) -> None:
            nonlocal count
            count += 1

        page.goto(f"{address}/#/torrents/{torrent}")
        page.get_by_role("heading", name="What the strategy is doing").wait_for()
        page.on("request", counted)
        tell("open")
        while not has_ended(0):
            page.wait_for_timeout(100)
        tell(count)
        browser.close()


if __name__ == "__main__":
    main()
