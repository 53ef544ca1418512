"""The results of runs, one in a line of a file, so that those of several days have one table."""

import json
import sys
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import trio

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

    Found = TypeVar("Found", bound=DataclassInstance)
else:
    Found = TypeVar("Found")


def append(file: Path, result: "DataclassInstance") -> None:
    """Add a line to a file of results."""
    with file.open("a") as lines:
        lines.write(f"{json.dumps(asdict(result))}\n")


def read(file: Path, kind: type[Found]) -> list[Found]:
    """Return the results of a file; none if there is no file."""
    if not file.exists():
        return []
    return [kind(**json.loads(line)) for line in file.read_text().splitlines()]


def gather(
    name: str, rounds: AsyncIterator[Found], results: list[Found], file: Path | None = None
) -> None:
    """Play all rounds, and add each result to a list and a file.

    What was measured before an interrupt, which ends the program, is there.
    """

    async def play() -> None:
        async for result in rounds:
            results.append(result)
            if file is not None:
                append(file, result)

    try:
        trio.run(play)
    except* KeyboardInterrupt:
        sys.stderr.write(f"{name}: interrupted\n")
        raise SystemExit(130) from None
