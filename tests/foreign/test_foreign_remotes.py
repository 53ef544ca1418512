"""Real remotes control a real node: the six of issue 15, each with the same actions."""

import json
import os
import pty
import re
import signal
import struct
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from fcntl import ioctl
from pathlib import Path

import pytest
import trio

from controlled_node import PASSWORD, Controlled, controlled, secret_file
from foreign_remotes import (
    EVERY_FIELD,
    INSTALLED,
    REMOTES,
    TRANSMISSION_REMOTE,
    TRANSMISSION_RPC,
    Remote,
    listening,
    window,
)
from local_swarm import make_file, until
from trio_swarm import events

pytestmark = pytest.mark.foreign

LIMIT = 90.0
SIZE = 4_000_000
SLOW = 400_000
"""Bytes/s of the seeder: ten seconds in which a fetch is looked at."""


def require(remote: Remote) -> None:
    if remote.is_installed:
        return
    reason = f"{remote.name} is not installed (`make remotes` installs it)"
    if os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    pytest.skip(reason)


def folder(path: Path) -> Path:
    path.mkdir(parents=True)
    return path


@asynccontextmanager
async def swarm(tmp_path: Path, **control: Path) -> AsyncIterator[tuple[str, Controlled]]:
    """A slow seeder of film.bin, and a node to be controlled; the magnet link, and that node."""
    seed, leech = folder(tmp_path / "seed"), folder(tmp_path / "leech")
    make_file(seed / "film.bin", SIZE)
    text = f'[tracker]\n[limits]\nupload = {SLOW}\n[[share]]\npath = "film.bin"\n'
    async with controlled(seed, text) as seeder:
        await seeder.recorder.wait_for(events.Sharing)
        (torrent,) = seeder.context.peer.torrents
        async with controlled(leech, **control) as node:
            await node.context.peer.wait_open()
            yield torrent.magnet(), node


def address_of(node: Controlled) -> str:
    return "{}:{}".format(*node.address)


@pytest.mark.parametrize("remote", REMOTES, ids=lambda remote: remote.name.replace(" ", "-"))
async def test_a_remote_adds_lists_looks_limits_and_removes(remote: Remote, tmp_path: Path) -> None:
    require(remote)
    home = folder(tmp_path / "home")
    with trio.fail_after(LIMIT):
        async with swarm(tmp_path) as (magnet, node):
            address = address_of(node)
            down = node.context.download_folder / "films"
            await remote.run(remote.add(address, magnet, down), home)
            entries = node.context.peer.service.entries  # type: ignore[union-attr]
            (entry,) = entries
            assert entry.folder == down
            while entry.state != "downloading":  # noqa: ASYNC110 - what remotes do, too
                await trio.sleep(0.05)
            assert "film.bin" in await remote.run(remote.listing(address), home)
            assert "film.bin" in await remote.run(remote.files(address, entry.id), home)
            assert "trio-swarm" in await remote.run(remote.peers(address, entry.id), home)
            await remote.run(remote.limit(address, entry.id, 50), home)
            assert entry.limits.download_rate == 50_000
            await remote.run(remote.remove(address, entry.id), home)
            assert list(entries) == []
            assert not list(down.iterdir())


async def test_transmission_remote_pauses_slows_checks_and_moves(tmp_path: Path) -> None:
    require(TRANSMISSION_REMOTE)
    home = folder(tmp_path / "home")
    with trio.fail_after(LIMIT):
        async with swarm(tmp_path) as (magnet, node):

            async def call(*argv: str) -> str:
                return await TRANSMISSION_REMOTE.run(
                    ("transmission-remote", address_of(node), *argv), home
                )

            service = node.context.peer.service
            assert service is not None
            await call("-a", magnet)
            (entry,) = service.entries
            await until(lambda: entry.have > 0)
            await call("-t1", "--stop")
            assert entry.state == "paused"
            assert "Stopped" in await call("-l")
            there = entry.have
            assert 0 < there < SIZE
            await call("-t1", "-d20")
            await call("-asd", "30")
            await call("--alt-speed")
            assert service.node.rates == (None, 30_000)
            await call("--no-alt-speed")
            await call("-t1", "--start")
            await until(lambda: entry.state == "downloading")
            began, had = trio.current_time(), entry.downloaded_ever
            await trio.sleep(4.0)
            # 20 kB/s and at most a second's burst, where 400 kB/s would come otherwise.
            assert entry.downloaded_ever - had < 0.25 * SLOW * (trio.current_time() - began)
            await call("-t1", "-D")
            await until(lambda: entry.state == "seeding")
            films = node.context.download_folder / "films"
            await call("-t1", "--move", str(films))
            await until(lambda: entry.folder == films and entry.state == "seeding")
            assert (films / "film.bin").stat().st_size == SIZE
            assert "success" in await call("-t1", "--verify")
            assert str(films) in await call("-t1", "-i")
            await until(lambda: entry.state == "seeding")


async def test_transmission_rpc_reads_every_field_it_knows(tmp_path: Path) -> None:
    require(TRANSMISSION_RPC)
    home = folder(tmp_path / "home")
    with trio.fail_after(LIMIT):
        async with swarm(tmp_path) as (magnet, node):
            address = address_of(node)
            await TRANSMISSION_RPC.run(
                TRANSMISSION_RPC.add(address, magnet, node.context.download_folder), home
            )
            read = await TRANSMISSION_RPC.run(EVERY_FIELD(address, 1), home)
            assert int(read.splitlines()[-1]) > 60


