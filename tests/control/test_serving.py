"""Real requests over the real doors: what is answered, and what ends nothing but itself."""

import base64
import json
import subprocess
import sys
from pathlib import Path

import pytest
import trio

from controlled_node import API, PASSWORD, READER, TOKEN, controlled, secret_file
from local_swarm import HOST, make_file
from trio_swarm import events
from trio_swarm.control import connections, guarding
from trio_swarm.control.asgi import Receive, Scope, Send
from trio_swarm.control.connections import Visitors
from trio_swarm.control.listening import open_tcp_doors
from trio_swarm.control.serving import read_credentials
from trio_swarm.errors import ConfigError
from trio_swarm.settings import ControlSettings

LIMIT = 30.0
"""Seconds until a test that hangs has failed."""

HEAD = b"GET /api/v1/session HTTP/1.1\r\nHost: 127.0.0.1\r\n"


@pytest.mark.parametrize("is_local", [True, False])
async def test_a_node_tells_of_itself_at_both_doors(tmp_path: Path, *, is_local: bool) -> None:
    make_file(tmp_path / "film.bin", 100_000)
    text = '[tracker]\n[[share]]\npath = "film.bin"\n'
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path, text) as node, node.client(is_local=is_local) as client:
            await node.recorder.wait_for(events.Sharing)
            session = (await client.get(f"{API}/session")).json()
            assert session["access"] == "full"
            assert session["torrents"] == {"seeding": 1}
            assert session["tracker"]
            (torrent,) = (await client.get(f"{API}/torrents")).json()["torrents"]
            assert (torrent["name"], torrent["size"], torrent["progress"]) == (
                "film.bin",
                100_000,
                1,
            )
            for text in ("1", "film.bin", "film", torrent["info_hash"], torrent["info_hash"][:8]):
                assert (await client.get(f"{API}/torrents/{text}")).json() == torrent
            answer = await client.get(f"{API}/torrents/other")
            assert answer.status_code == 404
            assert answer.json()["error"]["code"] == "unknown-torrent"


async def test_unknown_paths_methods_and_parameters_are_told_in_one_shape(tmp_path: Path) -> None:
    async with controlled(tmp_path) as node, node.client() as client:
        for method, path, status, code in (
            ("GET", "/api/v1/nothing", 404, "unknown-path"),
            ("GET", "/api/v1/session/", 404, "unknown-path"),
            ("POST", "/api/v1/session", 405, "wrong-method"),
            ("GET", "/api/v1/session?x=1", 400, "unknown-parameter"),
        ):
            answer = await client.request(method, path)
            assert answer.status_code == status
            assert answer.json()["error"]["code"] == code
            assert answer.headers["x-content-type-options"] == "nosniff"


def bearer(token: str) -> dict[str, str]:
    return {"authorization": f"Bearer {token}"}


async def test_by_tcp_a_token_is_asked_for_and_readers_change_nothing(tmp_path: Path) -> None:
    files = {
        "token_file": secret_file(tmp_path / "token", TOKEN),
        "read_token_file": secret_file(tmp_path / "reader", READER),
        "password_file": secret_file(tmp_path / "password", PASSWORD),
    }
    async with controlled(tmp_path, **files) as node, node.client() as client:
        answer = await client.get(f"{API}/session")
        assert answer.status_code == 401
        assert "www-authenticate" in answer.headers
        for headers, level in (
            (bearer(TOKEN), "full"),
            (bearer(READER), "read"),
            ({"authorization": f"Basic {base64.b64encode(PASSWORD.encode()).decode()}"}, "full"),
        ):
            answer = await client.get(f"{API}/session", headers=headers)
            assert answer.json()["access"] == level
        answer = await client.post(f"{API}/session", headers=bearer(READER))
        assert answer.status_code == 403
        async with node.client(is_local=True) as local:
            assert (await local.get(f"{API}/session")).json()["access"] == "full"


