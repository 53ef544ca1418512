"""Recordings of simulated downloads: by the very recorder, ledger and guard of a real one's.

Times are those of the virtual clock, which is the same for all; decisions take no time, so that the
same run gives the same bytes.
"""

from collections.abc import Callable, Collection
from functools import partial

from trio_swarm.recording.format import Header, encode_header, seal
from trio_swarm.recording.recorder import RecordedLedger, RecordedScheduler, Recorder
from trio_swarm.schedulers.api import UploadRequest
from trio_swarm.simulator.scenario import Scenario, address_of


class PeerRecording:
    """What one peer records; nothing is told of it twice or after `end`."""

    def __init__(self, clock: Callable[[], float], called: Callable[[str], str]) -> None:
        recorder = Recorder(clock, self._seal, called=called)
        self.make_scheduler = partial(RecordedScheduler, recorder=recorder)
        self.make_ledger = partial(RecordedLedger, recorder=recorder)
        self.end = recorder.end
        self._recorder = recorder
        self._frames: list[bytes] = []

    def sent(self, key: int, request: UploadRequest) -> None:
        """Note that a block was put out for a peer."""
        self._recorder.sent(key, request.piece, request.begin, request.length)

    def _seal(self) -> None:
        self._frames += map(seal, self._recorder.take())

    def content(self, header: Header) -> bytes:
        """Return the file, which ends with the run if it has not ended before."""
        self.end("the simulation ended")
        self._seal()
        return encode_header(header) + b"".join(self._frames)


class Recordings:
    """Records some peers, by their indices, of one run; another run needs another."""

    def __init__(self, scenario: Scenario, who: Collection[int]) -> None:
        self._who = frozenset(who)
        self._names = {address_of(index): name for index, name in enumerate(scenario.names)}
        self._made: dict[int, PeerRecording] = {}

    def of(self, index: int, clock: Callable[[], float]) -> PeerRecording | None:
        """Return what a peer records with, or None if it is not recorded."""
        if index not in self._who:
            return None
        self._made[index] = made = PeerRecording(clock, self._names.__getitem__)
        return made

    def content(self, index: int, header: Header) -> bytes:
        """Return the file of one of them, after the run."""
        return self._made[index].content(header)
