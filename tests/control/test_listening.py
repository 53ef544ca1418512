"""The Unix socket in the state folder: whose it is, and what becomes of it."""

import os
import socket
import stat
from contextlib import ExitStack
from pathlib import Path

import pytest

from local_swarm import HOST
from trio_swarm.control.connections import MAX_CONNECTIONS
from trio_swarm.control.listening import SOCKET_NAME, local_door, open_tcp_doors
from trio_swarm.errors import ConfigError, StorageError


def test_only_its_user_gets_in_and_it_is_removed_at_the_end(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        with local_door(tmp_path / "new" / "state") as door:
            mode = Path(door.name).stat().st_mode
    finally:
        os.umask(before)
    assert stat.S_ISSOCK(mode)
    assert stat.S_IMODE(mode) == 0o600
    assert not Path(door.name).exists()


def test_a_socket_that_a_killed_node_left_is_replaced(tmp_path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(str(tmp_path / SOCKET_NAME))
    with local_door(tmp_path), socket.socket(socket.AF_UNIX) as client:
        client.connect(str(tmp_path / SOCKET_NAME))


def test_as_many_commands_may_wait_as_a_node_lets_in(tmp_path: Path) -> None:
    """unix(7): with a full backlog connect() fails at once (EAGAIN) instead of waiting."""
    with local_door(tmp_path), ExitStack() as stack:
        for _ in range(MAX_CONNECTIONS):
            client = stack.enter_context(socket.socket(socket.AF_UNIX))
            client.settimeout(0)
            client.connect(str(tmp_path / SOCKET_NAME))


def test_a_second_node_is_told_which_process_is_the_first(tmp_path: Path) -> None:
    with local_door(tmp_path) as first:
        with (
            pytest.raises(ConfigError, match=rf"process {os.getpid()}\).*state_folder"),
            local_door(tmp_path),
        ):
            pass
        assert Path(first.name).is_socket()


def test_a_file_of_that_name_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / SOCKET_NAME
    path.write_text("mine")
    with pytest.raises(StorageError, match="another file"), local_door(tmp_path):
        pass
    assert path.read_text() == "mine"


def test_a_socket_of_somebody_else_is_not_removed_at_the_end(tmp_path: Path) -> None:
    with local_door(tmp_path) as door:
        Path(door.name).unlink()
        with socket.socket(socket.AF_UNIX) as other:
            other.bind(door.name)
    assert Path(door.name).is_socket()


def test_a_state_folder_may_have_a_path_that_is_too_long_for_a_socket(tmp_path: Path) -> None:
    folder = tmp_path / ("long" * 30) / ("longer" * 30)
    with local_door(folder) as door:
        assert Path(door.name).is_socket()
        assert len(door.name) > 200


def test_a_folder_that_cannot_be_is_said_so(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="no control socket"), local_door(tmp_path / "file"):
        pass


async def test_another_address_than_loopback_needs_a_token() -> None:
    with pytest.raises(ConfigError, match="token_file"):
        await open_tcp_doors(("", 0), is_guarded=False)
    for door in await open_tcp_doors((HOST, 0), is_guarded=False):
        door.listener.socket.close()


async def test_an_address_that_is_taken_is_named(tmp_path: Path) -> None:
    (door,) = await open_tcp_doors((HOST, 0), is_guarded=False)
    port = door.listener.socket.getsockname()[1]
    with pytest.raises(ConfigError, match=f"{HOST}:{port}"):
        await open_tcp_doors((HOST, port), is_guarded=False)
    door.listener.socket.close()