@pytest.mark.parametrize(("token", "level"), [(TOKEN, "full"), (READER, "read")])
async def test_a_page_gets_a_cookie_for_a_token(tmp_path: Path, token: str, level: str) -> None:
    files = {
        "token_file": secret_file(tmp_path / "token", TOKEN),
        "read_token_file": secret_file(tmp_path / "reader", READER),
    }
    async with controlled(tmp_path, **files) as node, node.client() as client:
        answer = await client.post(f"{API}/login", headers=bearer(token))
        assert answer.status_code == 204
        cookie = answer.headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert token not in cookie
        assert (await client.get(f"{API}/session")).json()["access"] == level
        assert (await client.post(f"{API}/logout")).status_code == 204
        assert (await client.get(f"{API}/session")).status_code == 401


async def test_wrong_tokens_are_soon_not_looked_at_any_more(tmp_path: Path) -> None:
    token = secret_file(tmp_path / "token", TOKEN)
    async with controlled(tmp_path, token_file=token) as node, node.client() as client:
        statuses = [
            (await client.get(f"{API}/session", headers=bearer(f"{'x' * 20}{n}"))).status_code
            for n in range(20)
        ]
        assert statuses[:10] == [401] * 10
        assert statuses[-1] == 429
        answer = await client.get(f"{API}/session", headers=bearer(TOKEN))
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) > 0


async def test_strangers_names_and_pages_are_refused_by_tcp_only(tmp_path: Path) -> None:
    async with (
        controlled(tmp_path, hosts=("nas.example",)) as node,
        node.client() as client,
        node.client(is_local=True, base_url="http://anything.example") as local,
    ):
        for headers, status in (
            ({"host": "evil.example"}, 421),
            ({"host": "nas.example:9091"}, 200),
            ({"origin": "http://evil.example"}, 403),
            ({"sec-fetch-site": "cross-site"}, 403),
            ({}, 200),
        ):
            answer = await client.get(f"{API}/session", headers=headers)
            assert answer.status_code == status
        assert (await local.get(f"{API}/session")).status_code == 200


async def test_requests_by_tcp_have_a_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(guarding, "REQUEST_RATE", 0.001)
    monkeypatch.setattr(guarding, "REQUEST_BURST", 3.0)
    async with (
        controlled(tmp_path) as node,
        node.client() as client,
        node.client(is_local=True) as local,
    ):
        statuses = [(await client.get(f"{API}/session")).status_code for _ in range(6)]
        assert 429 in statuses
        assert (await local.get(f"{API}/session")).status_code == 200


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"\x00\x01\x02\r\n\r\n",
        b"GET / HTTP/1.1\r\n\r\n",  # no Host
        b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
        b"GET /\xff HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n",
        HEAD + b"X: " + b"y" * 100_000 + b"\r\n\r\n",
        HEAD + b"Content-Length: -1\r\n\r\n",
        # Trips Hypercorn 0.18 (its issue 225): data after a request for a WebSocket.
        HEAD + b"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
        b"Sec-WebSocket-Key: bKdPyn3u98cTfZJSh4TNeQ==\r\n\r\nx",
        HEAD + b"Connection: Upgrade\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABk\r\n\r\n",
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0" * 100,
    ],
)
async def test_what_is_no_request_ends_its_own_connection_only(
    tmp_path: Path, request_bytes: bytes
) -> None:
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node, node.client() as client:
            stream = await node.connect()
            await stream.send_all(request_bytes)
            await stream.send_eof()
            answer = b""
            with trio.move_on_after(1):
                try:
                    while chunk := await stream.receive_some(65536):
                        answer += chunk
                except trio.BrokenResourceError:
                    pass
            assert b" 200" not in answer
            assert b" 500" not in answer
            await stream.aclose()
            assert (await client.get(f"{API}/session")).status_code == 200


