"""Real remotes that speak Transmission's RPC, each as commands for the same actions.

`make remotes` installs those of PyPI and npm into build/remotes; the others are Debian packages.
"""

import os
import subprocess
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import trio

INSTALLED = Path(__file__).parents[2] / "build" / "remotes"
SCRIPTS = Path(__file__).parent / "remotes"

Argv = Sequence[str | Path]


@dataclass(frozen=True)
class Remote:
    """A remote, and how it is told what to do; every function returns one command."""

    name: str
    program: Path | str
    """What must be there."""
    add: Callable[[str, str, Path], Argv]
    """(address, magnet link, folder)"""
    listing: Callable[[str], Argv]
    files: Callable[[str, int], Argv]
    peers: Callable[[str, int], Argv]
    limit: Callable[[str, int, int], Argv]
    """(address, id, kB/s of download)"""
    remove: Callable[[str, int], Argv]
    """With its data."""

    @property
    def is_installed(self) -> bool:
        return Path(self.program).exists()

    async def run(self, argv: Argv, home: Path) -> str:
        """Run one command in a home folder of its own; what it said. It must end well."""
        env = {**os.environ, "HOME": str(home), "NODE_PATH": str(INSTALLED / "node_modules")}
        done = await trio.run_process(
            list(map(str, argv)),
            env=env,
            capture_stdout=True,
            capture_stderr=True,
            check=False,
            stdin=b"",
        )
        said = done.stdout.decode() + done.stderr.decode()
        assert done.returncode == 0, f"{self.name}: {said}"
        return said


def _transmission_remote(*words: str) -> Callable[..., Argv]:
    return lambda address, *values: (
        "transmission-remote",
        address,
        *(word.format(*values) for word in words),
    )


TRANSMISSION_REMOTE = Remote(
    name="transmission-remote 3.00",
    program="/usr/bin/transmission-remote",
    add=_transmission_remote("-a", "{0}", "-w", "{1}"),
    listing=_transmission_remote("-l"),
    files=_transmission_remote("-t{0}", "-if"),
    peers=_transmission_remote("-t{0}", "-ip"),
    limit=_transmission_remote("-t{0}", "-d", "{1}"),
    remove=_transmission_remote("-t{0}", "-rad"),
)

STIG_PROGRAM = INSTALLED / "env" / "bin" / "stig"


def _stig(*words: str) -> Callable[..., Argv]:
    return lambda address, *values: (
        *(STIG_PROGRAM, "--norcfile", "set", "connect.url", address, ";"),
        *(word.format(*values) for word in words),
    )


STIG = Remote(
    name="stig 0.15.0a0",
    program=STIG_PROGRAM,
    add=_stig("add", "--path", "{1}", "{0}"),
    listing=_stig("ls"),
    files=_stig("filelist", "id={0}"),
    peers=_stig("peerlist", "id={0}"),
    limit=_stig("ratelimit", "dn", "{1}kB", "id={0}"),
    remove=_stig("remove", "--delete-files", "id={0}"),
)


def _script(*command: Path | str) -> Callable[[str], Callable[..., Argv]]:
    """Return what makes commands of a script: HOST PORT ACTION ARGUMENTS."""
    return lambda action: (
        lambda address, *values: (
            *command,
            *address.split(":"),
            action,
            *map(str, values),
        )
    )


PYTHON = INSTALLED / "env" / "bin" / "python"
_trpc = _script(PYTHON, "-W", "error", SCRIPTS / "transmission_rpc_actions.py")

TRANSMISSION_RPC = Remote(
    name="transmission-rpc 7.0.12",
    program=INSTALLED / "env" / "bin" / "tewi",
    add=_trpc("add"),
    listing=_trpc("list"),
    files=_trpc("files"),
    peers=_trpc("peers"),
    limit=_trpc("limit"),
    remove=_trpc("remove"),
)
EVERY_FIELD = _script(PYTHON, "-W", "ignore", SCRIPTS / "transmission_rpc_actions.py")("all")
"""The command that reads every field which transmission-rpc knows."""

_ctrl = _script("node", SCRIPTS / "ctrl_actions.mjs")

CTRL = Remote(
    name="@ctrl/transmission 7.4.0",
    program=INSTALLED / "node_modules" / "@ctrl" / "transmission",
    add=_ctrl("add"),
    listing=_ctrl("list"),
    files=_ctrl("files"),
    peers=_ctrl("peers"),
    limit=_ctrl("limit"),
    remove=_ctrl("remove"),
)

REMOTES = (TRANSMISSION_REMOTE, STIG, TRANSMISSION_RPC, CTRL)


@dataclass
class Listener:
    """What passes through a door between a remote and a node."""

    address: str
    requests: list[bytes] = field(default_factory=list)
    answers: list[bytes] = field(default_factory=list)

    def asked(self, method: str) -> int:
        """How often a method was called."""
        name = f'"{method}"'.encode()
        return sum(piece.count(name) for piece in self.requests)


@asynccontextmanager
async def listening(address: tuple[str, int]) -> AsyncIterator[Listener]:
    """Pass on everything between a new port on loopback and `address`, and keep a copy."""
    listener = Listener("")

    async def passing(
        source: trio.SocketStream, sink: trio.SocketStream, kept: list[bytes]
    ) -> None:
        try:
            async for piece in source:
                kept.append(piece)
                await sink.send_all(piece)
            await sink.send_eof()
        except (trio.BrokenResourceError, trio.ClosedResourceError):
            pass

    async def serve(client: trio.SocketStream) -> None:
        async with (
            client,
            await trio.open_tcp_stream(*address) as node,
            trio.open_nursery() as both,
        ):
            both.start_soon(passing, client, node, listener.requests)
            both.start_soon(passing, node, client, listener.answers)

    async with trio.open_nursery() as nursery:
        (door,) = await nursery.start(partial(trio.serve_tcp, serve, 0, host="127.0.0.1"))
        listener.address = f"127.0.0.1:{door.socket.getsockname()[1]}"
        yield listener
        nursery.cancel_scope.cancel()


@asynccontextmanager
async def window(argv: Argv, home: Path, screen: str, log: Path) -> AsyncIterator[trio.Process]:
    """Run a program on the X screen `screen`, until the block ends."""
    env = {**os.environ, "HOME": str(home), "DISPLAY": screen, "NO_AT_BRIDGE": "1"}
    with log.open("wb") as output:
        process = await trio.lowlevel.open_process(
            list(map(str, argv)), env=env, stdout=output, stderr=subprocess.STDOUT
        )
    try:
        yield process
    finally:
        with trio.CancelScope(shield=True):
            process.kill()
            await process.wait()
