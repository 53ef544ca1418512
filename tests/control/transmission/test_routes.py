"""HTTP around the calls. Source: what seven clients do, and the daemon 3.00."""

import gzip
import json
from collections.abc import Mapping

import httpx
import pytest
from starlette.applications import Starlette
from starlette.types import Message, Receive, Scope, Send

from transmission_calls import SESSION_ID, Remote
from transmission_target import PlainTorrent
from trio_swarm.control.transmission.routes import LEAST_PACKED, MAX_BODY, routes

WITH_ID = {"X-Transmission-Session-Id": SESSION_ID}
STATS = b'{"method": "session-stats", "tag": 3}'


def client_of(remote: Remote, level: str = "full") -> httpx.AsyncClient:
    app = Starlette(routes=routes(remote.session))

    async def let_in(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, "state": {"level": level}}, receive, send)

    return httpx.AsyncClient(transport=httpx.ASGITransport(let_in), base_url="http://127.0.0.1")


async def post(
    body: bytes = STATS,
    path: str = "/transmission/rpc",
    headers: Mapping[str, str] = WITH_ID,
    remote: Remote | None = None,
    level: str = "full",
) -> httpx.Response:
    async with client_of(remote or Remote(PlainTorrent(1)), level) as client:
        return await client.post(path, content=body, headers=headers)


@pytest.mark.parametrize(
    "path", ["/transmission/rpc", "/transmission/rpc/", "/transmission/rpc/x", "/transmission/rpcx"]
)
async def test_every_path_that_begins_so_is_answered_without_a_redirect(path: str) -> None:
    # transmission-remote 3.00 asks for `/transmission/rpc/` and ends at a redirect.
    response = await post(path=path)
    assert response.status_code == 200
    assert response.headers["content-type"] == "application/json; charset=UTF-8"
    assert response.json()["tag"] == 3


@pytest.mark.parametrize("given", [None, "", "wrong", SESSION_ID + "x", "é"])
async def test_without_the_session_id_the_client_is_told_it_and_nothing_is_done(
    given: str | None,
) -> None:
    remote = Remote(PlainTorrent(1))
    headers = {} if given is None else {"x-transmission-session-id": given.encode()}
    response = await post(b'{"method": "torrent-stop"}', headers=headers, remote=remote)  # type: ignore[arg-type]
    assert response.status_code == 409
    assert response.headers["X-Transmission-Session-Id"] == SESSION_ID
    assert response.headers["X-Transmission-Rpc-Version"] == "6.0.0"
    assert remote.target.done == []


async def test_the_body_is_json_whatever_its_type_is_called() -> None:
    # transmission-remote 3.00 says application/x-www-form-urlencoded.
    headers = {**WITH_ID, "Content-Type": "application/x-www-form-urlencoded"}
    assert (await post(headers=headers)).json()["result"] == "success"


async def test_only_post_is_a_call() -> None:
    async with client_of(Remote()) as client:
        for method in ("GET", "PUT", "DELETE"):
            assert (await client.request(method, "/transmission/rpc")).status_code == 405


async def test_a_notification_has_an_empty_answer() -> None:
    # Transmission's rpc-spec 4.1, "Transport mechanism".
    response = await post(b'{"jsonrpc": "2.0", "method": "torrent_stop"}')
    assert (response.status_code, response.content) == (204, b"")


async def test_errors_of_either_dialect_are_http_200() -> None:
    assert (await post(b"no JSON")).status_code == 200
    assert (await post(b'{"jsonrpc": "2.0", "method": "dance", "id": 1}')).status_code == 200


async def test_session_close_ends_the_node_and_is_answered() -> None:
    remote = Remote()
    assert (await post(b'{"method": "session-close"}', remote=remote)).json()["result"] == "success"
    assert remote.target.is_stopped
    remote = Remote()
    await post(b'{"method": "session-close"}', remote=remote, level="read")
    assert not remote.target.is_stopped


async def test_a_reader_changes_nothing() -> None:
    remote = Remote(PlainTorrent(1))
    response = await post(b'{"method": "torrent-stop"}', remote=remote, level="read")
    assert response.json()["result"].startswith("this token may look")
    assert (await post(remote=remote, level="read")).json()["result"] == "success"
    assert remote.target.done == []


async def test_without_a_word_of_who_asks_nothing_is_changed() -> None:
    remote = Remote(PlainTorrent(1))
    await post(b'{"method": "torrent-stop"}', remote=remote, level="")
    assert remote.target.done == []


async def raw(remote: Remote, body: bytes, accepts: str) -> tuple[dict[str, str], bytes]:
    """Headers and body as they are sent, packed or not."""
    async with client_of(remote) as client:
        headers = {**WITH_ID, "Accept-Encoding": accepts}
        async with client.stream(
            "POST", "/transmission/rpc", content=body, headers=headers
        ) as response:
            content = b"".join([piece async for piece in response.aiter_raw()])
            return dict(response.headers), content


ALL_FILES = json.dumps({"method": "torrent-get", "arguments": {"fields": ["files"]}}).encode()


@pytest.mark.parametrize("torrents", [20, 500], ids=["here", "in a thread"])
async def test_long_answers_are_packed_for_who_takes_gzip(torrents: int) -> None:
    remote = Remote(*(PlainTorrent(number) for number in range(1, torrents + 1)))
    plain_headers, plain = await raw(remote, ALL_FILES, "identity")
    assert "content-encoding" not in plain_headers
    headers, packed = await raw(remote, ALL_FILES, "deflate, gzip;q=1.0")
    assert headers["content-encoding"] == "gzip"
    assert headers["content-length"] == str(len(packed))
    assert len(packed) < len(plain) / 2
    assert gzip.decompress(packed) == plain


@pytest.mark.parametrize("accepts", ["", "deflate", "gzip;q=0", "gzip; q=0.0"])
async def test_who_does_not_take_gzip_gets_plain_text(accepts: str) -> None:
    remote = Remote(*(PlainTorrent(number) for number in range(1, 20)))
    headers, content = await raw(remote, ALL_FILES, accepts)
    assert "content-encoding" not in headers
    assert len(content) > LEAST_PACKED
    assert json.loads(content)["result"] == "success"


async def test_a_request_that_is_too_large_is_refused_before_it_is_read() -> None:
    asked = 0
    sent: list[Message] = []

    async def receive() -> Message:
        nonlocal asked
        asked += 2**20
        return {"type": "http.request", "body": bytes(2**20), "more_body": True}

    async def send(message: Message) -> None:
        sent.append(message)

    (route,) = routes(Remote().session)
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/transmission/rpc",
        "headers": [(b"x-transmission-session-id", SESSION_ID.encode())],
    }
    await Starlette(routes=[route])(scope, receive, send)
    assert sent[0]["status"] == 413
    assert asked <= MAX_BODY + 2**21