async def test_a_body_that_nobody_reads_blocks_nothing(tmp_path: Path) -> None:
    """Hypercorn 0.18 hands a body over by a queue of ten parts, and the end by the same queue."""
    full = trio.Event()

    async def no(scope: Scope, receive: Receive, send: Send) -> None:
        await full.wait()
        await send({"type": "http.response.start", "status": 404, "headers": []})
        await send({"type": "http.response.body", "body": b""})

    (door,) = await open_tcp_doors((HOST, 0), is_guarded=False)
    visitors = Visitors(no)
    with trio.fail_after(LIMIT):
        async with trio.open_nursery() as nursery:
            stream = await trio.open_tcp_stream(*door.listener.socket.getsockname())
            visitors.welcome(await door.listener.accept(), door, nursery)
            await stream.send_all(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999\r\n\r\n")
            with trio.move_on_after(0.5):  # as much as it takes
                await stream.send_all(bytes(99999999))
            full.set()
            answer = await stream.receive_some(65536)
            assert answer.startswith(b"HTTP/1.1 404")
            await stream.aclose()
            # Its tasks end by themselves.
    door.listener.socket.close()


async def test_when_all_places_are_taken_an_idle_connection_makes_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 4)
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node:
            streams = [await node.connect() for _ in range(4)]
            for stream in streams:
                await stream.send_all(HEAD)  # and no more of it
            async with node.client() as client:
                assert (await client.get(f"{API}/session")).status_code == 200
            ended = await _is_ended(streams[0])
            for stream in streams:
                await stream.aclose()
            assert ended


async def _is_ended(stream: trio.abc.ReceiveStream) -> bool:
    """Whether the other end closes it; by a reset if it had not read all that was sent."""
    try:
        return await stream.receive_some(10) == b""
    except trio.BrokenResourceError:
        return True


async def test_a_node_ends_at_once_whoever_does_not_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Hypercorn 0.18 shields what it sends from being cancelled."""
    sent = trio.Event()
    original = connections._Visit.send_all

    async def send_much(self: connections._Visit, data: bytes) -> None:
        sent.set()
        await original(self, data + bytes(64 * 1024 * 1024))

    monkeypatch.setattr(connections._Visit, "send_all", send_much)
    with trio.fail_after(LIMIT):
        async with controlled(tmp_path) as node:
            stream = await node.connect()
            await stream.send_all(HEAD + b"\r\n")
            await sent.wait()
        await stream.aclose()


@pytest.mark.parametrize("mode", [0o644, 0o640])
def test_a_token_that_others_can_read_is_none(tmp_path: Path, mode: int) -> None:
    path = secret_file(tmp_path / "token", TOKEN)
    path.chmod(mode)
    with pytest.raises(ConfigError, match="token_file: others can read"):
        read_credentials(ControlSettings(token_file=path))


def test_a_token_file_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"read_token_file: .*nothing"):
        read_credentials(ControlSettings(read_token_file=tmp_path / "nothing"))


COUNT = """
import json, sys
from trio_swarm.cli import main
code = main()
print(json.dumps(sorted(sys.modules)), file=sys.stderr)
"""


async def test_a_node_that_is_asked_nothing_imports_nothing_for_http(tmp_path: Path) -> None:
    make_file(tmp_path / "film.bin", 1000)
    text = (
        f'[tracker]\nlisten = "{HOST}:0"\n[node]\nlisten = "{HOST}:0"\nstate_folder = "state"\n'
        f'[control]\nlisten = "{HOST}:0"\n[[share]]\npath = "film.bin"\n'
    )
    (tmp_path / "peer.toml").write_text(text)
    with trio.fail_after(LIMIT):
        process = await trio.lowlevel.open_process(
            [sys.executable, "-c", COUNT, "run", "peer.toml", "--json"],
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        assert process.stdout is not None
        assert process.stderr is not None
        seen = b""
        while b'"sharing"' not in seen:
            seen += await process.stdout.receive_some()
        process.terminate()
        told = b""
        while chunk := await process.stderr.receive_some():
            told += chunk
        await process.wait()
    modules = {name.partition(".")[0] for name in json.loads(told.splitlines()[-1])}
    assert not modules & {"starlette", "hypercorn", "h2", "wsproto", "anyio", "httpx"}
