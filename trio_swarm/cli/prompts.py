"""Asking a person at a terminal; cancellable, and never while a program is on the other end."""

import sys
from pathlib import Path

import trio

from trio_swarm.cli.options import OutputOptions
from trio_swarm.cli.output.text import cells_text, count_text, safe_text, size_text
from trio_swarm.protocol.trackers.announces import NameMatch


def can_ask(output: OutputOptions) -> bool:
    """Whether there is a person to ask."""
    return not output.json and sys.stdin.isatty() and sys.stdout.isatty()


async def ask_line(question: str) -> str | None:
    """Print `question` and return the line typed, without its end; None at the end of input."""
    print(question, end="", flush=True)
    # A terminal is readable when a whole line was typed, so that readline() does not block; a
    # thread that waits in input() could not be cancelled.
    await trio.lowlevel.wait_readable(sys.stdin.fileno())
    line = sys.stdin.readline()
    if not line:
        print(flush=True)
        return None
    return line.rstrip("\n")


async def ask_paths() -> list[Path]:
    """Ask for files and folders until an empty line; each must exist."""
    paths: list[Path] = []
    print("Which files or folders to share? One a line, an empty line ends the list.")
    while True:
        line = await ask_line(f"{len(paths) + 1}> ")
        # Shells and file managers paste names in quotes.
        text = (line or "").strip().strip("'\"")
        if not text:
            return paths
        path = _existing(text)
        if path is not None:
            paths.append(path)
        else:
            print(f"There is no {safe_text(text)}.")


def _existing(text: str) -> Path | None:
    try:
        path = Path(text).expanduser()
        return path if path.exists() else None
    except (OSError, RuntimeError, ValueError):  # a name too long, no such user, a NUL
        return None


async def choose_match(name: str, matches: list[NameMatch]) -> NameMatch | None:
    """Ask which of several torrents of one name is meant; None when the person gives up."""
    print(f"{cells_text(name, 80)} stands for {len(matches)} different torrents:")
    for number, match in enumerate(matches, 1):
        who = f"{count_text(match.seeders, 'seeder')}, {count_text(match.leechers, 'leecher')}"
        print(f"  {number}  {match.info_hash.hex()}  {size_text(match.size)}, {who}")
    while True:
        line = await ask_line(f"Which one (1-{len(matches)}, empty for none)? ")
        text = (line or "").strip()
        if not text:
            return None
        if text.isascii() and text.isdigit() and len(text) < 6 and 1 <= int(text) <= len(matches):
            return matches[int(text) - 1]
