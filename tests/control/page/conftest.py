"""A real browser, and nodes that are only told. Without the browser: a reason and not a failure."""

import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from typing import Any, NoReturn

import pytest

from scripted_swarm import ScriptedSwarm
from served_node import Served, served

CHROMIUM = "chromium"
VIEWPORT = {"width": 1280, "height": 800}

PATIENCE = 120_000
"""Milliseconds until what does not appear has failed the test; on a busy machine much is slow."""

GO = """(address) => new Promise((done) => {
  if (location.hash === address) done();
  addEventListener("hashchange", done, {once: true});
  location.hash = address;
})"""
"""Resolved when the page has heard of it: the page listens for longer."""


def _unavailable(reason: str) -> NoReturn:
    # On CI everything must have run: there a missing program is a broken CI.
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """Debian's Chromium, driven by Playwright."""
    program = shutil.which(CHROMIUM)
    if program is None:
        _unavailable(f"{CHROMIUM} is not installed (`make test` as root installs it)")
    playwright = pytest.importorskip("playwright.sync_api")
    with playwright.sync_playwright() as driver:
        # Root has no sandbox of its own; the pages are ours alone.
        started = driver.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield started
        started.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., Served]]:
    """Start a scripted node; it ends with the test."""
    with ExitStack() as running:

        def start(**settings: Any) -> Served:
            return running.enter_context(served(ScriptedSwarm(**settings)))

        yield start


class Window:
    """A page in a browser context of its own, and what the browser has complained of."""

    def __init__(self, browser: Any) -> None:
        self._context = browser.new_context(viewport=VIEWPORT)
        self._context.set_default_timeout(PATIENCE)
        self.page = self._context.new_page()
        self.complaints: list[str] = []
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("console", self._said)

    def _said(self, line: Any) -> None:
        if line.type == "error" and "Failed to load resource" not in line.text:
            self.complaints.append(line.text)

    def leave(self, address: str) -> None:
        """Go to another address and forget what was kept for this one."""
        self.page.evaluate("localStorage.clear(); sessionStorage.clear()")
        self.page.goto(address)
        self._context.clear_cookies()
        self.page.set_viewport_size(VIEWPORT)
        self.page.emulate_media(color_scheme="null")
        self.complaints.clear()

    def close(self) -> None:
        self._context.close()


@pytest.fixture(scope="session")
def quiet_address() -> Iterator[str]:
    """Where a page is that has no scripts; of the same site as all nodes."""
    with served(ScriptedSwarm()) as place:
        yield place.address + "/page/icon.svg"


@pytest.fixture(scope="session")
def shared_window(browser: Any, quiet_address: str) -> Iterator[Window]:
    """The window of all tests that act.

    A new one costs a second and more of a processor: the browser starts a process for it.
    """
    window = Window(browser)
    window.page.goto(quiet_address)
    yield window
    window.close()


@pytest.fixture
def open_page(shared_window: Window, quiet_address: str) -> Iterator[Callable[..., Any]]:
    """Open the page of a node; whatever the browser complains of fails the test."""

    def start(place: Served, address: str = "/", *, scheme: str = "null") -> Any:
        page = shared_window.page
        page.emulate_media(color_scheme=scheme)
        page.goto(place.address + address)
        return page

    yield start
    complaints = list(shared_window.complaints)
    shared_window.leave(quiet_address)
    assert not complaints


@pytest.fixture(scope="module")
def show_view(browser: Any) -> Iterator[Callable[..., Any]]:
    """Show views of one node in one window, for tests that only look at them."""
    with served(ScriptedSwarm()) as place:
        window = Window(browser)
        window.page.goto(place.address)

        def show(address: str, *, scheme: str = "light") -> Any:
            window.page.emulate_media(color_scheme=scheme)
            elsewhere = "#/node" if address == "#/log" else "#/log"
            for each in (elsewhere, address):  # so that each view is made anew
                window.page.evaluate(GO, each)
            return window.page

        yield show
        window.close()
        assert not window.complaints


@pytest.fixture(scope="session")
def modules(browser: Any) -> Iterator[Any]:
    """A page on which the modules' pure functions can be called."""
    with served(ScriptedSwarm()) as place:
        page = browser.new_context().new_page()
        page.goto(place.address + "/page/icon.svg")
        yield page
        page.context.close()


@pytest.fixture
def js(modules: Any) -> Callable[..., Any]:
    """Call a function of a module: `js("format", "size", 1024)`."""

    def call(module: str, function: str, *arguments: Any) -> Any:
        return modules.evaluate(
            """async ([module, name, given]) => {
                 try { return (await import(`/page/js/${module}.js`))[name](...given); }
                 catch (error) { return {raised: error.message}; }
               }""",
            [module, function, list(arguments)],
        )

    return call
