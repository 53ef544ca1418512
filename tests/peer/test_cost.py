"""What a transfer costs, counted: calls and system calls per MiB, the same on every machine.

Both sides run in one process. How much each read brings depends on the machine, so the bounds are
two or three times what was counted; what they are there to catch (more work by the block, a system
call a block) exceeds them.
"""

import sys
import threading
from collections import Counter
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
import trio

from local_swarm import make_file, node, tracker
from trio_swarm.peer import saying

MIB = 1024 * 1024
FEW, MANY = 16, 80
"""MiB of two files: what a transfer costs but for its length is the same for both."""

SYSTEM_CALLS = frozenset(
    [
        "pread",
        "preadv",
        "pwrite",
        "recv_into",
        "recvmsg_into",
        "send",
        "sendfile",
        "sendmsg",
        "write",
    ]
)


class Costs:
    """Counts calls of Python functions and of the system in every thread begun from now on."""

    def __init__(self) -> None:
        self.calls = 0
        self.system: Counter[str] = Counter()

    def _event(self, _frame: FrameType, event: str, argument: Any) -> None:
        if event == "call":
            self.calls += 1
        elif event == "c_call" and argument.__name__ in SYSTEM_CALLS:
            self.system[argument.__name__] += 1

    def start(self) -> None:
        """Count from here."""
        threading.setprofile(self._event)
        sys.setprofile(self._event)

    def stop(self) -> None:
        """Count no more."""
        sys.setprofile(None)
        threading.setprofile(None)


async def transfer_counted(folder: Path, size: int) -> Costs:
    """Share and fetch a file of so many MiB; return what the fetch cost both sides."""
    original = make_file(folder / "in" / "x.bin", size * MIB)
    costs = Costs()
    with trio.fail_after(60):
        async with tracker() as url, node(folder / "s", url) as seeder:
            await seeder.share(original, piece_length=MIB)
            costs.start()
            try:
                async with node(folder / "l", url) as leecher:
                    torrent = await leecher.fetch("x.bin", folder=folder / "out")
                    await torrent.wait_complete()
            finally:
                costs.stop()
    assert (folder / "out" / "x.bin").read_bytes() == original.read_bytes()
    return costs


async def cost_of_a_mebibyte(folder: Path) -> tuple[float, float]:
    """Return the calls of Python functions, and of the system, that one more MiB costs."""
    few = await transfer_counted(folder / "few", FEW)
    many = await transfer_counted(folder / "many", MANY)
    more = MANY - FEW
    return (many.calls - few.calls) / more, (many.system.total() - few.system.total()) / more


async def test_long_blocks_cost_little_by_the_mebibyte(tmp_path: Path) -> None:
    calls, system_calls = await cost_of_a_mebibyte(tmp_path)
    assert 0 < calls < 3 * 330
    assert 0 < system_calls < 3 * 9


async def test_short_blocks_are_read_parsed_and_sent_many_at_a_time(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(saying, "OWN_MAX_BLOCK", 16 * 1024)
    calls, system_calls = await cost_of_a_mebibyte(tmp_path)
    assert 0 < calls < 2 * 1200
    assert 0 < system_calls < 3 * 19
