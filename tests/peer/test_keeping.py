"""When a share ends because nothing of it is right any more, and when it waits for its file."""

from collections.abc import Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
import trio
from trio.testing import MockClock

from trio_swarm import events
from trio_swarm.errors import FileChangedError, StorageError
from trio_swarm.peer.keeping import VERIFY_PAUSE, Keeping
from trio_swarm.storage.content import TorrentFiles
from trio_swarm.storage.unfinished import Changes

RIGHT = ""


class OneFile:
    """The finished file of a share; each look at it finds the next of its `faults`."""

    is_complete = True
    suspects = 0
    root = Path("x.bin")
    info = SimpleNamespace(files=[SimpleNamespace(path=("x.bin",))], name="x.bin", piece_count=3)

    def __init__(self, faults: Sequence[str]) -> None:
        self.faults = faults
        self.have = 0b111
        self.looked_at: list[float] = []

    @property
    def lacks_pieces(self) -> bool:
        return self.have != 0b111

    def path_of(self, _file: int) -> tuple[str, ...]:
        return ("x.bin",)

    def verify_again(self, _should_stop: object) -> Changes:
        look = min(len(self.looked_at), len(self.faults) - 1)
        self.looked_at.append(trio.from_thread.run_sync(trio.current_time))
        fault = self.faults[look]
        before, self.have = self.have, 0b111 if fault == RIGHT else 0
        faults = {} if fault == RIGHT else {0: fault}
        return Changes(files=[0], lost=before & ~self.have, faults=faults)


class Kept:
    """A share of `OneFile` that is looked after; `told` are the events."""

    info_hash = b"h" * 20
    name = "x.bin"

    def __init__(self, faults: Sequence[str]) -> None:
        self.one_file = OneFile(faults)
        self.files = cast("TorrentFiles", self.one_file)
        self.download = cast("Any", SimpleNamespace(reconcile=lambda: 0))
        self.told: list[events.FilesChanged] = []
        self.keeping = Keeping(self, emit=self._tell, peers=lambda: (), wake_peers=lambda: None)
        self.is_back = trio.Event()

    def _tell(self, event: events.Event) -> None:
        assert isinstance(event, events.FilesChanged)
        self.told.append(event)
        if event.have == event.pieces:
            self.is_back.set()

    def found_changed(self) -> None:
        self.keeping.changed(FileChangedError("was changed", path=self.one_file.root))


async def test_a_share_whose_only_file_is_copied_anew_waits_for_the_end_of_the_copy(
    autojump_clock: MockClock,
) -> None:
    """As `cp` writes: the file is cut to nothing, and grows until all is there again."""
    share = Kept([f"has {size} bytes now instead of 9" for size in range(9)] + [RIGHT])
    share.found_changed()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(share.keeping.run, share.files)
        await share.is_back.wait()
        nursery.cancel_scope.cancel()
    assert [each.have for each in share.told] == [0, 3]


async def test_a_share_of_which_nothing_comes_back_ends_with_the_reason(
    autojump_clock: MockClock,
) -> None:
    share = Kept(["has 4 bytes now instead of 9", "does not exist (any more)"])
    share.found_changed()
    with pytest.raises(StorageError, match="does not exist"):
        await share.keeping.run(share.files)
    assert len(share.one_file.looked_at) == 3


async def test_a_share_is_given_time_though_two_peers_find_the_change_at_once(
    autojump_clock: MockClock,
) -> None:
    share = Kept(["has 4 bytes now instead of 9", RIGHT])
    share.found_changed()
    async with trio.open_nursery() as nursery:
        nursery.start_soon(share.keeping.run, share.files)
        while not share.one_file.looked_at:
            await trio.lowlevel.checkpoint()
        share.found_changed()
        await share.is_back.wait()
        nursery.cancel_scope.cancel()
    first, second = share.one_file.looked_at
    assert second - first >= VERIFY_PAUSE
