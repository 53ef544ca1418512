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


@pytest.fixture
def open_page(browser: Any) -> Iterator[Callable[..., Any]]:
    """Open the page of a node; whatever the browser complains of fails the test."""
    contexts = []
    complaints: list[str] = []

    def start(place: Served, address: str = "/", **settings: Any) -> Any:
        context = browser.new_context(viewport={"width": 1280, "height": 800}, **settings)
        contexts.append(context)
        context.set_default_timeout(30_000)
        page = context.new_page()
        page.complaints = complaints
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on(
            "console",
            lambda said: (
                complaints.append(said.text)
                if said.type == "error" and "Failed to load resource" not in said.text
                else None
            ),
        )
        page.goto(place.address + address)
        return page

    yield start
    for context in contexts:
        context.close()
    assert not complaints


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
