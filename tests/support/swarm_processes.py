"""Real `trio-swarm` commands as processes on loopback, each with its own state folder.

Every process reports in JSON lines; a test waits for events, stops or kills processes, and finds
none left when the `processes` context ends.
"""

import hashlib
import json
import os
import signal
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import trio

import local_swarm
from forked_commands import ForkedCommand

Event = dict[str, Any]

HOST = "127.0.0.1"


class RunningCommand:
    """One command: its events so far, its stderr, its end."""

    def __init__(
        self,
        process: ForkedCommand,
        state: Path,
        stdout: trio.abc.ReceiveStream,
        stderr: trio.abc.ReceiveStream,
    ) -> None:
        self.process = process
        self.state = state
        self._stdout = stdout
        self._stderr = stderr
        self.events: list[Event] = []
        self.stderr = ""
        self._changed = trio.Event()
        self._waiting = trio.Lock()
        self._over = trio.Event()

    # --- what it says -----------------------------------------------------------------------

    def of(self, name: str) -> list[Event]:
        """Return its events of this name so far."""
        return [event for event in self.events if event["event"] == name]

    async def wait_for(self, name: str, where: Callable[[Event], bool] = lambda _: True) -> Event:
        """Return its first event of this name, past or future; AssertionError if it ends first."""
        seen = 0
        while True:
            while seen < len(self.events):
                event = self.events[seen]
                seen += 1
                if event["event"] == name and where(event):
                    return event
            if self._over.is_set():
                raise AssertionError(f"ended without {name}: {self.stderr or self.events}")
            await self._changed.wait()

    async def wait_for_share(self, fraction: float) -> Event:
        """Return the `piece_verified` event by which it has this part of its pieces."""
        pieces = (await self.wait_for("metadata_received"))["pieces"] if fraction else 0
        checked = await self.wait_for("checked")
        had = int(checked["have"] / checked["size"] * pieces)
        count = 0

        def enough(_event: Event) -> bool:
            nonlocal count
            count += 1
            return had + count >= fraction * pieces

        return await self.wait_for("piece_verified", enough)

    @property
    def errors(self) -> list[str]:
        """Return the lines of its stderr."""
        return self.stderr.splitlines()

    def most_memory(self) -> int:
        """Return the most bytes of memory it ever had resident, while it runs."""
        for line in Path(f"/proc/{self.process.pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
        raise AssertionError("the process has ended")

    # --- its end ------------------------------------------------------------------------------

    async def wait(self) -> int:
        """Wait until it has ended and all its output is read; return its exit code."""
        await self._over.wait()
        assert self.process.returncode is not None
        return self.process.returncode

    async def stop(self, number: int = signal.SIGINT) -> int:
        """Send a signal and wait for its end."""
        self.process.send_signal(number)
        return await self.wait()

    async def kill(self) -> None:
        """`kill -9`."""
        assert await self.stop(signal.SIGKILL) == -signal.SIGKILL

    async def attend(self) -> None:
        """Read its output until it ends."""
        async with self._stdout, self._stderr, trio.open_nursery() as nursery:
            nursery.start_soon(self._read_events)
            nursery.start_soon(self._read_stderr)
            await self.process_ended()
        self._over.set()
        self._tell()

    async def process_ended(self) -> None:
        """Wait until the process has ended, whose output may still be in the pipes."""
        async with self._waiting:
            await trio.lowlevel.wait_readable(self.process)
            self.process.wait()

    async def _read_events(self) -> None:
        rest = b""
        async for data in self._stdout:
            *lines, rest = (rest + data).split(b"\n")
            self.events.extend(json.loads(line) for line in lines)
            self._tell()

    async def _read_stderr(self) -> None:
        async for data in self._stderr:
            self.stderr += data.decode(errors="replace")
            self._tell()

    def _tell(self) -> None:
        self._changed.set()
        self._changed = trio.Event()


class Processes:
    """Starts commands; all of them share one folder for states and one environment."""

    def __init__(self, nursery: trio.Nursery, folder: Path) -> None:
        self.running: list[RunningCommand] = []
        self.over = trio.Event()
        self._nursery = nursery
        self._folder = folder

    async def start(self, *arguments: object, state: str = "") -> RunningCommand:
        """Start `trio-swarm ARGUMENTS --json`; `state` names its state folder."""
        state_folder = self._folder / f"state-{state}"
        environment = {
            name: value for name, value in os.environ.items() if not name.startswith("TRIO_SWARM")
        }
        (out, out_end), (err, err_end) = os.pipe(), os.pipe()
        nothing = os.open(os.devnull, os.O_RDONLY)
        process = ForkedCommand(
            [*arguments, "--json"],
            streams=(nothing, out_end, err_end),
            environment=environment | {"XDG_STATE_HOME": str(state_folder)},
            folder=self._folder,
        )
        for descriptor in (nothing, out_end, err_end):
            os.close(descriptor)
        streams = map(trio.lowlevel.FdStream, (out, err))
        command = RunningCommand(process, state_folder, *streams)
        self.running.append(command)
        self._nursery.start_soon(command.attend)
        return command

    async def tracker(
        self, *, port: int = 0, interval: float = 1, lease: float = 60
    ) -> tuple[RunningCommand, str]:
        """Start a tracker; return it and its URL."""
        flags = ("--interval", interval, "--lease", lease)
        command = await self.start("tracker", "--listen", f"{HOST}:{port}", *flags)
        listening = await command.wait_for("tracker_listening")
        return command, f"udp://{HOST}:{listening['port']}"

    async def tracker_here(self, *, interval: float = 1, lease: float = 60) -> str:
        """Serve a tracker in this process, where it is not what is tested; return its URL.

        It is there at once, while a process of its own takes half a second of a processor.
        """

        async def serve(task_status: trio.TaskStatus[str]) -> None:
            async with local_swarm.tracker(interval=interval, lease=lease) as url:
                task_status.started(url)
                await self.over.wait()

        url: str = await self._nursery.start(serve)
        return url

    async def seed(
        self, *paths: Path, tracker: str, state: str, flags: Sequence[object] = ()
    ) -> RunningCommand:
        """Start a seeder; return when a tracker has listed each path."""
        command = await self.start(
            "seed", *paths, "--tracker", tracker, "--listen", f"{HOST}:0", *flags, state=state
        )
        for path in paths:
            sharing = await command.wait_for("sharing", lambda e, p=path: e["path"] == str(p))
            info_hash = sharing["info_hash"]
            await command.wait_for("announced", lambda e, i=info_hash: e["info_hash"] == i)
        return command

    async def get(
        self, what: object, folder: Path, *, tracker: str, state: str, flags: Sequence[object] = ()
    ) -> RunningCommand:
        """Start a leecher."""
        where = ("--dir", folder, "--tracker", tracker, "--listen", f"{HOST}:0")
        return await self.start("get", what, *where, *flags, state=state)

    async def run(self, config: Path, *, state: str) -> RunningCommand:
        """Start a peer from a configuration file."""
        return await self.start("run", config, state=state)

    async def ls(self, tracker: str) -> list[Event]:
        """Return what `ls` lists."""
        command = await self.start("ls", "--tracker", tracker)
        assert await command.wait() == 0, command.stderr
        return command.of("listed")

    async def ls_until(self, tracker: str, condition: Callable[[list[Event]], bool]) -> list[Event]:
        """List until what is listed is as wanted; the test's deadline bounds it."""
        while not condition(listed := await self.ls(tracker)):  # noqa: ASYNC110 - a tracker tells when asked
            await trio.sleep(0.2)
        return listed


@asynccontextmanager
async def processes(folder: Path) -> AsyncIterator[Processes]:
    """Run commands with their states under `folder`; what still runs at the end is killed."""
    async with trio.open_nursery() as nursery:
        started = Processes(nursery, folder)
        try:
            yield started
        finally:
            started.over.set()
            for command in started.running:
                if command.process.returncode is None:
                    command.process.kill()
            with trio.CancelScope(shield=True):
                for command in started.running:
                    await command.process_ended()


def digest(path: Path) -> str:
    """Return the SHA-1 of a file, in hex."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha1").hexdigest()


def make_big_file(path: Path, size: int) -> Path:
    """Write a file of random bytes, a piece at a time."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        while size > 0:
            file.write(os.urandom(min(size, 1 << 20)))
            size -= 1 << 20
    return path
