"""Commands at work that several tests need: a tracker, and a seeder of a file that it lists."""

import os
import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import trio

import local_swarm
from command_line import CommandLine, Program

LOCAL = ("--listen", "127.0.0.1:0")


def url_of(program: Program) -> str:
    return f"udp://127.0.0.1:{program.wait_for('tracker_listening')['port']}"


@contextmanager
def tracker_in_a_thread() -> Iterator[str]:
    """A tracker for commands that need one, where it is not what is tested; its URL.

    It is there at once, while a process of its own takes half a second of a processor.
    """
    begun: queue.SimpleQueue[tuple[str, trio.lowlevel.TrioToken, trio.CancelScope]]
    begun = queue.SimpleQueue()

    async def serve() -> None:
        with trio.CancelScope() as scope:
            async with local_swarm.tracker() as url:
                begun.put((url, trio.lowlevel.current_trio_token(), scope))
                await trio.sleep_forever()

    thread = threading.Thread(target=trio.run, args=(serve,), daemon=True)
    thread.start()
    url, token, scope = begun.get(timeout=60)
    try:
        yield url
    finally:
        trio.from_thread.run_sync(scope.cancel, trio_token=token)
        thread.join(60)


def make_file(path: Path, size: int = 300_000) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(os.urandom(size))
    return path


@contextmanager
def seeding(line: CommandLine, tracker: str, *arguments: object) -> Iterator[Program]:
    with line.start("seed", *arguments, "--tracker", tracker, *LOCAL) as program:
        program.wait_for("sharing")
        program.wait_for("announced")
        yield program
