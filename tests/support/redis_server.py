"""Debian's redis-server for a test: at a Unix socket of its own, without any file."""

import contextlib
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import trio


class RedisServer:
    """A server that can be killed, stopped for a while, and started anew, empty."""

    def __init__(self, folder: Path) -> None:
        # A Unix socket's path is short, and that of a test's folder may not be.
        self.path = Path(f"/tmp/redis-{os.getpid()}-{id(self)}.sock")
        self.url = f"unix://{self.path}"
        self._folder = folder
        self._process: subprocess.Popen[bytes] | None = None

    async def start(self, *options: str, port: int = 0) -> None:
        """Start it, empty, and wait until it answers; `port` is TCP's, for servers that need it."""
        self.path.unlink(missing_ok=True)
        argv = ["redis-server", *options, "--port", str(port), "--unixsocket", str(self.path)]
        argv += ["--save", "", "--appendonly", "no", "--dir", str(self._folder)]
        self._process = subprocess.Popen(  # noqa: ASYNC220 - killed by hand
            argv, stdout=subprocess.DEVNULL
        )
        while not (await self.ask("PING")).startswith(("+PONG", "-NOAUTH")):
            assert self._process.poll() is None, "redis-server has ended"
            await trio.sleep(0.02)

    async def ask(self, command: str, *, lines: int = 1) -> str:
        """Say a command; return the first lines of the answer, empty if there is none."""
        with contextlib.suppress(OSError):
            async with await trio.open_unix_socket(self.path) as stream:
                await stream.send_all(command.encode() + b"\r\n")
                answer = (await stream.receive_some(65536)).decode()
                return "\n".join(answer.split("\r\n")[:lines])
        return ""

    async def integer(self, command: str) -> int:
        """Say a command that is answered by a number."""
        return int((await self.ask(command)).removeprefix(":") or 0)

    async def until(self, command: str, answer: str) -> None:
        """Say a command until the answer has these words in it."""
        while answer not in await self.ask(command, lines=99):
            assert self._process is not None
            assert self._process.poll() is None, "redis-server has ended"
            await trio.sleep(0.05)

    def kill(self) -> None:
        """End it as a power failure does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def pause(self) -> None:
        """Let it do nothing, as one that is out of reach or swaps."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self._process is not None
        self._process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def redis_server(folder: Path) -> Iterator[RedisServer]:
    """A server that is not started yet."""
    server = RedisServer(folder)
    try:
        yield server
    finally:
        server.kill()
        server.path.unlink(missing_ok=True)
