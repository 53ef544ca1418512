"""What a client of a node makes of the node's answers, and of what is no answer."""

import os
import select
import socket
from pathlib import Path

import pytest
import trio

from fake_control import fake_node, refusal
from trio_swarm.control import client as clients
from trio_swarm.control.client import (
    ControlError,
    ControlRefusedError,
    Door,
    open_client,
    open_process,
    url_door,
)
from trio_swarm.errors import ConfigError


async def asked(door: Door) -> str:
    """The version of the node behind a door."""
    with trio.fail_after(60):
        async with open_client(door) as client:
            return (await client.session()).version


@pytest.mark.parametrize("depth", [0, 40])
async def test_a_node_is_asked_by_the_socket_in_its_state_folder_however_long_its_path(
    tmp_path: Path, depth: int
) -> None:
    """unix(7): an address has 108 bytes."""
    folder = tmp_path.joinpath(*["deep"] * depth)
    with fake_node(folder):
        assert await asked(Door(state_folder=folder)) == "1.2.3"


@pytest.mark.parametrize("depth", [0, 40])
async def test_where_no_node_runs_the_error_says_so(tmp_path: Path, depth: int) -> None:
    folder = tmp_path.joinpath(*["deep"] * depth)
    door = Door(state_folder=folder)
    with pytest.raises(ControlError, match="no node runs with the state folder"):
        await asked(door)
    folder.mkdir(parents=True, exist_ok=True)
    with pytest.raises(ControlError, match="no node runs with the state folder"):
        await asked(door)
    with fake_node(folder):  # its socket stays, as after kill -9
        pass
    with pytest.raises(ControlError, match="no node runs") as caught:
        await asked(door)
    assert "trio-swarm run FILE" in caught.value.__notes__[0]


async def test_a_node_elsewhere_wants_the_token(tmp_path: Path) -> None:
    file = tmp_path / "token"
    with fake_node(tmp_path, on_tcp=True) as node:
        node.token = "open-sesame"
        url = f"http://127.0.0.1:{node.port}/"
        with pytest.raises(ControlError, match="the token is needed: --token-file"):
            await asked(url_door(url, None))
        file.write_text("open-barley\n")
        with pytest.raises(ControlError, match="the token is wrong"):
            await asked(url_door(url, file))
        file.write_text("open-sesame\n")
        assert await asked(url_door(url, file)) == "1.2.3"


