"""A bug of ours anywhere in a node ends the program: at once, aloud, and with everything closed."""

import gc
import os
import socket
import sys
import textwrap
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, NoReturn

import pytest
import trio

from local_swarm import HOST, LIMIT, make_file, node, tracker
from trio_swarm import share_plans
from trio_swarm.announcing.announcer import Announcer
from trio_swarm.engine.conversation import Conversation
from trio_swarm.engine.download.ledger import Ledger
from trio_swarm.engine.upload.uploads import Uploads
from trio_swarm.peer import connection, dialing, disk
from trio_swarm.peer.connection import PeerConnection
from trio_swarm.peer.peer_set import PeerSet
from trio_swarm.peer.torrent import Torrent
from trio_swarm.peer.trackers import Trackers
from trio_swarm.peer.transport import accepting
from trio_swarm.storage.content import TorrentFiles


class BugError(RuntimeError):
    """Stands for any mistake of ours."""


def fail(*_args: object, **_options: object) -> NoReturn:
    raise BugError


async def fail_later(*_args: object, **_options: object) -> NoReturn:
    await trio.lowlevel.checkpoint()
    raise BugError


PLACES: dict[str, tuple[object, str, Callable[..., Any]]] = {
    "reading from a peer": (PeerConnection, "_read", fail_later),
    "taking a peer's message": (connection, "hear", fail),
    "writing to a peer": (PeerConnection, "_write", fail_later),
    "what to say to a peer": (Conversation, "speak", fail),
    "serving a peer": (Uploads, "order", fail),
    "dialling": (dialing, "connect", fail_later),
    "hearing who dials": (accepting, "answer_handshake", fail_later),
    "hearing who was dialled": (dialing, "open_handshake", fail_later),
    "keeping house": (PeerSet, "_keep_house", fail_later),
    "losing a peer": (Torrent, "peer_left", fail),
    "choking": (Uploads, "choke", fail),
    "planning": (Ledger, "plan", fail),
    "taking a block": (Ledger, "received", fail),
    "recording a piece": (Ledger, "verified", fail),
    "verifying in a disk thread": (disk, "verify_piece", fail),
    "writing in a disk thread": (TorrentFiles, "write_pieces", fail),
    "checking in a thread": (TorrentFiles, "check", fail),
    "finishing in a thread": (TorrentFiles, "finish", fail),
    "announcing": (Announcer, "_announce", fail_later),
    "an answer of a tracker": (Trackers, "_answered", fail),
}


def open_sockets() -> set[str]:
    """Return the sockets this process has open."""
    result = set()
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(FileNotFoundError):  # the one that lists them
            target = str(descriptor.readlink())
            if target.startswith("socket:"):
                result.add(target)
    return result


@pytest.mark.parametrize("place", PLACES)
async def test_a_bug_comes_out_of_the_node_with_everything_closed(
    place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = open_sockets()
    ports: list[int] = []

    async def exchange() -> None:
        async with tracker() as url, node(tmp_path / "s", url) as seeder:
            shared = await seeder.share(make_file(tmp_path / "in" / "x.bin", 3_000_000))
            ports.append(seeder.port)
            monkeypatch.setattr(*PLACES[place])
            async with node(tmp_path / "l", url) as leecher:
                ports.append(leecher.port)
                peers = [(HOST, seeder.port)]
                what = shared.info_hash.hex()
                torrent = await leecher.fetch(what, folder=tmp_path / "out", peers=peers)
                await torrent.wait_complete()
                await torrent.remove()
                await trio.sleep_forever()

    with trio.fail_after(LIMIT), pytest.raises(ExceptionGroup) as caught:
        await exchange()
    assert caught.group_contains(BugError)
    monkeypatch.undo()
    gc.collect()
    assert open_sockets() == before
    assert ports
    for port in ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((HOST, port))


async def test_a_bug_in_hashing_comes_out_of_share_as_it_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = make_file(tmp_path / "x.bin", 3_000_000)
    monkeypatch.setattr(share_plans, "open_share", fail)
    with trio.fail_after(LIMIT):
        async with node(tmp_path / "s") as seeder:
            with pytest.raises(BugError):
                await seeder.share(original)


async def test_a_bug_while_closing_comes_out_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = make_file(tmp_path / "x.bin", 3_000_000)
    monkeypatch.setattr(TorrentFiles, "close", fail)
    with trio.fail_after(LIMIT), pytest.raises(ExceptionGroup) as caught:
        async with node(tmp_path / "s") as seeder:
            await seeder.share(original)
    assert caught.group_contains(BugError)


@pytest.mark.parametrize("command", ["get", "run"])
async def test_a_bug_ends_a_command_with_a_traceback(command: str, tmp_path: Path) -> None:
    original = make_file(tmp_path / "in" / "x.bin", 3_000_000)
    script = """
        import sys
        from trio_swarm.cli import main
        from trio_swarm.engine.download.ledger import Ledger

        def fail(*_):
            raise RuntimeError("a bug of ours")

        Ledger.plan = fail
        sys.exit(main())
    """
    with trio.fail_after(60):
        async with tracker() as url, node(tmp_path / "s", url) as seeder:
            magnet = (await seeder.share(original)).magnet()
            config = tmp_path / "peer.toml"
            config.write_text(
                f"""
                [node]
                listen = "{HOST}:0"
                [[fetch]]
                what = "{magnet}"
                folder = "out"
                [tracker]
                listen = "{HOST}:0"
                """
            )
            arguments = {
                "get": ["get", magnet, "--dir", "out", "--listen", f"{HOST}:0"],
                "run": ["run", str(config)],
            }
            done = await trio.run_process(
                [sys.executable, "-c", textwrap.dedent(script), *arguments[command]],
                cwd=tmp_path,
                env=os.environ | {"XDG_STATE_HOME": str(tmp_path / "state")},
                capture_stdout=True,
                capture_stderr=True,
                check=False,
            )
    assert done.returncode == 1
    errors = done.stderr.decode()
    assert "Traceback (most recent call last)" in errors
    assert "RuntimeError: a bug of ours" in errors
    assert b"complete in" not in done.stdout
