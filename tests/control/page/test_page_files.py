"""What is served as the page: its files and nothing else, with headers that keep strangers out."""

import re
from collections.abc import Iterator
from importlib import resources
from importlib.resources.abc import Traversable
from urllib.parse import unquote

import pytest
from starlette.applications import Starlette

from trio_swarm.control.page.serving import CONTENT_TYPES, page_files, routes


class Answer:
    status: int
    headers: dict[str, str]
    body = b""


async def ask(path: str, method: str = "GET", **headers: str) -> Answer:
    """Send a request as a server does: the path as it was written, and decoded once."""
    answer = Answer()
    scope = {
        "type": "http",
        "method": method,
        "path": unquote(path),
        "raw_path": path.encode(),
        "query_string": b"",
        "headers": [
            (name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()
        ],
    }

    async def receive() -> dict[str, object]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: dict[str, object]) -> None:
        if message["type"] == "http.response.start":
            answer.status = message["status"]
            answer.headers = {name.decode(): value.decode() for name, value in message["headers"]}
        else:
            answer.body += message.get("body", b"")

    application = Starlette(routes=routes())
    application.router.redirect_slashes = False
    await application(scope, receive, send)
    return answer


ADDRESSES = [file.address for file in page_files()]


@pytest.mark.parametrize("address", ADDRESSES)
async def test_each_file_comes_with_its_type_and_may_run_only_what_is_served_here(
    address: str,
) -> None:
    answer = await ask(address)
    assert answer.status == 200
    assert answer.headers["content-type"] in CONTENT_TYPES.values()
    policy = answer.headers["content-security-policy"]
    assert "default-src 'self'" in policy
    assert "unsafe" not in policy
    assert "frame-ancestors 'none'" in policy


async def test_the_index_is_at_the_root_and_is_html() -> None:
    answer = await ask("/")
    assert answer.headers["content-type"] == "text/html; charset=utf-8"
    assert answer.body.startswith(b"<!doctype html>")


async def test_a_browser_that_has_a_file_is_not_sent_it_again() -> None:
    """RFC 9110, 13.1.2: `If-None-Match` is compared weakly."""
    first = await ask("/page/style.css")
    tag = first.headers["etag"]
    for known in (tag, f'"other", W/{tag}', "*"):
        again = await ask("/page/style.css", if_none_match=known)
        assert again.status == 304
        assert again.body == b""
        assert again.headers["etag"] == tag
    assert (await ask("/page/style.css", if_none_match='"other"')).status == 200


async def test_after_an_update_no_module_of_the_old_version_is_used_unasked() -> None:
    assert (await ask("/page/js/main.js")).headers["cache-control"] == "no-cache"


async def test_head_says_what_get_would_say() -> None:
    answer = await ask("/page/js/main.js", "HEAD")
    assert answer.status == 200
    assert int(answer.headers["content-length"]) > 1000  # the server leaves the body out


@pytest.mark.parametrize(
    "path",
    [
        "/page/../serving.py",
        "/page/%2e%2e/serving.py",
        "/page/js/..%2f..%2fserving.py",
        "/page//etc/passwd",
        "/page/js/",
        "/page/",
        "/page",
        "/page/serving.py",
        "/page/index.html",
        "/page/style.css%00.js",
        "/page/STYLE.css",
    ],
)
async def test_no_path_leads_to_anything_but_the_files_of_the_page(path: str) -> None:
    assert (await ask(path)).status == 404


async def test_nothing_can_be_written_to_the_page() -> None:
    assert (await ask("/", "POST")).status == 405
    assert (await ask("/page/style.css", "PUT")).status == 405


def test_every_file_that_a_file_names_is_served() -> None:
    """A module that is missing would be a blank page."""
    known = set(ADDRESSES)
    for file in page_files():
        text = file.content.decode()
        if file.address.endswith(".js"):
            folder = file.address.rpartition("/")[0]
            for name in re.findall(r'from "(\.[^"]+)"', text):
                parts = f"{folder}/{name}".split("/")
                path: list[str] = []
                for part in parts:
                    if part == "..":
                        path.pop()
                    elif part != ".":
                        path.append(part)
                assert "/".join(path) in known, (file.address, name)
        if file.address == "/":
            named = re.findall(r'(?:src|href)="(/[^"]+)"', text)
            assert set(named) <= known


def test_every_file_of_the_package_is_served_or_has_no_business_there() -> None:
    folder = resources.files("trio_swarm.control.page").joinpath("static")
    assert len(list(_files(folder))) == len(page_files())


def _files(folder: Traversable) -> Iterator[Traversable]:
    for entry in folder.iterdir():
        if entry.is_dir():
            yield from _files(entry)
        else:
            yield entry


def test_the_page_asks_nothing_of_anybody_else_and_holds_no_inline_script() -> None:
    for file in page_files():
        text = file.content.decode()
        for address in re.findall(r"""["'(](?:https?:)?//[^"')\s]+""", text):
            assert address[1:] == "http://www.w3.org/2000/svg", (file.address, address)
        assert not re.search(
            r"\.(innerHTML|outerHTML)\b|insertAdjacentHTML|document\.write|\beval\(", text
        )
    index = next(file for file in page_files() if file.address == "/").content.decode()
    assert not re.search(r"<script(?![^>]*\bsrc=)|\son\w+=|\sstyle=|<style", index)