async def test_transmission_remote_has_a_password(tmp_path: Path) -> None:
    require(TRANSMISSION_REMOTE)
    home = folder(tmp_path / "home")
    secret = secret_file(tmp_path / "password", PASSWORD)
    with trio.fail_after(LIMIT):
        async with swarm(tmp_path, password_file=secret) as (magnet, node):
            program = ("transmission-remote", address_of(node), "-n", PASSWORD)
            said = await TRANSMISSION_REMOTE.run((*program, "-a", magnet), home)
            assert "success" in said
            said = await TRANSMISSION_REMOTE.run((*program, "-l"), home)
            assert "film.bin" in said
            wrong = ("transmission-remote", address_of(node), "-n", "a:b", "-l")
            with pytest.raises(AssertionError, match="wrong-token"):
                await TRANSMISSION_REMOTE.run(wrong, home)


@pytest.mark.foreign("transmission-remote-gtk", "Xvfb")
async def test_transmission_remote_gtk_shows_a_torrent_and_asks_again(tmp_path: Path) -> None:
    home = folder(tmp_path / "home")
    settings = folder(home / ".config" / "transmission-remote-gtk") / "config.json"
    with trio.fail_after(LIMIT):
        async with swarm(tmp_path) as (magnet, node), listening(node.address) as listener:
            program = ("transmission-remote", address_of(node), "-a", magnet)
            await TRANSMISSION_REMOTE.run(program, home)
            host, port = listener.address.split(":")
            profile = {
                "profile-id": 0,
                "profile-name": "Default",
                "hostname": host,
                "port": int(port),
                "auto-connect": True,
                "update-interval": 1,
                "min-update-interval": 1,
            }
            settings.write_text(json.dumps({"profiles": [profile], "profile": 0}))
            async with (
                x_screen(tmp_path / "xvfb.log") as screen,
                window(["transmission-remote-gtk"], home, screen, tmp_path / "gtk.log") as process,
            ):
                while listener.asked("torrent-get") < 3:
                    assert process.poll() is None, (tmp_path / "gtk.log").read_text()
                    await trio.sleep(0.1)
            assert listener.asked("session-get") >= 1
            assert not [answer for answer in listener.answers if b'"result":"' in answer
                        and b'"result":"success"' not in answer]  # fmt: skip


@asynccontextmanager
async def x_screen(log: Path) -> AsyncIterator[str]:
    """An X server without a screen; its name. It tells the number that it has found free."""
    reading, writing = os.pipe()
    with log.open("wb") as output:
        process = await trio.lowlevel.open_process(
            ["Xvfb", "-displayfd", str(writing), "-screen", "0", "1200x800x24", "-nolisten", "tcp"],
            pass_fds=(writing,),
            stdout=output,
            stderr=output,
        )
    os.close(writing)
    try:
        async with trio.lowlevel.FdStream(reading) as stream:
            number = b""
            while not number.endswith(b"\n"):
                number += await stream.receive_some()
        yield f":{int(number)}"
    finally:
        with trio.CancelScope(shield=True):
            process.kill()
            await process.wait()


async def test_tewi_shows_a_torrent(tmp_path: Path) -> None:
    require(TRANSMISSION_RPC)
    home = folder(tmp_path / "home")
    with trio.fail_after(LIMIT):
        async with swarm(tmp_path) as (magnet, node):
            address = address_of(node)
            await TRANSMISSION_RPC.run(
                TRANSMISSION_RPC.add(address, magnet, node.context.download_folder), home
            )
            host, port = address.split(":")
            program = [
                *(str(INSTALLED / "env" / "bin" / "tewi"), "--client-type", "transmission"),
                *("--host", host, "--port", port),
            ]
            shown = b""
            async with terminal(program, home) as stream:
                # The name and the size, of which a colour may divide the figures.
                while not (b"film.bin" in shown and b"4" in plain(shown)):
                    piece = await stream.receive_some()
                    assert piece, plain(shown)
                    shown += piece
            assert b"Disconnected" not in shown


def plain(shown: bytes) -> bytes:
    """What a terminal was sent, without its escape sequences."""
    return re.sub(rb"\x1b\[[0-9;?]*[a-zA-Z]", b"", shown)


@asynccontextmanager
async def terminal(argv: list[str], home: Path) -> AsyncIterator[trio.lowlevel.FdStream]:
    """Run a program in a terminal of 150 columns; yields what it shows."""
    ours, theirs = pty.openpty()
    ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 150, 0, 0))
    env = {**os.environ, "HOME": str(home), "TERM": "xterm-256color"}
    process = await trio.lowlevel.open_process(
        argv, stdin=theirs, stdout=theirs, stderr=theirs, env=env, start_new_session=True
    )
    os.close(theirs)
    try:
        async with trio.lowlevel.FdStream(ours) as stream:
            yield stream
    finally:
        with trio.CancelScope(shield=True):
            process.send_signal(signal.SIGKILL)
            await process.wait()