async def test_no_proxy_is_told_the_token(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with fake_node(tmp_path, on_tcp=True) as node:
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("ALL_PROXY", "http://127.0.0.1:9")
        assert await asked(url_door(f"http://127.0.0.1:{node.port}", None)) == "1.2.3"


@pytest.mark.parametrize(
    "url",
    [
        "127.0.0.1:9091",
        "ftp://a",
        "http://",
        "http://a:b",
        "http://a:0",
        "http://u:p@a",
        "http://a?b",
    ],
)
def test_what_is_no_url_is_refused(url: str) -> None:
    with pytest.raises(ConfigError, match="--url: expected http://HOST:PORT"):
        url_door(url, None)


@pytest.mark.parametrize("content", [b"", b"\n", b"two words", b"\xff\xfe", b"a" * 5000, b"a\0b"])
def test_what_holds_no_token_is_refused(tmp_path: Path, content: bytes) -> None:
    file = tmp_path / "token"
    file.write_bytes(content)
    with pytest.raises(ConfigError, match="holds no token"):
        url_door("http://a", file)
    with pytest.raises(ConfigError, match="cannot be read: No such file"):
        url_door("http://a", tmp_path / "none")


@pytest.mark.parametrize(
    ("answer", "message"),
    [
        ((200, b"<html>"), "no answer of a trio-swarm node"),
        ((200, {"version": 7}), "no answer of a trio-swarm node"),
        ((500, b"oops"), r"no answer of a trio-swarm node \(HTTP status 500\)"),
        ((302, b""), "no answer of a trio-swarm node"),
        (refusal(404, "unknown-path", "nothing here"), "the node is older than this command"),
        (refusal(503, "stopping", "the node\x1b[2J stops"), r"^the node\\x1b\[2J stops$"),
        ((200, b'"' + b"a" * 2000), "its answer is too long"),
    ],
)
async def test_each_answer_that_is_none_is_one_line(
    tmp_path: Path, answer: tuple[int, object], message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(clients, "MAX_ANSWER", 1000)
    with fake_node(tmp_path) as node:
        node.answers["GET", "/session"] = answer
        with pytest.raises(ControlError, match=message) as caught:
            await asked(Door(state_folder=tmp_path))
    assert "\n" not in str(caught.value)


async def test_unknown_fields_are_left_out_and_missing_ones_have_a_default(tmp_path: Path) -> None:
    """A node of another version says more, or less."""
    with fake_node(tmp_path) as node:
        node.torrents = [{"id": 1, "name": "a", "state": "dreaming", "colour": "blue"}]
        async with open_client(Door(state_folder=tmp_path)) as client:
            (torrent,) = await client.torrents()
    assert (torrent.name, torrent.state, torrent.size) == ("a", "dreaming", 0)


async def test_a_node_that_does_not_answer_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.socket(socket.AF_UNIX) as deaf, monkeypatch.context() as here:
        here.chdir(tmp_path)
        deaf.bind("control.sock")
        deaf.listen()
        with pytest.raises(ControlError, match="no answer; does the node hang"):
            async with open_client(Door(state_folder=Path())) as client:
                await client._answer("GET", "/session", patience=0.01)


async def test_a_refusal_tells_its_code_and_the_torrent_that_is_there(tmp_path: Path) -> None:
    with fake_node(tmp_path) as node:
        node.torrent("film.mkv")
        async with open_client(Door(state_folder=tmp_path)) as client:
            with pytest.raises(ControlRefusedError) as caught:
                await client.add({"what": "film.mkv"})
    assert caught.value.code == "present"
    assert caught.value.torrent is not None
    assert caught.value.torrent.id == 1


async def test_names_of_torrents_are_quoted_in_paths(tmp_path: Path) -> None:
    with fake_node(tmp_path) as node:
        node.torrent("a b?c#d%20ü&")
        async with open_client(Door(state_folder=tmp_path)) as client:
            assert (await client.torrent("a b?c#d%20ü&")).id == 1


async def test_events_come_until_the_node_ends(tmp_path: Path) -> None:
    with fake_node(tmp_path) as node, trio.fail_after(60):
        async with (
            open_client(Door(state_folder=tmp_path)) as client,
            client.events("torrents") as events,
        ):
            node.push("torrents", {"torrents": []})
            event = await anext(events)
            assert (event.name, event.data) == ("torrents", b'{"torrents": []}')
            node.end_streams()
            with pytest.raises(StopAsyncIteration):
                await anext(events)


def test_the_process_of_a_node_can_be_waited_for(tmp_path: Path) -> None:
    with fake_node(tmp_path):  # which is this process
        process = open_process(Door(state_folder=tmp_path))
        assert process is not None
        assert not select.select([process], [], [], 0)[0]
        os.close(process)
    assert open_process(url_door("http://a", None)) is None
    with pytest.raises(ControlError, match="no node runs"):
        open_process(Door(state_folder=tmp_path))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may do everything")
async def test_the_node_of_another_user_says_so(tmp_path: Path) -> None:
    with fake_node(tmp_path):
        (tmp_path / "control.sock").chmod(0)
        with pytest.raises(ControlError, match="permission denied: the node is another user's"):
            await asked(Door(state_folder=tmp_path))


async def test_a_node_that_was_asked_too_much_is_asked_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command about a thousand torrents is not to end in the middle (200 requests a second)."""
    monkeypatch.setattr(clients, "PAUSES", (0.001,) * 3)
    with fake_node(tmp_path) as node:
        node.busy = 3
        assert await asked(Door(state_folder=tmp_path)) == "1.2.3"
        node.busy = 4
        with pytest.raises(ControlRefusedError, match="too many requests"):
            await asked(Door(state_folder=tmp_path))
