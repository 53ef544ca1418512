"""Commands at work that several tests need: a seeder of a file, and where it is found."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from command_line import CommandLine, Program

LOCAL = ("--listen", "127.0.0.1:0")


def url_of(program: Program) -> str:
    return f"udp://127.0.0.1:{program.wait_for('tracker_listening')['port']}"


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
